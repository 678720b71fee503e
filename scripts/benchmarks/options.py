"""What `scripts/bench` is told at the command line, checked."""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from goals import Work
from programs import HERE, NAMES, PROGRAMS
from works import WORKS

FOLDER = HERE.parents[1] / "docs" / "benchmarks"
ROUNDS, SECONDS = 5, 1.0
QUICK = 2, 0.3  # rounds and seconds, to see that all of it runs


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage above it."""

    def error(self, message: str) -> NoReturn:
        """End with it."""
        refuse(message)


def arguments(description: str | None) -> argparse.Namespace:
    """Read the command line.

    Returns:
        With `rounds`, `seconds`, `only` and `peers` as lists of names, `growth`, and `out`, which
        is None for a look: what is short, or beside some peers only, takes the place of nothing.
    """
    names = ", ".join(work.name for work in WORKS)
    parser = _Parser(prog="scripts/bench", description=description)
    parser.add_argument("--rounds", type=_rounds, default=ROUNDS)
    parser.add_argument("--seconds", type=_seconds, default=SECONDS, help="of a round, about")
    parser.add_argument(
        "--only", type=_words, default=[], help=f"works, or their first letters: {names}"
    )
    parser.add_argument(
        "--peers", type=_peers, default=list(NAMES), help="which, instead of all; none: no peer"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a look: short rounds, and nothing is written"
    )
    parser.add_argument(
        "--growth", action="store_true", help="how figures change with numbers and sizes, instead"
    )
    parser.add_argument(
        "--out", type=Path, help="where results are written; else docs/benchmarks, but for a look"
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = QUICK
    is_short = options.seconds < SECONDS or (options.rounds < ROUNDS and not options.growth)
    if not options.out and not is_short and set(options.peers) == set(NAMES):
        options.out = FOLDER
    if options.out:
        _check_writable(options.out)
    return options


def refuse(sentence: str) -> NoReturn:
    """End since the command cannot be: in one sentence, with the status of such mistakes."""
    print(f"bench: {sentence}", file=sys.stderr)
    sys.exit(2)


def _check_writable(folder: Path) -> None:
    """Find out before an hour of measuring, not after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        refuse(f"cannot write to {folder}: {error.strerror}")


def chosen(only: Sequence[str]) -> list[Work]:
    """The works that were asked for: `far` means all that begin so, a whole name itself alone."""
    names = {work.name for work in WORKS}
    for word in only:
        if not any(name.startswith(word) for name in names):
            refuse(
                f"--only {word}: no such work; there are {', '.join(sorted(names))}, "
                "and the curves of --growth"
            )
    return [
        work
        for work in WORKS
        if not only or any(work.name == w if w in names else work.name.startswith(w) for w in only)
    ]


def idle(peers: Sequence[str], works: Sequence[Work]) -> list[str]:
    """Peers that were asked for and can do none of the works."""
    able = {p.peer for p in PROGRAMS for work in works if work.told(p.name)[0] in p.works}
    return [name for name in peers if name not in able]


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _peers(text: str) -> list[str]:
    peers = [] if text == "none" else _words(text)
    unknown = [name for name in peers if name not in NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no such peer: {unknown[0]}; there are {', '.join(NAMES)}, or none"
        )
    return peers


def _rounds(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least 1 round")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 3_600:  # noqa: PLR2004 an hour is a slip
        raise argparse.ArgumentTypeError(
            f"{text}: a round takes more than 0 s, and an hour at most"
        )
    return seconds
