"""Shows each place once it was measured."""

from __future__ import annotations

import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from actormq.cli.bench.figures import Place, headline, rows
from actormq.errors import one_line

INDENT = 2  # characters, of what is below a headline


class Silent:
    """Shows nothing: all is printed in the end."""

    def begun(self, place: Place) -> None:
        """Say nothing."""

    def ended(self, place: Place) -> None:
        """Say nothing."""


class Lines:
    """Shows a table at a terminal; plain lines elsewhere, each of which says where it belongs."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    def begun(self, place: Place) -> None:
        """Say what is being measured, for whoever waits."""
        if self._console.is_terminal:
            self._print(Text(headline(place), "bold"))

    def ended(self, place: Place) -> None:
        """Show the figures, and what is missing."""
        if self._console.is_terminal:
            self._print(Padding.indent(_table(place), INDENT))
            for note in place.notes:
                self._print(Padding.indent(Text(one_line(note), "yellow"), INDENT))
        else:
            click.echo("".join(f"{line}\n" for line in plain(place)), nl=False)

    def _print(self, what: Text | Padding) -> None:
        with (
            self._console.capture() as shown
        ):  # rich ends the process in its own way at a closed pipe
            self._console.print(what)
        click.echo(shown.get(), nl=False)


def _table(place: Place) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for style, width in (("cyan", 24), ("bold", 10), ("", 0)):
        table.add_column(style=style, min_width=width)
    for what, median, span in rows(place):
        table.add_row(what, median, Text(span, "dim"))
    return table


def plain(place: Place) -> list[str]:
    """A line for each figure, then one for each thing that is missing."""
    where = headline(place)
    figures = [f"{where}: {what}: {median} ({span})" for what, median, span in rows(place)]
    return figures + [f"{where}: {one_line(note)}" for note in place.notes]
