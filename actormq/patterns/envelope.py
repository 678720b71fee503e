"""Who a message came from, as a ROUTER needs to know it for the way back."""

from __future__ import annotations

from collections.abc import Sequence


class Peer:
    """Whoever is at the other end of a Router: kept, compared, used as a key, and sent to.

    Args:
        envelope: The frames that go ahead of an answer: the peer's id on this socket, those of
            the devices between, and the empty frame if the peer is a REQ.
    """

    __slots__ = ("envelope",)

    def __init__(self, *envelope: bytes) -> None:
        self.envelope = envelope

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Peer) and other.envelope == self.envelope

    def __hash__(self) -> int:
        return hash(self.envelope)

    def __repr__(self) -> str:
        return f"<Peer {'/'.join(map(_shown, filter(None, self.envelope)))}>"


def _shown(frame: bytes) -> str:
    return frame.decode() if frame.isascii() and frame.decode().isprintable() else frame.hex()


def parted(frames: Sequence[bytes]) -> tuple[Peer, Sequence[bytes]]:
    """Part what a ROUTER received into its envelope and its body.

    The envelope ends with the first empty frame that something stands behind, as REQ and REP have
    it; without one it is the sender's id alone.

    Source: 28/REQREP of ZeroMQ's specifications.
    """
    for place in range(1, len(frames) - 1):
        if not frames[place]:
            return Peer(*frames[: place + 1]), frames[place + 1 :]
    return Peer(frames[0]), frames[1:]


def behind_delimiter(frames: list[bytes]) -> list[bytes]:
    """The body of what a DEALER received: behind the empty frame that a REP puts ahead, if any."""
    return frames[1:] if len(frames) > 1 and not frames[0] else frames
