"""`actormq demo`: programs of `apps/` that show what a mesh is good for."""

from __future__ import annotations

import contextlib
import importlib
import signal
from collections.abc import Iterator
from typing import Any

import click

from actormq.cli.options import json_option
from actormq.errors import SetupError

SPEED = 150.0  # records a second and station: four years in ten seconds
NODES = 3


@click.group(
    epilog="\b\nExamples:\n  actormq demo weather\n  actormq demo farm\n"
    "  actormq demo host --seconds 10\n"
)
def demo() -> None:
    """See real data run through a few nodes on this machine."""


@demo.command(
    epilog="\b\nExamples:\n  actormq demo weather\n  actormq demo weather --speed 0 --json\n"
    "  actormq demo weather --data readings.csv --nodes 5\n"
)
@click.option(
    "--data",
    metavar="FILE",
    help="A CSV file with columns date, station and numbers; by default four years of Seattle and "
    "New York.",
)
@click.option(
    "--speed",
    type=float,
    default=SPEED,
    show_default=True,
    help="Records per second and station; 0 is as fast as it goes without losing one.",
)
@click.option(
    "--nodes",
    type=click.IntRange(1, 16),
    default=NODES,
    show_default=True,
    help="How many processes.",
)
@json_option
def weather(data: str | None, speed: float, nodes: int, as_json: bool) -> None:
    """Replay years of weather: stations, averages, extremes, a recorder and a live view."""
    with _until_ctrl_c():
        _app("apps.weather.demo").weather(data, speed, nodes, as_json)


@demo.command(epilog="\b\nExamples:\n  actormq demo host\n  actormq demo host --seconds 5 --json\n")
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), help="End after so long; else Ctrl-C."
)
@json_option
def host(seconds: float | None, as_json: bool) -> None:
    """Watch this machine: load, memory, network and temperatures, through the mesh."""
    with _until_ctrl_c():
        _app("apps.weather.demo").host(seconds, as_json)


@demo.command(
    epilog="\b\nExamples:\n  actormq demo farm\n"
    "  actormq demo farm --pictures photos --sheet contact.jpg\n"
    "  actormq demo farm --folder src --json\n"
)
@click.option(
    "--folder",
    metavar="FOLDER",
    help="Count the words of its Python files; by default those of the standard library.",
)
@click.option(
    "--pictures",
    metavar="FOLDER",
    help="Make thumbnails of its pictures, in place of counting words; needs Pillow.",
)
@click.option(
    "--sheet",
    metavar="FILE",
    help="Write a contact sheet of the thumbnails; without --pictures, some are drawn.",
)
@json_option
def farm(folder: str | None, pictures: str | None, sheet: str | None, as_json: bool) -> None:
    """Spread real work over worker nodes, kill one in the middle, and lose nothing."""
    if folder is not None and (pictures is not None or sheet is not None):
        raise click.UsageError("--folder is for words, --pictures and --sheet are for thumbnails")
    with _until_ctrl_c():
        _app("apps.farm.demo").farm(folder, pictures, sheet, as_json)


@demo.command(epilog="\b\nExamples:\n  actormq demo tour\n")
def tour() -> None:
    """Show the weather, then the farm; Ctrl-C ends both."""
    with _until_ctrl_c():
        if _app("apps.weather.demo").weather(None, SPEED, NODES, as_json=False):
            click.echo()
            _app("apps.farm.demo").farm(None, None, None, as_json=False)


@contextlib.contextmanager
def _until_ctrl_c() -> Iterator[None]:
    """Take Ctrl-C for an end like any other: who has seen enough of a demo has done nothing wrong.

    A demo that is under way shows what there is by then. This is for all that comes before it, and
    for what is cut off on its way down.
    """
    try:
        yield
    except KeyboardInterrupt:
        return
    except SystemExit as end:
        if end.code != 128 + signal.SIGINT:
            raise


def _app(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise SetupError(f"{module} is not here: install actormq with its apps") from error
