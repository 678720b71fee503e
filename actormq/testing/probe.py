"""An actor that writes down what it is sent, answers as it was told, and expects with a deadline.

A probe stands in for a class, `Probe(Greeter)`: it has that class's handlers, so what comes over a
wire is checked as the class itself would have it checked, and it runs none of its code: no
constructor, no socket, no period. A probe of no class has a handler of every name.

Its handlers are `async def` and concurrent: they are written down in the order in which they came,
also while an answer is withheld.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, TypeVar, overload

from actormq.actor import Actor
from actormq.errors import SetupError
from actormq.marks import HandlerSpec, handler, marks_of
from actormq.node import Node
from actormq.ref import Ref
from actormq.signals import Terminated
from actormq.testing.clock import ClockLoop, settled
from actormq.testing.injection import cell_of
from actormq.testing.waiting import until_or

A = TypeVar("A", bound=Actor)


@dataclass(frozen=True, slots=True)
class Received:
    """One message that a probe was sent.

    Attributes:
        handler: The handler's name.
        args: Its arguments, as the handler would have been given them.
        kwargs: Likewise.
    """

    handler: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        named = [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"{self.handler}({', '.join([*map(repr, self.args), *named])})"


class Probe(Generic[A]):
    """Stands in for an actor in a test.

    Args:
        kind: The class that it stands in for; None for one that takes every message.

    Attributes:
        received: All messages, as they came; those that were expected too.
        terminated: What it was told of the ends of others, and did not expect yet.
    """

    @overload
    def __init__(self: Probe[Any], kind: None = None) -> None: ...
    @overload
    def __init__(self, kind: type[A]) -> None: ...
    def __init__(self, kind: type[A] | None = None) -> None:
        if kind is not None and not (isinstance(kind, type) and issubclass(kind, Actor)):
            raise SetupError(f"{kind!r} is no actor: a probe stands in for a class of actors")
        self._kind = kind
        self._ref: Ref[Any] | None = None
        self._expected = 0
        self._answers: dict[str, Callable[..., Any]] = {}
        self._gates: dict[str, asyncio.Event] = {}
        self.received: list[Received] = []
        self.terminated: list[Terminated] = []

    async def spawn(self, node: Node, name: str | None = None) -> Ref[A]:
        """Let it live on a node.

        Args:
            node: Where.
            name: By which the mesh finds it; None for none.

        Returns:
            A ref to it, to be given to what is tested.
        """
        if self._ref is not None:
            raise SetupError(f"the probe {self._ref.name!r} lives already: make another one")
        self._ref = await node.spawn(_stand_in(self._kind, self), name)
        return self._ref

    @property
    def ref(self) -> Ref[A]:
        """A ref to it, to be given to what is tested.

        Raises:
            SetupError: It lives nowhere yet.
        """
        if self._ref is None:
            raise SetupError("a probe lives on no node before `await probe.spawn(node)`")
        return self._ref

    # -- what it answers ----------------------------------------------------------------------

    def answers(self, handler: Callable[Concatenate[A, ...], Any] | str, value: Any) -> None:
        """Answer a handler's messages with a value from now on; None is what they get otherwise."""
        self.answers_with(handler, lambda *_args, **_kwargs: value)

    def answers_with(
        self, handler: Callable[Concatenate[A, ...], Any] | str, answer: Callable[..., Any]
    ) -> None:
        """Answer a handler's messages with what a function of their arguments returns or raises."""
        self._answers[self._name(handler)] = answer

    def raises(
        self, handler: Callable[Concatenate[A, ...], Any] | str, error: BaseException
    ) -> None:
        """Fail at a handler's messages from now on: who asks gets a `RemoteError`."""

        def fail(*_args: Any, **_kwargs: Any) -> None:
            raise error

        self.answers_with(handler, fail)

    def withholds(self, handler: Callable[Concatenate[A, ...], Any] | str) -> None:
        """Answer a handler's messages no more, until `release`."""
        self._gates.setdefault(self._name(handler), asyncio.Event())

    def release(self) -> None:
        """Answer all that was withheld."""
        gates, self._gates = self._gates, {}
        for gate in gates.values():
            gate.set()

    async def _take(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.received.append(Received(name, args, kwargs))
        gate = self._gates.get(name)
        if gate is not None:
            await gate.wait()
        answer = self._answers.get(name)
        return None if answer is None else answer(*args, **kwargs)

    def _name(self, handler: Any) -> str:
        """The name of a handler that this probe has."""
        name = handler if isinstance(handler, str) else getattr(handler, "__name__", repr(handler))
        if self._kind is not None and name not in _names(self._kind):
            known = ", ".join(_names(self._kind)) or "none"
            raise SetupError(f"{self._kind.__name__} has no handler {name!r}: it has {known}")
        return name

    # -- what it expects ----------------------------------------------------------------------

    async def expect(
        self,
        handler: Callable[Concatenate[A, ...], Any] | str | None = None,
        *args: Any,
        within: float = 1.0,
        **kwargs: Any,
    ) -> Received:
        """Wait for the next message, and see whether it is the one that is meant.

        Messages are expected in the order in which they come, each once.

        Args:
            handler: The handler, or its name; None for any.
            args: Its arguments; without any, all are right.
            within: Seconds of real time, also where the clock stands still.
            kwargs: Likewise.

        Returns:
            The message.

        Raises:
            AssertionError: None came in time, or another one.
        """
        name = None if handler is None else self._name(handler)
        wanted = str(Received(name, args, kwargs)) if name and (args or kwargs) else name or "any"
        await until_or(
            lambda: len(self.received) > self._expected,
            within,
            lambda: f"{self._label} was not sent {wanted} within {within:g} s{self._so_far()}",
        )
        message = self.received[self._expected]
        if name not in (None, message.handler) or (
            (args or kwargs)
            and self._bound(message) != self._bound(Received(message.handler, args, kwargs))
        ):
            raise AssertionError(f"{self._label} was sent {message} where {wanted} was expected")
        self._expected += 1
        return message

    # -- whom it watches ----------------------------------------------------------------------

    def watch(self, ref: Ref[Any]) -> None:
        """Watch an actor from now on; see `Actor.watch`."""
        actor = cell_of(self.ref).actor
        assert actor is not None
        actor.watch(ref)

    async def expect_terminated(self, ref: Ref[Any], *, within: float = 1.0) -> Terminated:
        """Wait until the probe is told that an actor which it watches has ended.

        Args:
            ref: The actor, watched by `watch`.
            within: Seconds of real time.

        Returns:
            What it was told: the reason, and more words. Once; the next one is waited for.

        Raises:
            AssertionError: It was not told in time.
        """
        (terminated, *_) = await until_or(
            lambda: [each for each in self.terminated if each.ref == ref],
            within,
            lambda: (
                f"{self._label} was not told within {within:g} s that {ref.name!r} has ended; "
                "it hears of those that it was told to `watch`"
            ),
        )
        self.terminated.remove(terminated)
        return terminated

    async def expect_no_message(self, seconds: float | None = None) -> None:
        """Make sure that nothing comes but what was expected.

        Args:
            seconds: How far to move the clock, which needs the fixture `clock`. None: only wait
                until what is under way has arrived.

        Raises:
            AssertionError: A message came.
            SetupError: Seconds without a clock that is moved by hand: tests do not wait for a
                while.
        """
        loop = asyncio.get_running_loop()
        if seconds is None:
            await settled()
        elif isinstance(loop, ClockLoop):
            await loop.advance(seconds)
        else:
            raise SetupError(
                f"expect_no_message({seconds:g}) would wait for a while: ask for the fixture "
                "`clock`, which lets the seconds pass at once, or leave them out"
            )
        if len(self.received) > self._expected:
            rest = ", ".join(map(str, self.received[self._expected :]))
            raise AssertionError(f"{self._label} was sent what nobody expected: {rest}")

    @property
    def _label(self) -> str:
        kind = self._kind.__name__ if self._kind is not None else "actor"
        name = self._ref.name if self._ref is not None else "not spawned"
        return f"the probe {name!r} for {kind}"

    def _so_far(self) -> str:
        before = self.received[: self._expected]
        return f"; before that came {', '.join(map(str, before))}" if before else ""

    def _bound(self, message: Received) -> Any:
        """The arguments by parameter, so that `greet("x")` and `greet(who="x")` are the same."""
        if self._kind is None:
            return message.args, message.kwargs
        signature = inspect.signature(self._kind._actormq_handlers[message.handler].function)  # noqa: SLF001 the kit may look inside
        try:
            return signature.bind(None, *message.args, **message.kwargs).arguments
        except TypeError:  # on one node a handler can be called with what does not fit it
            return message.args, message.kwargs


# -- the actor behind it --------------------------------------------------------------------------


def _names(kind: type[Actor]) -> list[str]:
    return [key for key in kind._actormq_handlers if isinstance(key, str)]  # noqa: SLF001 the kit may look inside


def _stand_in(kind: type[Actor] | None, probe: Probe[Any]) -> type[Actor]:
    """A class of actors that hand everything to a probe."""

    async def on_terminated(_actor: Actor, terminated: Terminated) -> None:
        probe.terminated.append(terminated)

    hook = {"on_terminated": on_terminated}
    if kind is None:
        stand_in = type("Probe", (Actor,), hook)
        stand_in._actormq_handlers = _Any(stand_in, probe)  # type: ignore[attr-defined]  # noqa: SLF001 as above
        return stand_in
    specs = {name: kind._actormq_handlers[name] for name in _names(kind)}  # noqa: SLF001 as above
    methods = {name: _recording(probe, name, spec.function) for name, spec in specs.items()}
    # The module is the class's own: its annotations are looked up there.
    body = {**hook, **methods, "__module__": kind.__module__}
    return type(f"{kind.__name__}Probe", (Actor,), body)


def _recording(probe: Probe[Any], name: str, like: Callable[..., Any] | None) -> Callable[..., Any]:
    async def take(_actor: Actor, *args: Any, **kwargs: Any) -> Any:
        return await probe._take(name, args, kwargs)  # noqa: SLF001 the probe's own actor

    if like is None:
        take.__name__ = name
    else:
        # Without its marks: what `@every` repeats in the class must not repeat here.
        functools.update_wrapper(take, like, updated=())
    return handler(concurrent=True)(take)


class _Any(dict[Any, HandlerSpec]):
    """A table of handlers that has one of every name."""

    def __init__(self, kind: type[Actor], probe: Probe[Any]) -> None:
        super().__init__()
        self._kind = kind
        self._probe = probe

    def get(self, key: Any, _default: Any = None) -> Any:
        name = key if isinstance(key, str) else getattr(key, "__name__", repr(key))
        if name not in self:
            function = _recording(self._probe, name, None)
            self[name] = HandlerSpec(self._kind, name, function, marks_of(function))
        return self[name]
