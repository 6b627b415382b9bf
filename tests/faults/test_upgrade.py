"""Workers are replaced by ones of the next release, one after the other, while events come in."""

import sys
from pathlib import Path

import orjson
from harness import Event, Fact, Pipeline, Process, ago, order, quick, report
from test_rebuild_and_verify import newest

from streams.core.rows import VERSION

NEXT_WORKER = str(Path(__file__).with_name("next_worker.py"))
SUBJECTS = [f"S{number}" for number in range(12)]


def next_worker(pipeline: Pipeline, name: str) -> Process:
    settings = quick(pipeline.settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    process = Process(settings, settings.data_dir / f"next-{name}.log", name, program=(sys.executable, NEXT_WORKER))
    pipeline.processes.append(process)
    return process.start()


def versions_of_rows(pipeline: Pipeline) -> dict[str, int]:
    rows = newest(pipeline, "breachwatch-subjects-changelog")
    return {key.decode(): orjson.loads(row.value).get("version", 1) for key, row in rows.items()}


def of_old(event: Event) -> Event:
    """The report as the schema version before has it."""
    data = {name: value for name, value in event["data"].items() if name != "nature"}
    return event | {"schemaversion": 0, "data": data | {"kind": event["data"]["nature"]}}


def test_a_rolling_upgrade_loses_nothing_and_reads_what_came_before(pipeline: Pipeline) -> None:
    expected: set[Fact] = set()

    def report_all() -> None:
        at = ago(60)
        pipeline.publish("breach-reports", *(report(f"O-{subject}", at) for subject in SUBJECTS))
        expected.update(Fact(subject, f"O-{subject}", "T2", "reported", at, at) for subject in SUBJECTS)

    old = [pipeline.worker("w1"), pipeline.worker("w2")]
    pipeline.ready(workers=2)
    pipeline.publish("orders", *(order(subject) for subject in SUBJECTS))
    report_all()
    pipeline.until_facts(expected)
    assert set(versions_of_rows(pipeline).values()) == {VERSION}
    for worker, name in zip(old, ("w1", "w2"), strict=True):
        worker.stop()
        pipeline.processes.remove(worker)
        report_all()
        next_worker(pipeline, name)
        report_all()
        pipeline.until_facts(expected)
    assert set(versions_of_rows(pipeline).values()) == {VERSION + 1}
    assert len(newest(pipeline, "breachwatch-subjects-changelog")) == len(SUBJECTS)
    at = ago(30)
    pipeline.publish("breach-reports", of_old(report("O-S1", at)))
    expected.add(Fact("S1", "O-S1", "T2", "reported", at, at))
    pipeline.until_facts(expected)
    counted = {task.subject_id: task.breach_count for task in pipeline.outputs.final_tasks()}
    assert counted == {subject: 5 + (subject == "S1") for subject in SUBJECTS}
    assert not pipeline.outputs.dead_letters()


def test_an_older_worker_refuses_a_newer_row_and_nothing_is_lost(pipeline: Pipeline) -> None:
    newer = next_worker(pipeline, "w1")
    pipeline.ready(workers=1)
    pipeline.publish("orders", order("S1"))
    pipeline.drained()
    newer.stop()
    pipeline.processes.remove(newer)
    at = ago(30)
    older = pipeline.worker("w1")
    pipeline.publish("breach-reports", report("O-S1", at))
    assert older.wait() == 1
    assert "a newer worker wrote it; start that" in older.log.read_text()
    pipeline.processes.remove(older)
    next_worker(pipeline, "w1")
    pipeline.until_facts({Fact("S1", "O-S1", "T2", "reported", at, at)})
