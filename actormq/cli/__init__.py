"""The command line: parses, calls what is below, prints.

`main` is the command; each family of sub-commands is a module of its own.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import UserDict
from importlib import import_module
from typing import Any, NoReturn

import click

from actormq.errors import ActormqError, one_line
from actormq.interrupts import ending_at_once


class _Commands(UserDict[str, Any]):
    """The commands by name; each is imported once it is wanted, for together they take too long."""

    def __getitem__(self, name: str) -> click.Command:
        with ending_at_once():
            module = import_module(f"actormq.cli.{self.data[name]}")
        command: click.Command = getattr(module, name)
        return command


COMMANDS = _Commands(
    ask="asking",
    bench="bench",
    demo="demo",
    device="device",
    doctor="doctor",
    drain="draining",
    farm="farm",
    lint="lint",
    node="running",
    ps="asking",
    sub="asking",
    tell="asking",
)
"""Each is the function of its name in this module of the folder."""


class _Group(click.Group):
    """Ends every error of ours in one sentence and a status, never in a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read our output has had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        return result

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        _fill_gaps()
        try:
            status = super().main(*args, **{**kwargs, "standalone_mode": False})
        except ActormqError as error:
            _fail(str(error), 1)
        except click.ClickException as error:
            _fail(_mistake(error), error.exit_code)
        except click.Abort:  # Ctrl-C
            sys.exit(128 + signal.SIGINT)
        sys.exit(status or 0)


def _fill_gaps() -> None:
    """Open what was closed of the first three descriptors.

    A socket would get such a number, and every process that we start would take it for its own
    standard error.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            os.set_inheritable(number, True)  # noqa: FBT003 it takes no keywords


def _fail(sentence: str, status: int) -> NoReturn:
    click.echo(f"actormq: {one_line(sentence)}", err=True)
    sys.exit(status)


def _mistake(error: click.ClickException) -> str:
    """What is wrong with a command, and where to read how it is meant."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return error.format_message()
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        error.show()  # it is the help itself: a group was called without a command
        sys.exit(error.exit_code)
    wrong = error.format_message().rstrip(".").replace(". Did you mean", ", did you mean")
    see = " See" if wrong.endswith("?") else ": see"
    return f"{wrong}{see} `{context.command_path} --help`"


EXAMPLES = """\b
Examples:
  actormq demo weather
  actormq node home.toml
  actormq node apps.weather:Station --as station-98101 --arg station=98101
  actormq ps
  actormq ask average result
  actormq sub weather 98101
  actormq farm run apps.farm.words:count actormq/*.py --out words.jsonl
  actormq farm worker
  actormq drain roof
  actormq device forwarder --frontend tcp://*:5556 --backend tcp://*:8100
  actormq lint home.toml
  actormq doctor
  actormq bench
"""


@click.group(
    cls=_Group,
    commands=COMMANDS,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="actormq")
def main() -> None:
    """Actors on as many machines as a LAN has, over ZeroMQ, with no broker to run.

    Nodes on this machine find each other by themselves.
    """
