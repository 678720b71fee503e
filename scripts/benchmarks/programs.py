"""Which programs do which works: the contestants of `scripts/bench`.

To add one: a row here, and the program in `contestants/`, which speaks what `protocol.py` says.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import works

HERE = Path(__file__).resolve().parent
PEERS = HERE.parents[1] / ".venv" / "peers"
NAMES = ("pykka", "thespian", "xoscar", "ray", "celery", "nats", "erlang", "pyro5")
ALWAYS = "limits"  # programs in C, which are measured whatever peers are named

FAR = ("far-tell", "far-ask", "far-asks")
FAN_OUT = ("fan-out", "fan-out-single")
ECHO = ("echo-1mb", "echo-64mb")
SAVINA = tuple(f"savina-{name}" for name in works.SAVINA)
LOCAL = ("local-tell", "local-ask", "spawn", "spawn-live")
MAPS = ("farm-map-1", "farm-map-10", "farm-map-100", "farm-map-1000")
SOCKETS = ("socket-push", "socket-pull", "socket-publish", "socket-request", "forwarder")
STARTS = ("start-import", "start-names", "start-node")


@dataclass(frozen=True)
class Program:
    """A program that does some works as one contestant.

    Attributes:
        name: What the contestant is called.
        path: Where it is in `contestants/`. Python runs in the environment of its peer, or in ours.
        works: What it can do.
        peer: What `install` sets up for it; none for what stands on actormq, or on Python alone.
    """

    name: str
    path: str
    works: tuple[str, ...]
    peer: str = ""

    @property
    def home(self) -> Path:
        """Where `install` has put its peer."""
        return PEERS / self.peer

    @property
    def is_installed(self) -> bool:
        """Whether it can run."""
        return not self.peer or (self.home / ".installed").exists()

    @property
    def version(self) -> str:
        """What it stands on, in words."""
        if not self.peer:
            return ""
        return (self.home / ".installed").read_text(encoding="utf-8").splitlines()[1]

    def command(self, words: Sequence[str]) -> list[str]:
        """How it is started."""
        stem, suffix = Path(self.path).stem, Path(self.path).suffix
        if suffix == ".erl":
            return ["erl", "-noshell", "-pa", str(self.home), "-s", stem, "main", "-extra", *words]
        if suffix == ".c":
            return [str(self.home / stem), *words]
        python = str(self.home / "bin" / "python") if self.peer else sys.executable
        return [python, str(HERE / "contestants" / self.path), *words]


def environment() -> dict[str, str]:
    """What all of them are given: where `protocol.py` is, and that what is compiled is kept."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(HERE), "PATH": f"{os.environ['PATH']}:/usr/sbin"}


PROGRAMS: tuple[Program, ...] = (
    Program("actormq", "actormq_local.py", LOCAL),
    Program("pykka", "pykka_local.py", LOCAL, "pykka"),
    Program("thespian", "thespian_local.py", LOCAL, "thespian"),
    Program("xoscar", "xoscar_local.py", LOCAL, "xoscar"),
    Program("erlang", "erlang/local.erl", LOCAL, "erlang"),
    Program("bare", "bare_local.py", ("local-tell", "local-ask")),
    Program("actormq", "actormq_far.py", (*FAR, "far-ask-spin", *FAN_OUT, *ECHO, "echo-1mb-tcp")),
    Program("libzmq", "limits/far.c", (*FAR, *FAN_OUT), ALWAYS),
    Program("pipe", "multiprocessing_far.py", ("far-tell",)),
    Program("erlang", "erlang/far.erl", FAR, "erlang"),
    Program("xoscar", "xoscar_far.py", FAR, "xoscar"),
    Program("pyro5", "pyro5_far.py", ("far-ask", "echo-1mb", "echo-1mb-tcp"), "pyro5"),
    Program("nats", "nats_far.py", FAN_OUT, "nats"),
    Program("ray", "ray_far.py", ECHO, "ray"),
    Program("actormq", "savina/actormq_savina.py", SAVINA),
    Program("pykka", "savina/pykka_savina.py", SAVINA, "pykka"),
    Program("thespian", "savina/thespian_savina.py", SAVINA, "thespian"),
    Program("xoscar", "savina/xoscar_savina.py", SAVINA, "xoscar"),
    Program("erlang", "erlang/savina.erl", SAVINA, "erlang"),
    Program("actormq", "actormq_farm.py", ("farm-tasks", *MAPS, "farm-naps")),
    Program("pool", "pool_farm.py", ("farm-tasks", *MAPS)),
    Program("celery", "celery_farm.py", ("farm-tasks",), "celery"),
    Program("actormq", "actormq_sockets.py", (*SOCKETS, "flood")),
    Program("pyzmq", "pyzmq_sockets.py", SOCKETS),
    Program("actormq", "actormq_start.py", STARTS),
    Program("base", "base_start.py", STARTS),
)
