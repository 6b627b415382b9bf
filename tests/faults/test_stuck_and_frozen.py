"""A worker that is stuck or was frozen ends itself, and another does its work."""

import json
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from harness import Fact, Pipeline, Process, ago, order, quick, report

from streams.kafka.local import free_ports
from streams.kafka.topics import full_name
from streams.watchdog import EXIT_CODE

FAULTY_WORKER = str(Path(__file__).parents[1] / "faulty_worker.py")


def wrong(port: int) -> dict[str, str] | None:
    """What the process says of its readiness; None while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        found = json.load(error)
    except OSError:
        return None
    return dict(found["wrong"])


def test_a_worker_frozen_past_its_session_ends_before_its_next_send(pipeline: Pipeline) -> None:
    """While it is frozen another takes its partitions; thawed, it must not act on what it believed."""
    frozen = pipeline.worker("frozen")
    pipeline.ready(workers=1)
    at = ago(60)
    pipeline.publish("orders", *(order(f"S{n}") for n in range(8)))
    pipeline.drained()
    frozen.signal(signal.SIGSTOP)
    pipeline.publish("breach-reports", *(report(f"O-S{n}", at) for n in range(8)))
    pipeline.worker("other")
    pipeline.until_facts({Fact(f"S{n}", f"O-S{n}", "T2", "reported", at, at) for n in range(8)})
    pipeline.drained()
    before = {name: len(records) for name, records in pipeline.outputs.records.items()}

    frozen.signal(signal.SIGCONT)
    assert frozen.wait() == EXIT_CODE, frozen.tail()
    pipeline.processes.remove(frozen)
    assert "the event loop stood still" in frozen.log.read_text()
    pipeline.caught_up()
    assert {name: len(records) for name, records in pipeline.outputs.records.items()} == before
    again = pipeline.worker("frozen")
    pipeline.ready(workers=2)
    again.stop()


def test_a_worker_that_has_come_back_and_has_nothing_to_do_is_not_stuck(pipeline: Pipeline) -> None:
    """Faust's read offset is the committed one after a start, as if a message were under way."""
    settings = quick(pipeline.settings, stall_timeout_s=2.0)
    worker = pipeline.worker(settings=settings)
    pipeline.ready(workers=1)
    pipeline.publish("orders", *(order(f"S{n}") for n in range(8)))
    pipeline.drained()
    worker.stop()
    pipeline.worker(settings=settings)
    pipeline.ready(workers=1)
    until = time.monotonic() + 5 * settings.stall_timeout_s
    pipeline.until(lambda: time.monotonic() > until, "it runs on")


@pytest.mark.parametrize(("how", "check"), [("blocks", "event loop"), ("hangs", "progress")])
def test_a_stuck_worker_says_so_and_ends_and_another_takes_over(
    pipeline: Pipeline, tmp_path: Path, how: str, check: str
) -> None:
    """It is not dead: its heartbeats come from another thread, and it would keep its partitions for ever."""
    settings = quick(pipeline.settings, stall_timeout_s=8.0, metrics_port=free_ports(1)[0], session_timeout_s=30.0)
    stuck = Process(
        settings,
        tmp_path / "stuck.log",
        "stuck",
        how,
        full_name(settings, "arrest-tasks"),
        program=(sys.executable, FAULTY_WORKER),
    ).start()
    try:
        pipeline.ready(workers=1)
        pipeline.until(lambda: wrong(settings.metrics_port) == {}, "it is ready")
        at = ago(60)
        pipeline.publish("orders", order("S1"))
        pipeline.publish("breach-reports", report("O-S1", at))
        said = pipeline.until(lambda: wrong(settings.metrics_port), "it says that it is not ready any more")
        assert check in said
        assert stuck.wait() == EXIT_CODE, stuck.tail()
    finally:
        stuck.end()
    pipeline.worker("stuck")
    pipeline.until_facts({Fact("S1", "O-S1", "T2", "reported", at, at)})
