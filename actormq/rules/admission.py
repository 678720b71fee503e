"""Who is let in: the facts of a hello against our own."""

from __future__ import annotations

from collections.abc import Mapping

from actormq import message
from actormq.message import Facts

LAN = "lan"
"""The scope of a node that all of the network may reach."""


def refusal(
    own: Facts, version: int, peer: Facts | None, dead: Mapping[str, int]
) -> tuple[str, str] | None:
    """Say why a peer is not let in.

    Args:
        own: Our facts.
        version: The protocol version of its hello.
        peer: Its facts, None if the version is another one.
        dead: The incarnation up to which each node id was declared dead.

    Returns:
        A reason of `message` and a sentence for whoever runs the peer, or None to let it in.
    """
    if version != message.PROTOCOL or peer is None:
        return message.REASON_VERSION, (
            f"node {own.name!r} speaks version {message.PROTOCOL} of the actormq protocol, "
            f"you speak {version}: run the same version of actormq on both"
        )
    if peer.mesh != own.mesh and not (peer.is_guest and not peer.mesh):
        return message.REASON_MESH, (
            f"node {own.name!r} belongs to mesh {own.mesh!r}, not to {peer.mesh!r}: "
            f"start yours with --mesh {own.mesh}"
        )
    if not reachable(own.scope, peer.scope):
        return message.REASON_SCOPE, _scope_sentence(own, peer)
    if peer.incarnation <= dead.get(peer.node, 0):
        return message.REASON_STALE, (
            f"node {own.name!r} has declared incarnation {peer.incarnation} of {peer.name!r} dead: "
            f"come back as {dead[peer.node] + 1}"
        )
    return None


def reachable(own: str, peer: str) -> bool:
    """Say whether nodes of two scopes may be in one mesh.

    Two users of one host share its loopback; their meshes stay apart. A node of the LAN and one
    of the loopback stay apart too: the other machines could never reach the second.
    """
    return own == peer


def _scope_sentence(own: Facts, peer: Facts) -> str:
    if LAN not in (own.scope, peer.scope):
        return (
            f"node {own.name!r} belongs to another user of this host ({own.scope}, you are "
            f"{peer.scope}): meshes on loopback are one per user"
        )
    if own.scope == LAN:
        return (
            f"node {own.name!r} is open to the LAN and you are not: start yours with --insecure-lan"
        )
    return (
        f"node {own.name!r} is on loopback only and you are open to the LAN: "
        "start both with --insecure-lan, or both without"
    )
