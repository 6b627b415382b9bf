"""Where the bench runs: one local Kafka, processes of ours on it, and what they have done and used."""

import signal
import statistics
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from streams.chaos.process import BREACHWATCH, Process
from streams.errors import BreachwatchError
from streams.kafka import admin
from streams.kafka.admin import cluster_of
from streams.kafka.local import HOST, LocalKafka, free_ports
from streams.kafka.topics import MAX_REQUEST_BYTES, full_name
from streams.settings import Settings

Say = Callable[[str], None]

_WITHIN_S = 300.0
_POLL_S = 0.1


@dataclass(frozen=True)
class Spread:
    """What repeats of a measurement gave."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        return cls(tuple(values))

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        form = ",.0f" if self.median >= 100 else ".2f"
        return f"{self.median:{form}} ({min(self.values):{form}} to {max(self.values):{form}})"


@dataclass(frozen=True)
class Speed:
    """How many a second, repeat by repeat, beside the floor that was measured with each."""

    ours: Spread
    floor: Spread

    @property
    def ratio(self) -> Spread:
        return Spread.of(mine / least for mine, least in zip(self.ours.values, self.floor.values, strict=True))

    def as_json(self) -> dict[str, tuple[float, ...]]:
        return {
            "per_s": self.ours.values,
            "floor_per_s": self.floor.values,
            "ratios": self.ratio.values,
        }


class Measured(Process):
    """A process that says what it has done, and whose use of the machine is known."""

    def __init__(
        self, settings: Settings, log: Path, *command: str, program: tuple[str, ...] = (BREACHWATCH,)
    ) -> None:
        [self._port] = free_ports(1)
        super().__init__(settings.model_copy(update={"metrics_port": self._port}), log, *command, program=program)

    def total(self, name: str) -> float:
        """A counter of its, all labels together; 0 while it does not answer."""
        with suppress(OSError), urllib.request.urlopen(f"http://{HOST}:{self._port}/metrics", timeout=5) as answer:
            for family in text_string_to_metric_families(answer.read().decode()):
                found = [sample.value for sample in family.samples if sample.name == name]
                if found:
                    return sum(found)
        return 0.0

    @property
    def ready(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://{HOST}:{self._port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    @property
    def cpu_s(self) -> float:
        """Processor time of all its threads so far, in seconds."""
        assert self._popen is not None
        times = psutil.Process(self._popen.pid).cpu_times()
        return float(times.user + times.system)

    @property
    def memory_mb(self) -> float:
        """Resident, in 10^6 bytes."""
        assert self._popen is not None
        return float(psutil.Process(self._popen.pid).memory_info().rss) / 1e6


class Ground:
    """One broker for a whole run; each part has topics of its own on it."""

    def __init__(self, kafka: LocalKafka, directory: Path, say: Say) -> None:
        self._kafka, self._directory, self.say = kafka, directory, say

    def settings(self, part: str, partitions: int | None = None) -> Settings:
        """Settings of a part, whose topics are there; 4 partitions where nothing else is said."""
        settings = Settings(
            bootstrap_servers=self._kafka.bootstrap_servers,
            topic_prefix=f"{part}-",
            data_dir=self._directory / part,
            partitions=partitions,
        )
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        admin.apply(admin.plan(settings))
        return settings

    @contextmanager
    def running(
        self, settings: Settings, *command: str, program: tuple[str, ...] = (BREACHWATCH,)
    ) -> Iterator[Measured]:
        """A process of ours, until the block ends; it leaves its group in order, for the next to take its place."""
        process = Measured(settings, settings.data_dir / f"{command[0]}.log", *command, program=program)
        process.start()
        try:
            yield process
            process.signal(signal.SIGTERM)
            self.until(lambda: not process.running, f"{command[0]} leaves")
        finally:
            process.end()

    def until(
        self, condition: Callable[[], bool], what: str, *processes: Process, within_s: float = _WITHIN_S
    ) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            for process in processes:
                if not process.running:
                    raise BreachwatchError(f"it ended with {process.exit_code} before {what}: see {process.log}")
            if time.monotonic() > deadline:
                raise BreachwatchError(f"not within {within_s:g} s: {what}")
            time.sleep(_POLL_S)


@asynccontextmanager
async def in_bulk(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer of large batches; all that it was given is acknowledged when the block ends."""
    producer = AIOKafkaProducer(
        **cluster_of(settings).options(), linger_ms=20, max_batch_size=2**19, max_request_size=MAX_REQUEST_BYTES
    )
    await producer.start()
    try:
        yield producer
        await producer.flush()
    finally:
        await producer.stop()


async def send(settings: Settings, topic: str, values: Iterable[tuple[bytes | None, bytes]]) -> None:
    """Put keys and values into a topic (without prefix)."""
    async with in_bulk(settings) as producer:
        for key, value in values:
            await producer.send(full_name(settings, topic), value, key=key)


@contextmanager
def ground(directory: Path, say: Say) -> Iterator[Ground]:
    """A local Kafka of one node below `directory`, for as long as the block lasts."""
    kafka = LocalKafka(directory / "kafka")
    say("starting a Kafka of its own")
    kafka.start(nodes=1)
    try:
        yield Ground(kafka, directory, say)
    finally:
        kafka.stop()


def rate(process: Measured, name: str, count: int, ground: Ground) -> tuple[float, float]:
    """How many a second, and how many a second of processor time, of what counter `name` counts up to `count`."""
    ground.until(lambda: process.total(name) > 0, f"{name} begins to count", process)
    began, used, first = time.monotonic(), process.cpu_s, process.total(name)
    ground.until(lambda: process.total(name) >= count, f"{name} comes to {count}", process)
    done = process.total(name) - first
    return done / (time.monotonic() - began), done / (process.cpu_s - used)
