"""How a worker recovers: not ready until then, never taken for frozen, and not for ever."""

import sys
import time
from pathlib import Path

from harness import Fact, Pipeline, Process, ago, order, quick, report
from test_stuck_and_frozen import wrong

from streams.kafka.local import free_ports
from streams.settings import Settings

SLOW_WORKER = str(Path(__file__).with_name("slow_worker.py"))


def slow_worker(settings: Settings, log: Path, seconds: float) -> Process:
    return Process(settings, log, "slow", f"{seconds:g}", program=(sys.executable, SLOW_WORKER)).start()


def test_a_recovery_longer_than_the_session_is_no_freeze_and_readiness_waits_for_it(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    settings = quick(pipeline.settings, session_timeout_s=6.0, metrics_port=free_ports(1)[0])
    worker = slow_worker(settings, tmp_path / "slow.log", 8.0)
    pipeline.processes.append(worker)
    at = ago(60)
    pipeline.publish("orders", order("S1"))
    pipeline.publish("breach-reports", report("O-S1", at))
    found = pipeline.until(lambda: wrong(settings.metrics_port), "it answers, and is not ready")
    assert found["tables"] == "tables are being recovered"
    pipeline.until_facts({Fact("S1", "O-S1", "T2", "reported", at, at)})
    pipeline.until(lambda: wrong(settings.metrics_port) == {}, "it is ready")
    assert worker.exit_code is None


def test_a_recovery_that_hangs_ends_the_worker(pipeline: Pipeline, tmp_path: Path) -> None:
    worker = slow_worker(quick(pipeline.settings, recovery_timeout_s=5.0), tmp_path / "slow.log", 3600.0)
    assert worker.wait() == 1, worker.tail()
    assert "tables not recovered within 5 s" in worker.log.read_text()


def test_a_spare_worker_without_partitions_stands_by(pipeline: Pipeline) -> None:
    """There are four partitions: of five workers one has none, and must not be taken for one that hangs."""
    settings = quick(pipeline.settings, recovery_timeout_s=20.0)
    workers = [pipeline.worker(f"w{number}", settings) for number in range(5)]
    pipeline.until(
        lambda: all("identifier_index_ready" in worker.log.read_text() for worker in workers), "all have started"
    )
    until = time.monotonic() + 1.5 * settings.recovery_timeout_s
    pipeline.until(lambda: time.monotonic() > until, "all of them run on")
