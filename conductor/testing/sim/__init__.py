"""A model API on loopback that follows scripts and fails on demand: for tests, demos and work without a key."""

from conductor.testing.sim.record import Record
from conductor.testing.sim.sim import Sim

__all__ = ["Record", "Sim"]
