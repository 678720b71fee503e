"""The call is wrong, or comes at the wrong moment: mend it."""

from __future__ import annotations

from collections.abc import Sequence

from actormq.errors.root import ActormqError, described


class SetupError(ActormqError, ValueError):
    """Something impossible was asked for: mend the call, the file or the command."""


class NameTaken(SetupError):
    """An actor of that name lives on this node already."""

    def __init__(self, name: str, node: str) -> None:
        super().__init__(
            f"the name {name!r} is taken on node {node!r}: give the new actor another name, "
            "or stop the one that holds it",
            name,
            node,
        )


class PortInUse(SetupError):
    """An endpoint could not be bound because somebody else holds it."""

    def __init__(self, endpoint: str, what: str) -> None:
        super().__init__(
            f"{what}: {endpoint} is in use by another program: stop that one, or take another port",
            endpoint,
            what,
        )


class IncompatibleSockets(SetupError):
    """Two ends of a service whose socket types do not work together."""

    def __init__(
        self, one: str, one_name: str, other: str, other_name: str, partners: Sequence[str]
    ) -> None:
        *most, last = partners
        goes_with = f"{', '.join(most)} or {last}" if most else last
        verb = "feed" if one in ("PUB", "XPUB", "PUSH") else "talk to"
        super().__init__(
            f'{one} "{one_name}" cannot {verb} {other} "{other_name}"; {one} goes with {goes_with}',
            one,
            one_name,
            other,
            other_name,
            list(partners),
        )


class LifecycleError(ActormqError, RuntimeError):
    """The right call at the wrong moment."""


class NodeNotRunning(LifecycleError):
    """The node has not been started, or has stopped."""

    def __init__(self, node: str) -> None:
        super().__init__(
            f"node {node!r} is not running: use it inside `async with Node(...)` or `run(main)`",
            node,
        )


class StartFailed(LifecycleError):
    """An actor raised in its constructor or in `on_start`; it was taken away again."""

    def __init__(self, actor: str, stage: str, kind: str, text: str) -> None:
        super().__init__(
            f"actor {actor!r} did not start: {stage} raised {described(kind, text)}",
            actor,
            stage,
            kind,
            text,
        )


class FarmClosed(LifecycleError):
    """A farm was used that has ended, or has not begun."""

    def __init__(self, farm: str) -> None:
        super().__init__(
            f"farm {farm!r} is not open: use it within `async with node.farm(...)`", farm
        )
