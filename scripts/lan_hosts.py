"""Hosts on one machine: network namespaces, each with a network card, joined by a switch.

Host 1 of the LAN `home` is the namespace `home-1`: its `eth0` has 10.77.0.1/24 and fd77::1/64, and
multicast works. Addresses are the same in every LAN; they do not meet, for each has its own switch:

- the kernel's bridge, in the namespace `home-switch`, which costs nothing. What is cut is dropped
  there by nftables, and no host notices but by the silence;
- or a program of ours (`lan_switch.py`), which can delay and lose frames as well. `tc netem` would
  do that, where the kernel has it; containers mostly have not.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import lan_switch

HOSTS_LIMIT = 250  # of one LAN: 10.77.0.1 to 10.77.0.250
PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}\Z")
NAMESPACES = Path("/run/netns")
PATIENCE = 5.0  # s for killed processes to be gone; takes 10 ms

RULES = """
table bridge lan {
    set cuts { type ifname . ifname; }
    set deaf { type ifname; }
    chain forward {
        type filter hook forward priority 0;
        iifname . oifname @cuts drop
        iifname @deaf ip daddr 224.0.0.0/4 meta l4proto udp drop
        oifname @deaf ip daddr 224.0.0.0/4 meta l4proto udp drop
        iifname @deaf ip6 daddr ff00::/8 meta l4proto udp drop
        oifname @deaf ip6 daddr ff00::/8 meta l4proto udp drop
    }
}
"""
"""Both families and ARP are cut; where multicast is blocked, neighbours are found all the same."""

Pair = tuple[int, int]
"""From which host to which."""


class LanError(Exception):
    """What was asked for cannot be had, in a sentence with the way out."""


@dataclass(frozen=True)
class Shape:
    """What the lines of a LAN are like.

    Attributes:
        delay_ms: Of each frame, in milliseconds.
        jitter_ms: By which that varies, either way; frames of one line keep their order.
        loss: Share of the frames that is lost, 0 to 1.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0


def lack() -> str | None:
    """Say what is missing for a LAN on this machine, or None."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are a thing of Linux"
    if os.geteuid() != 0:
        return "only root can make network namespaces: try sudo"
    for tool, package in (("ip", "iproute2"), ("nft", "nftables")):
        if not _tool(tool):
            return f"there is no {tool}: on Debian and Ubuntu, apt-get install {package}"
    trial = f"lan-trial-{os.getpid()}"
    try:
        ip("netns", "add", trial)
        ip("netns", "del", trial)
    except LanError as error:
        return f"no network namespaces here: {error}"
    return None


def _tool(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def _run(tool: str, *arguments: str, text: str = "") -> str:
    path = _tool(tool)
    if path is None:
        raise LanError(lack() or f"there is no {tool}")
    done = subprocess.run(
        [path, *arguments], input=text, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise LanError(" ".join((done.stderr or done.stdout).split()) or f"{tool} failed")
    return done.stdout


def ip(*arguments: str, text: str = "") -> str:
    """What iproute2's `ip` prints.

    Raises:
        LanError: It failed; with its words.
    """
    return _run("ip", *arguments, text=text)


class Switch(Protocol):
    """What joins the hosts, and can come between them."""

    def cut(self, pairs: Iterable[Pair]) -> None:
        """Let nothing pass from these hosts to those any more."""

    def block_multicast(self, hosts: Iterable[int]) -> None:
        """Let no multicast pass to or from these hosts any more."""

    def plug(self, host: int, *, is_in: bool) -> None:
        """Put a host's cable in, or pull it out: it notices."""

    def slow(self, shape: Shape) -> None:
        """Make the lines like this from now on."""

    def heal(self) -> None:
        """Let everything pass again; cables stay as they are."""

    def faults(self) -> dict[str, Any]:
        """Tell what is cut, blocked and slowed."""

    def close(self) -> None:
        """Take it away."""


class BridgeSwitch:
    """The kernel's bridge.

    Args:
        namespace: Where it is; host 1 is at its port `h1`.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def cut(self, pairs: Iterable[Pair]) -> None:
        """Drop what passes from these hosts to those."""
        self._add("cuts", [f'"h{a}" . "h{b}"' for a, b in pairs])

    def block_multicast(self, hosts: Iterable[int]) -> None:
        """Drop multicast to and from these hosts."""
        self._add("deaf", [f'"h{host}"' for host in hosts])

    def _add(self, name: str, elements: Sequence[str]) -> None:
        if elements:
            self._nft(f"add element bridge lan {name} {{ {', '.join(elements)} }}")

    def plug(self, host: int, *, is_in: bool) -> None:
        """Give a line its carrier, or take it."""
        ip("-n", self._namespace, "link", "set", f"h{host}", "up" if is_in else "down")

    def slow(self, shape: Shape) -> None:
        """Delay and lose frames, if it can."""
        if shape != Shape():
            raise LanError(
                "the kernel's bridge neither delays nor loses: make the LAN with `up --slow`, "
                "whose switch can"
            )

    def heal(self) -> None:
        """Drop nothing more."""
        self._nft("flush set bridge lan cuts\nflush set bridge lan deaf")

    def faults(self) -> dict[str, Any]:
        """Tell what is cut, blocked and slowed."""
        found = {"cuts": self._elements("cuts"), "deaf": self._elements("deaf")}
        return {
            "cuts": sorted((int(a[1:]), int(b[1:])) for a, b in found["cuts"]),
            "deaf": sorted(int(port[1:]) for (port,) in found["deaf"]),
            "shape": asdict(Shape()),
        }

    def _elements(self, name: str) -> list[list[str]]:
        said = json.loads(self._nft("", "-j", "list", "set", "bridge", "lan", name))
        (found,) = (item["set"] for item in said["nftables"] if "set" in item)
        return [e["concat"] if isinstance(e, dict) else [e] for e in found.get("elem", [])]

    def _nft(self, text: str, *arguments: str) -> str:
        command = ("netns", "exec", self._namespace, _tool("nft") or "nft")
        return ip(*command, *(arguments or ("-f", "-")), text=text)

    def close(self) -> None:
        """Its namespace goes, and it goes along."""


class ProgramSwitch:
    """Our own program, which is told on a socket what to do.

    Args:
        prefix: That of the LAN.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def cut(self, pairs: Iterable[Pair]) -> None:
        """Drop what passes from these hosts to those."""
        self._tell("cut", pairs=list(pairs))

    def block_multicast(self, hosts: Iterable[int]) -> None:
        """Drop multicast to and from these hosts."""
        self._tell("block_multicast", hosts=list(hosts))

    def plug(self, host: int, *, is_in: bool) -> None:
        """Give a line its carrier, or take it."""
        self._tell("plug", host=host, is_in=is_in)

    def slow(self, shape: Shape) -> None:
        """Delay and lose frames, if it can."""
        self._tell("slow", **asdict(shape))

    def heal(self) -> None:
        """Drop nothing more."""
        self._tell("heal")

    def faults(self) -> dict[str, Any]:
        """Tell what is cut, blocked and slowed."""
        return self._tell("faults")

    def close(self) -> None:
        """End it, if it runs."""
        with contextlib.suppress(LanError):  # it has gone already
            self._tell("close")

    def _tell(self, verb: str, **what: Any) -> dict[str, Any]:
        try:
            return lan_switch.tell(self._prefix, {"verb": verb, **what})
        except OSError as error:
            raise LanError(
                f"the switch of LAN {self._prefix!r} does not answer: make it anew with "
                "`down` and `up`"
            ) from error


class Lan:
    """One LAN that is there.

    Args:
        prefix: What its namespaces begin with.
        hosts: Their numbers.
        switch: What joins them.
    """

    def __init__(self, prefix: str, hosts: Sequence[int], switch: Switch) -> None:
        self.prefix = prefix
        self.hosts = list(hosts)
        self.switch = switch

    # -- life ---------------------------------------------------------------------------------

    @classmethod
    def up(
        cls, count: int, prefix: str = "lan", shape: Shape | None = None, families: str = "46"
    ) -> Lan:
        """Make one.

        Args:
            count: Hosts.
            prefix: What its namespaces shall begin with.
            shape: Of its lines; with one, even of no delay, the switch is a program.
            families: Which addresses the hosts have: 4, 6 or both.

        Raises:
            LanError: It is there already, or cannot be made; nothing is left of it then.
        """
        _check_new(count, prefix)
        hosts = range(1, count + 1)
        by_program = shape is not None
        lan = cls(prefix, hosts, _switch_of(prefix, by_program=by_program))
        made = [*(() if by_program else (f"{prefix}-switch",)), *map(lan.namespace, hosts)]
        ip("netns", "add", made[0])  # two that make the same one at once: the second fails here
        try:
            ip("-batch", "-", text="".join(f"netns add {name}\n" for name in made[1:]))
            if by_program:
                lan_switch.start(prefix, count)
            else:
                lan._wire()
            for host in hosts:
                ip("-n", lan.namespace(host), "-batch", "-", text=_card(host, families))
            if shape is not None:
                lan.switch.slow(shape)
        except (LanError, OSError) as error:
            lan.down()
            raise LanError(f"cannot make LAN {prefix!r}: {error}") from error
        return lan

    def _wire(self) -> None:
        """Make the bridge, and a line from it to each host."""
        namespace = f"{self.prefix}-switch"
        lines = ["link add br0 type bridge mcast_snooping 0", "link set br0 up"]
        for host in self.hosts:
            lines += [
                f"link add h{host} type veth peer name eth0 netns {self.namespace(host)}",
                f"link set h{host} master br0 up",
            ]
        ip("-n", namespace, "-batch", "-", text="\n".join(lines) + "\n")
        ip("netns", "exec", namespace, _tool("nft") or "nft", "-f", "-", text=RULES)

    @classmethod
    def found(cls, prefix: str = "lan") -> Lan:
        """Take hold of one that was made before.

        Raises:
            LanError: There is none.
        """
        names = existing(prefix)
        if not names:
            raise LanError(f"there is no LAN {prefix!r}: make one with `up`")
        by_program = f"{prefix}-switch" not in names
        hosts = sorted(int(name.rpartition("-")[2]) for name in names if name[-1].isdigit())
        return cls(prefix, hosts, _switch_of(prefix, by_program=by_program))

    def down(self) -> None:
        """Kill what runs in it and take it away; what is away already is no error."""
        names = existing(self.prefix)
        _kill([pid for name in names for pid in _pids(name)])
        self.switch.close()
        for name in names:
            with contextlib.suppress(LanError):
                ip("netns", "del", name)

    # -- hosts --------------------------------------------------------------------------------

    def namespace(self, host: int) -> str:
        """The network namespace that a host is."""
        return f"{self.prefix}-{host}"

    def address(self, host: int, family: int = 4) -> str:
        """The address of a host, in family 4 or 6."""
        return f"10.77.0.{host}" if family == 4 else f"fd77::{host}"  # noqa: PLR2004 as IP counts

    def command(self, host: int, command: Sequence[str]) -> list[str]:
        """What runs a command on a host; the process is the command's own, not a parent of it.

        Raises:
            LanError: There is no such host.
        """
        self._check(host)
        return [_tool("ip") or "ip", "netns", "exec", self.namespace(host), *command]

    def pids(self, host: int) -> list[int]:
        """The processes that run on a host."""
        self._check(host)
        return _pids(self.namespace(host))

    def _check(self, *hosts: int) -> None:
        for host in hosts:
            if host not in self.hosts:
                raise LanError(f"LAN {self.prefix!r} has hosts 1 to {len(self.hosts)}, not {host}")

    # -- faults -------------------------------------------------------------------------------

    def cut(self, one: int, other: int, *, one_way: bool = False) -> None:
        """Let nothing pass between two hosts, or only nothing from `one` to `other`."""
        self._check(one, other)
        self.switch.cut([(one, other)] if one_way else [(one, other), (other, one)])

    def isolate(self, host: int) -> None:
        """Let nothing pass to and from a host; its card does not notice."""
        self._check(host)
        self.partition([host], [other for other in self.hosts if other != host])

    def partition(self, *groups: Collection[int]) -> None:
        """Let nothing pass between hosts of different groups."""
        self._check(*itertools.chain(*groups))
        self.switch.cut(
            pair
            for one, other in itertools.permutations(groups, 2)
            for pair in itertools.product(one, other)
        )

    def bridge(self, middle: Collection[int]) -> None:
        """Cut the LAN in two halves that only these hosts reach both."""
        self._check(*middle)
        rest = [host for host in self.hosts if host not in middle]
        self.partition(rest[: len(rest) // 2], rest[len(rest) // 2 :])

    def mute(self, host: int) -> None:
        """Let nothing pass from a host; it hears the others, and none hears it."""
        self._check(host)
        self.switch.cut((host, other) for other in self.hosts if other != host)

    def unplug(self, host: int) -> None:
        """Pull a host's cable; it notices."""
        self._check(host)
        self.switch.plug(host, is_in=False)

    def block_multicast(self, *hosts: int) -> None:
        """Let no multicast pass to or from these hosts; from and to all, if none is named."""
        self._check(*hosts)
        self.switch.block_multicast(hosts or self.hosts)

    def slow(self, shape: Shape) -> None:
        """Make the lines like this from now on.

        Raises:
            LanError: The LAN was made without a shape.
        """
        self.switch.slow(shape)

    def heal(self) -> None:
        """Mend what was cut, blocked and unplugged; the lines stay as slow as they are."""
        for host in self.hosts:
            self.switch.plug(host, is_in=True)
        self.switch.heal()

    def mend(self) -> None:
        """Mend what was cut and blocked, in one step: cables stay as they are."""
        self.switch.heal()


def _check_new(count: int, prefix: str) -> None:
    """See whether there can be such a LAN."""
    why = lack()
    if why is not None:
        raise LanError(why)
    if not 1 <= count <= HOSTS_LIMIT:
        raise LanError(f"{count} hosts: a LAN has 1 to {HOSTS_LIMIT}")
    if not PREFIX.match(prefix):
        raise LanError(f"prefix {prefix!r}: take letters, digits and -, 63 at most")
    if existing(prefix):
        raise LanError(f"there is a LAN {prefix!r} already: take it `down`, or another --prefix")


def _switch_of(prefix: str, *, by_program: bool) -> Switch:
    return ProgramSwitch(prefix) if by_program else BridgeSwitch(f"{prefix}-switch")


def _card(host: int, families: str) -> str:
    """Set up loopback and the network card of a host; for `ip -batch`."""
    lines = ["link set lo up"]
    if "4" in families:
        lines.append(f"addr add 10.77.0.{host}/24 dev eth0")
    if "6" in families:
        lines.append(f"addr add fd77::{host}/64 dev eth0 nodad")
    return "\n".join([*lines, "link set eth0 up", ""])


# -- what is there ----------------------------------------------------------------------------


def existing(prefix: str) -> list[str]:
    """The namespaces of a LAN that are there."""
    own = re.compile(rf"{re.escape(prefix)}-(\d+|switch)\Z")
    return [name for name in _namespaces() if own.match(name)]


def prefixes() -> list[str]:
    """The LANs of this machine."""
    own = re.compile(r"(.+)-1\Z")
    return sorted(found[1] for found in map(own.match, _namespaces()) if found)


def _namespaces() -> list[str]:
    try:
        return sorted(path.name for path in NAMESPACES.iterdir())
    except OSError:  # there never was one
        return []


def _pids(namespace: str) -> list[int]:
    try:
        return [int(pid) for pid in ip("netns", "pids", namespace).split()]
    except LanError:
        return []  # it went away meanwhile


def _kill(pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + PATIENCE
    while any(_is_running(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.01)


def _is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"  # one that its parent has not looked after


def sweep(family: str) -> list[str]:
    """Take down the LANs `FAMILY-PID-...` whose maker, process PID, is no more.

    Args:
        family: What the prefixes of a program that calls this begin with.

    Returns:
        Their prefixes.
    """
    own = re.compile(rf"{re.escape(family)}-(\d+)(-.+)?\Z")
    left = [
        prefix
        for prefix in prefixes()
        if (found := own.match(prefix)) and not Path(f"/proc/{found[1]}").exists()
    ]
    for prefix in left:
        Lan.found(prefix).down()
    return left
