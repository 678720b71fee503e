"""Finds the lines of one station without reading the rest of the file again.

Many stations are replayed from one file, one actor each. One pass over the file notes for each
station between which bytes its lines lie; a file that is sorted by station is then read once in
all, however many actors share it, and in any other the lines of others are told by a search for
the name, which costs a tenth of reading them.
"""

import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from apps.weather.messages import Observation
from apps.weather.observations import (
    LineError,
    ObservationFileError,
    Skipped,
    entries,
    opened,
    raw_lines,
    read_form,
)

EXAMPLE_LIMIT = 20  # skipped lines that are kept word for word; the rest is counted
SHOWN_LIMIT = 10  # stations that an error names before it says how many more there are
CACHE_LIMIT = 4  # indexes kept; a node replays one file, a test a few

# The zip codes of the shipped stations, for those who know the weather by its number.
ALIASES: Mapping[str, str] = {"98101": "Seattle", "10001": "New York"}


@dataclass(slots=True)
class Extent:
    """Where the observations of one station lie.

    Attributes:
        start: Where its first line begins, in bytes from the start of the file.
        end: Where its last line has ended, in bytes.
        line: Number of its first line.
        observations: Lines of it that can be read, a count.
        skipped: Lines of it that cannot, a count.
    """

    start: int = 0
    end: int = 0
    line: int = 0
    observations: int = 0
    skipped: int = 0


@dataclass(slots=True)
class Index:
    """The stations of a file.

    Attributes:
        path: The file.
        stations: Those with at least one observation, in the file's order.
        observations: Lines that can be read, a count.
        skipped: Lines that cannot be read, a count; some may name no station.
        examples: The first of the skipped lines.
    """

    path: Path
    stations: dict[str, Extent] = field(default_factory=dict)
    observations: int = 0
    skipped: int = 0
    examples: list[Skipped] = field(default_factory=list)

    def find(self, station: str) -> str:
        """Give the name that the file has for a station.

        Args:
            station: That name, or a zip code out of `ALIASES`.

        Raises:
            ObservationFileError: The file has no such station.
        """
        for name in (station, ALIASES.get(station, station)):
            if name in self.stations:
                return name
        names = sorted(self.stations)
        shown = ", ".join(names[:SHOWN_LIMIT])
        if len(names) > SHOWN_LIMIT:
            shown += f" and {len(names) - SHOWN_LIMIT} more"
        raise ObservationFileError(
            self.path, f"has no station {station!r}; choose one of those it has: {shown}"
        )

    def read(self, station: str) -> Generator[Observation, None, None]:
        """Read the observations of one station, in the file's order; skipped lines are left out.

        Raises:
            ObservationFileError: The file has no such station, or can no longer be read.
        """
        name = self.find(station)
        extent = self.stations[name]
        # Quotes are doubled inside a quoted field: such a name does not stand there as it is.
        needle = b"" if '"' in name else name.encode()
        with opened(self.path) as file:
            form, _, _ = read_form(self.path, file)
            file.seek(extent.start)
            for _, _, raw in raw_lines(file, extent.line, extent.end):
                if needle not in raw:
                    continue
                try:
                    observation = form.read(raw)
                except LineError:
                    continue  # the index has counted it
                if observation.station == name:
                    yield observation


def build(path: str | Path) -> Index:
    """Pass over a file once and note where its stations are.

    Raises:
        ObservationFileError: The file as a whole is of no use.
    """
    index = Index(Path(path))
    extents: dict[str, Extent] = {}
    for entry in entries(path):
        content = entry.content
        if isinstance(content, Skipped):
            index.skipped += 1
            if content.station:
                extents.setdefault(content.station, Extent()).skipped += 1
            if len(index.examples) < EXAMPLE_LIMIT:
                index.examples.append(content)
            continue
        extent = extents.setdefault(content.station, Extent())
        if not extent.observations:
            extent.start, extent.line = entry.start, entry.line
        extent.end = entry.end
        extent.observations += 1
        index.observations += 1
    index.stations = {name: extent for name, extent in extents.items() if extent.observations}
    return index


_lock = threading.Lock()  # the second of two actors that start at once waits for the first's pass
_kept: dict[tuple[Path, int, int], Index] = {}


def index_of(path: str | Path) -> Index:
    """Give the index of a file, built at the first call and kept while the file stays as it is.

    It reads the whole file: call it from a thread.

    Raises:
        ObservationFileError: The file as a whole is of no use.
    """
    with _lock:
        with opened(path):
            where = Path(path).resolve()
            facts = where.stat()
        key = (where, facts.st_size, facts.st_mtime_ns)
        if key not in _kept:
            while len(_kept) >= CACHE_LIMIT:
                del _kept[next(iter(_kept))]
            _kept[key] = build(path)
        return _kept[key]
