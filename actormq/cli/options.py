"""Options that several commands share.

Those that say how a node is made reach the command as one argument, `options`: settings of a node,
without those that were not said.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from actormq.seeds import DEFAULT_PORT

Command = Callable[..., None]

_MESH = {
    "mesh": click.option("--mesh", metavar="NAME", help="Which mesh, where there are several."),
    "join": click.option(
        "--join",
        multiple=True,
        metavar="HOST[:PORT]",
        help="A node to dial, where zeroconf does not reach; may be repeated.",
    ),
    "insecure_lan": click.option(
        "--insecure-lan",
        is_flag=True,
        help="Look beyond this machine, without keys: anybody on the network takes part.",
    ),
    "lan": click.option(
        "--lan",
        is_flag=True,
        help="The mesh with keys across machines; this version does not have it yet.",
    ),
}
_PLACE = {
    "dns": click.option(
        "--dns",
        multiple=True,
        metavar="NAME",
        help="A name that DNS knows the addresses of nodes by; asked again and again, may be "
        "repeated.",
    ),
    "port": click.option(
        "--port",
        type=int,
        help=f"TCP port for other nodes; {DEFAULT_PORT} or a free one by default.",
    ),
    "no_zeroconf": click.option(
        "--no-zeroconf", is_flag=True, help="Do not look for others but with --join, --dns."
    ),
}


def guest_options(command: Command) -> Command:
    """Add `--mesh`, `--join`, `--insecure-lan`, `--lan`: which mesh, and how to reach it."""
    return _gathered(command, _MESH)


def node_options(command: Command) -> Command:
    """Add those, `--dns`, `--port` and `--no-zeroconf`: how a node that stays is found, too."""
    return _gathered(command, _MESH | _PLACE)


def _gathered(command: Command, kinds: dict[str, Callable[[Any], Any]]) -> Command:
    @functools.wraps(command)
    def gathering(**given: Any) -> None:
        said = {name: given.pop(name) for name in kinds}
        # A port may be 0, and an empty name is an error to be told of.
        options = {
            name: value
            for name, value in said.items()
            if not (value is None or value is False or value == ())
        }
        if options.pop("no_zeroconf", False):
            options["discovery"] = False
        command(options=options, **given)

    decorated: Command = gathering
    for option in reversed(kinds.values()):  # the last one that is added stands first in the help
        decorated = option(decorated)
    return decorated


name_option = click.option("--name", help="The node's name, for people.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Say only what went wrong.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Say more.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
parent_option = click.option(
    "--parent", type=int, hidden=True, help="Stop when this is no longer our parent."
)
