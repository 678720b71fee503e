"""What the commands of a farm say on standard error of all that their nodes log."""

from __future__ import annotations

import logging

import click

from actormq.errors import one_line


class _Lines(logging.Handler):
    """Says what is logged, in a line each, above the bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record to what standard error is by now."""
        click.echo(one_line(record.getMessage()), err=True)


def log_warnings(*, quiet: bool) -> None:
    """Say what went wrong, and no more; if `quiet`, nothing of nodes that belong elsewhere."""
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


def say_no_more() -> None:
    """Say no warnings any more: what workers say when they are let go is no news."""
    logging.getLogger("actormq").setLevel(logging.ERROR)
