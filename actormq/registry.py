"""The actors of this node, by serial and by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from actormq.errors import NameTaken

if TYPE_CHECKING:
    from actormq.cell import Cell


class Registry:
    """Who lives here.

    Args:
        node: The node's name, for errors.
        changed: Called with an actor that can be found by its name from now on, or no more.
    """

    def __init__(self, node: str, changed: Callable[[Cell, bool], None]) -> None:
        self._node = node
        self._changed = changed
        self._by_serial: dict[int, Cell] = {}
        self._by_name: dict[str, Cell] = {}

    def check(self, name: str | None) -> None:
        """Make sure that a name is free.

        Raises:
            NameTaken: Another actor of this node has it.
        """
        if name in self._by_name:
            raise NameTaken(name, self._node)

    def add(self, cell: Cell) -> None:
        """Enter an actor that is about to start.

        Raises:
            NameTaken: Another one of this node has its name.
        """
        if cell.name is not None:
            self.check(cell.name)
            self._by_name[cell.name] = cell
        self._by_serial[cell.serial] = cell

    def publish(self, cell: Cell) -> None:
        """Let an actor be found, since it has started."""
        if cell.name is not None:
            self._changed(cell, True)  # noqa: FBT003 is it there

    def remove(self, cell: Cell) -> None:
        """Let an actor go."""
        self._by_serial.pop(cell.serial, None)
        if cell.name is not None and self._by_name.get(cell.name) is cell:
            del self._by_name[cell.name]
            self._changed(cell, False)  # noqa: FBT003 is it there

    def by_serial(self, serial: int) -> Cell | None:
        """The actor of that number, if it lives."""
        return self._by_serial.get(serial)

    def by_name(self, name: str) -> Cell | None:
        """The actor of that name, if it lives and has started."""
        cell = self._by_name.get(name)
        return cell if cell is not None and cell.is_found else None

    def holder(self, name: str) -> Cell | None:
        """The actor that has a name, whether it may be found by it (yet) or not."""
        return self._by_name.get(name)

    def cells(self) -> Iterable[Cell]:
        """All actors, oldest first."""
        return list(self._by_serial.values())

    def __len__(self) -> int:
        return len(self._by_serial)
