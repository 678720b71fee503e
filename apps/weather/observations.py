"""Reads files of observations: CSV with the columns `date`, `station` and numbers.

The file is read as bytes, line by line, and each line stands alone. That is narrower than CSV,
where a quoted field may run over several lines, and it is what keeps one stray quote from
swallowing the thousand good lines after it, and a file of a gigabyte out of memory.
"""

import csv
import datetime as dt
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import BinaryIO

from apps.weather.messages import Observation

LINE_LIMIT = 65_536  # bytes; a line of measurements has hundreds, a binary file may have no end
NAME_LIMIT = 255  # characters of a station's name; it is a topic, and those are kept short

_BOM = b"\xef\xbb\xbf"
_SHAPE = "a CSV file whose first line names the columns date, station and at least one of numbers"


class ObservationFileError(ValueError):
    """The file as a whole is of no use; nothing was read from it.

    Attributes:
        path: The file, as it was given.
    """

    def __init__(self, path: str | Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = str(path)


class LineError(ValueError):
    """One line cannot be read; the sentence says why.

    Attributes:
        station: The station that the line names; empty when that could not be made out.
    """

    def __init__(self, reason: str, station: str = "") -> None:
        super().__init__(reason)
        self.station = station


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that could not be read.

    Attributes:
        line: Its number in the file; the header is line 1.
        reason: Why, in one sentence.
        station: The station that it names; empty when that could not be made out.
    """

    line: int
    reason: str
    station: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the file.

    Attributes:
        line: Its number; the header is line 1.
        start: Where it begins, in bytes from the start of the file.
        end: Where the next one begins, in bytes.
        content: What it says.
    """

    line: int
    start: int
    end: int
    content: Observation | Skipped


@dataclass(frozen=True, slots=True)
class Form:
    """How the lines of one file are laid out.

    Attributes:
        width: Columns of each line, a count.
        date: Index of the column `date`.
        station: Index of the column `station`.
        numbers: Index and name of each column of numbers.
    """

    width: int
    date: int
    station: int
    numbers: tuple[tuple[int, str], ...]

    def read(self, raw: bytes) -> Observation:
        """Make an observation of one line.

        Raises:
            LineError: The line cannot be read.
        """
        fields = split(raw)
        if len(fields) != self.width:
            raise LineError(f"has {len(fields)} columns instead of {self.width}")
        station = _station(fields[self.station])
        day = _day(fields[self.date], station)
        values = {}
        for index, name in self.numbers:
            value = number(fields[index])
            if value is None:
                raise LineError(f"{name} is {fields[index]!r}, not a finite number", station)
            values[name] = value
        return Observation(station, day, values)


def split(raw: bytes) -> list[str]:
    """Take one line of bytes apart.

    Raises:
        LineError: Too long, not UTF-8, a NUL byte, or a quote that is not closed.
    """
    if len(raw) >= LINE_LIMIT:
        raise LineError(f"is longer than {LINE_LIMIT} bytes")
    if b"\0" in raw:
        raise LineError("has a NUL byte in it")
    try:
        text = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise LineError(f"is not UTF-8 at byte {error.start + 1} of the line") from None
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise LineError(f"has a quoted field that is not right: {error}") from None


def number(text: str) -> float | None:
    """Read a finite number; None when it is not one.

    An underscore is Python's, not a measuring instrument's: `1_000` is not a number here.
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def _station(text: str) -> str:
    name = text.strip()
    if not name:
        raise LineError("names no station")
    if len(name) > NAME_LIMIT:
        raise LineError(f"has a station's name of more than {NAME_LIMIT} characters")
    return name


def _day(text: str, station: str) -> dt.date:
    """Read `YYYY-MM-DD`, or the same with a time behind it."""
    stamp = text.strip()
    try:
        # fromisoformat also takes week dates and bare digits, which a typing error can look like.
        if stamp[4:5] == stamp[7:8] == "-":
            if len(stamp) == len("2012-01-01"):
                return dt.date.fromisoformat(stamp)
            return dt.datetime.fromisoformat(stamp).date()
    except ValueError:
        pass
    raise LineError(f"date is {text!r}, not a day as YYYY-MM-DD", station)


def read(
    path: str | Path, report: Callable[[Skipped], None] = lambda _: None
) -> Iterator[Observation]:
    """Read the observations of a file, one by one.

    Args:
        path: The file.
        report: Is told of each line that cannot be read, and that is left out.

    Raises:
        ObservationFileError: The file as a whole is of no use.
    """
    for entry in entries(path):
        if isinstance(entry.content, Skipped):
            report(entry.content)
        else:
            yield entry.content


def entries(path: str | Path) -> Iterator[Entry]:
    """Read a file line by line, what cannot be read included; blank lines are passed over.

    Raises:
        ObservationFileError: The file as a whole is of no use.
    """
    with opened(path) as file:
        form, first, start = read_form(path, file)
        file.seek(start)
        for line, offset, raw in raw_lines(file, first):
            content: Observation | Skipped
            try:
                content = form.read(raw)
            except LineError as error:
                content = Skipped(line, str(error), error.station)
            yield Entry(line, offset, file.tell(), content)


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file of observations for one `with` block.

    Raises:
        ObservationFileError: It is missing, no file, or reading it fails, now or in the block.
    """
    where = Path(path)
    try:
        if where.exists() and not where.is_file():
            kind = "a directory" if where.is_dir() else "not a regular file"
            raise ObservationFileError(path, f"is {kind}; give {_SHAPE}")
        with where.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise ObservationFileError(path, f"does not exist; give {_SHAPE}") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ObservationFileError(path, f"cannot be read ({reason}); give {_SHAPE}") from error


def read_form(path: str | Path, file: BinaryIO) -> tuple[Form, int, int]:
    """Find out how a file is laid out.

    A column counts as numbers if its value in the first readable line is a finite one. That line
    is the first with a date, a station and a number in it; other columns are left alone.

    Returns:
        The form, and the number and the offset (in bytes) of the first line after the header.

    Raises:
        ObservationFileError: There is no usable header, or no line that can be read.
    """
    names, after_header = _header(path, file)
    start = file.tell()
    bare = Form(len(names), _column(path, names, "date"), _column(path, names, "station"), ())
    taken = {bare.date, bare.station}
    lines = skipped = 0
    for _, _, raw in raw_lines(file, after_header):
        lines += 1
        try:
            bare.read(raw)
        except LineError:
            skipped += 1
            continue
        found = tuple(
            (index, names[index])
            for index, text in enumerate(split(raw))
            if index not in taken and names[index] and number(text) is not None
        )
        if found:
            return Form(bare.width, bare.date, bare.station, found), after_header, start
    raise ObservationFileError(path, _why_nothing(lines, skipped))


def _why_nothing(lines: int, skipped: int) -> str:
    if not lines:
        return f"has a header and no observation under it; give {_SHAPE}"
    if lines == skipped:
        return f"has {lines} lines under its header and none can be read; give {_SHAPE}"
    return f"has no column of numbers; give {_SHAPE}"


def _header(path: str | Path, file: BinaryIO) -> tuple[list[str], int]:
    """Read the first line that is not blank, and the number of the line after it."""
    for line, _, raw in raw_lines(file, 1):
        text = raw.removeprefix(_BOM)
        if not text.strip():
            continue
        try:
            fields = split(text)
        except LineError as error:
            problem = f"is no CSV text in UTF-8 (line {line} {error}); give {_SHAPE}"
            raise ObservationFileError(path, problem) from None
        names = [name.strip() for name in fields]
        _check_distinct(path, names)
        return names, line + 1
    raise ObservationFileError(path, f"is empty; give {_SHAPE}")


def _check_distinct(path: str | Path, names: Sequence[str]) -> None:
    seen = set()
    for name in filter(None, names):
        if name.lower() in seen:
            raise ObservationFileError(path, f"names the column {name} twice; rename one of them")
        seen.add(name.lower())


def _column(path: str | Path, names: Sequence[str], wanted: str) -> int:
    for index, name in enumerate(names):
        if name.lower() == wanted:
            return index
    shown = ", ".join(name or "(no name)" for name in names[:10])
    problem = f"has no column {wanted} (its first line names {shown:.200}); give {_SHAPE}"
    raise ObservationFileError(path, problem)


def raw_lines(
    file: BinaryIO, number_of_first: int, end: int | None = None
) -> Iterator[tuple[int, int, bytes]]:
    """Read lines as bytes, from where the file stands; blank ones are passed over.

    Args:
        file: The file.
        number_of_first: Number of the line that comes next.
        end: Where to stop, in bytes from the start of the file; None for its end.

    Yields:
        Number, offset in bytes, and the line with its end of line; of one that is too long its
        first `LINE_LIMIT` bytes.
    """
    line, offset = number_of_first, file.tell()
    while end is None or offset < end:
        raw = piece = file.readline(LINE_LIMIT)
        size = len(raw)
        while len(piece) == LINE_LIMIT and not piece.endswith(b"\n"):
            piece = file.readline(LINE_LIMIT)
            size += len(piece)
        if not size:
            return
        if raw.strip():
            yield line, offset, raw
        line, offset = line + 1, offset + size


def shipped_data() -> Path:
    """Find the observations that come with the package; `data/SOURCE.md` says what they are."""
    return Path(str(resources.files("apps.weather"))) / "data" / "observations.csv"
