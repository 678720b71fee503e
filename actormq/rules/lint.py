"""What is wrong with the sockets of some topology files, said before any of them opens.

Only what cannot work is complained of. That not all programs are in the files makes it hard: that
nobody binds an endpoint proves nothing. But two sockets that connect to the same place and have no
partner in common cannot both be right, whoever binds it: PUSH and PULL, say. Two DEALERs may be
clients of a ROUTER elsewhere.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from actormq.errors import IncompatibleSockets
from actormq.rules.meeting import End, SocketPlan, ends, is_clash, is_met, is_same_place
from actormq.rules.pairing import can_pair, common_partners, is_named_first, mismatch, plain


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake, told at the socket that its sentence names first.

    Attributes:
        file: The file.
        actor: The actor's name.
        attribute: The socket's name within the actor.
        sentence: Both ends, what is wrong with them, and the way out.
    """

    file: str
    actor: str
    attribute: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}: {self.actor}.{self.attribute}: {self.sentence}"


def findings(plans: Sequence[SocketPlan]) -> list[Finding]:
    """Find what cannot work among the sockets of all files together.

    Args:
        plans: All sockets, in the order of the files.

    Returns:
        Mistakes in the order of the sockets. What is wrong with a class is said once a file, not
        for each actor of that class.
    """
    called = _names(plans)
    found = [*_alone(plans)]
    services: dict[tuple[str, str], list[SocketPlan]] = {}
    for plan in plans:
        if plan.service is not None:
            services.setdefault((plan.mesh, plan.service), []).append(plan)
    for group in services.values():
        found += _service(group, called)
    for near in _neighbours(plans):
        found += [*_met(near, called), *_both_bind(near, called)]
    order = {(p.file, p.actor, p.attribute): number for number, p in enumerate(plans)}
    return sorted(dict.fromkeys(found), key=lambda f: order[f.file, f.actor, f.attribute])


# -- how it is said -------------------------------------------------------------------------------

_Names = Callable[[SocketPlan], str]


def _names(plans: Sequence[SocketPlan]) -> _Names:
    """How sentences call a socket: by as little as tells it from all others."""

    def forms(plan: SocketPlan) -> tuple[str, str, str]:
        within = f"{plan.actor}.{plan.attribute}"
        return plan.attribute, within, f"{plan.file}: {within}"

    count = Counter(form for plan in plans for form in forms(plan))

    def called(plan: SocketPlan) -> str:
        return next((form for form in forms(plan) if count[form] == 1), forms(plan)[-1])

    return called


def _finding(plan: SocketPlan, sentence: str) -> Finding:
    return Finding(plan.file, plan.actor, plan.attribute, sentence)


def _said(one: SocketPlan, other: SocketPlan, called: _Names, rest: str) -> Finding:
    """A sentence on two sockets: `PUSH "tasks" and PULL "work" …`."""
    both = f'{plain(one.kind)} "{called(one)}" and {plain(other.kind)} "{called(other)}"'
    return _finding(one, f"{both} {rest}")


def _in_order(one: SocketPlan, other: SocketPlan) -> tuple[SocketPlan, SocketPlan]:
    return (one, other) if is_named_first(one.kind, other.kind) else (other, one)


def _misfit(one: SocketPlan, other: SocketPlan, called: _Names) -> Finding | None:
    """Say why two sockets that meet do not go together; None if they do."""
    one, other = _in_order(one, other)
    facts = mismatch(one.kind, called(one), other.kind, called(other))
    return _finding(one, str(IncompatibleSockets(*facts))) if facts else None


def _babel(one: SocketPlan, other: SocketPlan, called: _Names) -> Finding:
    """Say that two sockets write differently."""
    one, other = _in_order(one, other)
    first = f'{plain(one.kind)} "{called(one)}" has codec {one.codec}'
    second = f'{plain(other.kind)} "{called(other)}" {other.codec}'
    return _finding(one, f"{first} and {second}: give both the same")


# -- one socket, and the sockets of a service -----------------------------------------------------


def _alone(plans: Sequence[SocketPlan]) -> Iterator[Finding]:
    """What a socket lacks by itself, once for each class of a file."""
    for plan in _kinds(plans):
        if plan.kind == "SUB" and plan.is_subscribed is False:
            yield _finding(
                plan,
                f'SUB "{plan.attribute}" has no subscription, so nothing comes in: call '
                f"`await self.{plan.attribute}.subscribe(...)` in on_start",
            )
        if plan.kind == "ROUTER" and plan.is_answered is False:
            yield _finding(
                plan,
                f'ROUTER "{plan.attribute}" never answers those who write to it: reply with '
                f"`self.{plan.attribute}.send(...)`, or let PUSH and PULL do what goes one way",
            )


def _kinds(plans: Iterable[SocketPlan]) -> list[SocketPlan]:
    """The first of each class and attribute of a file: the others are as right or as wrong."""
    first: dict[tuple[str, str, str], SocketPlan] = {}
    for plan in plans:
        first.setdefault((plan.file, plan.owner, plan.attribute), plan)
    return list(first.values())


def _service(group: Sequence[SocketPlan], called: _Names) -> Iterator[Finding]:
    """What is wrong among the sockets of one service of one mesh."""
    kinds = _kinds(group)
    binders = [plan for plan in kinds if plan.is_binder]
    connectors = [plan for plan in kinds if not plan.is_binder]
    is_wrong = False
    for one, other in itertools.product(connectors, binders):
        found = _misfit(one, other, called)
        if found is None and _is_refused(one, other):
            found = _babel(one, other, called)
        if found is not None:
            is_wrong = True
            yield found
    if not is_wrong:
        yield from _side("bind", binders, called)
        if not binders:
            yield from _side("connect", connectors, called)
    yield from _pairs([plan for plan in group if plan.kind == "PAIR"], called)


def _pairs(pairs: Sequence[SocketPlan], called: _Names) -> Iterator[Finding]:
    """What is wrong among the PAIRs of one service: two there are, and one of them binds."""
    if len(pairs) < 2:  # noqa: PLR2004 the two ends of a pair
        return
    first, second, *more = pairs
    service = f'service "{first.service}"'
    if more:
        rest = f"are two of {len(pairs)} of {service}, and a PAIR has one other end only"
        yield _said(more[0], first, called, f"{rest}: give each two a service of their own")
    elif first.is_binder is second.is_binder:
        does = "bind" if first.is_binder else "connect"
        yield _said(first, second, called, _both(does, service))


def _both(does: str, service: str) -> str:
    way = {"bind": "connect=True", "connect": "bind=True"}[does]
    return f"both {does} for {service}, so they never meet: give one of them {way}"


def _is_refused(one: SocketPlan, other: SocketPlan) -> bool:
    """Whether an end of a service refuses the other because of its codec."""
    return one.codec != other.codec and None not in (one.codec, other.codec)


def _side(does: str, alike: Sequence[SocketPlan], called: _Names) -> Iterator[Finding]:
    """What is wrong among sockets that all bind, or all connect, for the same service."""
    for one, other in itertools.combinations(alike, 2):
        service = f'service "{one.service}"'
        if common_partners(one.kind, other.kind):
            if _is_refused(one, other):
                yield _babel(one, other, called)
        elif can_pair(one.kind, other.kind):
            yield _said(*_in_order(one, other), called, _both(does, service))
        else:
            rest = f"are both of {service}, and no socket goes with both: give each its own"
            yield _said(*_in_order(one, other), called, rest)


# -- sockets at endpoints -------------------------------------------------------------------------


_Near = tuple[list[End], list[End]]
"""Those that bind and those that connect."""


def _neighbours(plans: Sequence[SocketPlan]) -> Iterable[_Near]:
    """Sockets whose endpoints may be the same, for a port or a name."""
    near: dict[tuple[str, str], _Near] = {}
    for plan in plans:
        for is_bound, endpoints in ((True, plan.bind), (False, plan.connect)):
            for end in ends(plan, endpoints):
                binders, connectors = near.setdefault((end.scheme, end.port or end.host), ([], []))
                (binders if is_bound else connectors).append(end)
    return near.values()


def _met(near: _Near, called: _Names) -> Iterator[Finding]:
    """What is wrong between those that connect and whom they meet."""
    binders, connectors = near
    lonely = []
    guests: dict[int, End] = {}  # the PAIR that has a bound PAIR already
    for end in connectors:
        met = [binder for binder in binders if is_met(binder, end)]
        met = [binder for binder in met if binder.plan.file == end.plan.file] or met
        fitting = [binder for binder in met if can_pair(binder.plan.kind, end.plan.kind)]
        if not met:
            lonely.append(end)
        elif not fitting:
            found = _misfit(end.plan, met[0].plan, called)
            assert found is not None
            yield found
        elif all(_is_garbled(binder.plan, end.plan) for binder in fitting):
            yield _babel(end.plan, fitting[0].plan, called)
        elif end.plan.kind == "PAIR":
            guest = guests.setdefault(id(fitting[0]), end)
            if guest is not end:
                rest = f"both connect to {end.endpoint}, and a PAIR has one other end only"
                rest += ": give each an endpoint of its own"
                yield _said(end.plan, guest.plan, called, rest)
    yield from _both_connect(lonely, called)


def _is_garbled(one: SocketPlan, other: SocketPlan) -> bool:
    """Whether one socket misreads the other; what is raw its actor reads and writes as it likes."""
    return {one.codec, other.codec} == {"msgpack", "text"}


def _both_connect(lonely: Sequence[End], called: _Names) -> Iterator[Finding]:
    """What is wrong among those that connect and meet nobody of the files."""
    first: dict[tuple[str, str, str], list[End]] = {}
    for end in lonely:
        alike = first.setdefault((end.plan.file, end.plan.kind, end.host), [])
        if not alike or (end.plan.kind == "PAIR" and len(alike) == 1):
            alike.append(end)
    for one, other in itertools.combinations(itertools.chain(*first.values()), 2):
        kinds = (one.plan.kind, other.plan.kind)
        if not is_same_place(one, other) or (common_partners(*kinds) and kinds[0] != "PAIR"):
            continue
        rest = f"both connect to {one.endpoint}"
        if can_pair(*kinds):
            rest += ", so they never meet: let one of them bind it"
        else:
            rest += ", and nothing that binds it goes with both: give each an endpoint of its own"
        yield _said(*_in_order(one.plan, other.plan), called, rest)


def _both_bind(near: _Near, called: _Names) -> Iterator[Finding]:
    """Those that bind what another has bound already."""
    for number, end in enumerate(near[0]):
        first = next((other for other in near[0][:number] if is_clash(other, end)), None)
        if first is None or first.plan is end.plan:
            continue
        ways = []
        if can_pair(first.plan.kind, end.plan.kind):
            ways.append("let one of them connect")
        if not ways or first.plan.kind == end.plan.kind:
            own = "a port" if end.scheme == "tcp" else "an endpoint"
            ways.append(f"give each {own} of its own")
        rest = f"both bind {first.endpoint}: {', or '.join(ways)}"
        yield _said(end.plan, first.plan, called, rest)
