"""Tables from the topics alone, and the comparison of what the topics say."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
from harness import Pipeline, Run, ago, order, report, runner, tag_fix, task_update
from rocksdict import Options, Rdict

from streams.errors import BreachwatchError
from streams.kafka.admin import cluster_of
from streams.kafka.reading import read_all
from streams.kafka.topics import full_name
from streams.rebuild import differences, rebuild
from streams.verify import verify

SUBJECTS = [f"S{number}" for number in range(8)]


@pytest.fixture
def stopped(pipeline: Pipeline) -> Pipeline:
    """A pipeline that has worked, and whose worker has left."""
    worker = pipeline.worker("w1")
    pipeline.ready(workers=1)
    for subject in SUBJECTS:
        pipeline.publish("orders", order(subject, tag=f"TAG-{subject}"))
        pipeline.publish("breach-reports", report(f"O-{subject}", ago(60)))
    pipeline.until(lambda: len(pipeline.outputs.final_tasks()) == len(SUBJECTS), "a task for each")
    pipeline.publish("sightings", *(tag_fix(f"TAG-{subject}") for subject in SUBJECTS))
    pipeline.publish("task-updates", *(task_update(task, "acknowledge") for task in pipeline.outputs.final_tasks()))
    pipeline.drained()
    worker.stop()
    return pipeline


def newest(pipeline: Pipeline, name: str) -> dict[bytes, Any]:
    """The newest message of each key."""
    return {
        record.key: record for record in read_all(cluster_of(pipeline.settings), full_name(pipeline.settings, name))
    }


def spoil(store: Path, key: bytes) -> None:
    """Change a row of a local store and nothing else."""
    for path in store.rglob("subjects-*.db"):
        rows = Rdict(str(path), Options(raw_mode=True))
        if key in rows:
            rows[key] = rows[key] + b" "
        rows.close()


def spoil_all(path: Path) -> None:
    """Add a row that the changelog does not have."""
    rows = Rdict(str(path), Options(raw_mode=True))
    rows[b"S-deleted"] = b"{}"
    rows.close()


def test_what_has_worked_agrees_and_can_be_rebuilt(
    stopped: Pipeline, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    run: Run = runner(stopped.settings, monkeypatch, capsysbinary)
    code, said, errors = run("verify", "--name", "w1")
    assert code == 0, errors
    assert "8 subjects: 8 read again from their whole log" in said
    assert "all agree" in said
    compared, wrong = differences(stopped.settings, "w1")
    assert (compared > len(SUBJECTS), wrong) == (True, [])
    _, said, _ = run("rebuild", "--name", "w1")
    assert "subjects: 8 rows" in said
    assert differences(stopped.settings, "w1") == (compared, [])
    at = ago(30)
    stopped.worker("w1")
    stopped.publish("breach-reports", report("O-S1", at))
    stopped.until(lambda: any(fact.began == at for fact in stopped.outputs.facts("S1")), "it goes on")
    assert [task.breach_count for task in stopped.outputs.tasks_of("S1")] == [3]


def test_a_store_that_was_away_for_a_week_is_built_anew(stopped: Pipeline) -> None:
    """The null values of what was deleted meanwhile may be gone from the changelog."""
    old = time.time() - 7 * 86_400
    paths = [path for path in (stopped.settings.data_dir / "workers" / "w1").rglob("*.db") if path.is_dir()]
    assert any((path / "CAUGHT_UP").exists() for path in paths)
    for path in paths:
        spoil_all(path)
        for each in (path / "CAUGHT_UP", path):
            if each.exists():
                os.utime(each, (old, old))
    worker = stopped.worker("w1")
    stopped.publish("breach-reports", *(report(f"O-{subject}") for subject in SUBJECTS))
    stopped.until(lambda: len(stopped.outputs.facts()) == 3 * len(SUBJECTS), "what the store had is not believed")
    worker.stop()
    assert "local_store_old" in worker.log.read_text("utf-8")
    assert differences(stopped.settings, "w1")[1] == []


def test_a_store_that_is_in_use_is_left_alone(pipeline: Pipeline) -> None:
    pipeline.worker("w1")
    pipeline.ready(workers=1)
    pipeline.publish("orders", *(order(subject) for subject in SUBJECTS))
    pipeline.drained()
    for use in (rebuild, differences):
        with pytest.raises(BreachwatchError, match="worker w1 runs: stop it first"):
            use(pipeline.settings, "w1")


def test_a_local_store_that_is_not_as_its_log_is_found(stopped: Pipeline) -> None:
    """The log goes on without the store, which must not count; then the store alone is changed, which must."""
    [task] = stopped.outputs.tasks_of("S1")
    other = stopped.worker("w2")
    stopped.publish("task-updates", task_update(task, "assign", assignee="Car 1"))
    stopped.drained()
    other.stop()
    assert differences(stopped.settings, "w1")[1] == []
    spoil(stopped.settings.data_dir / "workers" / "w1", b"S2")
    [wrong] = differences(stopped.settings, "w1")[1]
    assert "a row of the local store is not that of the changelog" in wrong


def test_topics_that_do_not_agree_are_found(stopped: Pipeline) -> None:
    rows, records = (
        newest(stopped, "breachwatch-subjects-changelog"),
        newest(stopped, "breachwatch-records-changelog"),
    )
    names, shown = newest(stopped, "identifiers"), newest(stopped, "arrest-tasks")
    tasks = {task.subject_id: task for task in stopped.outputs.final_tasks()}

    def put(topic: str, old: Any, value: bytes | None) -> None:
        stopped.publish(topic, value, key=old.key, partition=old.partition)

    put(
        "breachwatch-subjects-changelog",
        rows[b"S1"],
        rows[b"S1"].value.replace(b'"state":"acknowledged"', b'"state":"open"'),
    )
    [kept] = [record for key, record in records.items() if key.startswith(b"S2|o|")]
    put("breachwatch-records-changelog", kept, None)
    put("breachwatch-records-changelog", next(r for key, r in records.items() if key.startswith(b"S3|e|")), None)
    put("identifiers", next(record for record in names.values() if b"TAG-S4" in record.value), None)
    put("breachwatch-subjects-changelog", rows[b"S7"], None)
    orphan = tasks["S5"].model_copy(update={"task_id": "nobody-has-it"})
    stopped.publish("arrest-tasks", orphan.model_dump_json().encode(), key=b"nobody-has-it")
    older = tasks["S6"].model_copy(update={"revision": 1})
    put("arrest-tasks", shown[older.task_id.encode()], older.model_dump_json().encode())
    wrong = verify(stopped.settings).wrong
    for text in (
        "S1: tasks is not as its log makes it",
        "S2: order O-S2 version 1 is not in the records",
        "S3: the records beside the row are not as its log makes them",
        "S7: the log has events that were applied, and no row is there",
        "S4: a tag of order O-S4 is not in identifiers",
        "arrest-tasks nobody-has-it: it is acknowledged, and no row has it",
        f"arrest-tasks {tasks['S6'].task_id}: revision 1, and its row has",
    ):
        assert any(text in found for found in wrong), (text, wrong)
