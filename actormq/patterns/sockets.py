"""What all sockets of actors have in common: a class attribute that says where and in what codec.

The attribute is a plan; the socket itself opens before `on_start` and closes after `on_stop`.
"""

from __future__ import annotations

import inspect
import string
from collections.abc import Callable, Iterable, Sequence
from typing import (
    Any,
    ClassVar,
    Generic,
    Literal,
    Protocol,
    Self,
    TypeVar,
    cast,
    get_args,
    overload,
)

from actormq.context import Context, LiveSocket
from actormq.endpoint import check_endpoint, is_multicast
from actormq.errors import LifecycleError, SetupError
from actormq.patterns.payload import CodecName

Endpoints = str | Sequence[str] | None
"""One endpoint, several, or none; `{name}` in it stands for an attribute of the actor."""

F = TypeVar("F", bound=Callable[..., Any])
L = TypeVar("L", bound=LiveSocket)

_SERVICE_LIMIT = 255  # characters, as of all names on the wire


class Wiring:
    """Where a socket of a class binds and connects; checked when the class is made.

    Args:
        kind: The class of the socket, for errors.
        socket: ZeroMQ's name of what it is, such as `PUSH`.
        service: A name that the mesh resolves.
        bind: Endpoints to bind; True binds for the service as the node does.
        connect: Endpoints to connect to; True connects to those who bind for the service.
        codec: How payloads are written.
        binds_by_default: Which of the two it does for a service if nothing else is said.

    Attributes:
        is_binder: Whether others of its service connect to it.

    Raises:
        SetupError: Nothing says where, or something cannot be.
    """

    def __init__(
        self,
        kind: str,
        socket: str,
        service: str | None,
        bind: Endpoints | Literal[True],
        connect: Endpoints | Literal[True],
        codec: CodecName,
        *,
        binds_by_default: bool,
    ) -> None:
        self.kind = kind
        self.socket = socket
        self.service = service
        self.bind = () if bind is True else _as_tuple(kind, "bind", bind)
        self.connect = () if connect is True else _as_tuple(kind, "connect", connect)
        self.is_binder = bool(bind) or (binds_by_default and connect is not True)
        self.codec = codec
        self._check(bind is True, connect is True)

    def _check(self, binds: bool, connects: bool) -> None:
        kind, service = self.kind, self.service
        if service is None and (binds or connects):
            word = "bind" if binds else "connect"
            raise SetupError(f"{kind}: {word}=True is for a service: give it service= too")
        if binds and connects:
            raise SetupError(f"{kind}: bind=True and connect=True: one of two ends of a service")
        if service is None and not self.bind and not self.connect:
            raise SetupError(f"{kind}() goes nowhere: give it service=, bind= or connect=")
        if service is not None and not (
            isinstance(service, str)
            and 0 < len(service) <= _SERVICE_LIMIT
            and service.isprintable()
        ):
            raise SetupError(
                f"{kind}: service {service!r} is no name of 1 to {_SERVICE_LIMIT} characters"
            )
        if service is not None and any(map(is_multicast, self.bind)):
            raise SetupError(
                f"{kind}: a service cannot be a multicast group, whose endpoint differs on each "
                "host: leave service= out, and give the other end connect="
            )
        if self.codec not in get_args(CodecName):
            raise SetupError(f"{kind}: codec {self.codec!r} is unknown: take msgpack, text or raw")
        for endpoint in (*self.bind, *self.connect):
            if not _names(kind, endpoint):
                check_endpoint(endpoint, kind)

    def places(self, actor: object, label: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The endpoints to bind and to connect to, with the actor's attributes filled in.

        One that comes out empty is left out.

        Raises:
            SetupError: The actor lacks an attribute, or none is left.
        """
        bind, connect = (
            tuple(filter(None, (filled(endpoint, actor, label) for endpoint in endpoints)))
            for endpoints in (self.bind, self.connect)
        )
        if self.service is None and not bind and not connect:
            raise SetupError(f"{label} goes nowhere: all of its endpoints came out empty")
        return bind, connect


def _as_tuple(kind: str, word: str, endpoints: Endpoints) -> tuple[str, ...]:
    if endpoints is None:
        return ()
    if isinstance(endpoints, str):
        return (endpoints,)
    found = tuple(endpoints) if isinstance(endpoints, Iterable) else (endpoints,)
    if not all(isinstance(endpoint, str) for endpoint in found):
        raise SetupError(f"{kind}: {word}={endpoints!r} is no endpoint: take tcp://HOST:PORT")
    return found


def _names(kind: str, endpoint: str) -> list[str]:
    """The attributes that an endpoint names in braces."""
    try:
        fields = [field for field in string.Formatter().parse(endpoint) if field[1] is not None]
    except ValueError as error:
        raise SetupError(f"{kind}: {endpoint!r} has a brace without its partner") from error
    names = []
    for _, name, form, conversion in fields:
        if not name or not name.isidentifier() or form or conversion:
            raise SetupError(f"{kind}: {{{name}}} in {endpoint!r} is no attribute of the actor")
        names.append(name)
    return names


def filled(endpoint: str, actor: object, label: str) -> str:
    """A text with the actor's attributes in place of their names in braces.

    Raises:
        SetupError: The actor lacks one.
    """
    values = {}
    for name in _names(label, endpoint):
        try:
            values[name] = getattr(actor, name)
        except AttributeError as error:
            raise SetupError(
                f"{label}: {endpoint!r} names {name!r}, which the actor does not have: "
                f"set self.{name} in __init__"
            ) from error
    return endpoint.format(**values) if values else endpoint


class Socket(Generic[L]):
    """A class attribute that becomes an open socket in each actor of the class.

    Subclasses say what it is, and make the live one.
    """

    socket: ClassVar[str]
    binds_by_default: ClassVar[bool]

    def __init__(
        self,
        service: str | None,
        bind: Endpoints | Literal[True],
        connect: Endpoints | Literal[True],
        codec: CodecName,
    ) -> None:
        self.wiring = Wiring(
            type(self).__name__,
            self.socket,
            service,
            bind,
            connect,
            codec,
            binds_by_default=self.binds_by_default,
        )
        self._attribute = type(self).__name__.lower()

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = name

    def open(self, attribute: str, context: Context) -> L:
        """Open the socket for one actor.

        Raises:
            SetupError: It cannot be, at these endpoints or for this service.
        """
        raise NotImplementedError

    @overload
    def __get__(self, actor: None, owner: type) -> Self: ...
    @overload
    def __get__(self, actor: object, owner: type) -> L: ...
    def __get__(self, actor: Any, owner: type) -> Self | L:
        if actor is None:
            return self
        live = cast("L", opened(actor, self._attribute))
        if owner.__dictoffset__:  # not with `__slots__`
            # As `cached_property` does: from now on it is found without a call, 150 ns sooner. It
            # is the actor's to its end, and an actor that starts anew is another object.
            # Not by way of `__dict__`: once that was asked for, all attributes take longer.
            object.__setattr__(actor, self._attribute, live)
        return live


class ReceivingSocket(Socket[L]):
    """A socket whose messages go to a method of the actor."""

    receiver: str | None = None

    def received(self, function: F) -> F:
        """Mark the method that takes what comes in, an argument for each frame.

        With codec `text` an argument is read as its annotation says: `int`, `float`, else `str`.
        What does not fit its annotations is a counted dead letter. With `@handler(concurrent=True)`
        below this mark, the next message may come in while the method awaits.

        Raises:
            SetupError: It is no method, or another one is marked already.
        """
        if not inspect.isfunction(function):
            raise SetupError(f"@received goes on a method, not on {function!r}")
        if self.receiver not in (None, function.__name__):
            raise SetupError(
                f"{type(self).__name__}: {self.receiver} and {function.__name__} are both marked "
                "received: one method takes what comes on a socket"
            )
        self.receiver = function.__name__
        return function


class _Owner(Protocol):
    _actormq_context: Context


def opened(actor: _Owner, attribute: str) -> object:
    """The open socket of an actor.

    Raises:
        LifecycleError: The actor has not started, so its sockets are closed.
    """
    try:
        return actor._actormq_context.sockets[attribute]  # noqa: SLF001 the descriptor's way to its actor
    except (AttributeError, KeyError):
        raise LifecycleError(
            f"{type(actor).__name__}.{attribute} is not open: sockets open before on_start and "
            "close after on_stop"
        ) from None
