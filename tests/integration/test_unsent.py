"""At least once: if a send does not succeed nothing is committed, the worker ends, and its successor does it all."""

import sys
from pathlib import Path
from shutil import rmtree

import pytest
from harness import Fact, Pipeline, Process, ago, order, quick, report

from streams.kafka.topics import full_name

FAULTY_WORKER = str(Path(__file__).parents[1] / "faulty_worker.py")


@pytest.mark.parametrize(
    ("to", "how", "store"),
    [
        ("subject-events", "fails", "kept"),
        ("alerts", "stalls", "kept"),
        ("alerts", "fails", "lost"),
        ("breachwatch-subjects-changelog", "stalls", "kept"),
        ("breachwatch-records-changelog", "fails", "lost"),
    ],
)
def test_nothing_is_committed_and_nothing_is_lost(
    pipeline: Pipeline, tmp_path: Path, to: str, how: str, store: str
) -> None:
    outputs, at = pipeline.outputs, ago(60)
    pipeline.publish("orders", order("S1"))
    pipeline.publish("breach-reports", report("O-S1", at))
    settings = quick(pipeline.settings, send_timeout_s=1.0)
    command = ("w", how, full_name(settings, to))
    log = tmp_path / "faulty.log"
    faulty = Process(settings, log, *command, program=(sys.executable, FAULTY_WORKER)).start()
    try:
        assert faulty.wait() > 0, faulty.tail()
    finally:
        faulty.end()
    assert "not committed" in log.read_text()
    assert pipeline.uncommitted("orders" if to == "subject-events" else "subject-events") > 0, faulty.tail()

    if store == "lost":
        rmtree(pipeline.settings.data_dir / "workers" / "w")
    pipeline.worker("w")
    pipeline.until_facts({Fact("S1", "O-S1", "T2", "reported", at, at)})
    pipeline.until(lambda: [a for a in outputs.alerts() if a.kind == "breach"], "the alert of the breach")
    pipeline.drained()
    [repeats] = [found for found in outputs.alerts_by_id().values() if found[0].kind == "breach"]
    assert len({alert.model_dump_json() for alert in repeats}) == 1
    [task] = outputs.final_tasks()
    assert task.breach_count == 1
