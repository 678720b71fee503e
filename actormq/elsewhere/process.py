"""A process of its own for one actor: what ends it ends nobody else.

The cell tells its place what to run, one message at a time or as many as it marks concurrent; the
place tells the process, and waits. How the process ends, by itself, by a signal or by holding its
loop for too long, is what those under way are told.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import math
from collections.abc import Sequence
from typing import Any

from actormq.actor import Actor
from actormq.deadlines import Served
from actormq.elsewhere import words
from actormq.elsewhere.errands import Errands
from actormq.elsewhere.finding import target_of
from actormq.elsewhere.home import remade
from actormq.elsewhere.signals import SIGNALS
from actormq.elsewhere.spawned import Spawned
from actormq.errors import (
    ActormqError,
    ActorStopped,
    DeliveryError,
    NotEncodable,
    ProcessLost,
    RemoteError,
    SetupError,
    StartFailed,
)
from actormq.message import Envelope
from actormq.place import Reported, Tenant, limit_of
from actormq.wording import kind_of

_HOOKS = ("on_start", "on_stop", "on_restart")
"""What may hold the loop: it has a deadline of its own."""

_ADVICE = "mark long work @handler(blocking=True), or raise hang_limit"


class ProcessPlace:
    """The object in a process of its own.

    Args:
        tenant: The actor's cell.
        kind: Its class.
        args: What the constructor takes.
        kwargs: Likewise.

    Raises:
        SetupError: The class cannot be found by another process.
        NotEncodable: An argument has no form that travels.
    """

    def __init__(
        self, tenant: Tenant, kind: type[Actor], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> None:
        self._runtime = tenant.runtime
        self._tenant = tenant
        self._kind = kind
        self._label = tenant.address.label
        self._limit = limit_of(kind.hang_limit)
        self._numbers = itertools.count(words.OPENING + 1)
        self._runs: dict[int, tuple[str, asyncio.Future[Any]]] = {}
        self._spawned: Spawned | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = 0.0
        self._errands = Errands(tenant.runtime, tenant, self._say)
        # Packed once: a later object is made of the same values, whatever became of them here.
        head = [words.OPEN, target_of(kind)]
        self._opening = self._packed(head, kind.__init__, args, kwargs)
        self.is_open = False
        self.left = None  # what was there is gone with its process

    def _packed(
        self, head: Envelope, function: Any, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[bytes, list[Any]]:
        codec, label = self._runtime.codec, self._label
        aside = [codec.aside(label, value) for value in args]
        named = {key: codec.aside(label, value) for key, value in kwargs.items()}
        try:
            return codec.pack(label, [*head, aside, named])
        except NotEncodable as error:
            raise self._blamed(error, function, args, kwargs) from error

    def _blamed(
        self, error: NotEncodable, function: Any, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> NotEncodable:
        """Say which argument it was."""
        names = [*inspect.signature(function).parameters][1:] if function else []
        values = [*itertools.zip_longest(names[: len(args)], args), *kwargs.items()]
        for name, value in values:
            try:
                self._runtime.codec.pack(self._label, [0, value])
            except NotEncodable as found:
                return NotEncodable(self._label, f"argument {name!r}: {found.facts[1]}")
            except DeliveryError:
                continue
        return error

    # -- life ---------------------------------------------------------------------------------

    async def open(self) -> None:
        """Start the process, make the object in it."""
        label, address = self._label, self._tenant.address
        node = self._runtime.node
        hello = {
            "address": [address.node, address.serial, address.label],
            "node": [node.id, node.name, node.mesh],
            "beat": min(words.BEAT_INTERVAL, self._limit / 5),
        }
        try:
            spawned = Spawned(self._runtime, label, hello, self._heard, self._gone)
        except SetupError as error:
            raise StartFailed(label, "its process", kind_of(error), str(error)) from error
        self._spawned = spawned
        spawned.outbox.put(*self._opening)
        made = self._entered(words.OPENING, "its constructor")
        try:
            await made
        except Reported as reported:
            why = reported.error
            if isinstance(why, StartFailed):
                raise why from None
            raise StartFailed(label, "its process", kind_of(why), str(why)) from why
        self.is_open = True
        spawned.heard_at = self._looked_at = self._runtime.loop.now()
        if self._limit < math.inf:
            self._look_later()

    def run(
        self, name: str, args: Sequence[Any], kwargs: dict[str, Any], served: Served | None
    ) -> asyncio.Future[Any]:
        """Run a method there; see `Place.run`."""
        number = next(self._numbers)
        future = self._entered(number, name)
        left = 0.0  # nobody asks
        if served is not None and served.answer is not None:
            left = max(served.deadline - self._runtime.loop.now(), 1e-3)
        try:
            if self._spawned is None or not self.is_open:
                raise ActorStopped(self._label)
            if name in SIGNALS:
                args = SIGNALS[name].packed(*args)
            head = [words.RUN, number, left, name]
            packed = self._packed(head, getattr(self._kind, name, None), args, kwargs)
            self._spawned.outbox.put(*packed)
        except DeliveryError as error:
            self._settle(number, Reported(error, has_run=False))
        return future

    def _entered(self, number: int, name: str) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._runtime.loop.aio.create_future()
        self._runs[number] = (name, future)

        def forget(future: asyncio.Future[Any]) -> None:
            if future.cancelled() and number in self._runs:
                del self._runs[number]
                self._say([words.CANCEL, number])

        future.add_done_callback(forget)
        return future

    async def close(self, seconds: float) -> None:
        """End the process; see `Place.close`."""
        spawned, self.is_open = self._spawned, False
        self._look_no_more()
        self._errands.close()
        for _, future in list(self._runs.values()):
            future.cancel()
        self._runs.clear()
        if spawned is not None:
            await spawned.close(seconds)
            if self._spawned is spawned:
                self._spawned = None

    # -- what it says -------------------------------------------------------------------------

    def _say(self, envelope: Envelope) -> None:
        if self._spawned is not None:
            self._spawned.say(envelope)

    def _heard(self, envelope: Envelope) -> None:
        match envelope:
            case [words.DONE, int(number), value]:
                self._settle(number, None, value)
            case [words.FAILED, int(number), str(name), list(facts), has_run, is_answer]:
                error = _shown(remade(name, facts))
                self._settle(number, Reported(error, has_run=has_run, is_answer=is_answer))
            case [words.OPENED]:
                self._settle(words.OPENING, None)
            case _:
                self._errands.take(envelope)

    def _settle(self, number: int, error: Reported | None, value: Any = None) -> None:
        _, future = self._runs.pop(number, ("", None))
        if future is None or future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    # -- its end ------------------------------------------------------------------------------

    def _look_later(self) -> None:
        interval = min(words.BEAT_INTERVAL, self._limit / 5)
        self._looked_at += interval
        wait = self._looked_at - self._runtime.loop.now()
        self._timer = self._runtime.loop.call_later(max(wait, 0.0), self._look)

    def _look(self) -> None:
        """Kill it if its loop has not gone round for too long."""
        spawned = self._spawned
        if spawned is None:
            return
        now = self._runtime.loop.now()
        names = {name for name, _ in self._runs.values()}
        # A node that was held up itself has not heard what may have come meanwhile.
        late = now - self._looked_at
        spawned.heard_at += late
        self._looked_at = now
        if not names.isdisjoint(_HOOKS):
            spawned.heard_at = now
        elif now - spawned.heard_at > self._limit:
            spawned.kill(f"was killed, for it held its loop for more than {self._limit:g} s")
            return
        self._look_later()

    def _look_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _gone(self, how: str) -> None:
        """The process has ended by itself."""
        self._look_no_more()
        self._errands.close()
        was_open = self.is_open
        self._spawned, self.is_open = None, False
        runs, self._runs = self._runs, {}
        names = ", ".join(dict.fromkeys(name for name, _ in runs.values()))
        advice = _ADVICE if "held its loop" in how else ""
        for name, future in runs.values():
            if not future.done():
                future.set_exception(Reported(ProcessLost(self._label, how, name, advice)))
        if was_open:
            self._tenant.place_lost(ProcessLost(self._label, how, names, advice), names)


class _TracebackElsewhere(Exception):
    """The traceback of another process, as text."""


def _shown(error: ActormqError) -> ActormqError:
    """An error of the process, with the traceback there where logs look for one."""
    if isinstance(error, RemoteError):
        error.__cause__ = _TracebackElsewhere(f"\n{error.traceback}")
    return error
