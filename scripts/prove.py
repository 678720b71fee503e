"""Runs the checks that take too long for the suite, one after another, and prints a line for each.

The suite runs the same tests with smaller figures; these are set in the environment, so that each
check can be run by hand as well, such as `ACTORMQ_KILLS=300 scripts/test tests/elsewhere -k kills`.

Exits with 1 if a check fails; what it said is in the file that its line names.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIGURES = (
    "cpu ",
    "kills ",
    "lan: ",
    "flips ",
    "farm: ",
)  # what lines begin with that tests print for those who want to know


@dataclass(frozen=True, slots=True)
class Check:
    """One of the long checks.

    Attributes:
        name: By which it is chosen.
        what: What is checked, and how often.
        command: What runs it, after the interpreter.
        environment: What says how often.
    """

    name: str
    what: str
    command: tuple[str, ...]
    environment: dict[str, str]

    def run(self, folder: Path) -> bool:
        """Run it, print its line, and say whether all went well.

        Args:
            folder: Where what it says is kept.
        """
        log = folder / f"{self.name}.log"
        begun = time.monotonic()
        with log.open("w", encoding="utf-8") as file:
            code = subprocess.run(
                [sys.executable, *self.command],
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        seconds = time.monotonic() - begun
        verdict = "ok    " if code == 0 else "FAILED"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
        # pytest writes its dots right before what a test prints.
        figures = [line.lstrip(".") for line in lines if line.lstrip(".").startswith(FIGURES)]
        said = "; ".join([*figures, lines[-1].strip("= ")]) if code == 0 else f"see {log}"
        print(f"{verdict} {self.name:12} {self.what}; {seconds:.0f} s; {said}", flush=True)
        return code == 0


def tests(*names: str) -> tuple[str, ...]:
    """A command that runs tests, with nothing of what they log."""
    return ("-m", "pytest", "-q", "-x", "-s", "--show-capture=no", "-p", "no:cacheprovider", *names)


def checks(
    examples: int,
    seeds: int,
    kills: int,
    cuts: int = 200,
    lan_kills: int = 500,
    flips: int = 10_000,
    farm_kills: int = 100,
) -> list[Check]:
    """All checks.

    Args:
        examples: Runs of each state machine.
        seeds: Simulated meshes.
        kills: Processes of an actor that are killed under load.
        cuts: Cuts of lines on LANs of seven hosts.
        lan_kills: Nodes that are killed there.
        flips: Bits in the file of a store.
        farm_kills: Workers of a farm that are killed, and a fifth as often stopped; its ventilator
            and its sink are killed a fifth as often, too.
    """
    machines = {
        "supervision": "tests/rules/test_supervision_model.py",
        "mailbox": "tests/test_mailbox_model.py",
        "lives": "tests/test_cell_model.py",
    }
    tries = {"ACTORMQ_EXAMPLES": str(examples)}
    hours = ("-o", "actormq_deadline=7200", "-o", "timeout=7200")  # s, in place of half a minute
    killed = (*hours, "tests/elsewhere/test_restarts.py", "-k", "kills")
    return [
        *(
            Check(name, f"{examples} runs of its state machine", tests(path), tries)
            for name, path in machines.items()
        ),
        Check("mutants", "all planted bugs", ("scripts/mutants.py",), {}),
        Check(
            "kills", f"{kills} kill -9 under load", tests(*killed), {"ACTORMQ_KILLS": str(kills)}
        ),
        Check(
            "simulation",
            f"{seeds} seeds of a mesh of five nodes with faults",
            tests("tests/testing/simulation/test_many_seeds.py"),
            {"ACTORMQ_SEEDS": str(seeds)},
        ),
        Check(
            "lan",
            f"{cuts} cuts and {lan_kills} kills on LANs of 7 hosts, and 30 nodes on 10 hosts",
            tests(*hours, "tests/lan/test_lan_faults.py", "tests/lan/test_lan_discovery.py"),
            {
                "ACTORMQ_LAN_HOSTS": "7",
                "ACTORMQ_LAN_CUTS": str(cuts),
                "ACTORMQ_LAN_KILLS": str(lan_kills),
                "ACTORMQ_LAN_LANS": "6",
                "ACTORMQ_LAN_PROCESSES": "30",
                "ACTORMQ_LAN_TIME": "7200",
            },
        ),
        Check(
            "store",
            f"{flips} bits that flip in the file of a durable batch",
            tests(*hours, "tests/farm/test_store_flips.py"),
            {"ACTORMQ_FLIPS": str(flips)},
        ),
        Check(
            "farm",
            f"{1_000 * farm_kills} tasks, {farm_kills} kill -9 and {farm_kills // 5} SIGSTOP of "
            f"workers, {farm_kills // 5} kills each of ventilator and sink of a durable batch",
            tests(*hours, "tests/farm/test_farm_kills.py", "tests/farm/test_farm_durable.py"),
            {
                "ACTORMQ_FARM_TASKS": str(1_000 * farm_kills),
                "ACTORMQ_FARM_KILLS": str(farm_kills),
                "ACTORMQ_FARM_STOPS": str(farm_kills // 5),
                "ACTORMQ_FARM_DURABLE_KILLS": str(farm_kills // 5),
                "ACTORMQ_FARM_TIME": "7200",
            },
        ),
        Check("storm", "1000 actors that crash always", tests("tests/test_storm.py"), {}),
    ]


def main(arguments: Sequence[str]) -> int:
    """Run the checks that were asked for."""
    parser = argparse.ArgumentParser(description="Runs the checks that take long.")
    parser.add_argument("names", nargs="*", help="which; by default all")
    parser.add_argument("--list", action="store_true", help="show them, and run none")
    parser.add_argument("--examples", type=int, default=20_000, help="runs of a machine (20000)")
    parser.add_argument("--seeds", type=int, default=5_000, help="simulated meshes (5000)")
    parser.add_argument("--kills", type=int, default=300, help="processes to kill (300)")
    parser.add_argument("--cuts", type=int, default=200, help="cuts on LANs (200)")
    parser.add_argument("--lan-kills", type=int, default=500, help="nodes to kill there (500)")
    parser.add_argument("--flips", type=int, default=10_000, help="bits of a store (10000)")
    parser.add_argument("--farm-kills", type=int, default=100, help="workers to kill (100)")
    given = parser.parse_args(arguments)
    figures = (
        *(given.examples, given.seeds, given.kills),
        *(given.cuts, given.lan_kills, given.flips, given.farm_kills),
    )
    known = {check.name: check for check in checks(*figures)}
    unknown = [name for name in given.names if name not in known]
    if unknown:
        parser.error(f"there is no check {unknown[0]!r}: take of {', '.join(known)}")
    chosen = [known[name] for name in given.names] or list(known.values())
    if given.list:
        for check in chosen:
            print(f"{check.name:12} {check.what}")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="actormq-proofs-"))
    failed = [check.name for check in chosen if not check.run(folder)]
    print(f"{len(chosen) - len(failed)} of {len(chosen)} checks hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
