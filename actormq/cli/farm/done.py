"""Which inputs are done already: found as they are given, so that few are held at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence


class Done:
    """Inputs that are done, each as often as it is.

    A run gives its inputs in their order, and they are done in nearly the same one. So those that
    are done are read no further than to the one that is asked for: between the two, there are as
    many as were under way at a time. Given in another order, all of them are held at once.

    Args:
        groups: Reads the inputs that are done, some at a time.
    """

    def __init__(self, groups: Iterable[Sequence[str]] = ()) -> None:
        self._groups: Iterator[Sequence[str]] = iter(groups)
        self._held: Counter[str] = Counter()

    def take(self, given: str) -> bool:
        """Say whether an input is done; it then is once less."""
        held = self._held
        while given not in held:
            group = next(self._groups, None)
            if group is None:
                return False
            held.update(group)
        if held[given] == 1:
            del held[given]
        else:
            held[given] -= 1
        return True

    def undone(self, given: Iterable[str]) -> list[str]:
        """Leave out those that are done; the others stay in their order."""
        return [each for each in given if not self.take(each)]
