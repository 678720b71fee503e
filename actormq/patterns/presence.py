"""How a publisher learns which subscribers know of it, without a byte that others would see.

After its topics a subscriber subscribes to one more, a mark that names it: node, socket, token.
Nothing is ever published under a mark. Subscriptions of one connection arrive in order, so a
publisher that sees the mark has all topics before it, and says so over the mesh.
To a publisher that comes later libzmq tells all of them in the order of their bytes: the mark
begins with the last character of all, and so comes behind them there too.
"""

from __future__ import annotations

import re

import msgspec

MARK = "\U0010ffffactormq\x00".encode()
_SHAPE = re.compile(re.escape(MARK) + rb"([0-9a-f]{16})/([0-9]{1,15})/([0-9]{1,15})\Z")


class Presence(msgspec.Struct, frozen=True):
    """A subscriber as its mark names it.

    Attributes:
        node: The id of its node.
        socket: The serial of its socket on that node.
        token: Counts its calls of `subscribe`; later ones supersede earlier.
    """

    node: str
    socket: int
    token: int

    def topic(self) -> bytes:
        """The mark as a topic."""
        return MARK + f"{self.node}/{self.socket}/{self.token}".encode()


def presence_from(topic: bytes) -> Presence | None:
    """Read a mark; None if it is an ordinary topic."""
    match = _SHAPE.match(topic)
    if match is None:
        return None
    node, socket, token = match.groups()
    return Presence(node.decode(), int(socket), int(token))
