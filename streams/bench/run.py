"""All measurements in one run on one broker, as text, as one JSON object, and against the run before."""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psutil  # type: ignore[import-untyped]

from streams.bench import assess, gate, growth, latency, overload
from streams.bench.assess import AssessFigures
from streams.bench.gate import GateFigures
from streams.bench.ground import Say, ground
from streams.bench.growth import ByOrders, ByProcesses
from streams.bench.latency import LatencyFigures
from streams.bench.overload import OverloadFigures
from streams.errors import BreachwatchError

RATIO_PARTS = ("gate", "assess", "latency", "overload")
PARTS = (*RATIO_PARTS, "growth")
RATIOS = ("gate_ratio", "assess_ratio", "latency_ratio")


@dataclass(frozen=True)
class Size:
    """How much each part is given."""

    orders: int = 50_000
    reads: int = 400_000
    subjects: int = 1000
    fixes: int = 10_000
    reports: int = 300
    rates: tuple[int, ...] = (0, 1000, 5000)
    waiting_reads: int = 1_500_000
    overload_reports: int = 300
    repeats: int = 3
    growth_orders: tuple[int, ...] = (1000, 10_000, 50_000, 200_000)
    growth_processes: tuple[int, ...] = (1, 2, 4)


@dataclass
class Results:
    """What was measured; a part that was not asked for is None or empty."""

    gate: GateFigures | None = None
    assess: AssessFigures | None = None
    latency: list[LatencyFigures] = field(default_factory=list)
    overload: OverloadFigures | None = None
    by_orders: list[ByOrders] = field(default_factory=list)
    by_processes: list[ByProcesses] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """For people: ratios first, each beside its floor and its spread."""
        if (g := self.gate) is not None:
            yield f"gate     {g.speed.ratio} of its floor: {g.speed.ours} of {g.speed.floor} reads a second and core"
            yield f"         {g.orders:,} orders, {2 * g.orders:,} identifiers; {g.memory_mb:,.0f} MB"
        if (a := self.assess) is not None:
            yield f"assess   {a.speed.ratio} of its floor: {a.speed.ours} of {a.speed.floor} events a second"
            yield f"         {a.sends_per_event:.2f} sends an event; {a.subjects:,} subjects; {a.memory_mb:,.0f} MB"
        for at in self.latency:
            yield f"latency  {at.ratio:.2f} times its floor (p99) at {at.rate:,} reads a second: {at.ours}"
            stages = ", ".join(f"{name} {ms:.1f}" for name, ms in at.stages_ms.items())
            yield f"         bare hops {at.floor}; on average {stages} ms"
        if (o := self.overload) is not None:
            yield f"overload {o.ratio:.2f} times its floor (p99) while reads wait: {o.ours}; bare hops {o.floor}"
            yield f"         {o.left:,} of {o.reads:,} reads still waited at the end; gate {o.gate_mb:,.0f} MB"
        for one in self.by_orders:
            ready = f"ready after {one.rebuild_s:.1f} s, {one.restart_s:.1f} s with its store"
            yield f"growth   {one.orders:,} orders: {ready}"
            yield f"         worker {one.worker_mb:,.0f} MB, gate {one.gate_mb:,.0f} MB; a task {one.ours}"
            yield f"         gate {one.gate_per_core:,.0f} reads a second and core"
        for each in self.by_processes:
            yield f"growth   {each.processes} workers: {each.assessed_per_s:,.0f} events a second together"

    def as_json(self) -> dict[str, Any]:
        """The ratios (of latency at the highest rate), `latency_ms` by rate, and what they are made of."""
        found: dict[str, Any] = {"at": datetime.now(UTC).isoformat(), "cores": psutil.cpu_count()}
        if (g := self.gate) is not None:
            found["gate_ratio"] = g.speed.ratio.median
            found["gate"] = {**g.speed.as_json(), "memory_mb": g.memory_mb}
        if (a := self.assess) is not None:
            more = {"memory_mb": a.memory_mb, "sends_per_event": a.sends_per_event}
            found["assess_ratio"] = a.speed.ratio.median
            found["assess"] = {**a.speed.as_json(), **more}
        if self.latency:
            found["latency_ratio"] = max(self.latency, key=lambda at: at.rate).ratio
            found["latency_ms"] = {str(at.rate): vars(at.ours) for at in self.latency}
            found["latency_floor_ms"] = {str(at.rate): vars(at.floor) for at in self.latency}
            found["latency_stages_ms"] = {str(at.rate): at.stages_ms for at in self.latency}
        if self.overload is not None:
            found["overload_ratio"] = self.overload.ratio
            found["overload"] = asdict(self.overload)
        if self.by_orders:
            found["growth"] = {
                "by_orders": [asdict(one) for one in self.by_orders],
                "by_processes": [asdict(each) for each in self.by_processes],
            }
        return found


def bench(parts: Collection[str], size: Size, directory: Path, say: Say) -> Results:
    """Measure the parts, one after the other."""
    results = Results()
    with ground(directory, say) as place:
        if "gate" in parts:
            results.gate = gate.measure(place, size.orders, size.reads, size.repeats)
        if "assess" in parts:
            results.assess = assess.measure(place, size.subjects, size.fixes, size.repeats)
        if "latency" in parts:
            results.latency = [latency.measure(place, rate, size.reports) for rate in size.rates]
        if "overload" in parts:
            results.overload = overload.measure(place, size.waiting_reads, size.overload_reports)
        if "growth" in parts:
            reads, reports = size.reads, size.reports
            results.by_orders = [growth.by_orders(place, orders, reads, reports) for orders in size.growth_orders]
            results.by_processes = [growth.by_processes(place, n, size.fixes) for n in size.growth_processes]
    return results


def previous(history: Path) -> dict[str, Any] | None:
    """The last run that a history file (a JSON object a line) has."""
    if not history.exists():
        return None
    lines = history.read_bytes().splitlines()
    try:
        return dict(orjson.loads(lines[-1])) if lines else None
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise BreachwatchError(f"{history}: its last line is no run of the bench; name another file") from None


def remember(history: Path, run: dict[str, Any]) -> None:
    with history.open("ab") as file:
        file.write(orjson.dumps(run) + b"\n")


def compared(run: dict[str, Any], before: dict[str, Any]) -> Iterator[str]:
    """Each ratio that both runs have, now and then."""
    for name in RATIOS:
        if name in run and name in before:
            yield f"{name}: {run[name]:.2f}, before {before[name]:.2f} ({before['at'][:16]})"
