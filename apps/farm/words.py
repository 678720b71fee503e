"""Words of Python's own standard library: counted file by file, and once more in one piece.

A word is a run of ASCII letters, small and capital ones being the same. The farm counts by
splitting what is left when all else has become blanks; the direct count looks for letters in all
files at once. Two ways to one answer: where they agree, no task was lost and none counted twice.
"""

import contextlib
import re
import sysconfig
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

_SMALL_LETTERS = range(ord("a"), ord("z") + 1)
_TO_WORDS = bytes(
    small if (small := byte | 0x20) in _SMALL_LETTERS else ord(" ") for byte in range(256)
)
"""Capital letters as small ones; all that is no letter as a blank."""

_INSTALLED = {"site-packages", "dist-packages"}  # what is in there came later


def sources(folder: str | None = None) -> list[str]:
    """Name the Python files of a folder and of all below it, in the order of their names.

    Args:
        folder: Where to look; by default the standard library of this Python.
    """
    root = Path(sysconfig.get_path("stdlib") if folder is None else folder)
    files = (p for p in root.rglob("*.py") if p.is_file())
    return sorted(str(p) for p in files if not _INSTALLED & set(p.relative_to(root).parts))


def count(path: str) -> dict[str, int]:
    """Count the words of one file.

    Returns:
        Word to how often it is there.

    Raises:
        OSError: The file cannot be read.
    """
    words = Path(path).read_bytes().translate(_TO_WORDS).split()
    return {word.decode(): times for word, times in Counter(words).items()}


def added(total: Counter[str], part: Mapping[str, int]) -> Counter[str]:
    """Add the words of one more file to a total, which is changed and returned."""
    total.update(part)
    return total


def direct(paths: Iterable[str]) -> Counter[str]:
    """Count the words of all files that can be read in one pass, without a farm."""
    text = b"\n".join(map(_read, paths))
    return Counter(word.decode() for word in re.findall(rb"[a-z]+", text.lower()))


def _read(path: str) -> bytes:
    with contextlib.suppress(OSError):
        return Path(path).read_bytes()
    return b""
