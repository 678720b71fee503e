"""The class users extend."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, MutableMapping
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Concatenate,
    Literal,
    ParamSpec,
    Self,
    TypeVar,
    overload,
)

from actormq.definition import check_definition
from actormq.errors import LifecycleError
from actormq.marks import HandlerSpec, enter
from actormq.place import LOOP, check_class
from actormq.signals import Failure, Terminated

if TYPE_CHECKING:
    from actormq.context import Context, SocketSpec, Timer
    from actormq.node import Node
    from actormq.ref import Ref

A = TypeVar("A")
P = ParamSpec("P")


class Actor:
    """An object with a mailbox: one message at a time, on one node.

    Extend it, mark methods with `@handler`, and spawn it; `__init__` takes whatever you like, and
    needs no `super().__init__()`. Names that begin with `_actormq` are taken; all others are yours.

    Attributes:
        runs_in: Where the object lives and its methods run: on the node's "loop", in a "thread" of
            its own, or in a "process" of its own, whose end is a failure like another.
        hang_limit: Seconds that an actor in a process may hold that process's loop before it is
            taken for lost and killed; None: for ever. A blocking handler does not hold it.
        elected: Whether of all its actors of one name, on whichever nodes, one holds that name at a
            time: the one on the oldest node. The others stand by, and are not found by the name.
    """

    __slots__ = ("__weakref__", "_actormq_context", "_actormq_ref")

    runs_in: ClassVar[Literal["loop", "thread", "process"]] = "loop"
    hang_limit: ClassVar[float | None] = 1.25  # s; seen within 2 s, with a beat each 0.25 s
    elected: ClassVar[bool] = False
    mailbox_limit: ClassVar[int | None] = None
    """Messages that the mailbox of one such actor holds; None: the node's `mailbox_limit`."""

    _actormq_context: Context
    _actormq_ref: Ref[Any] | None
    _actormq_handlers: ClassVar[dict[Any, HandlerSpec]] = {}
    _actormq_periodic: ClassVar[dict[str, tuple[HandlerSpec, float]]] = {}
    _actormq_sockets: ClassVar[dict[str, SocketSpec]] = {}
    _actormq_has_start: ClassVar[bool] = False
    """Whether something is to be opened, run or begun before the first message."""
    _actormq_has_stop: ClassVar[bool] = False
    """Whether something is to be run when it ends."""
    _actormq_is_plain: ClassVar[bool] = True
    """Whether a node may start one without a look at what it is: on the loop, not elected."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._actormq_handlers, cls._actormq_periodic, cls._actormq_sockets = {}, {}, {}
        for name in dir(cls):
            value = inspect.getattr_static(cls, name)
            if inspect.isfunction(value):
                enter(cls, name, value, cls._actormq_handlers, cls._actormq_periodic)
            elif hasattr(type(value), "open") and hasattr(type(value), "__set_name__"):
                cls._actormq_sockets[name] = value
        cls._actormq_has_start |= (
            cls.on_start is not Actor.on_start
            or cls.runs_in != LOOP
            or bool(cls._actormq_sockets)
            or bool(cls._actormq_periodic)
        )
        cls._actormq_has_stop = cls.on_stop is not Actor.on_stop
        handlers = [name for name in cls._actormq_handlers if isinstance(name, str)]
        check_definition(cls, handlers, cls._actormq_periodic)
        check_class(cls, cls.runs_in, cls.hang_limit, list(cls._actormq_sockets))
        cls._actormq_is_plain = cls.runs_in == LOOP and not cls.elected

    # -- what the actor may use ---------------------------------------------------------------

    @property
    def _actormq_own(self) -> Context:
        try:
            return self._actormq_context
        except AttributeError:
            raise LifecycleError(
                f"{type(self).__name__} was made by calling the class: "
                "actors live on a node, use `await node.spawn(...)`"
            ) from None

    @property
    def name(self) -> str:
        """The name it was spawned with, or its class and number."""
        return self._actormq_own.address.label

    @property
    def ref(self) -> Ref[Self]:
        """A ref to this actor, to be given to others."""
        try:
            ref: Ref[Self] | None = self._actormq_ref
        except AttributeError:  # of an object that no cell has made
            ref = None
        if ref is None:  # kept from now on: many actors put it into each of their messages
            ref = self._actormq_ref = self._actormq_own.ref
        return ref

    @property
    def node(self) -> Node:
        """The node it runs on: `spawn`, `find` and the rest."""
        node: Node = self._actormq_own.runtime.node
        return node

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger named after the class's module that says the actor's name."""
        return _ActorLog(logging.getLogger(type(self).__module__), {"actor": self.name})

    @overload
    def after(self, seconds: float, handler: str, /, *args: Any, **kwargs: Any) -> Timer: ...
    @overload
    def after(
        self,
        seconds: float,
        handler: Callable[Concatenate[Self, P], Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Timer: ...
    @overload
    def after(
        self, seconds: float, handler: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> Timer: ...
    def after(self, seconds: float, handler: Any, /, *args: Any, **kwargs: Any) -> Timer:
        """Send this actor a message later.

        Args:
            seconds: From now; 0 is behind what waits already.
            handler: One of its own methods, marked or not: `self.sample`, `Station.sample` or
                "sample".
            args: The handler's arguments.
            kwargs: Likewise.

        Returns:
            A timer with `cancel()`.
        """
        return self._actormq_own.after(seconds, handler, args, kwargs)

    async def spawn(
        self, actor: Callable[P, A], name: str | None = None, /, *args: P.args, **kwargs: P.kwargs
    ) -> Ref[A]:
        """Start a child of this actor: it stops before this one does.

        See `Node.spawn`; what it raises is said there too.
        """
        return await self._actormq_own.spawn(actor, name, args, kwargs)

    def watch(self, ref: Ref[Any]) -> None:
        """Be told once of an actor's end, by `on_terminated`; wherever it lives.

        One that has ended already, or whose node is gone, is told of at once. An actor that is
        restarted has not ended. Watching twice is watching once.

        Source: `monitor` of Erlang, `watch` of Pekko.
        """
        self._actormq_own.watch(ref)

    def unwatch(self, ref: Ref[Any]) -> None:
        """Be told no more; what has not been watched is no error."""
        self._actormq_own.unwatch(ref)

    # -- what the actor may define ------------------------------------------------------------

    async def on_start(self) -> None:
        """Prepare; runs before the first message, with the sockets open.

        What it raises ends the actor, and `spawn` raises `StartFailed`; in a supervised actor that
        is being restarted it is one more failure.
        """

    async def on_restart(self, failure: Failure) -> None:
        """Take over from an instance that failed; runs in the new one, before `on_start`.

        Args:
            failure: What was raised and where, and the former instance, whose state may be kept.
        """

    async def on_stop(self) -> None:
        """Tidy up; runs after the last message, with the sockets still open.

        It runs in an instance that failed as well, unless that has never started.
        """

    async def on_terminated(self, terminated: Terminated) -> None:
        """An actor that this one watches has ended; comes before the messages that wait."""

    async def on_elected(self) -> None:
        """This actor holds its name from now on; comes before messages, and after restarts."""

    async def on_standby(self) -> None:
        """This actor stands by: another one holds the name, or none may.

        It comes once at the beginning unless the actor is elected, and when that lets go: others
        are given the name only when it has returned, or has had `STANDBY_LIMIT` seconds for it.
        """


class _ActorLog(logging.LoggerAdapter[logging.Logger]):
    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        assert self.extra is not None
        return f"{self.extra['actor']}: {msg}", kwargs
