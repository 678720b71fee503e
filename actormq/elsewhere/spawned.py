"""One process of one actor: started, spoken to, watched, and gone without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import zmq

from actormq.address import ipc_endpoint
from actormq.cluster.outbox import Outbox
from actormq.elsewhere import words
from actormq.elsewhere.finding import main_name, main_path
from actormq.errors import RemoteProtocolError, SetupError
from actormq.loop import Loop
from actormq.message import Envelope
from actormq.runtime import Runtime
from actormq.transport import PROCESS_LISTENER

LAST_WORDS = 0.25  # s that what a dead process has said may take to come: it is in the kernel
KILL_MOMENT = 1.0  # s that this may hold the loop, where nobody can wait any longer
KILL_WAIT = 5.0  # s for the system to take a killed process away

_BEGINNING = (
    "import sys, json\ntold = json.loads(sys.stdin.buffer.readline())\nsys.path[:] = told['path']\n"
)
ACTOR = "from actormq.elsewhere.child import main; main(told)"
"""The program of a process that is one actor's; `told` is what it read from standard input."""


class Spawned:
    """A process and the connection to it.

    Args:
        runtime: The parts of the node.
        label: The actor, for names and errors.
        hello: What the process is told at first, beside where to dial.
        heard: Called with each envelope that comes from it.
        gone: Called once when it has ended by itself, with what happened to it.
        program: What it runs, in Python.
        shared: Descriptors that it is given too, under the same numbers.
        has_group: Whether the programs that it has started, and has not let go of, end with it.

    Raises:
        SetupError: It could not be started.
    """

    def __init__(
        self,
        runtime: Runtime,
        label: str,
        hello: dict[str, Any],
        heard: Callable[[Envelope], None],
        gone: Callable[[str], None],
        program: str = ACTOR,
        shared: Sequence[int] = (),
        *,
        has_group: bool = False,
    ) -> None:
        self._runtime = runtime
        self._label = label
        self._heard = heard
        self._gone = gone
        self._how = ""
        self._status: int | None = None
        self._is_closing = False
        self._is_cut = False
        self._exited = asyncio.Event()
        # Whoever dials must know a name that nobody else is told: it is the routing id.
        self._token = secrets.token_hex(16)
        self.heard_at = runtime.loop.now()
        self.outbox = Outbox(runtime.loop, label, runtime.settings.link_limit)
        transport = runtime.transport
        self._port = transport.open(PROCESS_LISTENER, self._arrived)
        try:
            transport.watch(self._port, zmq.EVENT_DISCONNECTED, self._cut)
            name = ipc_endpoint(f"{runtime.node_id}-{secrets.token_hex(6)}")
            self._endpoint = transport.bind(self._port, name, f"actor {label!r}")
            self._process = self._started(hello, program, shared)
        except BaseException:
            transport.close_port(self._port, 0)
            raise
        self.pid = self._process.pid
        self._has_group = has_group
        self._unwatch = _watch(self._process, has_group, runtime.loop, self._ended)

    def _started(
        self, hello: dict[str, Any], program: str, shared: Sequence[int]
    ) -> subprocess.Popen[bytes]:
        if not sys.executable:
            raise SetupError(
                f"actor {self._label!r} cannot have a process: sys.executable does not say which "
                "Python to start"
            )
        own_group: dict[str, Any] = (
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if sys.platform == "win32"
            else {"process_group": 0}  # Ctrl-C in the terminal is for the node alone
        )
        try:
            process = subprocess.Popen(  # noqa: S603 our own program
                [sys.executable, "-P", "-c", _BEGINNING + program, self._label],
                stdin=subprocess.PIPE,
                pass_fds=shared,
                **own_group,
            )
        except OSError as error:
            raise SetupError(f"no process for actor {self._label!r}: {error}") from error
        settings = self._runtime.settings
        told = {
            **hello,
            "endpoint": self._endpoint,
            "token": self._token,
            "path": sys.path,
            "argv": sys.argv,
            "main_path": main_path(),
            "main_name": main_name(),
            "parent": os.getpid(),
            "log": _logging(),
            "limits": [settings.message_limit, settings.buffer_limit, settings.link_limit],
            "frame_limit": self._runtime.transport.frame_limit,
            "ask_timeout": settings.ask_timeout,
        }
        assert process.stdin is not None
        # Kept open: when this process ends, however it does, the other one reads the end of it.
        try:
            process.stdin.write(json.dumps(told).encode() + b"\n")
            process.stdin.flush()
        except OSError:  # it has died already, which `_watch` will tell
            pass
        return process

    # -- what it says -------------------------------------------------------------------------

    def _arrived(self, frames: list[bytes]) -> None:
        routing_id, *rest = frames
        if routing_id != self._token.encode():
            return  # a stranger
        self.heard_at = self._runtime.loop.now()
        try:
            envelopes = self._runtime.codec.unpack(rest)
        except RemoteProtocolError as error:
            self.kill(f"was killed for what it said: {error}")
            return
        for envelope in envelopes:
            if envelope[0] == words.HELLO:
                self.outbox.attach(self._port, routing_id)
            elif envelope[0] != words.BEAT and not self._port.is_closed:
                self._heard(envelope)

    def say(self, envelope: Envelope) -> None:
        """Send it something.

        Raises:
            DeliveryError: It cannot be encoded, or is more than the link may hold.
        """
        self.outbox.put(*self._runtime.codec.pack(self._label, envelope))

    # -- its end ------------------------------------------------------------------------------

    def kill(self, how: str) -> None:
        """End it by force; `how` is what `gone` will be told."""
        self._how = self._how or how
        if self._status is None:
            if self._has_group:
                _kill_group(self.pid)
            else:
                self._process.kill()

    def _ended(self, status: int) -> None:
        self._status = status
        self._exited.set()
        if self._is_cut or self._is_closing:
            self._finish()
        else:
            self._runtime.loop.call_later(LAST_WORDS, self._finish)

    def _cut(self, _event: int, _value: int, _endpoint: str) -> None:
        self._is_cut = True
        if self._status is not None:
            self._finish()

    def _finish(self) -> None:
        # What it said before its end may be on its way from the socket to us.
        self._port.look()
        self._runtime.loop.call_soon(self._runtime.loop.call_soon, self._over)

    def _over(self) -> None:
        if self._port.is_closed:
            return
        self._release()
        if not self._is_closing:
            assert self._status is not None
            self._gone(self._how or _how(self._status))

    def _release(self) -> None:
        self.outbox.close()
        self._runtime.transport.close_port(self._port, 0)
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # what was never read
            self._process.stdin.close()

    async def close(self, seconds: float) -> None:
        """Let it come to its end, and end it by force after `seconds`."""
        self._is_closing = True
        try:
            if self._status is None:
                self.outbox.put(*self._runtime.codec.pack(self._label, [words.CLOSE]))
                self.outbox.flush()
                if not await self._has_exited(seconds):
                    self.kill("")
                    await self._has_exited(KILL_WAIT)
        finally:
            if self._status is None:  # nobody waits any longer, and no zombie stays
                self.kill("")
                self._unwatch()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._status = self._process.wait(KILL_MOMENT)
            if not self._port.is_closed:
                self._release()

    async def _has_exited(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._exited.wait()
        except TimeoutError:
            return False
        return True


def _watch(
    process: subprocess.Popen[bytes], has_group: bool, loop: Loop, ended: Callable[[int], None]
) -> Callable[[], None]:
    """Call `ended` with the status of a process, on the loop and at once; the result ends that."""

    def status() -> int:
        if has_group and hasattr(os, "waitid"):  # macOS has none
            # As long as nobody has asked how it ended, no other process can have its number.
            with contextlib.suppress(ChildProcessError):  # somebody has, such as a SIGCHLD handler
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
                _kill_group(process.pid)
        return process.wait()

    descriptor = None
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):  # an old kernel, or a sandbox
            descriptor = os.pidfd_open(process.pid)
    if descriptor is None:

        def wait() -> None:
            loop.call_from_thread(ended, status())

        name = f"actormq-wait-{process.pid}"
        threading.Thread(target=wait, name=name, daemon=True).start()
        return lambda: None

    def end(descriptor: int = descriptor) -> None:
        if loop.aio.remove_reader(descriptor):
            os.close(descriptor)

    def readable() -> None:
        end()
        ended(status())

    loop.aio.add_reader(descriptor, readable)
    return end


def _kill_group(pid: int) -> None:
    with contextlib.suppress(OSError):  # nobody is left of it
        os.killpg(pid, signal.SIGKILL)


def _how(status: int) -> str:
    if status >= 0:
        return f"ended by itself with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"was killed by {name}"


def _logging() -> dict[str, Any]:
    """How this process writes its log: the format of the first handler that has one."""
    root = logging.getLogger()
    formatter = next((h.formatter for h in root.handlers if h.formatter is not None), None)
    return {
        "is_set": bool(root.handlers),
        "level": root.level,
        "own_level": logging.getLogger("actormq").level,
        "format": getattr(formatter, "_fmt", None),
        "datefmt": getattr(formatter, "datefmt", None),
    }
