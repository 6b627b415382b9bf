"""What is counted of a decision, and that no label grows with what comes from outside."""

import pytest
from builders import SUBJECT, Subject, after, order, report, wake
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from schemas.internal import SubjectEvent
from streams import metrics
from streams.agents import measured
from streams.core.effects import Effects

LABELS = {
    "action",
    "adapter", "check", "grade", "group", "kind", "outcome", "partition", "reason", "severity", "stage", "state",
    "step", "to", "topic", "way", "whose", "what",
}  # fmt: skip
"""Each of a set that is known before anything is read."""
OURS = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]


def samples() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in REGISTRY.collect()
        # A board that another test had in this process goes on to grow old.
        if family.name.startswith("breachwatch_") and family.name != "breachwatch_board_data_age_seconds"
        for sample in family.samples
    }


def grown(since: dict[tuple[str, tuple[tuple[str, str], ...]], float], name: str) -> dict[tuple[str, ...], float]:
    """Label values -> by how much the samples of this name have grown, those that have."""
    return {
        tuple(value for _, value in key[1]): value - since.get(key, 0.0)
        for key, value in samples().items()
        if key[0] == name and value != since.get(key, 0.0)
    }


def breach(*, exercise: bool = False) -> tuple[Effects, SubjectEvent]:
    subject = Subject(order(), subject_id="exercise/S1" if exercise else SUBJECT)
    effects = subject.feed(report(after(10)).model_copy(update={"exercise": exercise}))
    return effects, subject.decided[-1][0]


TOOK = "breachwatch_event_to_task_seconds"


def test_a_breach_is_timed_from_the_append_of_its_event() -> None:
    effects, incoming = breach()
    since = samples()
    measured.decided(effects, incoming, incoming.routing.appended_at.timestamp() + 3)
    [task] = effects.tasks
    assert grown(since, TOOK + "_sum") == {(task.grade, "sightings"): 3.0}
    assert grown(since, TOOK + "_count") == {(task.grade, "sightings"): 1.0}


@pytest.mark.parametrize("why", ["exercise", "held", "again", "duplicate"])
def test_what_is_no_delay_of_ours_is_not_timed(why: str) -> None:
    effects, incoming = breach(exercise=why == "exercise")
    if why == "held":
        incoming = incoming.model_copy(update={"routing": incoming.routing.model_copy(update={"held": True})})
    if why == "again":
        effects.again = True
    if why == "duplicate":
        effects = Effects(duplicate=True)
    since = samples()
    measured.decided(effects, incoming, incoming.routing.appended_at.timestamp() + 3)
    assert grown(since, TOOK + "_count") == {}


def test_what_people_have_missed_is_counted() -> None:
    subject = Subject(order())
    subject.feed(report(after(10)))
    since = samples()
    for hours in range(1, 30):
        effects = subject.feed(wake(after(hours * 3600)))
        measured.decided(effects, subject.decided[-1][0], subject.now.timestamp())
    assert sum(grown(since, "breachwatch_deadlines_missed_total").values()) == 1.0
    assert {who for (who,) in grown(since, "breachwatch_escalations_total")} >= {"supervisor", "duty_inspector"}


def test_nothing_is_counted_of_an_exercise_that_nobody_attends() -> None:
    subject = Subject(order(), subject_id="exercise/S1")
    subject.feed(report(after(10)).model_copy(update={"exercise": True}))
    before = samples()
    for hours in range(1, 30):
        effects = subject.feed(wake(after(hours * 3600)))
        incoming = subject.decided[-1][0]
        measured.decided(effects, incoming, subject.now.timestamp())
        measured.judged(incoming, 1.0, 2.0, 3.0)
    assert "escalation" in subject.kinds()
    assert samples() == before


def test_clocks_that_disagree_give_no_negative_time() -> None:
    since = samples()
    measured.arrived(recorded_at=100.0, appended_at=90.0, taken_at=89.0, done_at=91.0)
    assert grown(since, "breachwatch_stage_seconds_sum") == {("own", "ingest"): 2.0}


@pytest.mark.parametrize("metric", OURS, ids=lambda metric: metric._name)
def test_a_metric_is_named_and_labelled_as_they_all_are(metric: object) -> None:
    name, labels, text = metric._name, set(metric._labelnames), metric._documentation  # type: ignore[attr-defined]
    assert labels <= LABELS
    assert not text[0].islower()
    assert not text.endswith(".")
    assert not name.endswith(("_ms", "_minutes", "_kb", "_milliseconds"))


def test_there_is_no_metric_elsewhere() -> None:
    ours = {metric._name for metric in OURS}
    assert {family.name for family in REGISTRY.collect() if family.name.startswith("breachwatch_")} <= ours
