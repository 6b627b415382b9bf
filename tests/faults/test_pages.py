"""A fault is injected, and the page is timed: from the fault to its arrival at the receiver.

With Prometheus looking every 2 s; deployed it looks every 10 s, which adds up to 16 s (a scrape and an evaluation).
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import Pipeline, Process, ago, event, eventually, order, quick, report, running
from prometheus import EVERY_S, Watch, installed, watching

from streams.kafka.local import free_ports
from streams.kafka.topics import full_name
from streams.settings import Settings

pytestmark = installed

PROCESSES = {"worker": ("worker", "--name", "w1"), "gate": ("gate",), "lookout": ("lookout",)}
"""By job."""
DEPLOYED_EVERY_S = 10.0
FAULTY_WORKER = str(Path(__file__).parents[1] / "faulty_worker.py")

Start = Callable[[Pipeline, Settings, tuple[str, ...]], Process]


def as_it_is(pipeline: Pipeline, settings: Settings, words: tuple[str, ...]) -> Process:
    return pipeline.run(*words, settings=settings)


@contextmanager
def watched_run(settings: Settings, directory: Path, start: Start = as_it_is) -> Iterator[tuple[Pipeline, Watch]]:
    """A run that is well, and is watched; `start` starts each of its processes."""
    ports = dict(zip(PROCESSES, free_ports(len(PROCESSES)), strict=True))
    with running(settings, directory / "logs") as pipeline:
        for job, words in PROCESSES.items():
            start(pipeline, settings.model_copy(update={"metrics_port": ports[job]}), words)
        pipeline.ready(gates=1)
        with watching(directory, {job: [port] for job, port in ports.items()}) as watch:
            watch.up(*PROCESSES)
            yield pipeline, watch


def kill(pipeline: Pipeline, job: str) -> None:
    next(process for process in pipeline.processes if process.command == PROCESSES[job]).kill()


def timed(watch: Watch, since: float, alerts: dict[str, float]) -> None:
    """Each of these pages the platform in time; `alerts`: by name, the seconds that it may take when deployed."""
    for alert, within_s in alerts.items():
        notice = watch.wait_for(alert, since)
        took_s = notice.at - since
        print(f"{alert}: {took_s:.0f} s; {notice.annotations['summary']}")
        assert notice.receiver == "page-platform"
        assert took_s + 2 * (DEPLOYED_EVERY_S - EVERY_S) <= within_s


def test_parts_that_fail_page_by_name(pipeline_settings: Settings, tmp_path: Path) -> None:
    """At one moment, to be quick: one of two workers and the gate are killed, and an upstream falls silent. The other
    worker goes on."""
    settings = quick(pipeline_settings)
    with watched_run(settings, tmp_path) as (pipeline, watch):
        [port] = free_ports(1)
        second = pipeline.worker("w2", settings.model_copy(update={"metrics_port": port}))
        targets = [int(labels["instance"].split(":")[1]) for labels, _ in watch.query('up{job="worker"}')]
        watch.prometheus.scrape("worker", *targets, port)
        pipeline.ready(workers=2, gates=1)
        pipeline.until(lambda: len(watch.query('up{job="worker"} == 1')) == 2, "both are scraped")
        since = time.time()
        second.kill()
        kill(pipeline, "gate")
        # It said that it would be heard again within a second.
        pipeline.publish("source-heartbeats", event("source_heartbeat", sequence=1, next_due=ago(-1).isoformat()))
        alerts = {"GateDown": 70.0, "SourcesSilent": 110.0, "WorkerDown": 100.0, "CanaryWayLost": 130.0}
        timed(watch, since, alerts)
        assert not watch.receivers.named("WorkersGone")


def test_with_no_worker_it_pages_within_a_minute(pipeline_settings: Settings, tmp_path: Path) -> None:
    with watched_run(quick(pipeline_settings), tmp_path) as (pipeline, watch):
        since = time.time()
        kill(pipeline, "worker")
        timed(watch, since, {"WorkersGone": 60.0, "CanaryLost": 100.0})


def test_when_the_canary_dies_it_pages(pipeline_settings: Settings, tmp_path: Path) -> None:
    with watched_run(quick(pipeline_settings), tmp_path) as (pipeline, watch):
        since = time.time()
        kill(pipeline, "lookout")
        timed(watch, since, {"LookoutDown": 70.0, "CanaryAbsent": 100.0})


def test_a_partition_that_stalls_pages(pipeline_settings: Settings, tmp_path: Path) -> None:
    """The send of a task does not return: the worker answers, is in its group, and gets nowhere.

    (Of one that is never acknowledged the worker ends itself after `send_timeout_s`, 30 s, before anybody is paged.)
    """
    # Without the canary: its first task would be the one.
    settings = quick(pipeline_settings, canary_interval_s=0.0)

    def stalling(pipeline: Pipeline, settings: Settings, words: tuple[str, ...]) -> Process:
        if words != PROCESSES["worker"]:
            return as_it_is(pipeline, settings, words)
        told = ("w1", "hangs", full_name(settings, "arrest-tasks"))
        worker = Process(settings, tmp_path / "logs/worker.log", *told, program=(sys.executable, FAULTY_WORKER))
        pipeline.processes.append(worker)
        return worker.start()

    with watched_run(settings, tmp_path, stalling) as (pipeline, watch):
        pipeline.publish("orders", order("S1"))
        pipeline.drained()
        since = time.time()
        pipeline.publish("breach-reports", report("O-S1"))
        timed(watch, since, {"NotCommitting": 95.0, "PartitionStalled": 120.0})


def test_when_prometheus_dies_the_dead_mans_switch_stops(tmp_path: Path) -> None:
    """Nothing here can tell of it then. The other organisation pages three minutes after the last heartbeat."""
    with watching(tmp_path, {}) as watch:

        def last() -> float:
            return max((notice.at for notice in watch.receivers.named("Watchdog", "dead-mans-switch")), default=0.0)

        eventually(last, "the first heartbeat")
        since = time.time()
        watch.prometheus.process.kill()
        # Two that should have come, and have not.
        eventually(lambda: time.time() - max(since, last()) > 70, "heartbeats stop", 240)
        print(f"Watchdog: the last heartbeat came {last() - since:.0f} s after the end of Prometheus")
        assert last() - since <= 75
