"""Erasure on a real Kafka: commands, answers, a kill in the middle, compaction, local stores, and what remains."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import (
    Event,
    Pipeline,
    Run,
    ago,
    changed_policy,
    event,
    eventually,
    order,
    quick,
    report,
    runner,
    running,
    tag_fix,
    task_update,
)
from kafka.admin import ConfigResource

from schemas.safeguarding import SafeguardingTask
from streams.core.chain import faults
from streams.kafka.admin import cluster_of
from streams.kafka.client import connect
from streams.kafka.reading import read_all
from streams.kafka.topics import BY_NAME, TOPICS, full_name
from streams.remains import Names, Stored, scan, stores
from streams.settings import Settings
from streams.verify import verify

COMPACTED = [topic.name for topic in TOPICS if "compact" in topic.cleanup]
AT_ONCE = {
    "segment.ms": "1000",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "1000",
    "delete.retention.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
}
LOOKS_OFTEN = {"log.cleaner.backoff.ms": "500"}
"""So that what takes 14 days in production takes seconds. The cleaner looks every 15 s if not told."""
HORIZON_S = 4
TAG = "TAG-OF-THE-ERASED"


@pytest.fixture
def hasty(pipeline_settings: Settings, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline that judges what is 4 s old at most, so that an order is soon over for good."""
    policy = changed_policy(tmp_path, "horizon_s = 604800", f"horizon_s = {HORIZON_S}")
    with running(quick(pipeline_settings, policy_file=policy), tmp_path / "logs") as started:
        yield started


@pytest.fixture
def run(hasty: Pipeline, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    return runner(hasty.settings, monkeypatch, capsysbinary)


def with_people(subject: str, tag: str) -> Event:
    """An order with a protected person's name, address and device."""
    person = f"P-{subject}"
    hers = {"kind": "tag", "value": f"HERS-{subject}", "role": "protected_person", "person_id": person}
    return order(
        subject,
        protected_persons=[{"person_id": person, "name": "Jane Secret", "address": "1 Hidden Lane"}],
        identifiers=[{"kind": "tag", "value": tag}, {"kind": "plate", "value": "AB12 CDE"}, hers],
    )


def breached(pipeline: Pipeline, subject: str, tag: str = TAG) -> None:
    """An order, a visit and a report: a task."""
    pipeline.publish("orders", with_people(subject, tag))
    pipeline.drained()
    pipeline.publish("sightings", tag_fix(tag))
    pipeline.publish("breach-reports", report(f"O-{subject}"))
    pipeline.until(lambda: len(pipeline.outputs.facts(subject)) == 2, "two breaches")


def ended(pipeline: Pipeline, subject: str) -> None:
    """The task, the safeguarding task and the order are over."""
    [task] = pipeline.outputs.tasks_of(subject)
    done = {"role": "supervisor", "reason": "over"}
    pipeline.publish("task-updates", task_update(task, "close", outcome="charged", **done))
    safe = SafeguardingTask.model_validate_json(
        next(
            r.value for r in pipeline.outputs.records["safeguarding-tasks"] if r.value and subject.encode() in r.value
        )
    )
    data = {"task_id": safe.safeguarding_id, "subject_id": subject, "action": "close", "actor": "sup-1"}
    pipeline.publish("task-updates", event("task_update", **data | done))
    data = {"order_id": f"O-{subject}", "subject_id": subject, "how": "discharged", "reference": "case 1"}
    pipeline.publish("orders", event("order_ended", **data))
    pipeline.drained()


def until_erased(run: Run, *words: str) -> str:
    """The command, given until the order is no longer judged; its output."""
    said = [""]

    def erased() -> bool:
        code, said[0], errors = run("erase", *words, "--reason", "review")
        assert code == 0 or "evidence from before that may come in until" in errors, errors
        return code == 0

    eventually(erased, "the order is over for good")
    return said[0]


def in_compacted(pipeline: Pipeline, names: Names) -> dict[str, int]:
    """Compacted topic -> messages that hold a name."""
    without = BY_NAME.keys() - set(COMPACTED)
    found: dict[str, int] = {}
    for one in scan(pipeline.settings, names, without, print):
        found[one.topic] = found.get(one.topic, 0) + one.count
    return found


def compact_at_once(pipeline: Pipeline) -> None:
    with connect(cluster_of(pipeline.settings)) as client:
        resources = [ConfigResource("topic", full_name(pipeline.settings, name), AT_ONCE) for name in COMPACTED]
        resources.append(ConfigResource("broker", "1", LOOKS_OFTEN))
        client.alter_configs(resources, incremental=True)


def until_compacted(pipeline: Pipeline, names: Names) -> None:
    """Until no compacted topic holds a name any more. Segments are closed when something is written: null values of a
    key that nobody has, in each partition."""

    def gone() -> bool:
        left = in_compacted(pipeline, names)
        for name in left:
            for partition in range(4):
                pipeline.publish(name, None, key=b"nobody", partition=partition)
        return not left

    eventually(gone, f"compaction: {in_compacted(pipeline, names)}", within_s=240)


def left_in_stores(pipeline: Pipeline, names: Names) -> list[Stored]:
    """Once the worker has been started anew: until then RocksDB lists the keys at its files' edges. It is stopped."""
    [worker] = pipeline.processes
    worker.stop()
    worker = pipeline.worker("w1")
    pipeline.publish("orders", order("SUBJ-AFTERWARDS"))
    pipeline.drained()
    worker.stop()
    return stores(pipeline.settings.data_dir / "workers", names)


def test_a_subject_is_erased(hasty: Pipeline, run: Run) -> None:
    subject = "SUBJ-TO-BE-ERASED"
    names = Names([subject, f"O-{subject}", TAG, "AB12 CDE", "AB12CDE", "Jane Secret", f"P-{subject}"])
    hasty.worker("w1")
    hasty.ready(workers=1)
    compact_at_once(hasty)
    breached(hasty, subject)
    code, _, errors = run("erase", "subject", subject, "--reason", "review")
    assert code == 1
    assert f"order O-{subject} is in force, or may yet be" in errors
    assert "is open: close it first" in errors
    code, said, errors = run("hold", "place", subject, "--reference", "R-17", "--reason", "trial in March")
    assert (code, errors) == (0, "")
    ended(hasty, subject)
    code, _, errors = run("erase", "subject", subject, "--reason", "review")
    assert code == 1
    assert re.search(r"legal hold R-17: placed by \S+ on \S+ \S+Z: trial in March", errors)
    code, said, _ = run("hold", "list")
    assert said.startswith(f"{subject}: R-17, by ")
    assert run("hold", "lift", subject, "--reference", "R-18", "--reason", "acquitted")[0] == 1
    assert run("hold", "lift", subject, "--reference", "R-17", "--reason", "acquitted")[0] == 0

    said = until_erased(run, "subject", subject)
    assert "erased: row, records, identifiers and tasks, by command" in said
    assert re.search(r"^subject-events/\d, offsets \d+ to \d+: \d+ messages; gone by 2\d{3}-", said, re.MULTILINE)
    assert said.rstrip().endswith("0 of them for good")
    assert "Jane" not in said
    assert TAG not in said
    assert said.startswith("1 rows, ")

    hasty.caught_up()
    entries = [entry for entry in hasty.outputs.audits() if entry.subject_id == subject]
    assert entries[-1].decision == "erased"
    assert faults(entries) == []
    ordered = [entry for entry in hasty.outputs.audits() if entry.decision == "erasure_ordered"]
    assert ordered
    assert subject not in ordered[-1].model_dump_json()
    assert hasty.outputs.tasks_of(subject) == []
    found = verify(hasty.settings)
    assert (found.wrong, found.erased) == ([], 1)
    code, said, errors = run("verify")
    assert code == 0, errors
    assert "1 erased" in said

    # Whoever has read the index from before knows nobody by the tag any more.
    hasty.publish("sightings", tag_fix(TAG))
    hasty.until(
        lambda: any(TAG.encode() in r.value for r in hasty.outputs.records["unresolved"] if r.value), "it is held"
    )
    until_compacted(hasty, Names([subject, "AB12 CDE", "AB12CDE", "Jane Secret", f"P-{subject}"]))
    assert left_in_stores(hasty, names) == []
    code, said, _ = run("erase", "scan", subject, "--store", str(hasty.settings.data_dir / "workers"))
    assert code == 0
    assert "0 of them for good" in said
    assert not [line for line in said.splitlines() if line.split("/")[0] in set(COMPACTED) - {"unresolved"}]

    # An order that its sender publishes again is a new one.
    hasty.worker("w1")
    hasty.publish("orders", with_people(subject, TAG))
    hasty.drained()
    hasty.publish("breach-reports", report(f"O-{subject}"))
    hasty.until(lambda: hasty.outputs.tasks_of(subject), "a breach of it is a task")
    hasty.drained()
    assert verify(hasty.settings).wrong == []


def test_a_protected_person_is_erased(hasty: Pipeline, run: Run) -> None:
    subject, person = "SUBJ-WHO-STAYS", "P-SUBJ-WHO-STAYS"
    names = Names([person, f"HERS-{subject}", "Jane Secret", "1 Hidden Lane"])
    hasty.worker("w1")
    hasty.ready(workers=1)
    compact_at_once(hasty)
    breached(hasty, subject)
    code, _, errors = run("erase", "protected-person", person, "--reason", "asked for")
    assert code == 1
    assert "protects them and is in force" in errors
    ended(hasty, subject)
    facts = hasty.outputs.facts(subject)
    said = until_erased(run, "protected-person", person)
    assert "person erased" in said
    assert "0 of them for good" in said
    hasty.caught_up()
    assert hasty.outputs.facts(subject) == facts
    assert all(b.protects == ["erased"] for task in hasty.outputs.tasks_of(subject) for b in task.breaches)
    assert verify(hasty.settings).wrong == []
    until_compacted(hasty, names)
    assert left_in_stores(hasty, names) == []


@pytest.mark.parametrize("moment", ["the index forgets", "the tasks are deleted", "the audit says so"])
def test_a_worker_that_is_killed_in_the_middle_leaves_nothing_behind(hasty: Pipeline, run: Run, moment: str) -> None:
    subject = "SUBJ-IN-THE-MIDDLE"
    worker = hasty.worker("w1")
    hasty.ready(workers=1)
    breached(hasty, subject)
    ended(hasty, subject)
    [task] = hasty.outputs.tasks_of(subject)

    def is_there() -> bool:
        records = hasty.outputs.records
        return {
            "the index forgets": any(record.value is None for record in records["identifiers"]),
            "the tasks are deleted": any(record.value is None for record in records["arrest-tasks"]),
            "the audit says so": any(entry.decision == "erased" for entry in hasty.outputs.audits()),
        }[moment]

    eventually(
        lambda: run("erase", "subject", subject, "--reason", "review", "--wait", "0")[0] == 2, "the command is given"
    )
    hasty.until(is_there, moment)
    worker.kill()
    hasty.worker("w1")
    hasty.until(lambda: any(entry.decision == "erased" for entry in hasty.outputs.audits()), "the audit says so")
    rows = "breachwatch-subjects-changelog"

    def newest_is_null() -> bool:
        mine = [r for r in read_all(cluster_of(hasty.settings), full_name(hasty.settings, rows)) if r.key]
        return [r.value for r in mine if r.key == subject.encode()][-1] is None

    eventually(newest_is_null, "the row is gone")
    hasty.drained()
    assert hasty.outputs.tasks_of(subject) == []
    assert in_compacted_for_good(hasty, Names([subject, TAG, f"P-{subject}"])) == {}
    found = verify(hasty.settings)
    assert (found.wrong, found.erased) == ([], 1)
    entries = [entry for entry in hasty.outputs.audits() if entry.subject_id == subject]
    assert faults(entries) == []
    assert task.task_id


def in_compacted_for_good(pipeline: Pipeline, names: Names) -> dict[str, int]:
    """Compacted topic -> messages that hold a name and that nothing supersedes."""
    found = scan(pipeline.settings, names, BY_NAME.keys() - set(COMPACTED), print)
    return {one.topic: one.stays for one in found if one.stays}


def test_two_who_turned_out_to_be_one_are_erased_together(hasty: Pipeline, run: Run) -> None:
    past = {"expires_at": ago(86_400).isoformat()}
    hasty.worker("w1")
    hasty.ready(workers=1)
    hasty.publish("orders", order("SUBJ-ONE", tag="TAG-1", **past), order("SUBJ-OTHER", **past))
    hasty.drained()
    names = {"subject_id": "SUBJ-ONE", "other_subject_id": "SUBJ-OTHER"}
    hasty.publish("orders", event("identity_corrected", how="merged", reason="one person", **names))
    hasty.drained()
    code, _, errors = run("erase", "subject", "SUBJ-ONE", "--reason", "review")
    assert code == 1
    assert "the subject is SUBJ-OTHER: erase that one, which erases both" in errors
    said = until_erased(run, "subject", "SUBJ-OTHER")
    assert said.count("erased: row, records") == 2
    assert in_compacted_for_good(hasty, Names(["SUBJ-ONE", "SUBJ-OTHER", "TAG-1", "O-SUBJ-ONE"])) == {}
    assert verify(hasty.settings).wrong == []


def test_of_nobody_nothing_is_erased_and_nothing_begins(hasty: Pipeline, run: Run) -> None:
    hasty.worker("w1")
    hasty.ready(workers=1)
    code, said, _ = run("erase", "subject", "SUBJ-UNKNOWN", "--reason", "review")
    assert code == 0
    assert "nothing is known by this id" in said
    code, _, errors = run("hold", "place", "SUBJ-UNKNOWN", "--reference", "R-1", "--reason", "x")
    assert code == 1
    assert "nothing is known here of a subject of this id" in errors
    assert verify(hasty.settings).subjects == 0


def test_without_a_worker_the_command_waits_in_the_log(hasty: Pipeline, run: Run) -> None:
    hasty.publish("orders", order("SUBJ-LATER", expires_at=ago(8 * 86400).isoformat()))
    worker = hasty.worker("w1")
    hasty.ready(workers=1)
    hasty.drained()
    worker.stop()
    code, _, errors = run("erase", "subject", "SUBJ-LATER", "--reason", "review", "--wait", "1")
    assert code == 2
    assert "the command is in the log" in errors
    hasty.worker("w1")
    hasty.until(lambda: any(entry.decision == "erased" for entry in hasty.outputs.audits()), "it is carried out")
