"""The main path, by real processes: evidence of every kind becomes one arrest task, and people move it to its end."""

from pathlib import Path

import pytest
from harness import (
    OUTSIDE,
    Fact,
    Pipeline,
    ago,
    changed_policy,
    custody,
    officer_sighting,
    order,
    plate_read,
    quick,
    report,
    running,
    tag_fix,
    task_update,
)

from schemas.tasks import ArrestTask
from streams.settings import Settings


@pytest.fixture
def pipeline(pipeline_settings: Settings, tmp_path: Path):  # type: ignore[no-untyped-def]
    """A pipeline whose tasks are sent with a new position after a second instead of a minute."""
    file = changed_policy(tmp_path, "last_seen_interval_s = 60\n", "last_seen_interval_s = 1\n")
    settings = quick(pipeline_settings, policy_file=file)
    with running(settings, tmp_path / "logs") as started:
        started.worker()
        started.gate()
        yield started


def moved(pipeline: Pipeline, task: ArrestTask, state: str) -> ArrestTask:
    def in_state() -> ArrestTask | None:
        return next(
            (t for t in pipeline.outputs.final_tasks() if (t.task_id, t.state) == (task.task_id, state)), None
        )

    found = pipeline.until(in_state, f"the task is {state}")
    assert found is not None
    return found


def test_from_an_order_and_evidence_to_an_arrest_and_the_next_task(pipeline: Pipeline) -> None:
    outputs = pipeline.outputs
    read_at, report_at, fix_at, seen_at = ago(300), ago(240), ago(180), ago(120)
    pipeline.publish("orders", order("S1", plate="AB12 CDE", tag="TAG-1"))
    pipeline.publish("anpr-reads", plate_read("ZZ99ZZZ", read_at), plate_read("AB12CDE", read_at))
    pipeline.publish("breach-reports", report("O-S1", report_at))
    pipeline.publish("sightings", tag_fix("TAG-1", fix_at), officer_sighting("S1", seen_at))
    expected = {
        Fact("S1", "O-S1", "T1", "vehicle", read_at, None),
        Fact("S1", "O-S1", "T2", "reported", report_at, report_at),
        Fact("S1", "O-S1", "T1", "confirmed", fix_at, None),
        Fact("S1", "O-S1", "T1", "confirmed", seen_at, None),
    }
    pipeline.until_facts(expected)
    pipeline.drained()

    [task] = outputs.final_tasks()
    assert (task.state, task.breach_count, task.owning_force) == ("open", 4, "Test Force")
    assert task.priority.score == sum(c.points for c in task.priority.contributions)
    assert all(c.reason and c.rule for c in task.priority.contributions)
    assert task.grade == "immediate"
    for breach in task.breaches:
        assert breach.proof_of_service is not None
        assert "proof-S1" in breach.proof_of_service
        assert breach.power
        assert breach.evidence
        assert breach.protects == ["P-S1"]
    raised = outputs.alerts_by_id()
    assert {alert.breach_id for alerts in raised.values() for alert in alerts if alert.kind == "breach"} == {
        breach.breach_id for breach in task.breaches
    }
    # The read of a plate on no order has stopped at the gate.
    forwarded = {b"AB12CDE" in r.value for r in outputs.records["subject-events"] if b'"plate_read"' in r.value}
    assert forwarded == {True}

    later = officer_sighting("S1", ago(30), OUTSIDE)
    pipeline.publish("sightings", later)

    def seen_outside() -> ArrestTask | None:
        [now] = outputs.final_tasks()
        return now if now.last_seen and now.last_seen.position.latitude == OUTSIDE[0] else None

    moved_on = pipeline.until(seen_outside, "the task says where the subject was last seen")
    assert moved_on is not None
    assert moved_on.last_seen is not None
    assert moved_on.last_seen.event_id == f"{later['source']}#{later['id']}"
    pipeline.drained()
    assert outputs.alerts_by_id().keys() == raised.keys(), "a new position is no alert"

    for action, more, state in (
        ("acknowledge", {}, "acknowledged"),
        ("assign", {"assignee": "RV-12"}, "assigned"),
        ("en_route", {}, "en_route"),
    ):
        pipeline.publish("task-updates", task_update(task, action, **more))
        now_is = moved(pipeline, task, state)
    assert now_is.assigned_to == "RV-12"
    arrested_at = ago()
    pipeline.publish("custody-events", custody("S1", "arrested", arrested_at))
    arrested = moved(pipeline, task, "arrested")
    assert [entry.what for entry in arrested.history][-4:] == ["acknowledge", "assign: RV-12", "en route", "arrested"]

    again_at = ago()
    pipeline.publish("breach-reports", report("O-S1", again_at))
    pipeline.until(lambda: len(outputs.final_tasks()) == 2, "a breach after the arrest opens a new task")
    pipeline.drained()
    first, second = outputs.final_tasks()
    assert (first.task_id, first.state) == (task.task_id, "arrested")
    assert (second.state, second.breach_count) == ("open", 1)
    assert second.breaches[0].began_at == again_at
    assert not outputs.dead_letters()
    for process in pipeline.processes:
        process.stop()


def test_exercise_traffic_is_a_world_apart(pipeline: Pipeline) -> None:
    outputs = pipeline.outputs
    live_at, exercise_at = ago(200), ago(100)
    pipeline.publish("orders", order("S2", tag="TAG-2"))
    pipeline.publish("sightings", tag_fix("TAG-2", live_at))
    live_facts = {Fact("S2", "O-S2", "T1", "confirmed", live_at, None)}
    pipeline.until_facts(live_facts)

    # The same subject, order and tag, as an exercise: at first nobody of that world is known.
    pipeline.publish("sightings", tag_fix("TAG-2", exercise_at, exercise=True))
    pipeline.until(lambda: outputs.records["unresolved"], "the exercise fix is held")
    pipeline.drained()
    [live] = outputs.final_tasks()
    assert outputs.facts() == live_facts

    pipeline.publish("orders", order("S2", tag="TAG-2", exercise=True))
    pipeline.publish("breach-reports", report("O-S2", exercise_at, exercise=True))
    apart = {
        Fact("exercise/S2", "O-S2", "T1", "confirmed", exercise_at, None),
        Fact("exercise/S2", "O-S2", "T2", "reported", exercise_at, exercise_at),
    }
    pipeline.until_facts(live_facts | apart)
    pipeline.drained()
    [exercise] = outputs.tasks_of("exercise/S2")
    assert exercise.exercise
    assert all(alert.exercise for alert in outputs.alerts() if alert.subject_id == "exercise/S2")
    [after] = outputs.tasks_of("S2")
    assert (after.exercise, after.breaches) == (False, live.breaches)
    # A report that came before its order has no subject yet; it is an exercise all the same.
    assert {alert.subject_id for alert in outputs.alerts() if not alert.exercise} == {"S2"}
