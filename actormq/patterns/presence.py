"""How a publisher learns which subscribers know of it, without a byte that others would see.

After its topics a subscriber subscribes to one more, a mark that names it: node, socket, token.
Nothing is ever published under a mark. Subscriptions of one connection arrive in order, so a
publisher that sees the mark has all topics before it, and says so over the mesh.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MARK = b"\x00actormq\x00"
_SHAPE = re.compile(rb"\x00actormq\x00([0-9a-f]{16})/([0-9]{1,15})/([0-9]{1,15})\Z")


@dataclass(frozen=True, slots=True)
class Presence:
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
