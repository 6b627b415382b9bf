"""More plate reads than the gate can take: reports must not wait for them, and none may be lost.

The reads are in the topic before the gate starts, so for as long as any are left it works as fast as it can.
"""

import asyncio
from dataclasses import dataclass

from streams.bench.assess import load_orders
from streams.bench.gate import JUDGED, fill
from streams.bench.ground import Ground
from streams.bench.latency import WARM_UP, Percentiles, hops, in_turn


@dataclass(frozen=True)
class OverloadFigures:
    """What reports did while so many reads waited."""

    reads: int
    left: int
    """Reads that were still waiting when the last report was a task."""
    gate_mb: float
    worker_mb: float
    ours: Percentiles
    floor: Percentiles

    @property
    def ratio(self) -> float:
        """Of the 99th percentiles."""
        return self.ours.p99 / self.floor.p99


def measure(ground: Ground, reads: int, count: int) -> OverloadFigures:
    """`count` reports, and as many messages over bare hops, while a gate works through `reads` reads."""
    settings = ground.settings("overload")
    ground.say(f"overload: putting {reads:,} reads into their topic")
    load_orders(ground, settings, count + WARM_UP)
    asyncio.run(fill(settings, 100, reads, seed=1))
    with ground.running(settings, "worker", "--name", "bench") as worker:
        ground.until(lambda: worker.ready, "the worker is ready", worker)
        with hops(ground, settings, "overload") as topics, ground.running(settings, "gate") as gate:
            ground.until(lambda: gate.total(JUDGED) > 0, "the gate has begun", gate)
            ours, floors, _ = asyncio.run(in_turn(settings, topics, count))
            left, memory = reads - int(gate.total(JUDGED)), gate.memory_mb
            ground.until(lambda: gate.total(JUDGED) >= reads, "all reads are judged", gate)
            found = OverloadFigures(
                reads,
                left,
                max(memory, gate.memory_mb),
                worker.memory_mb,
                Percentiles.of(ours),
                Percentiles.of(floors),
            )
    ground.say(f"overload: {found.ours} while {left:,} of {reads:,} reads waited; bare hops {found.floor}")
    return found
