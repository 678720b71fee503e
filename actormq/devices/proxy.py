"""One device's thread: `zmq.proxy_steerable` between two sockets, in a context of its own.

libzmq relays without Python, and the loop steers it over a PAIR/inproc pair. Its traps are cured
here once:

- libzmq 4.3.5, which pyzmq's wheel brings, takes PAUSE for RESUME and RESUME for PAUSE;
- a proxy that is paused while messages wait spins and takes a whole core (measured): once PAUSE
  has made the counts final, TERMINATE sends the thread out of the proxy, where it waits for a word;
- its acknowledgements block until they are taken: the loop's end of the pair stays open until the
  thread has ended;
- a signal that the system hands to the thread makes pyzmq begin again, counted from 0 and no
  longer paused: the thread takes none;
- it looks for words between bursts of up to 1 000 messages, and within one it waits for the
  receivers: what asks it has a deadline, and `term()` of its own context ends what does not answer.

What gets lost, and when:

- towards DEALER and PUSH nothing is dropped: at their high-water mark the proxy stops reading,
  and so do, one mark later, those who send;
- XPUB drops for each subscriber that is 1 000 messages behind, ROUTER drops replies to a client
  that is as far behind or has gone: the proxy counts these as relayed;
- at the end the proxy relays what it has in hand. What it has relayed goes out for `LINGER_MS`;
  what has reached the frontend and was not relayed is lost, 1 000 messages of each sender at most
  and what the system's own buffers held (80 000 of 32 bytes, after a pause). So what arrives has no
  hole, only an end. An end by `term()` may lose the message in hand as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import struct
import threading
from collections import deque
from collections.abc import Callable

import msgspec
import zmq

from actormq.endpoint import check_endpoint
from actormq.errors import LifecycleError, SetupError
from actormq.runtime import Runtime
from actormq.transport import (
    STREAM_HWM,
    Role,
    bind_socket,
    connect_socket,
    new_context,
    open_socket,
)

ANSWER_SECONDS = 1.0  # a burst of 1 000 messages takes 2 ms, unless a receiver holds it up
STOP_SECONDS = 0.25  # for TERMINATE, which takes as long; then the context is ended
FILTER_BYTES = 1024  # ample for a topic; subscriptions are our memory, and the publishers'

_STATISTICS, _TERMINATE = b"STATISTICS", b"TERMINATE"  # words of libzmq's
_GO, _END = b"GO", b"END"  # ours, for the thread while it is outside of the proxy
_COUNTS = struct.Struct("=8Q")
_LOOPBACK = "localhost"

_QUEUES: dict[int, int] = {zmq.SNDHWM: STREAM_HWM, zmq.RCVHWM: STREAM_HWM}
# Without IMMEDIATE, which is there to spread over several endpoints: a face has one, and what was
# sent while it was away is kept for it (50 of 50 messages; 0 of 50 with IMMEDIATE).
ROLES = {
    "ROUTER": Role(zmq.ROUTER, _QUEUES),  # not mandatory: a client that left would end the proxy
    "DEALER": Role(zmq.DEALER, _QUEUES),
    "XSUB": Role(zmq.XSUB, _QUEUES),
    "XPUB": Role(zmq.XPUB, {**_QUEUES, zmq.MAXMSGSIZE: FILTER_BYTES}),
    "PULL": Role(zmq.PULL, _QUEUES),
    "PUSH": Role(zmq.PUSH, _QUEUES),
}

_CONTROL = Role(zmq.PAIR, {zmq.SNDHWM: 0, zmq.RCVHWM: 0})  # no word may get lost, and they are few


def pause_word(version: tuple[int, int, int]) -> bytes:
    """The word that makes a proxy of this libzmq pause."""
    return b"RESUME" if version == (4, 3, 5) else b"PAUSE"


_PAUSE = pause_word(zmq.zmq_version_info())


class Face(msgspec.Struct, frozen=True):
    """One of a proxy's two sides.

    Attributes:
        socket: The socket's type, a key of `ROLES`.
        endpoint: Where; once the proxy runs, with the free port that was asked for as `*`.
        is_connected: Whether it connects there, rather than binds.
    """

    socket: str
    endpoint: str
    is_connected: bool = False

    def __str__(self) -> str:
        return (
            f"{self.socket} {'connected to' if self.is_connected else 'bound at'} {self.endpoint}"
        )


class Flow(msgspec.Struct, frozen=True):
    """What went one way.

    Attributes:
        frames: Frames that were relayed; libzmq up to 4.3.4 counts whole messages instead.
        bytes: Their bytes.
    """

    frames: int = 0
    bytes: int = 0

    def plus(self, other: Flow) -> Flow:
        """The sums."""
        return Flow(self.frames + other.frames, self.bytes + other.bytes)


class Proxy:
    """Two sockets and the thread that relays between them; to be made and used on the loop.

    Args:
        runtime: The node's parts.
        label: The name of the device, for errors and for the thread.
        frontend: The side that takes what is sent.
        backend: The side that passes it on.
        died: Called on the loop, with a reason, if the thread ends though nobody has closed it.

    Attributes:
        frontend: As given, with the endpoint that it has.
        backend: Likewise.
        to_backend: What had been relayed when the proxy answered last, since it was started.
        to_frontend: The same in the other direction.
        counted_at: When that was, in seconds of `runtime.loop.now()`.
        is_paused: Whether it has been told to pause, and not to go on since.

    Raises:
        PortInUse: Somebody else holds one of the endpoints.
        SetupError: A face cannot be; in either case nothing is left open.
    """

    stands = False  # nothing that it relays is for its actor

    def __init__(
        self,
        runtime: Runtime,
        label: str,
        frontend: Face,
        backend: Face,
        died: Callable[[str], None],
    ) -> None:
        _check_apart(label, frontend, backend)
        self._loop, self._transport = runtime.loop, runtime.transport
        self._died = died
        # Each STATISTICS that is not answered yet, and whether it was the last of a run.
        self._questions: deque[tuple[asyncio.Future[bool], bool]] = deque()
        self._before = Flow(), Flow()  # of the runs that pauses have ended
        self._ended = asyncio.Event()
        self._is_closing = False
        self.to_backend, self.to_frontend = self._before
        self.counted_at = self._loop.now()
        self.is_paused = False
        self._context = new_context()
        try:
            front, self.frontend = self._opened(label, "frontend", frontend)
            back, self.backend = self._opened(label, "backend", backend)
            near, far = (self._socket(_CONTROL) for _ in range(2))
            near.bind("inproc://control")
            far.connect("inproc://control")
            self._thread = threading.Thread(
                target=self._relay,
                args=(front, back, far),
                name=f"actormq-proxy-{label}",
                daemon=True,
            )
            self._thread.start()
        except BaseException:
            self._context.destroy(0)
            raise
        self._near = self._transport.adopt(near, self._answered)

    # -- opening ------------------------------------------------------------------------------

    def _socket(self, role: Role) -> zmq.Socket[bytes]:
        return open_socket(self._context, role, self._transport.frame_limit)

    def _opened(self, label: str, side: str, face: Face) -> tuple[zmq.Socket[bytes], Face]:
        socket = self._socket(ROLES[face.socket])
        what = f"{label}, {side}"
        if face.is_connected:
            connect_socket(socket, face.endpoint, what)
            return socket, face
        bound = bind_socket(socket, face.endpoint, what)
        return socket, Face(face.socket, _with_port_of(bound, face.endpoint))

    # -- the thread ---------------------------------------------------------------------------

    def _relay(
        self, front: zmq.Socket[bytes], back: zmq.Socket[bytes], control: zmq.Socket[bytes]
    ) -> None:
        reason = "it was told to end"
        try:
            _take_no_signals()
            word = _GO
            while word == _GO:
                zmq.proxy_steerable(front, back, None, control)
                word = control.recv()
        except zmq.ZMQError as error:
            reason = str(error)
        finally:
            for socket in (front, back, control):
                socket.close()
            self._loop.call_from_thread(self._has_ended, reason)

    def _has_ended(self, reason: str) -> None:
        self._ended.set()
        while self._questions:
            self._questions.popleft()[0].set_result(False)
        if not self._is_closing:
            self._died(reason)

    # -- words and answers --------------------------------------------------------------------

    async def count(self) -> bool:
        """Bring the figures up to date.

        Returns:
            False if the proxy did not answer in time: it waits for a receiver in the middle of a
            burst, and the figures are those of `counted_at`.
        """
        # One question at a time: between two of its words the proxy relays a burst.
        if self._questions and not await self._is_answered():
            return False
        if self.is_paused:
            self.counted_at = self._loop.now()
            return True
        self._ask(_STATISTICS)
        return await self._is_answered()

    async def pause(self) -> bool:
        """Relay no more; what comes waits in the frontend, and then at its senders.

        Returns:
            False if messages still flow: the proxy waits for a receiver in the middle of a burst,
            and pauses when that has taken this one and perhaps another.
        """
        if not self.is_paused:
            self.is_paused = True
            self._ask(_PAUSE, _STATISTICS, _TERMINATE)
        return not self._questions or await self._is_answered()

    def resume(self) -> None:
        """Relay again."""
        if self.is_paused:
            self.is_paused = False
            self._say(_GO)

    def _ask(self, *words: bytes) -> None:
        self._say(*words)
        self._questions.append((self._loop.aio.create_future(), _TERMINATE in words))

    def _say(self, *words: bytes) -> None:
        if self._ended.is_set():
            raise LifecycleError(f"the thread {self._thread.name} has ended: start a new device")
        for word in words:
            self._near.send([word])

    async def _is_answered(self) -> bool:
        answered, _ = self._questions[-1]
        await asyncio.wait({answered}, timeout=ANSWER_SECONDS)
        return answered.done() and answered.result()

    def _answered(self, frames: list[bytes]) -> None:
        """Take an answer; those to other words than STATISTICS come from some libzmqs only."""
        if len(frames) != 8:  # noqa: PLR2004 the eight figures of STATISTICS
            return
        # Received and sent, first of the frontend, then of the backend: what was sent counts.
        _, _, back, back_bytes, _, _, forth, forth_bytes = _COUNTS.unpack(b"".join(frames))
        to_backend, to_frontend = self._before
        self.to_backend = to_backend.plus(Flow(forth, forth_bytes))
        self.to_frontend = to_frontend.plus(Flow(back, back_bytes))
        self.counted_at = self._loop.now()
        answered, is_last = self._questions.popleft()
        if is_last:
            self._before = self.to_backend, self.to_frontend
        answered.set_result(True)

    # -- the end ------------------------------------------------------------------------------

    async def close(self) -> None:
        """End the thread and close the sockets; see the head of this file for what gets lost.

        Takes `STOP_SECONDS` and `LINGER_MS` at most.
        """
        if self._is_closing:
            return
        self._is_closing = True
        try:
            if not self._ended.is_set():
                self._say(_TERMINATE, _END)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self._ended.wait()
        finally:
            # Also when the node has no more time to wait: what is left then happens by itself.
            self._transport.close_port(self._near, 0)
            finished = self._loop.aio.run_in_executor(None, self._finish)
        await asyncio.shield(finished)

    def _finish(self) -> None:
        self._context.term()  # ends a thread that has not answered, and waits for what goes out
        self._thread.join()


def _take_no_signals() -> None:
    if hasattr(signal, "pthread_sigmask"):  # Windows hands signals to no thread but the main one
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def _with_port_of(bound: str, endpoint: str) -> str:
    """What was asked for, with what ZeroMQ filled in; it writes hosts as it likes best itself."""
    if not endpoint.startswith("tcp://"):
        return bound
    host = endpoint.rpartition(":")[0]
    return f"{host}:{bound.rpartition(':')[2]}"


def _check_apart(label: str, frontend: Face, backend: Face) -> None:
    for side, face in (("frontend", frontend), ("backend", backend)):
        check_endpoint(face.endpoint, f"{label}, {side}")
        if face.endpoint.startswith("inproc://"):
            raise SetupError(
                f"{label}, {side}: {face.endpoint!r} reaches nobody, for a device has a context of "
                "its own; take ipc://PATH or tcp://HOST:PORT"
            )
    if _are_one(frontend, backend):
        raise SetupError(
            f"{label}: {frontend.endpoint} and {backend.endpoint} are one place: a device relays "
            "between two, give each face an endpoint of its own"
        )


def _are_one(one: Face, other: Face) -> bool:
    """Whether a device would bind one endpoint twice, or talk to itself."""
    place, port = _place(one.endpoint)
    other_place, other_port = _place(other.endpoint)
    if port != other_port or port in ("*", "0"):  # these take a free one each
        return False
    if place == other_place:
        return True
    both_bind = not one.is_connected and not other.is_connected
    return "*" in (place, other_place) and (both_bind or _LOOPBACK in (place, other_place))


def _place(endpoint: str) -> tuple[str, str]:
    """Host and port of an endpoint, with one name for each host; of ipc its path."""
    if not endpoint.startswith("tcp://"):
        return endpoint, endpoint.removeprefix("ipc://")
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    if host in ("*", "0.0.0.0", "[::]"):  # noqa: S104 compared, not bound
        return "*", port
    return (_LOOPBACK if host in ("localhost", "127.0.0.1", "[::1]") else host), port
