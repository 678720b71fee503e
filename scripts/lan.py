"""Makes a LAN of network namespaces on this machine, and cuts, slows and heals it.

Hosts have numbers from 1 on; host 3 has the addresses 10.77.0.3 and fd77::3. They share the
machine's files and processes, and nothing of its network.

Examples:
  lan up 3
  lan exec 1 actormq node hello:Greeter --insecure-lan
  lan exec 2 actormq ps --insecure-lan
  lan cut 1 2 && sleep 10 && lan heal
  lan down
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from lan_hosts import Lan, LanError, Shape, prefixes

NAME = "lan"  # what the command is called in what it says


def up(given: argparse.Namespace) -> None:
    """Make it, and say where its hosts are."""
    is_slow = given.slow or (given.delay, given.jitter, given.loss) != (0.0, 0.0, 0.0)
    shape = shape_of(given) if is_slow else None
    lan = Lan.up(given.count, given.prefix, shape, given.families)
    show(lan)


def shape_of(given: argparse.Namespace) -> Shape:
    """What the lines shall be like."""
    if min(given.delay, given.jitter, given.loss) < 0 or given.loss > 100:  # noqa: PLR2004 percent
        raise LanError("times are 0 ms or more, and a loss is 0 to 100 percent")
    return Shape(given.delay, given.jitter, given.loss / 100)


def down(given: argparse.Namespace) -> None:
    """Take it away, with all that runs in it."""
    Lan.found(given.prefix).down()


def cut(given: argparse.Namespace) -> None:
    """Cut a pair of hosts."""
    Lan.found(given.prefix).cut(given.one, given.other, one_way=given.one_way)


def isolate(given: argparse.Namespace) -> None:
    """Cut hosts off from all others, silently."""
    lan = Lan.found(given.prefix)
    for host in given.hosts:
        (lan.mute if given.one_way else lan.isolate)(host)


def partition(given: argparse.Namespace) -> None:
    """Cut a group off from the rest."""
    lan = Lan.found(given.prefix)
    lan.partition(given.hosts, [host for host in lan.hosts if host not in given.hosts])


def bridge(given: argparse.Namespace) -> None:
    """Leave a bridge between two halves."""
    Lan.found(given.prefix).bridge(given.hosts)


def unplug(given: argparse.Namespace) -> None:
    """Pull cables."""
    lan = Lan.found(given.prefix)
    for host in given.hosts:
        lan.unplug(host)


def block_multicast(given: argparse.Namespace) -> None:
    """Let no multicast pass."""
    Lan.found(given.prefix).block_multicast(*given.hosts)


def slow(given: argparse.Namespace) -> None:
    """Say what the lines are like."""
    Lan.found(given.prefix).slow(shape_of(given))


def heal(given: argparse.Namespace) -> None:
    """Mend everything."""
    Lan.found(given.prefix).heal()


def execute(given: argparse.Namespace) -> None:
    """Become a command on a host."""
    command = [*given.command]
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        raise LanError(f"exec {given.host}: name the command that shall run there")
    whole = Lan.found(given.prefix).command(given.host, command)
    sys.stdout.flush()
    os.execv(whole[0], whole)  # noqa: S606 that is what it is for


def listing(given: argparse.Namespace) -> None:
    """Show it."""
    if given.all:
        print(*prefixes(), sep="\n")
    else:
        show(Lan.found(given.prefix))


def show(lan: Lan) -> None:
    """Print a line for each host, and what is wrong."""
    for host in lan.hosts:
        running = ", ".join(map(str, lan.pids(host))) or "nothing"
        addresses = f"{lan.address(host)}  {lan.address(host, 6)}"
        print(f"host {host}  {lan.namespace(host)}  {addresses}  runs {running}")
    faults: dict[str, Any] = lan.switch.faults()
    for one, other in faults["cuts"]:
        print(f"cut from {one} to {other}")
    if faults["deaf"]:
        print("no multicast at", *faults["deaf"])
    if any(faults["shape"].values()):
        print("lines:", json.dumps(faults["shape"]))


def parser() -> argparse.ArgumentParser:
    """What can be said on the command line."""
    whole = argparse.ArgumentParser(
        prog=NAME, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    whole.add_argument(
        "--prefix",
        default=os.environ.get("LAN_PREFIX", "lan"),
        help="which LAN, where there are several; LAN_PREFIX is the default, or else `lan`",
    )
    verbs = whole.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run: Any, about: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=about, description=about)
        made.set_defaults(run=run)
        return made

    def lines(made: argparse.ArgumentParser) -> None:
        for name, unit in (("delay", "ms"), ("jitter", "ms"), ("loss", "percent")):
            made.add_argument(f"--{name}", type=float, default=0.0, metavar=unit.upper())

    made = verb("up", up, "make a LAN of so many hosts")
    made.add_argument("count", type=int, nargs="?", default=3)
    made.add_argument("--slow", action="store_true", help="with a switch that can be slowed later")
    made.add_argument("--families", default="46", choices=["4", "6", "46"], help="of addresses")
    lines(made)
    verb("down", down, "kill what runs in it and take it away")
    made = verb("cut", cut, "let nothing pass between two hosts")
    made.add_argument("--one-way", action="store_true", help="only from the first to the second")
    made.add_argument("one", type=int)
    made.add_argument("other", type=int)
    made = verb("isolate", isolate, "let nothing pass to and from hosts; they do not notice")
    made.add_argument("--one-way", action="store_true", help="they still hear the others")
    made.add_argument("hosts", type=int, nargs="+")
    made = verb("partition", partition, "let nothing pass between these hosts and the rest")
    made.add_argument("hosts", type=int, nargs="+")
    made = verb("bridge", bridge, "cut all but these into halves, which only these reach both")
    made.add_argument("hosts", type=int, nargs="+")
    made = verb("unplug", unplug, "pull the cables of hosts; they notice")
    made.add_argument("hosts", type=int, nargs="+")
    made = verb("block-multicast", block_multicast, "let no multicast pass, by default nowhere")
    made.add_argument("hosts", type=int, nargs="*")
    lines(verb("slow", slow, "delay and lose frames, where the LAN was made with --slow"))
    verb("heal", heal, "let everything pass again and put the cables in; slow lines stay slow")
    made = verb("exec", execute, "run a command on a host")
    made.add_argument("host", type=int)
    made.add_argument("command", nargs=argparse.REMAINDER)
    made = verb("list", listing, "show the hosts, what runs on them, and what is cut")
    made.add_argument("--all", action="store_true", help="show the prefixes of all LANs instead")
    return whole


def main(arguments: Sequence[str]) -> int:
    """Do as told; 1 if that cannot be done, in one sentence."""
    given = parser().parse_args(arguments)
    try:
        given.run(given)
    except LanError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 1
    except (BrokenPipeError, subprocess.SubprocessError) as error:
        print(f"{NAME}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
