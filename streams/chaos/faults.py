"""What each fault does to a run, and how it heals."""

import heapq
import itertools
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random

from streams.chaos.clock import LIBRARY, SteppedClock
from streams.chaos.process import Kept, can_limit_files
from streams.chaos.proxy import Proxy
from streams.chaos.schedule import Fault, Planned
from streams.errors import BreachwatchError
from streams.kafka import local
from streams.kafka.admin import cluster_of
from streams.kafka.client import connect
from streams.kafka.topics import full_name
from streams.settings import Settings

SESSION_S = 6.0
"""The least that a broker allows: a worker that died is missed after this."""
WORKERS = ("worker-1", "worker-2")
GUEST = "worker-3"
_NODES = (1, 2, 3)
_SLOW_S = 0.25


@dataclass(frozen=True)
class Brokers:
    """Three brokers, each behind a proxy that workers and gate reach it by."""

    kafka: local.LocalKafka
    proxies: Mapping[int, Proxy]


@contextmanager
def brokers(directory: Path) -> Iterator[Brokers]:
    """Three brokers and their proxies for the length of a block."""
    with local.running(directory, nodes=3, door=local.Door(proxied=True)) as kafka, ExitStack() as stack:
        found = kafka.status()
        assert found is not None
        proxies = {node.id: Proxy(node.door_advertised, node.door_port) for node in found.nodes}
        for proxy in proxies.values():
            proxy.start()
            stack.callback(proxy.close)
        yield Brokers(kafka, proxies)


def impossible() -> frozenset[Fault]:
    """Faults that this machine cannot be given."""
    found = set()
    if not LIBRARY.exists():
        found.add(Fault.STEP_CLOCK)
    if not can_limit_files():
        found.add(Fault.FULL_DISK)
    return frozenset(found)


class Breaker:
    """Breaks the processes and brokers of a run, and heals them when it is time."""

    def __init__(
        self,
        settings: Settings,
        brokers: Brokers,
        processes: Mapping[str, Kept],
        clock: SteppedClock | None,
        seed: int,
    ) -> None:
        self._settings, self._brokers, self._processes, self._clock = settings, brokers, processes, clock
        self._random = Random(f"chaos/{seed}/bytes")  # noqa: S311 - reproducible by intent, nothing secret
        self._numbers = itertools.count()
        self._heals: list[tuple[float, int, Callable[[], None]]] = []
        """When, a number that keeps equal times in order, and what."""

    @property
    def healed(self) -> bool:
        return not self._heals

    def heal(self) -> None:
        """What is due."""
        while self._heals and self._heals[0][0] <= time.monotonic():
            heapq.heappop(self._heals)[2]()

    def _later(self, seconds: float, heal: Callable[[], None]) -> None:
        heapq.heappush(self._heals, (time.monotonic() + seconds, next(self._numbers), heal))

    def do(self, planned: Planned) -> None:
        """One fault; what lasts heals later."""
        name = WORKERS[int(planned.pick * len(WORKERS))]
        worker = self._processes[name]
        node = _NODES[int(planned.pick * len(_NODES))]
        match planned.fault:
            case Fault.KILL_WORKER:
                worker.end()
            case Fault.KILL_GATE:
                self._processes["gate"].end()
            case Fault.LOSE_STORE:
                worker.end()
                shutil.rmtree(self._store(name), ignore_errors=True)
            case Fault.CORRUPT_STORE:
                worker.end()
                self._scribble(self._store(name))
            case Fault.STALE_STORE:
                worker.end()
                old = self._store(name).with_suffix(f".old-{next(self._numbers)}")
                if self._store(name).exists():
                    shutil.copytree(self._store(name), old)
                    self._later(planned.lasts_s, lambda: self._put_back(name, old))
            case Fault.STOP_WORKER:
                worker.leave()
                self._later(planned.lasts_s, lambda: self._come_back(name))
            case Fault.FREEZE_WORKER:
                worker.signal(signal.SIGSTOP)
                self._later(SESSION_S + planned.lasts_s, lambda: worker.signal(signal.SIGCONT))
            case Fault.FULL_DISK:
                worker.limit_files(0)
                self._later(planned.lasts_s, lambda: worker.limit_files(None))
            case Fault.STEP_CLOCK:
                assert self._clock is not None
                forth = timedelta(hours=1 if planned.pick < 0.5 else -1)
                self._clock.step(forth)
                self._later(planned.lasts_s, lambda: self._clock.step(-forth))  # type: ignore[union-attr]
            case Fault.JOIN_WORKER:
                self._processes[GUEST].start()
                self._later(10.0 + planned.lasts_s, self._processes[GUEST].leave)
            case Fault.CUT_CONNECTION:
                self._brokers.proxies[node].cut()
                self._later(planned.lasts_s, self._brokers.proxies[node].mend)
            case Fault.SLOW_CONNECTION:
                self._brokers.proxies[node].slow(_SLOW_S)
                self._later(planned.lasts_s, self._brokers.proxies[node].mend)
            case Fault.KILL_BROKER:
                self._kill_nodes([node], planned.lasts_s)
            case Fault.KILL_LEADER:
                self._kill_nodes([self._leader()], planned.lasts_s)
            case Fault.KILL_MAJORITY:
                self._kill_nodes([other for other in _NODES if other != node], planned.lasts_s)

    def _come_back(self, name: str) -> None:
        process = self._processes[name]
        if process.running:  # it is still leaving
            self._later(1.0, lambda: self._come_back(name))
            return
        process.start()

    def _put_back(self, name: str, old: Path) -> None:
        """The machine comes back with the disk of some time ago."""
        self._processes[name].end()
        shutil.rmtree(self._store(name), ignore_errors=True)
        shutil.move(old, self._store(name))

    def _kill_nodes(self, nodes: list[int], lasts_s: float) -> None:
        for node in nodes:
            self._brokers.kafka.kill_node(node)
        for node in nodes:
            self._later(lasts_s, lambda node=node: self._brokers.kafka.start_node(node, wait=False))  # type: ignore[misc]

    def _leader(self) -> int:
        name = full_name(self._settings, "subject-events")
        try:
            with connect(cluster_of(self._settings)) as client:
                [topic] = client.describe_topics([name])
            # -1 while there is none
            return max(1, int(topic["partitions"][0]["leader_id"]))
        except BreachwatchError:
            return 1

    def _store(self, name: str) -> Path:
        return self._settings.data_dir / "workers" / name

    def _scribble(self, store: Path) -> None:
        """Change bytes in the middle of every file of a store."""
        for file in sorted(path for path in store.rglob("*") if path.is_file() and path.stat().st_size):
            with file.open("r+b") as opened:
                opened.seek(file.stat().st_size // 2)
                opened.write(self._random.randbytes(64))
