"""What users test their actors with."""

from actormq.testing.simulation import Ledger, Simulation, SimulationFailed, World, simulate

__all__ = ["Ledger", "Simulation", "SimulationFailed", "World", "simulate"]
