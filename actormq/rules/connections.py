"""How many peers a socket has, from what its monitor tells.

libzmq names a connection by its descriptor when it is made and when it ends, but not when its
handshake has succeeded: that one is held to be the newest that has not, since a good one takes a
millisecond, and a bad one may stay until its time is up.
If it was a bad one, made right behind a good one, it ends soon, and finds an older one that is
still being greeted: that one is counted in its place.

So the count is never too low, and is right whenever no bad connection is open.
"""

from __future__ import annotations


class Connections:
    """The connections of one socket.

    Attributes:
        lost_count: Connections that worked and have ended, a count.
    """

    def __init__(self) -> None:
        self.lost_count = 0
        self._made_count = 0
        # By descriptor: the how manieth it is, and its endpoint.
        self._greeting: dict[int, tuple[int, str]] = {}
        self._up: dict[int, tuple[int, str]] = {}

    @property
    def count(self) -> int:
        """Those that work now."""
        return len(self._up)

    def has(self, endpoint: str) -> bool:
        """Whether one to that endpoint works."""
        return any(other == endpoint for _, other in self._up.values())

    def made(self, descriptor: int, endpoint: str) -> None:
        """One was accepted or has connected, and its handshake begins."""
        self.ended(descriptor)  # if that was not told: the descriptor is another's now
        self._made_count += 1
        self._greeting[descriptor] = self._made_count, endpoint

    def greeted(self, endpoint: str) -> None:
        """A handshake has succeeded."""
        if not self._count_newest(endpoint, self._made_count) and self.has(endpoint):
            self.lost_count += 1  # a bad one was held to be the good one that has ended since

    def ended(self, descriptor: int) -> bool:
        """One has ended; say whether one fewer works."""
        self._greeting.pop(descriptor, None)
        number, endpoint = self._up.pop(descriptor, (0, ""))
        if not number or self._count_newest(endpoint, number):
            return False
        self.lost_count += 1
        return True

    def _count_newest(self, endpoint: str, number: int) -> bool:
        """Hold the newest that is being greeted, of the first so many, to be one that works."""
        for descriptor, (other_number, other) in reversed(self._greeting.items()):
            if other == endpoint and other_number <= number:
                self._up[descriptor] = self._greeting.pop(descriptor)
                return True
        return False

    def left(self, endpoint: str) -> None:
        """We have left an endpoint ourselves, of which libzmq tells nothing."""
        for connections in (self._greeting, self._up):
            for descriptor in [fd for fd, (_, other) in connections.items() if other == endpoint]:
                del connections[descriptor]
