"""`actormq doctor`: why machines do not see each other, and what to do about it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import click
import msgspec

from actormq.cli.options import guest_options, json_option
from actormq.cli.said import hushed
from actormq.errors import one_line
from actormq.message import PROTOCOL
from actormq.rules.admission import LAN
from actormq.rules.diagnosis import State, Verdict, would_form
from actormq.rules.findings import Intent
from actormq.settings import NodeOptions, checked

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

COLOURS = {State.OK: "green", State.WARNING: "yellow", State.PROBLEM: "bold red"}
STATE_WIDTH, CHECK_WIDTH = 7, 16  # characters of the columns; a longer check pushes what follows
LONG = 10_000  # characters: where nobody looks, a line is a line, for whoever searches in them


@click.command(
    epilog="\b\nExamples:\n  actormq doctor\n  actormq doctor --insecure-lan\n"
    "  actormq doctor --insecure-lan roof.local\n"
    "  actormq doctor --insecure-lan 192.168.1.20 --json | jq '.checks[].fix'\n"
)
@click.argument("hosts", nargs=-1, metavar="[HOST[:PORT]]...")
@guest_options
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="TCP port of nodes here.")
@json_option
def doctor(
    hosts: tuple[str, ...],
    options: NodeOptions,
    port: int,
    as_json: bool,
) -> None:
    """Say why nodes do not find each other, and what to do about it.

    Without HOST this machine is looked at; with HOST, also whether a node there and one here would
    be in one mesh. Give the options that your nodes are started with. With HOST, have a node run
    there: `actormq node --insecure-lan` is enough.

    Nodes are started for some seconds, to see what they see; with HOST, one in the mesh of the node
    there. It takes 10 s at most. The exit status is 0 only if a mesh would form.
    """
    from actormq.doctor.examination import Examination  # noqa: PLC0415 costs what nodes cost
    from actormq.doctor.trial import loopback_scope  # noqa: PLC0415

    checked(options)
    join, insecure_lan = options.get("join", ()), options.get("insecure_lan", False)
    scope = LAN if insecure_lan else loopback_scope()
    intent = Intent(options.get("mesh"), insecure_lan, bool(join), scope, PROTOCOL)
    examination = Examination(intent, list(dict.fromkeys([*hosts, *join])), port)
    with hushed(logging.CRITICAL):  # what goes wrong is what we are here to say, in better words
        verdicts = [_shown(verdict) for verdict in asyncio.run(examination.run())]
    is_well = would_form(verdicts)
    if as_json:
        click.echo(msgspec.json.encode({"would_form": is_well, "checks": verdicts}))
    else:
        _print(verdicts, is_local=not (hosts or join or insecure_lan))
    if not is_well:
        click.get_current_context().exit(1)


def _shown(verdict: Verdict) -> Verdict:
    """Without what a terminal would obey: names and sentences come from elsewhere."""
    return Verdict(
        one_line(verdict.check),
        verdict.state,
        one_line(verdict.found),
        one_line(verdict.cause),
        one_line(verdict.fix),
        one_line(verdict.host),
    )


def _print(verdicts: Sequence[Verdict], *, is_local: bool) -> None:
    """A line for each check, and below it what to do where something is wrong."""
    from rich.console import Console  # noqa: PLC0415 rich costs 0.1 s
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = LONG
    with console.capture() as shown:  # rich ends the process in its own way at a closed pipe
        for host, group in groupby(verdicts, lambda verdict: verdict.host):
            console.print(Text(host or "this machine", "bold"))
            for verdict in group:
                for first, second, text in _rows(verdict):
                    console.print(_row(verdict.state, first, second, text))
        console.print(_summary(verdicts, is_local=is_local))
    click.echo("\n".join(line.rstrip() for line in shown.get().splitlines()))


def _rows(verdict: Verdict) -> Iterator[tuple[str, str, str]]:
    yield verdict.state, verdict.check, verdict.found
    if verdict.cause:
        yield "", "", f"why: {verdict.cause}"
    if verdict.fix:
        yield "", "", f"do:  {verdict.fix}"


def _row(state: State, first: str, second: str, text: str) -> Table:
    """Columns whose last one is wrapped within itself."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    row = Table.grid(padding=(0, 0, 0, 2))
    row.add_column(width=STATE_WIDTH)
    row.add_column(width=max(CHECK_WIDTH, len(second)))
    row.add_column(overflow="fold")
    row.add_row(Text(first, COLOURS[state]), Text(second), Text(text))
    return row


def _summary(verdicts: Sequence[Verdict], *, is_local: bool) -> Text:
    from rich.text import Text  # noqa: PLC0415

    if would_form(verdicts):
        words = " on this machine; across machines nodes need --insecure-lan" if is_local else ""
        return Text(f"A mesh would form{words}.", COLOURS[State.OK])
    count = sum(verdict.state is State.PROBLEM for verdict in verdicts)
    many = "s" if count != 1 else ""
    return Text(f"No mesh would form: {count} problem{many}.", COLOURS[State.PROBLEM])
