"""The marks that users put on methods of an actor, and what a class makes of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

import msgspec

from actormq.arguments import Arguments
from actormq.errors import SetupError
from actormq.place import LOOP

if TYPE_CHECKING:
    from actormq.actor import Actor

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__actormq_handler__"
_EVERY = "__actormq_every__"


class _Marks(msgspec.Struct, frozen=True):
    """What `@handler` was told, kept on the function."""

    concurrent: bool = False
    blocking: bool = False
    retry: int = 0
    raises: tuple[type[Exception], ...] = ()


@overload
def handler(function: F, /) -> F: ...
@overload
def handler(
    *,
    concurrent: bool = ...,
    blocking: bool = ...,
    retry: int = ...,
    raises: type[Exception] | tuple[type[Exception], ...] = ...,
) -> Callable[[F], F]: ...
def handler(
    function: F | None = None,
    /,
    *,
    concurrent: bool = False,
    blocking: bool = False,
    retry: int = 0,
    raises: type[Exception] | tuple[type[Exception], ...] = (),
) -> F | Callable[[F], F]:
    """Make a method reachable by `ask` and `tell`; nothing else does.

    The method stays as it is: type checkers see its own signature.

    Args:
        function: The method, `def` or `async def`.
        concurrent: Let the next message in while this `async def` awaits.
        blocking: Run this `def` in a worker thread, since it waits for files, databases or the
            processor; the actor's next message waits for it, unless it is concurrent too.
        retry: How often a message whose handler raised is handled again, before all others; by
            the new instance if the actor is restarted. After that it is a dead letter.
        raises: Exceptions that are answers and no failures: an asker gets them as a `RemoteError`,
            and the actor goes on as it is, supervised or not.

    Raises:
        SetupError: It is no method, or the marks do not fit it.
    """
    expected = raises if isinstance(raises, tuple) else (raises,)
    _check_marks(retry, expected)

    def mark(function: F) -> F:
        if not inspect.isfunction(function):
            raise SetupError(f"@handler goes on a method, not on {function!r}")
        is_async = inspect.iscoroutinefunction(function)
        if blocking and is_async:
            raise SetupError(
                f"{function.__qualname__} is `async def` and marked blocking: "
                "make it `def`, or await what blocks"
            )
        if concurrent and not (is_async or blocking):
            raise SetupError(
                f"{function.__qualname__} is a plain `def` and marked concurrent: "
                "make it `async def`, or blocking=True"
            )
        setattr(function, _MARK, _Marks(concurrent, blocking, retry, expected))
        return function

    return mark if function is None else mark(function)


def _check_marks(retry: Any, raises: tuple[Any, ...]) -> None:
    if not isinstance(retry, int) or isinstance(retry, bool) or retry < 0:
        raise SetupError(f"@handler(retry={retry!r}): it is a count of tries, 0 or more")
    for kind in raises:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise SetupError(f"@handler(raises={kind!r}): name classes of exceptions")


def every(seconds: float) -> Callable[[F], F]:
    """Run a method again and again while the actor lives, as one of its messages.

    A turn that is still waiting when the next is due stands for both: they do not pile up.

    Args:
        seconds: From one run to the next; the first comes after as long.

    Raises:
        SetupError: `seconds` is not above 0.
    """
    if not (isinstance(seconds, int | float) and seconds > 0):
        raise SetupError(f"@every({seconds!r}): a period is a number of seconds above 0")

    def mark(function: F) -> F:
        setattr(function, _EVERY, float(seconds))
        return function

    return mark


def marks_of(function: Callable[..., Any]) -> _Marks:
    """What `@handler` was told of a method; for one that it does not mark, what is usual."""
    marks: _Marks = getattr(function, _MARK, _Marks())
    return marks


class HandlerSpec:
    """One handler of one class, ready to run.

    Attributes:
        name: The method's name.
        function: The method.
        is_plain: A `def` that runs on the node's loop: the fast way.
        is_async: An `async def`.
        is_flow: Whether messages of it stand outside of the mailbox: never.
        is_blocking: A `def` that runs in a worker thread, wherever the actor runs.
        concurrent: Whether the next message may come in while it awaits.
        retry: How often a message that failed is handled again.
        raises: Exceptions that are answers.
    """

    __slots__ = (
        "_arguments",
        "_owner",
        "concurrent",
        "function",
        "is_async",
        "is_blocking",
        "is_plain",
        "name",
        "raises",
        "retry",
    )

    is_flow: ClassVar[bool] = False

    def __init__(
        self, owner: type[Actor], name: str, function: Callable[..., Any], marks: _Marks
    ) -> None:
        self._owner = owner
        self._arguments: Arguments | None = None
        self.name = name
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        self.is_blocking = marks.blocking
        self.is_plain = owner.runs_in == LOOP and not self.is_async and not marks.blocking
        self.concurrent = marks.concurrent
        self.retry = marks.retry
        self.raises = marks.raises

    @property
    def arguments(self) -> Arguments:
        """The check for what came over a wire, made at its first use."""
        if self._arguments is None:
            self._arguments = Arguments(self._owner, self.function)
        return self._arguments


def unmarked(kind: type[Actor], name: str) -> HandlerSpec | None:
    """Any method of the class as something that its actor may send itself."""
    function = getattr(kind, name, None)
    if not inspect.isfunction(function):
        return None
    return HandlerSpec(kind, name, function, _Marks())


def enter(
    kind: type[Actor],
    name: str,
    function: Callable[..., Any],
    handlers: dict[Any, HandlerSpec],
    periodic: dict[str, tuple[HandlerSpec, float]],
) -> None:
    """Enter a method into the tables if it or one that it overrides is marked."""
    marks = period = None
    for base in kind.__mro__:
        one = base.__dict__.get(name)
        marks = marks or getattr(one, _MARK, None)
        period = period or getattr(one, _EVERY, None)
    if marks is None and period is None:
        return
    spec = HandlerSpec(kind, name, function, marks or _Marks())
    if marks is not None:
        handlers[name] = spec
        for base in kind.__mro__:  # `ref.ask(Base.greet)` means whatever the actor made of it
            if name in base.__dict__:
                handlers[base.__dict__[name]] = spec
    if period is not None:
        periodic[name] = (spec, period)
