"""The program of a process that one actor has to itself.

It is started by `spawned.py`, told on its standard input what to dial, and lives as long as that
input: when the node's process ends, however it does, so does this one.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from actormq.actor import Actor
from actormq.address import Address
from actormq.arguments import Arguments
from actormq.cluster.outbox import Outbox
from actormq.codec import Codec
from actormq.context import Context
from actormq.deadlines import Deadlines, Served
from actormq.elsewhere import words
from actormq.elsewhere.away import Away
from actormq.elsewhere.bench import Bench, remote_error
from actormq.elsewhere.finding import MAIN, found, load_main
from actormq.elsewhere.home import Home, remade
from actormq.elsewhere.signals import SIGNALS
from actormq.elsewhere.tether import tie
from actormq.errors import ActormqError, DeliveryError, LinkFull, NotEncodable, StartFailed
from actormq.loop import Loop
from actormq.marks import HandlerSpec
from actormq.message import Envelope
from actormq.ref import Ref
from actormq.transport import PROCESS_DIALER, Transport
from actormq.wording import kind_of, text_of


def main(told: dict[str, Any]) -> None:
    """Be the process of an actor until the node says that it is over.

    Args:
        told: What the node wrote on standard input.
    """
    tie(told)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Without `asyncio.run`: what it tidies up would hold up a handler that means to exit.
    loop.run_until_complete(_Program(told).run())
    sys.stdout.flush()


class _Program:
    """The process of one actor, on its loop."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told
        self._address = Address(*told["address"])
        self._label = self._address.label
        self._bench: Bench | None = None
        self._running: dict[int, tuple[HandlerSpec, bool]] = {}  # and whether somebody asks

    async def run(self) -> None:
        """Dial the node, do what it says, end."""
        told = self._told
        message_limit, buffer_limit, link_limit = told["limits"]
        loop = self._loop = Loop()
        self._over = asyncio.Event()
        self._threads = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="actormq-blocking")
        self._deadlines = Deadlines(loop)
        id_, name, mesh = told["node"]
        self._home = Home(id_, name, mesh, loop, self._deadlines, self._say, told["ask_timeout"])
        self._codec = Codec(
            message_limit,
            buffer_limit,
            lambda value: value.address if isinstance(value, Ref) else None,
            self._home.ref,
        )
        transport = Transport(loop, lan=False, frame_limit=told["frame_limit"])
        self._port = transport.open(PROCESS_DIALER, self._arrived, told["token"].encode())
        self._outbox = Outbox(loop, f"the node of {self._label}", link_limit)
        transport.connect(self._port, told["endpoint"], f"actor {self._label!r}")
        self._outbox.attach(self._port)
        self._say("node", [words.HELLO])
        if told["beat"]:
            self._beat()
        await self._over.wait()
        if self._bench is not None:
            await self._bench.close()
        self._outbox.flush()
        self._deadlines.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        transport.close_ports()
        await asyncio.to_thread(transport.close)

    def _say(
        self,
        to: str,
        envelope: Envelope,
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Send the node an envelope, with arguments behind it unless they are None."""
        if args is not None:
            aside = self._codec.aside
            envelope = [
                *envelope,
                [aside(to, value) for value in args],
                {key: aside(to, value) for key, value in (kwargs or {}).items()},
            ]
        self._outbox.put(*self._codec.pack(to, envelope))

    def _beat(self) -> None:
        if hasattr(os, "getppid") and os.getppid() != self._told["parent"]:
            os._exit(0)
        with contextlib.suppress(LinkFull):  # then there is enough else to be heard
            self._outbox.put(*self._codec.pack("node", [words.BEAT]))
        self._loop.call_later(self._told["beat"], self._beat)

    # -- what the node says -------------------------------------------------------------------

    def _arrived(self, frames: list[bytes]) -> None:
        for envelope in self._codec.unpack(frames):
            match envelope:
                case [words.RUN, number, left, name, args, kwargs]:
                    self._run(number, left, name, args, kwargs)
                case [words.OPEN, target, args, kwargs]:
                    self._open(target, args, kwargs)
                case [words.ANSWER, number, value]:
                    self._home.answered(number, value, None)
                case [words.REFUSE, number, name, facts]:
                    self._home.answered(number, None, remade(name, facts))
                case [words.CANCEL, number]:
                    if self._bench is not None:
                        self._bench.cancel(number)
                case [words.CLOSE]:
                    self._over.set()

    def _open(self, target: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        """Find the class and make the object."""
        label, told = self._label, self._told
        stage = f"the import of {target.partition(':')[0]}"
        try:
            if target.startswith(f"{MAIN}:"):
                stage = f"the import of {told['main_path'] or told['main_name']}"
                load_main(told["main_path"], told["main_name"])
            kind = found(target)
            stage = "its constructor"
            self._make(kind, args, kwargs)
        except SystemExit:
            raise  # it means to end the process, and the node sees that
        except Exception as error:  # a border: imports and constructors are not ours
            if not isinstance(error, ActormqError):  # whose sentence says it all
                logging.getLogger("actormq").exception("%s did not start", label)
            text = text_of(error) + _guard(error)
            self._fail(words.OPENING, StartFailed(label, stage, kind_of(error), text))
        else:
            self._say("node", [words.OPENED])

    def _make(self, kind: type[Actor], args: list[Any], kwargs: dict[str, Any]) -> None:
        bench = self._bench = Bench(kind, self._loop.aio, self._threads, self._done)
        context: Context = Away(
            kind,
            self._address,
            self._home.ref(self._address),
            self._home,
            self._loop.aio,
            self,
        )
        checked: Sequence[Any] = args
        if kind.__init__ is not object.__init__:
            checked = Arguments(kind, kind.__init__).checked(self._label, args, kwargs)
        bench.make(context, checked, kwargs)

    # -- the actor's powers -------------------------------------------------------------------

    def find(self, name: str) -> HandlerSpec:
        """See `Powers`."""
        assert self._bench is not None
        return self._bench.find(name, self._label)

    def send_self(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """See `Powers`."""
        self._home.send(self._label, [words.SELF, name], args, kwargs)

    async def spawn(
        self, kind: Any, name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Ref[Any]:
        """See `Powers`."""
        return await self._home.start(kind, name, args, kwargs, is_child=True)

    def watch(self, ref: Ref[Any]) -> None:
        """See `Powers`."""
        self._loop.call_from_thread(self._home.send, ref.name, [words.WATCH, ref])

    def unwatch(self, ref: Ref[Any]) -> None:
        """See `Powers`."""
        self._loop.call_from_thread(self._home.send, ref.name, [words.UNWATCH, ref])

    # -- running ------------------------------------------------------------------------------

    def _run(
        self, number: int, left: float, name: str, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        assert self._bench is not None
        try:
            spec = self.find(name)
            if name in SIGNALS:
                checked: Sequence[Any] = [SIGNALS[name].made(*args)]
            else:
                checked = spec.arguments.checked(self._label, args, kwargs)
        except ActormqError as error:
            self._fail(number, error, has_run=False)
            return
        self._running[number] = (spec, bool(left))
        served = Served(self._loop.now() + left) if left else None
        self._bench.begin(number, spec, checked, kwargs, served)

    # -- what came of it ----------------------------------------------------------------------

    def _done(self, number: int, value: Any, error: BaseException | None) -> None:
        spec, is_asked = self._running.pop(number)
        name = spec.name
        if isinstance(error, SystemExit | KeyboardInterrupt):
            raise error  # out of the loop: it means this process
        if error is not None:
            is_answer = isinstance(error, spec.raises)
            self._fail(number, remote_error(self._label, name, error), is_answer=is_answer)
            return
        to = f"whoever asked {self._label}.{name}"
        try:
            answer = self._codec.aside(to, value) if is_asked else None
            self._say(to, [words.DONE, number, answer])
        except DeliveryError as refused:  # it has run, and only its answer cannot travel
            self._fail(number, refused, is_answer=True)

    def _fail(
        self, number: int, error: ActormqError, *, has_run: bool = True, is_answer: bool = False
    ) -> None:
        head = [words.FAILED, number, type(error).__name__]
        try:
            self._say("node", [*head, list(error.facts), has_run, is_answer])
        except NotEncodable:  # facts that cannot travel
            self._say("node", [*head, [*map(str, error.facts)], has_run, is_answer])


def _guard(error: BaseException) -> str:
    """What to do about a script that starts a loop as it is loaded."""
    if "running event loop" in text_of(error):
        return " (guard what a script starts with: if __name__ == '__main__')"
    return ""
