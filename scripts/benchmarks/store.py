"""The raw figures of all works, as JSON; a run replaces those of its own works only."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tornado
import zmq
from contest import Outcome

Record = dict[str, Any]
Records = dict[str, Record]


def load() -> float:
    """How many processes wanted a core, over the last minute."""
    return round(os.getloadavg()[0], 2)


def machine() -> Record:
    """Facts on the machine and on what all stands on."""
    return {
        "cores": os.cpu_count(),
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "pyzmq": zmq.pyzmq_version(),
        "libzmq": zmq.zmq_version(),
        "tornado": tornado.version,
        "commit": _commit(),
    }


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def record(
    outcome: Outcome, seconds: float, versions: Mapping[str, str], loads: tuple[float, float]
) -> Record:
    """What a work gave, with all that is needed to judge it.

    Args:
        outcome: Its rounds.
        seconds: The length of a round.
        versions: Of the peers, by contestant.
        loads: Before and after.
    """
    return {
        "when": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "machine": machine(),
        "load": {"before": loads[0], "after": loads[1]},
        "seconds": seconds,
        "versions": {name: text for name, text in versions.items() if text},
        "rounds": outcome.rounds,
        "left_out": outcome.left_out,
    }


def read(path: Path) -> Records:
    """What is there; nothing where there is no file."""
    if not path.exists():
        return {}
    records: Records = json.loads(path.read_text(encoding="utf-8"))
    return records


def write(path: Path, records: Records) -> None:
    """Write it, a line for each round, so that a change of one work is seen as such."""
    path.write_text(_dumped(records) + "\n", encoding="utf-8")


def _dumped(value: Any, indent: int = 0, depth: int = 3) -> str:
    """As `json.dumps` with an indent down to some depth, and in one line below."""
    if not isinstance(value, dict | list) or not value or depth < 0:
        return json.dumps(value, ensure_ascii=False)
    pad = "\n" + " " * (indent + 1)
    if isinstance(value, list):
        inner = [_dumped(each, indent + 1, depth - 1) for each in value]
        return "[" + pad + ("," + pad).join(inner) + "\n" + " " * indent + "]"
    inner = [
        f"{json.dumps(key, ensure_ascii=False)}: {_dumped(each, indent + 1, depth - 1)}"
        for key, each in value.items()
    ]
    return "{" + pad + ("," + pad).join(inner) + "\n" + " " * indent + "}"
