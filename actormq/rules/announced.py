"""What the announcements of nodes mean: which of them would be in one mesh with ours.

As `diagnosis.py`, for the nodes that are heard, here and elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from actormq.rules.admission import LAN
from actormq.rules.diagnosis import State, Verdict, ok
from actormq.rules.findings import Intent, Seen


def wanted_mesh(intent: Intent, seen: Sequence[Seen]) -> str | None:
    """The mesh that nodes of this machine are in: as said, or as the only one that runs here."""
    if intent.mesh is not None:
        return intent.mesh
    here = {node.mesh for node in seen if node.is_here}
    return here.pop() if len(here) == 1 else None


def nodes(
    seen: Sequence[Seen], intent: Intent, error: str, *, is_asked: bool = False
) -> list[Verdict]:
    """Judge the nodes that announce themselves.

    Args:
        seen: The nodes.
        intent: How nodes are started.
        error: Why nobody could be listened to; "" if it was possible.
        is_asked: Whether other machines are looked at as well, which says more.
    """
    mesh = wanted_mesh(intent, seen)
    if error:
        bad = State.WARNING if intent.joins else State.PROBLEM
        found = f"cannot be listened for: {error}"
        return [Verdict("nodes", bad, found, "mDNS does not work here", "see the lines above")]
    if seen:
        return [_seen(node, mesh, intent) for node in seen]
    if is_asked:
        return []
    if not intent.lan:
        return [ok("nodes", "none runs on this machine now, and none was heard on the network")]
    return [
        Verdict(
            "nodes",
            State.WARNING,
            "none was heard, neither here nor on another machine",
            "none runs, or its announcements do not get here",
            "if one runs on another machine, run `actormq doctor --insecure-lan HOST`",
        )
    ]


def _seen(node: Seen, mesh: str | None, intent: Intent) -> Verdict:
    check = f"node {node.name}"
    where = "on this machine" if node.is_here else "on another machine"
    openness = "open to the network" if node.scope == LAN else "on loopback"
    place = next((e for e in node.endpoints if e.startswith("tcp://")), node.endpoints[0])
    found = f"of mesh {node.mesh}, {where}, {openness}, at {place}"
    apart = _why_apart(node, mesh, intent)
    if apart is None:
        return ok(check, found)
    state, cause, fix = apart
    return Verdict(check, state, found, cause, fix)


def _why_apart(node: Seen, mesh: str | None, intent: Intent) -> tuple[State, str, str] | None:
    """Why nodes that are started as meant would not be in one mesh with this one."""
    if mesh is not None and node.mesh != mesh:
        cause = f"it is in mesh {node.mesh!r} and not in {mesh!r}: these two never talk"
        return State.WARNING, cause, f"if they should, start it with --mesh {mesh}"
    if node.protocol != intent.protocol:
        cause = (
            f"it speaks version {node.protocol} of the actormq protocol, this installation "
            f"{intent.protocol}"
        )
        return State.PROBLEM, cause, "install the same version of actormq on both"
    if node.scope == intent.scope:
        return None
    if node.scope == LAN:
        return (
            State.PROBLEM if node.is_here else State.WARNING,
            "nodes that you start without --insecure-lan stay on this machine, apart from it",
            "start yours with --insecure-lan, if you trust the network; then run this so as well",
        )
    if intent.lan:
        return (
            State.PROBLEM,
            "it was started without --insecure-lan and stays on loopback",
            "start it with --insecure-lan as well",
        )
    return (
        State.WARNING,
        "it belongs to another user of this machine; on loopback each user has a mesh",
        "start both as the same user, or both with --insecure-lan",
    )
