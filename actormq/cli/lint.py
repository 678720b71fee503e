"""`actormq lint`: what is wrong with the sockets of topology files, before anything starts."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from actormq.blueprint import read
from actormq.cli.options import json_option
from actormq.rules.lint import findings


@click.command(
    epilog="\b\nExamples:\n  actormq lint home.toml\n  actormq lint farm.toml workers.toml\n"
    "  actormq lint home.toml --json | jq '.findings[].sentence'\n"
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@json_option
def lint(files: tuple[str, ...], as_json: bool) -> None:
    """Check the sockets of topology files: do those that meet go together?

    Files given together are taken for nodes of one system. Nothing is started, only the modules
    of the actors are imported; - is standard input. The exit status is 1 if something is wrong.

    Told are sockets that meet and cannot talk (PUSH and SUB, or other codecs), two that bind the
    same endpoint, two that connect where one of them should bind, subscribers without a
    subscription, routers that never answer and pairs of three.
    """
    named: dict[Path, str] = {}
    for file in files:  # one that is named twice is one
        named.setdefault(Path(file).resolve(), file)
    plans = {"standard input" if file == "-" else file: read(file) for file in named.values()}
    found = findings([plan for group in plans.values() for plan in group])
    if as_json:
        counts = [{"file": file, "sockets": len(group)} for file, group in plans.items()]
        click.echo(msgspec.json.encode({"files": counts, "findings": found}))
    elif found:
        click.echo("\n".join(map(str, found)))
    else:
        for file, group in plans.items():
            many = "" if len(group) == 1 else "s"
            click.echo(f"{file}: {len(group)} socket{many}, nothing to complain of")
    if found:
        click.get_current_context().exit(1)
