"""The kit for tests of actors; `docs/testing.md` shows how to use it.

The fixtures are in `plugin`, which pytest finds by itself and which alone imports pytest. All that
is named here works without them, under any runner of async tests; only the clock needs its loop.
"""

from actormq.events import DeadLetter
from actormq.testing.clock import Clock, ClockLoop, settled
from actormq.testing.injection import Fault, Injector, fail_at
from actormq.testing.letters import DeadLetters
from actormq.testing.logged import Logged
from actormq.testing.meshes import Mesh
from actormq.testing.probe import Probe, Received
from actormq.testing.probes import Probes
from actormq.testing.simulation import Ledger, Simulation, SimulationFailed, World, simulate
from actormq.testing.waiting import Until, until

__all__ = [
    "Clock",
    "ClockLoop",
    "DeadLetter",
    "DeadLetters",
    "Fault",
    "Injector",
    "Ledger",
    "Logged",
    "Mesh",
    "Probe",
    "Probes",
    "Received",
    "Simulation",
    "SimulationFailed",
    "Until",
    "World",
    "fail_at",
    "settled",
    "simulate",
    "until",
]
