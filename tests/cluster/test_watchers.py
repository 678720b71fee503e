"""Who watches services is told of each change, whatever others do about it."""

from types import SimpleNamespace
from typing import Any

from actormq.cluster.services import MeshServices


def test_a_watcher_may_end_that_of_another_service():
    changed: list[Any] = []
    directory: Any = SimpleNamespace(watch=changed.append, bound=lambda _: [])
    nobody: Any = None
    services = MeshServices("0" * 16, directory, nobody, nobody)
    heard: list[str] = []
    ends: list[Any] = []

    def first(_: object) -> None:
        heard.append("first")
        while ends:
            ends.pop()()

    services.watch_service("a", first)
    ends.append(services.watch_service("b", lambda _: heard.append("second")))
    heard.clear()

    changed[0](set(), {"a", "b"})

    assert heard == ["first"]
