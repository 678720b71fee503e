"""`actormq farm`: work for all cores of all machines, from the command line.

| Module | Holds |
| --- | --- |
| run, batch | `farm run`: its options, and one run of it |
| inputs, done | what is given, and what of it is done already |
| results | lines of JSON, written and found again |
| bar, words | how far it is, drawn and said |
| worker | `farm worker` |
| status, meshes, asked, tables | `farm status` |
"""

from __future__ import annotations

import click

from actormq.cli.farm.run import run
from actormq.cli.farm.status import status
from actormq.cli.farm.worker import worker


@click.group(
    epilog="\b\nExamples:\n"
    "  actormq farm run apps.farm.words:count actormq/*.py --out words.jsonl\n"
    "  actormq farm worker\n  actormq farm status --watch\n"
)
def farm() -> None:
    """Spread tasks over the cores of this machine, and of all that join."""


for command in (run, worker, status):
    farm.add_command(command)
