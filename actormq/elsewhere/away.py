"""What an actor is given that lives off its node's loop: the same powers, each led home."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol

from actormq.actor import Actor
from actormq.address import Address
from actormq.context import Answer, Call, LiveSocket
from actormq.errors import LifecycleError, SetupError
from actormq.ref import Ref


class Powers(Protocol):
    """What leads home."""

    def find(self, name: str) -> object:
        """Look a method of the actor up; raises `HandlerNotFound`."""

    def send_self(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Put a message into the actor's own mailbox, at home."""

    async def spawn(
        self, kind: Any, name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Ref[Any]:
        """Start a child of the actor."""

    def watch(self, ref: Ref[Any]) -> None:
        """Let the actor be told of the end of another."""

    def unwatch(self, ref: Ref[Any]) -> None:
        """Let it be told no more."""


_NO_SUPERVISOR = "a supervisor runs on its node's loop, not elsewhere"


class AwayNode(abc.ABC):
    """`self.node` of an actor in a thread or process: its facts, `find` and `spawn`.

    Args:
        id_: The node's id.
        name: Its name.
        mesh: The name of its mesh.
        where: "thread" or "process", for errors.
    """

    def __init__(self, id_: str, name: str, mesh: str, where: str) -> None:
        self.id = id_
        self.name = name
        self.mesh = mesh
        self._where = where

    @abc.abstractmethod
    async def find(self, name: str, *, timeout: float | None = None) -> Ref[Any]:
        """See `Node.find`."""

    @abc.abstractmethod
    async def spawn(
        self, actor: Any, name: str | None = None, /, *args: Any, **kwargs: Any
    ) -> Ref[Any]:
        """Start an actor on the node; see `Node.spawn`."""

    def __getattr__(self, attribute: str) -> NoReturn:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise LifecycleError(
            f"self.node.{attribute} is not there for an actor that runs in a {self._where}: it has "
            "id, name, mesh, find and spawn; ask an actor on the node's loop for the rest"
        )


class AwayRuntime:
    """The parts of the node, of which only the node itself is led home."""

    def __init__(self, node: AwayNode, where: str) -> None:
        self.node = node
        self._where = where

    def __getattr__(self, attribute: str) -> NoReturn:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise LifecycleError(
            f"this actor needs its node's {attribute}, which is not there in a {self._where}: "
            'let it run on the loop, with runs_in = "loop"'
        )


class AwayTimer:
    """A message that an actor sends itself later."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, send: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None
        self._is_cancelled = False
        _on(loop, self._start, seconds, send)

    def _start(self, seconds: float, send: Callable[[], None]) -> None:
        if not self._is_cancelled:
            self._handle = self._loop.call_later(seconds, send)

    def cancel(self) -> None:
        """Do not send it."""
        self._is_cancelled = True
        _on(self._loop, self._cancel)

    def _cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


def _on(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: Any) -> None:
    """Call it on the loop: now if this is its thread, else soon."""
    try:
        is_here = asyncio.get_running_loop() is loop
    except RuntimeError:
        is_here = False
    if is_here:
        callback(*args)
    else:
        loop.call_soon_threadsafe(callback, *args)


class Away:
    """The context of an actor off the loop; see `context.Context`.

    Args:
        kind: The actor's class.
        address: Where its cell lives.
        ref: A ref to it.
        node: Its node, as it is seen from there.
        loop: The loop that the object lives on.
        powers: What leads home.
    """

    def __init__(
        self,
        kind: type[Actor],
        address: Address,
        ref: Ref[Any],
        node: AwayNode,
        loop: asyncio.AbstractEventLoop,
        powers: Powers,
    ) -> None:
        self._loop = loop
        self._powers = powers
        self.kind = kind
        self.address = address
        self.ref = ref
        self.runtime: Any = AwayRuntime(node, kind.runs_in)

    @property
    def actor(self) -> Actor:
        """Only sockets ask for it, and there are none."""
        raise LifecycleError(f"{self.address.label} runs in a {self.kind.runs_in}: no sockets here")

    @property
    def sockets(self) -> dict[str, LiveSocket]:
        """There are none."""
        raise LifecycleError(f"{self.address.label} runs in a {self.kind.runs_in}: no sockets here")

    def after(
        self, seconds: float, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AwayTimer:
        """Send itself a message later; see `Actor.after`."""
        if not (isinstance(seconds, int | float) and seconds >= 0):
            raise SetupError(f"after({seconds!r}): a delay is a number of seconds, 0 or more")
        name = handler if isinstance(handler, str) else getattr(handler, "__name__", repr(handler))
        self._powers.find(name)
        return AwayTimer(self._loop, seconds, lambda: self._powers.send_self(name, args, kwargs))

    async def spawn(
        self, kind: Any, name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Ref[Any]:
        """Start a child; see `Actor.spawn`."""
        return await self._powers.spawn(kind, name, args, kwargs)

    async def start_child(self, _spec: Any) -> Ref[Any]:
        """Supervisors run on the loop."""
        raise LifecycleError(_NO_SUPERVISOR)

    async def stop_child(self, _child: Ref[Any] | str) -> None:
        """Supervisors run on the loop."""
        raise LifecycleError(_NO_SUPERVISOR)

    def watch(self, ref: Ref[Any]) -> None:
        """Be told of an actor's end; see `Actor.watch`."""
        self._powers.watch(ref)

    def unwatch(self, ref: Ref[Any]) -> None:
        """Be told no more."""
        self._powers.unwatch(ref)

    def receive(self, _call: Call, _args: Sequence[Any], _answer: Answer | None) -> None:
        """Nothing comes on sockets that are not there."""
        raise LifecycleError(f"{self.address.label} runs in a {self.kind.runs_in}: no sockets here")
