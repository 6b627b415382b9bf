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


@pytest.mark.parametrize("to", ["dead-letters", "alerts"])
def test_an_event_that_a_crash_interrupts_is_read_again(pipeline: Pipeline, tmp_path: Path, to: str) -> None:
    """Faust cancels its agents, takes what they were in the middle of for read, and commits on leaving."""
    pipeline.send("orders", order("S1")).get(30)
    pipeline.send("breach-reports", {"not": "a report"}).get(30)
    pipeline.send("breach-reports", report("O-S1", ago(60))).get(30)
    settings = quick(pipeline.settings)
    command = ("w", "interrupted", full_name(settings, to))
    faulty = Process(settings, tmp_path / "faulty.log", *command, program=(sys.executable, FAULTY_WORKER)).start()
    try:
        assert faulty.wait() > 0, faulty.tail()
    finally:
        faulty.end()
    assert "something else is broken" in (tmp_path / "faulty.log").read_text()
    assert pipeline.outputs.dead_letters() == []

    pipeline.worker("w")
    pipeline.until(lambda: pipeline.outputs.tasks_of("S1"), "the report behind it is read")
    pipeline.drained()
    assert {letter.headers.topic for letter in pipeline.outputs.dead_letters()} == {"breach-reports"}
    assert "unreadable_breach_report" in {alert.kind for alert in pipeline.outputs.alerts()}
