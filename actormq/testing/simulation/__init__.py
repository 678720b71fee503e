"""Nodes in one thread, under virtual time, over a simulated network; see docs/simulation.md.

simulate           runs a scenario from a seed
standard           the scenario that is run unless another one is given
world              machines: start, crash, cut, heal, and what a scenario may ask
machine            one machine and its node
transport          ports, in the place of ZeroMQ's sockets
discovery          announcements, in the place of multicast DNS
network, connection    who can reach whom, how long it takes, what is lost
record             what happened
loop               virtual time
"""

from actormq.testing.simulation.simulate import Simulation, SimulationFailed, simulate
from actormq.testing.simulation.world import Ledger, World

__all__ = ["Ledger", "Simulation", "SimulationFailed", "World", "simulate"]
