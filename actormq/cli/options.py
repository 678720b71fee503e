"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from actormq.seeds import DEFAULT_PORT
from actormq.settings import NodeOptions

F = TypeVar("F", bound=Callable[..., Any])


def mesh_options(command: F) -> F:
    """`--mesh`, `--join`, `--insecure-lan`, `--lan`: which mesh, and how to reach it."""
    for option in (
        click.option(
            "--lan",
            is_flag=True,
            help="The mesh with keys across machines; this version does not have it yet.",
        ),
        click.option(
            "--insecure-lan",
            is_flag=True,
            help="Look beyond this machine, without keys: anybody on the network takes part.",
        ),
        click.option(
            "--join",
            multiple=True,
            metavar="HOST[:PORT]",
            help="A node to dial, where zeroconf does not reach; may be repeated.",
        ),
        click.option("--mesh", metavar="NAME", help="Which mesh, where there are several."),
    ):
        command = option(command)
    return command


def place_options(command: F) -> F:
    """`--dns`, `--port`, `--no-zeroconf`: how a node that stays is found, and finds others."""
    for option in (
        click.option(
            "--no-zeroconf", is_flag=True, help="Do not look for others but with --join, --dns."
        ),
        click.option(
            "--port",
            type=int,
            help=f"TCP port for other nodes; {DEFAULT_PORT} or a free one by default.",
        ),
        click.option(
            "--dns",
            multiple=True,
            metavar="NAME",
            help="A name that DNS knows the addresses of nodes by; asked again and again, may be "
            "repeated.",
        ),
    ):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def node_options(
    mesh: str | None,
    join: tuple[str, ...],
    insecure_lan: bool,
    lan: bool,
    *,
    name: str | None = None,
    dns: tuple[str, ...] = (),
    port: int | None = None,
    no_zeroconf: bool = False,
) -> NodeOptions:
    """What was said on the command line, as a node's settings; what was not said is absent."""
    options = NodeOptions()
    if name is not None:
        options["name"] = name
    if dns:
        options["dns"] = dns
    if port is not None:
        options["port"] = port
    if no_zeroconf:
        options["discovery"] = False
    if mesh is not None:
        options["mesh"] = mesh
    if join:
        options["join"] = join
    if insecure_lan:
        options["insecure_lan"] = True
    if lan:
        options["lan"] = True
    return options
