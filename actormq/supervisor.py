"""Actors that are answerable for others: what they run, and what they do when one of it fails.

```python
class Rack(Supervisor):
    children = [
        child(Station, "roof", station="98101").restarts("always"),
        child(Average, "average"),
    ]
    strategy = "rest_for_one"
```
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

import msgspec

from actormq.actor import Actor
from actormq.definition import check_slips
from actormq.errors import SetupError
from actormq.marks import handler
from actormq.ref import Ref
from actormq.rules.backoff import Backoff
from actormq.rules.circles import circle_through
from actormq.rules.restart import (
    RestartBudget,
    RestartPolicy,
    Strategy,
    checked_policy,
    checked_strategy,
)

SETTINGS = ("children", "strategy", "max_restarts", "period", "backoff")
"""What a supervisor can be told."""

A_co = TypeVar("A_co", covariant=True)
A = TypeVar("A")
P = ParamSpec("P")


class Child(msgspec.Struct, Generic[A_co], frozen=True):
    """What a supervisor is to run; made by `child`.

    Attributes:
        kind: The actor's class.
        name: Its name, None for none.
        args: What its constructor takes.
        kwargs: Likewise.
        policy: When it is restarted.
        stop_timeout: Seconds it may take to stop; None: the node's `shutdown_timeout`.
    """

    kind: type[Actor]
    name: str | None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = msgspec.field(default_factory=dict)
    policy: RestartPolicy = "on_error"
    stop_timeout: float | None = None

    def restarts(self, policy: RestartPolicy) -> Child[A_co]:
        """The same child, restarted "always", "on_error" (which is usual) or "never".

        Args:
            policy: "always": whenever it ends; "on_error": when it fails; "never": not at all.

        Raises:
            SetupError: There is no such policy.

        Source: permanent, transient and temporary children of OTP.
        """
        return msgspec.structs.replace(self, policy=checked_policy(policy))

    def stops_within(self, seconds: float) -> Child[A_co]:
        """The same child with another time to stop.

        Args:
            seconds: After that its handlers are cut off; above 0.

        Raises:
            SetupError: It is no such number.
        """
        if not (isinstance(seconds, int | float) and seconds > 0):
            raise SetupError(f"stops_within({seconds!r}): it is a number of seconds above 0")
        return msgspec.structs.replace(self, stop_timeout=float(seconds))


def child(
    actor: Callable[P, A], name: str | None = None, /, *args: P.args, **kwargs: P.kwargs
) -> Child[A]:
    """Say what a supervisor is to run; takes what `spawn` takes.

    Args:
        actor: Its class.
        name: The name by which the mesh finds it; None for none.
        args: What its constructor takes, each time anew.
        kwargs: Likewise.

    Raises:
        SetupError: It is no actor class, the name is no text, or the arguments do not fit.
    """
    kind: Any = actor
    if not (isinstance(kind, type) and issubclass(kind, Actor)):
        raise SetupError(f"child({actor!r}): it is no class that extends Actor")
    if name is not None and not isinstance(name, str):
        raise SetupError(f"child({kind.__name__}, {name!r}): a name is a text or None")
    try:
        _signature(actor).bind(*args, **kwargs)
    except TypeError as error:
        raise SetupError(
            f"child({kind.__name__}): its constructor cannot be called: {error}"
        ) from error
    except ValueError:
        pass  # a constructor written in C shows nothing
    return Child(kind, name, args, kwargs)


@functools.lru_cache(maxsize=64)
def _signature(kind: Callable[..., Any]) -> inspect.Signature:
    """How a class is called; to find out takes 60 µs, and some start thousands of one class."""
    return inspect.signature(kind)


class Supervisor(Actor):
    """An actor that starts children, and restarts them when they fail.

    Extend it with `children`; all of the below may be set in the class or by the constructor.
    A handler of a child that raises ends that instance of it; its mailbox, its name and its refs
    stay. When more than `max_restarts` are needed within `period`, the supervisor itself fails,
    and its own supervisor decides; at the top, the node ends.

    Attributes:
        children: What to start, in this order; they stop in the reverse one.
        strategy: Who else is restarted with a child that failed: nobody ("one_for_one"), all
            ("one_for_all"), or those behind it ("rest_for_one").
        max_restarts: Restarts allowed within `period`, a count.
        period: Seconds.
        backoff: How long to wait before a restart.

    Source: OTP's `supervisor`; the back-off is Pekko's.
    """

    children: Sequence[Child[Any]] = ()
    strategy: Strategy = "one_for_one"
    max_restarts: int = 3
    period: float = 5.0
    backoff: Backoff = Backoff()

    _actormq_has_start = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_slips(cls, SETTINGS)
        supervision_of(cls)

    @handler
    async def start_child(self, spec: Child[A]) -> Ref[A]:
        """Start one more child.

        Call it in the supervisor itself, or ask it on its own node.

        Args:
            spec: What to start, as `child(...)` says it.

        Raises:
            StartFailed: It did not start; it is not kept.
            NameTaken: An actor of this node has the name.
            SetupError: It is no `child(...)`.
        """
        ref: Ref[A] = await self._actormq_own.start_child(checked_child(spec))
        return ref

    @handler
    async def stop_child(self, child: Ref[Any] | str) -> None:
        """Stop a child for good, whatever its policy; one that is not there is no error.

        Args:
            child: A ref to it, or its name.
        """
        await self._actormq_own.stop_child(child)


def supervision_of(owner: type[Supervisor] | Supervisor) -> tuple[Strategy, RestartBudget, Backoff]:
    """What a supervisor has been told, checked.

    Raises:
        SetupError: Something of it cannot be.
    """
    name = owner.__name__ if isinstance(owner, type) else type(owner).__name__
    try:
        strategy = checked_strategy(owner.strategy)
        budget = RestartBudget(owner.max_restarts, owner.period)
        if not isinstance(owner.backoff, Backoff):
            raise SetupError(f"backoff {owner.backoff!r} is no Backoff(...)")  # noqa: TRY301 one sentence for all
        _check_children(owner.children)
    except SetupError as error:
        text = str(error).replace("RestartBudget: restarts", "max_restarts")
        raise SetupError(f"supervisor {name}: {text.replace('RestartBudget: ', '')}") from error
    return strategy, budget, owner.backoff


def _check_children(children: Any) -> None:
    if isinstance(children, str | Child) or not isinstance(children, Sequence):
        raise SetupError(
            f"children {children!r} is no list: write children = [child(Class, name, ...)]"
        )
    names = Counter(checked_child(spec).name for spec in children)
    for name, count in names.items():
        if name is not None and count > 1:
            raise SetupError(f"two children have the name {name!r}: give one of them another name")


def checked_child(spec: Any) -> Child[Any]:
    """A child as it is.

    Raises:
        SetupError: It is none.
    """
    if not isinstance(spec, Child):
        raise SetupError(f"{spec!r} is no child: write child(Class, name, ...)")
    return spec


def circle_of(kind: type[Actor]) -> list[type[Actor]] | None:
    """A way from a class through the children of supervisors back to itself, if there is one."""
    return circle_through(_static_children, kind)


def _static_children(kind: type[Actor]) -> list[type[Actor]]:
    children = getattr(kind, "children", ())
    is_known = issubclass(kind, Supervisor) and isinstance(children, list | tuple)
    return [spec.kind for spec in children if isinstance(spec, Child)] if is_known else []
