"""What is counted of an event's way and of a decision; of exercises nothing is."""

from schemas.internal import SubjectEvent
from schemas.tasks import NEWS
from streams import metrics
from streams.core.effects import Effects
from streams.core.policy import STEPS, Policy
from streams.core.resolve import is_exercise
from streams.kafka.topics import INGESTED


def begin(policy: Policy) -> None:
    """Show at 0 what is rare and what alerts and the service level rest on: of a counter that begins at 1 nothing is
    known to have been added, so that the first breach of a grade would be in no rate."""
    for grade in policy.grades:
        metrics.DEADLINES_MISSED.labels(grade.name)
        for topic in (*INGESTED, "deadlines"):
            metrics.EVENT_TO_TASK.labels(topic, grade.name)
    for step in STEPS:
        metrics.ESCALATIONS.labels(step)


def arrived(recorded_at: float, appended_at: float, taken_at: float, done_at: float) -> None:
    """An inbound event has been passed on; all times in seconds since 1970."""
    _stage("transport", "ingest", appended_at - recorded_at)
    _stage("wait", "ingest", taken_at - appended_at)
    _stage("own", "ingest", done_at - taken_at)


def decided(effects: Effects, incoming: SubjectEvent, now: float) -> None:
    """The effects have been sent; `now` by the brokers' clock, in seconds since 1970.

    An event that was held, since nobody was known for it, was no task before somebody was: not our delay. What is
    sent again after a crash has been counted.
    """
    if _is_exercise(incoming):
        return
    for kind in effects.suppressed:
        metrics.SUPPRESSED.labels(kind).inc()
    if effects.again:
        return
    for task in effects.tasks:
        if task.change in NEWS and not incoming.routing.held:
            waited = now - incoming.routing.appended_at.timestamp()
            metrics.EVENT_TO_TASK.labels(incoming.routing.topic, task.grade).observe(max(0.0, waited))
    grades = {task.task_id: task.grade for task in effects.tasks}
    for alert in effects.alerts:
        if alert.kind == "escalation" and alert.to is not None:
            metrics.ESCALATIONS.labels(alert.to).inc()
        elif alert.kind == "deadline_missed" and alert.task_id in grades:
            metrics.DEADLINES_MISSED.labels(grades[alert.task_id]).inc()


def judged(incoming: SubjectEvent, appended_at: float, taken_at: float, done_at: float) -> None:
    """Assess has written a row and sent the effects; all times in seconds since 1970."""
    if _is_exercise(incoming):
        return
    _stage("wait", "assess", taken_at - appended_at)
    _stage("own", "assess", done_at - taken_at)


def _is_exercise(incoming: SubjectEvent) -> bool:
    """By the row: a wake-up, which is our own event, does not say so."""
    return is_exercise(incoming.subject_id)


def filtered(appended_at: float, taken_at: float, done_at: float) -> None:
    """The gate has gone through a batch, whose oldest read was appended then; all times in seconds since 1970."""
    _stage("wait", "gate", taken_at - appended_at)
    _stage("own", "gate", done_at - taken_at)


def _stage(stage: str, step: str, seconds: float) -> None:
    # Clocks of senders, brokers and ours differ: what came before it was sent took no time.
    metrics.STAGE.labels(stage, step).observe(max(0.0, seconds))
