"""Which endpoints of a peer are worth dialling from here, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

from actormq.address import is_own_ipc

_LOOPBACK = ("tcp://127.", "tcp://[::1]", "tcp://localhost:")


def dialable(endpoints: Sequence[str], near: bool | None) -> list[str]:
    """Choose among the endpoints that a peer offers.

    Args:
        endpoints: What it offers, ipc and tcp.
        near: Whether it is on this host; None if that is not known.

    Returns:
        Those worth dialling, ipc first. The loopback of another host is our own, and an ipc name
        that is not one of actormq's could be any program's socket: neither is dialled.
    """
    ipc = [e for e in endpoints if is_own_ipc(e) and near is not False]
    tcp = [e for e in endpoints if e.startswith("tcp://")]
    loopback = [e for e in tcp if e.startswith(_LOOPBACK)]
    others = [e for e in tcp if e not in loopback]
    if near is False or (near is None and others):
        return ipc + others
    return ipc + loopback + others


def at_host(endpoint: str, link: str) -> str:
    """Put a peer's host into an endpoint it announced as `tcp://*:PORT`.

    Args:
        endpoint: What it announced.
        link: The endpoint at which the peer itself answered.
    """
    if not endpoint.startswith("tcp://*:"):
        return endpoint
    port = endpoint.rpartition(":")[2]
    host = link.removeprefix("tcp://").rpartition(":")[0] if link.startswith("tcp://") else ""
    return f"tcp://{host or '127.0.0.1'}:{port}"
