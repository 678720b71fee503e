"""What commands say on standard error of all that their nodes log."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

import click

from actormq.errors import one_line

STAMPED = "%(asctime)s %(levelname)-7s %(message)s"


def log_for_people(
    *,
    quiet: bool,
    verbose: bool = False,
    shown: Callable[[logging.LogRecord], bool] | None = None,
) -> None:
    """Let a node that stays say what it does; all of it, or what is `shown`."""
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    handler = logging.StreamHandler()
    if shown is not None:
        handler.addFilter(shown)
    logging.basicConfig(level=level, format=STAMPED, handlers=[handler])
    logging.getLogger("asyncio").setLevel(logging.WARNING)


class _Lines(logging.Handler):
    """Says what is logged, in a line each, above the bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record to what standard error is by now."""
        click.echo(one_line(record.getMessage()), err=True)


def log_warnings(*, quiet: bool) -> None:
    """Say what went wrong with a farm, and no more; if `quiet`, nothing of nodes of others."""
    lines = _Lines()
    lines.addFilter(is_of_farms)
    if quiet:
        lines.addFilter(lambda record: record.name != "actormq.peers")
    logging.basicConfig(level=logging.WARNING, handlers=[lines])


def is_of_farms(record: logging.LogRecord) -> bool:
    """Whether a record tells what farms do, or what went wrong with their nodes.

    A farm misses by itself what was lost on its way: a letter to a worker that has just left is
    nothing that anybody need know of.
    """
    if record.name == "actormq":
        return record.levelno >= logging.WARNING
    return record.name != "actormq.letters"


@contextlib.contextmanager
def hushed(level: int = logging.ERROR) -> Iterator[None]:
    """Say nothing below this level meanwhile: it is no news, or the command has better words.

    Args:
        level: Of `logging`; from it on records are written as ever.
    """
    loggers = [logging.getLogger(name) for name in ("actormq", "zeroconf")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, was in zip(loggers, before, strict=True):
            logger.setLevel(was)
