import pytest

from actormq import Actor, handler


class Counter(Actor):
    """Counts, and says who it is."""

    def __init__(self, start=0):
        self.count = start

    @handler
    def add(self, by: int = 1) -> int:
        self.count += by
        return self.count


@pytest.fixture
def counter():
    """A class of actors that count."""
    return Counter
