"""Which socket types work together: the list of the deck, and how a pair outside it is named.

Source: the deck's "valid socket pairs". ZMTP 3 refuses the others at the handshake, and neither
program hears of it. So it is said here, before a socket opens.
"""

from __future__ import annotations

from typing import NamedTuple

_PARTNERS = {
    "PAIR": ("PAIR",),
    "PUB": ("SUB", "XSUB"),
    "SUB": ("PUB", "XPUB"),
    "REQ": ("REP", "ROUTER"),
    "REP": ("REQ", "DEALER"),
    "DEALER": ("REP", "ROUTER", "DEALER"),
    "ROUTER": ("REQ", "DEALER", "ROUTER"),
    "PULL": ("PUSH",),
    "PUSH": ("PULL",),
    "XPUB": ("SUB", "XSUB"),
    "XSUB": ("PUB", "XPUB"),
}

_PLAIN = {"XPUB": "PUB", "XSUB": "SUB"}  # a Publisher is an XPUB inside; its user knows it as PUB
_SENDERS = ("PUB", "XPUB", "PUSH")

SOCKET_TYPES = tuple(_PARTNERS)
"""The types that actors and devices have."""


class Mismatch(NamedTuple):
    """Two sockets that cannot work together: the facts of `IncompatibleSockets`, in its order.

    Attributes:
        one: The type that is named first: the one that only sends, if there is such a one.
        one_name: What its owner calls it.
        other: The type of the other.
        other_name: What its owner calls it.
        partners: The types that `one` goes with, XPUB and XSUB left out.
    """

    one: str
    one_name: str
    other: str
    other_name: str
    partners: tuple[str, ...]


def partners(kind: str) -> tuple[str, ...]:
    """What a socket type goes with, the plain names first; nothing if there is no such type."""
    return _PARTNERS.get(kind, ())


def can_pair(one: str, other: str) -> bool:
    """Say whether two socket types work together; a type that is not known works with none."""
    return other in partners(one)


def common_partners(one: str, other: str) -> tuple[str, ...]:
    """What goes with both of two types, and so could serve them at one endpoint."""
    return tuple(kind for kind in partners(one) if can_pair(kind, other))


def plain(kind: str) -> str:
    """The name that users know a type by: PUB for XPUB, SUB for XSUB."""
    return _PLAIN.get(kind, kind)


def is_named_first(one: str, other: str) -> bool:
    """Say whether `one` stays in front when two sockets are named.

    What only sends comes first, and a known type before one that a later version may announce.
    """
    if (one in _PARTNERS) is not (other in _PARTNERS):
        return one in _PARTNERS
    return one in _SENDERS or other not in _SENDERS


def mismatch(one: str, one_name: str, other: str, other_name: str) -> Mismatch | None:
    """Say why two sockets cannot work together.

    Args:
        one: The type of one, such as `PUSH`; one of `SOCKET_TYPES`.
        one_name: What its owner calls it.
        other: The type of the other, as it was announced.
        other_name: Likewise.

    Returns:
        The facts for `raise IncompatibleSockets(*facts)`, or None if the two go together.
    """
    if can_pair(one, other):
        return None
    if not is_named_first(one, other):
        one, one_name, other, other_name = other, other_name, one, one_name
    goes_with = tuple(kind for kind in partners(one) if kind == plain(kind))
    return Mismatch(plain(one), one_name, plain(other), other_name, goes_with)
