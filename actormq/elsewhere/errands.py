"""What the process of an actor asks its node to do: send, ask, stop, find, spawn."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from actormq.deadlines import CURRENT
from actormq.elsewhere import words
from actormq.elsewhere.finding import found
from actormq.errors import ActormqError, ActorStopped, DeliveryError, InternalError
from actormq.events import DeadLetter
from actormq.message import Envelope
from actormq.place import Tenant
from actormq.ref import Ref
from actormq.runtime import Runtime


class Errands:
    """Runs the errands of one process.

    Args:
        runtime: The parts of the node.
        tenant: The actor's cell.
        say: Sends the process an answer; nothing happens if it has ended.
    """

    def __init__(self, runtime: Runtime, tenant: Tenant, say: Callable[[Envelope], None]) -> None:
        self._runtime = runtime
        self._tenant = tenant
        self._say = say
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, envelope: Envelope) -> None:
        """Do what the process asks for."""
        match envelope:
            case [words.TELL, Ref() as ref, str(handler), list(args), dict(kwargs)]:
                self._tell(ref, handler, args, kwargs)
            case [words.SELF, str(name), list(args), dict(kwargs)]:
                self._tenant.after(0.0, name, tuple(args), kwargs)
            case [
                words.ASK,
                int(number),
                float(seconds),
                Ref() as ref,
                str(handler),
                list(args),
                dict(kwargs),
            ]:
                self._begin(number, self._ask(seconds, ref, handler, args, kwargs))
            case [words.STOP, int(number), float(seconds), Ref() as ref]:
                self._begin(number, self._stop(seconds, ref))
            case [words.FIND, int(number), float(seconds), str(name)]:
                timeout = seconds if seconds >= 0 else None
                self._begin(number, self._runtime.node.find(name, timeout=timeout))
            case [words.SPAWN, int(number), bool(is_child), str(target), name, *arguments]:
                self._begin(number, self._spawn(is_child, target, name, *arguments))
            case [words.SEND, int(number), float(seconds), Ref() as ref, *message]:
                self._begin(number, self._send(seconds, ref, *message))
            case [words.WATCH, Ref() as ref]:
                self._tenant.watch(ref)
            case [words.UNWATCH, Ref() as ref]:
                self._tenant.unwatch(ref)
            case _:
                raise InternalError(f"the process of an actor said {envelope[:1]}")

    def close(self) -> None:
        """Nobody waits for the answers any more."""
        for task in list(self._tasks):
            task.cancel()

    def _begin(self, number: int, errand: Coroutine[Any, Any, Any]) -> None:
        context = contextvars.copy_context()
        serving = self._tenant.serving()
        if len(serving) == 1:  # it asks for the handler under way: a circle of asks is found so
            context.run(CURRENT.set, serving[0][1])
        answer = self._answer(number, errand)
        task = self._runtime.loop.aio.create_task(answer, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: int, errand: Coroutine[Any, Any, Any]) -> None:
        to = self._tenant.address.label
        try:
            value = self._runtime.codec.aside(to, await errand)
            self._say([words.ANSWER, number, value])
        except ActormqError as error:
            self._say([words.REFUSE, number, type(error).__name__, list(error.facts)])
        except Exception as error:  # noqa: BLE001 a border: it must be answered
            self._say([words.REFUSE, number, type(error).__name__, [str(error)]])

    def _checked(
        self, ref: Ref[Any], handler: str, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Sequence[Any]:
        """What came over a wire is checked; where it goes on to another node, it is there."""
        address = ref.address
        if address.node != self._runtime.node_id:
            return args
        cell = self._runtime.registry.by_serial(address.serial)
        if cell is None:
            raise ActorStopped(address.label)
        return cell.find(handler).arguments.checked(address.label, args, kwargs)

    def _tell(
        self, ref: Ref[Any], handler: str, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> None:
        try:
            ref.tell(handler, *self._checked(ref, handler, args, kwargs), **kwargs)
        except DeliveryError as error:
            label = ref.address.label
            self._runtime.events.emit(DeadLetter(label, handler, type(error).__name__, str(error)))

    async def _ask(
        self,
        seconds: float,
        ref: Ref[Any],
        handler: str,
        args: Sequence[Any],
        kwargs: dict[str, Any],
    ) -> Any:
        checked = self._checked(ref, handler, args, kwargs)
        return await ref.within(seconds).ask(handler, *checked, **kwargs)

    async def _send(
        self,
        seconds: float,
        ref: Ref[Any],
        handler: str,
        args: Sequence[Any],
        kwargs: dict[str, Any],
    ) -> None:
        checked = self._checked(ref, handler, args, kwargs)
        await ref.within(seconds).send(handler, *checked, **kwargs)

    async def _stop(self, seconds: float, ref: Ref[Any]) -> None:
        await (ref.within(seconds) if seconds else ref).stop()

    async def _spawn(
        self,
        is_child: bool,
        target: str,
        name: str | None,
        args: Sequence[Any],
        kwargs: dict[str, Any],
    ) -> Ref[Any]:
        kind = found(target)
        if is_child:
            return await self._tenant.spawn(kind, name, tuple(args), kwargs)
        spawned: Ref[Any] = await self._runtime.node.spawn(kind, name, *args, **kwargs)
        return spawned
