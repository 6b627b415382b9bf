"""Synthetic traffic with known truth: what a pipeline must find in it is decided before the events are made."""

from streams.simulator.config import Noise, NoiseLevel, WorldConfig
from streams.simulator.truth import TrueBreach, TrueDeadLetter, TrueLastSeen, TrueTask, Truth
from streams.simulator.world import SimulatedEvent, SimulatedWorld, simulate

__all__ = [
    "Noise",
    "NoiseLevel",
    "SimulatedEvent",
    "SimulatedWorld",
    "TrueBreach",
    "TrueDeadLetter",
    "TrueLastSeen",
    "TrueTask",
    "Truth",
    "WorldConfig",
    "simulate",
]
