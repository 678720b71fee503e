"""What the demo has done by a farm, and how it is found out whether that is right."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actormq import SetupError
from apps.farm import thumbnails, words


class Tasks(ABC):
    """A function, what it is given, and what becomes of its results.

    Attributes:
        function: What workers run.
        inputs: What it gets, one after the other.
        what: What an input is, for people.
        facts: What came out, for programs.
    """

    function: Callable[[str], Any]
    what: str

    def __init__(self, inputs: list[str]) -> None:
        self.inputs = inputs
        self.facts: dict[str, Any] = {}

    @abstractmethod
    def take(self, path: str, value: Any) -> None:
        """Take one result."""

    @abstractmethod
    def is_right(self) -> bool:
        """Do all of it once more, in one process and without a farm, and compare."""

    @abstractmethod
    def said(self) -> str:
        """What came out, for people."""


class WordCount(Tasks):
    """Counts the words of files.

    Args:
        inputs: The files.
    """

    function = staticmethod(words.count)
    what = "file"

    def __init__(self, inputs: list[str]) -> None:
        super().__init__(inputs)
        self._total: Counter[str] = Counter()

    def take(self, _path: str, value: dict[str, int]) -> None:
        """Add the words of a file."""
        words.added(self._total, value)

    def is_right(self) -> bool:
        """Count all files in one pass, and compare each word."""
        self.facts = {
            "words": self._total.total(),
            "different": len(self._total),
            "most": dict(self._total.most_common(5)),
        }
        return self._total == words.direct(self.inputs)

    def said(self) -> str:
        """Name the words that are there most."""
        most = ", ".join(f"{word} {times:,}" for word, times in self._total.most_common(5))
        return (
            f"{self._total.total():,} words, {len(self._total):,} different ones; "
            f"most of all {most}"
        )


class ContactSheet(Tasks):
    """Makes a sheet of thumbnails.

    Args:
        inputs: The pictures.
        sheet: The file to write it to.
    """

    function = staticmethod(thumbnails.thumbnail)
    what = "picture"

    def __init__(self, inputs: list[str], sheet: str) -> None:
        super().__init__(inputs)
        self._sheet = sheet
        self._made: dict[str, bytes] = {}
        self._doubled = 0

    def take(self, path: str, value: bytes) -> None:
        """Keep a thumbnail."""
        self._doubled += path in self._made
        self._made[path] = value

    def is_right(self) -> bool:
        """Make all thumbnails here as well, and compare each byte; then write the sheet.

        A file that is no picture has none here either.
        """
        right = not self._doubled and all(
            self._made.get(path) == _thumbnail(path) for path in self.inputs
        )
        shown = [(path, self._made[path]) for path in self.inputs if path in self._made]
        width, height = thumbnails.contact_sheet(shown, self._sheet)
        size = sum(map(len, self._made.values()))
        self.facts = {"sheet": self._sheet, "width": width, "height": height, "bytes": size}
        return right

    def said(self) -> str:
        """Name the sheet."""
        return (
            f"{self._sheet} shows them, {self.facts['width']} by {self.facts['height']} pixels, "
            f"{Path(self._sheet).stat().st_size:,} bytes"
        )


def _thumbnail(path: str) -> bytes | None:
    """The thumbnail of a picture, None if none can be made."""
    try:
        return thumbnails.thumbnail(path)
    except SetupError:
        raise  # Pillow is not here: nothing can be compared
    except Exception:  # noqa: BLE001 a border: what Pillow raises at a broken file is of many kinds
        return None
