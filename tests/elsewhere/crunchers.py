"""Actors that run elsewhere, in a module that their processes can import."""

import asyncio
import ctypes
import dataclasses
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from typing import ClassVar

from actormq import Actor, ActormqError, every, handler
from actormq.ref import Ref


@dataclasses.dataclass
class Point:
    x: float
    y: float


class Counter(Actor):
    """An actor of the loop, to be reached from elsewhere."""

    def __init__(self):
        self.values = []

    @handler
    def note(self, value: object) -> int:
        self.values.append(value)
        return len(self.values)

    @handler
    def at(self, point: Point) -> float:
        return point.x

    @handler
    async def round_about(self, to: Ref[Actor]) -> int:
        return await to.ask("add", 1)

    @handler
    async def slow(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @handler
    def fail(self) -> None:
        raise ValueError("not today")


class Cruncher(Actor):
    """Does everything, in a process; `Thread` does it in a thread."""

    runs_in = "process"
    hang_limit: ClassVar[float | None] = 60.0  # s; others may have the machine for a while

    def __init__(self, start: int = 0, *, by: int = 1, notes: Ref[Counter] | None = None) -> None:
        self.value, self.by, self.notes = start, by, notes
        self.ticks = 0
        self.meeting: asyncio.Barrier | None = None

    async def on_stop(self) -> None:
        if self.notes is not None:
            await self.notes.ask(Counter.note, f"{self.name} stopped")

    @handler
    def add(self, number: int) -> int:
        self.value += number * self.by
        return self.value

    @handler
    def where(self) -> tuple[int, int, str]:
        return os.getpid(), threading.get_ident(), self.name

    @handler
    async def wait(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    @handler(concurrent=True)
    async def meet(self, count: int) -> None:
        """Wait until so many are in here at once."""
        self.meeting = self.meeting or asyncio.Barrier(count)
        await self.meeting.wait()

    @handler(blocking=True)
    def block(self, seconds: float) -> bool:
        time.sleep(seconds)
        return threading.current_thread() is threading.main_thread()

    @handler
    def moved(self, point: Point, by: float = 1.0) -> Point:
        return Point(point.x + by, point.y + by)

    @handler
    def echo(self, value: object) -> object:
        return value

    @handler
    def lambda_(self) -> object:
        return lambda: None

    @handler
    def fail(self, text: str) -> None:
        raise LookupError(text.replace("?", "\ud800"))  # what UTF-8 has no form for

    @handler
    async def fail_later(self) -> None:
        await asyncio.sleep(0)
        raise KeyError("later")

    @handler
    def stop_iteration(self) -> None:
        raise StopIteration

    @handler
    async def cancelled(self) -> None:
        raise asyncio.CancelledError

    @handler
    def own_ref(self) -> Ref[Actor]:
        return self.ref

    @handler
    async def pass_on(self, to: Ref[Counter], value: object) -> int:
        return await to.ask(Counter.note, value)

    @handler
    def tell(self, to: Ref[Counter], values: list[int]) -> None:
        for value in values:
            to.tell(Counter.note, value)

    @handler(blocking=True)
    def pass_on_blocking(self, to: Ref[Counter], value: object) -> int:
        to.tell(Counter.note, value)
        return to.ask(Counter.note, value).result()

    @handler
    async def ask_wrongly(self, to: Ref[Counter], handler_name: str, value: object) -> str:
        try:
            await to.ask(handler_name, value)
        except ActormqError as error:
            return f"{type(error).__name__}: {error}"
        return "no error"

    @handler
    async def ask_failing(self, to: Ref[Counter]) -> str:
        try:
            await to.ask(Counter.fail)
        except ActormqError as error:
            return f"{type(error).__name__}: {error}"
        return "no error"

    @handler
    async def ask_round(self, to: Ref[Counter]) -> int:
        return await to.ask(Counter.round_about, self.ref)

    @handler
    async def send_all(self, to: Ref[Counter], count: int) -> None:
        for number in range(count):
            await to.send(Counter.note, number)
        assert to.offer(Counter.note, "offered")

    @handler
    async def ask_slow(self, to: Ref[Counter]) -> str:
        start = time.monotonic()
        try:
            await to.within(60).ask(Counter.slow, 60.0)
        except ActormqError as error:
            return f"{type(error).__name__} {time.monotonic() - start < 30}"
        return "no error"

    @handler
    async def stop_it(self, to: Ref[Counter]) -> None:
        await to.stop()

    @handler
    async def find(self, name: str) -> Ref[Actor]:
        return await self.node.find(name, timeout=0.2)

    @handler
    async def spawn(self, name: str) -> Ref[Counter]:
        return await self.node.spawn(Counter, name)

    @handler
    def facts(self) -> list[str]:
        return [self.node.id, self.node.name, self.node.mesh, self.name]

    @handler
    def beyond(self) -> None:
        self.node.find_all("x")

    @handler
    def later(self, to: Ref[Counter], seconds: float) -> None:
        self.after(seconds, self.unmarked, to, "later")
        self.after(seconds, "unmarked", to, "never").cancel()

    def unmarked(self, to: Ref[Counter], value: str) -> None:
        to.tell(Counter.note, value)

    @handler
    def say(self, text: str) -> None:
        self.log.info(text)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    @handler
    def level(self) -> int:
        return logging.getLogger().level

    @handler
    def read_input(self) -> str:
        return sys.stdin.read()

    @handler
    def subprocess_ends_by_sigterm(self) -> int:
        process = subprocess.Popen(["sleep", "60"])
        process.terminate()
        return process.wait(timeout=10)


class Ending(Cruncher):
    """Comes to an end in many ways."""

    hang_limit = 1.25  # s, the usual

    @handler
    def segfault(self) -> None:
        ctypes.string_at(0)

    @handler
    def leave(self, status: int) -> None:
        os._exit(status)

    @handler
    def exit(self, status: int) -> None:
        sys.exit(status)

    @handler
    async def exit_later(self) -> None:
        await asyncio.sleep(0.01)
        raise SystemExit(4)

    @handler
    def interrupt(self) -> None:
        raise KeyboardInterrupt

    @handler
    def spin(self) -> None:
        while True:
            pass

    @handler
    def stop_oneself(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    @handler
    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Patient(Ending):
    hang_limit = None


class Ticking(Actor):
    runs_in = "process"

    def __init__(self, to: Ref[Counter]) -> None:
        self.to = to

    @every(0.05)
    def tick(self) -> None:
        self.to.tell(Counter.note, os.getpid())


class FailsToStart(Actor):
    runs_in = "process"
    hang_limit = 0.5

    def __init__(self, how: str) -> None:
        self.how = how
        if how == "constructor":
            raise ValueError("not today")
        if how == "segfault":
            ctypes.string_at(0)

    async def on_start(self) -> None:
        if self.how == "on_start":
            raise ValueError("not today either")
        if self.how == "crash":
            os._exit(7)
        if self.how == "hold":
            time.sleep(0.8)  # noqa: ASYNC251 longer than hang_limit: that is not for on_start
        if self.how == "wait":
            await asyncio.sleep(60)

    @handler
    def ping(self) -> str:
        return "pong"


class NeverStops(Actor):
    runs_in = "process"

    async def on_stop(self) -> None:
        time.sleep(60)  # noqa: ASYNC251 on purpose

    @handler
    def pid(self) -> int:
        return os.getpid()


class Thread(Cruncher):
    runs_in = "thread"

    def __init__(
        self, start: int = 0, *, by: int = 1, notes: Ref[Counter] | None = None, held=None
    ) -> None:
        super().__init__(start, by=by, notes=notes)
        self.held = held

    @handler
    def hold(self) -> str:
        while not self.held.is_set():  # as busy as can be
            pass
        return "free"

    @handler
    def exit(self) -> None:
        sys.exit(3)


class FailsToStartInThread(FailsToStart):
    runs_in = "thread"


Hidden = type("Elsewhere", (Cruncher,), {})
