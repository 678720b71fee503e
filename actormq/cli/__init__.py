"""The command line: parses, calls what is below, prints.

`main` is the command; each family of sub-commands is a module of its own.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from actormq.cli.asking import ask, ps, sub, tell
from actormq.cli.demo import demo
from actormq.cli.running import node
from actormq.errors import ActormqError, one_line


class _Group(click.Group):
    """Ends every error of ours in one sentence and a status, never in a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except ActormqError as error:
            click.echo(f"actormq: {one_line(str(error))}", err=True)
            sys.exit(1)
        except BrokenPipeError:  # whoever read our output has had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)


EXAMPLES = """\b
Examples:
  actormq demo weather
  actormq node home.toml
  actormq node apps.weather:Station --as station-98101 --arg station=98101
  actormq ps
  actormq ask average result
  actormq sub weather 98101
"""


@click.group(
    cls=_Group,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="actormq")
def main() -> None:
    """Actors on as many machines as a LAN has, over ZeroMQ, with no broker to run.

    Nodes on this machine find each other by themselves.
    """


for command in (node, ps, ask, tell, sub, demo):
    main.add_command(command)
