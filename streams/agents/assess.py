"""Assess: the one agent that owns subjects' rows. It decodes, calls the core, writes the row, sends effects."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import ValidationError

from schemas.inbound import BadMessageError, BadReason
from schemas.internal import SubjectEvent
from schemas.tasks import TaskChange
from streams import dead_letters, metrics
from streams.agents import measured
from streams.alarms import Alarms
from streams.backlog import Backlog
from streams.core.assess import decide
from streams.core.canary import is_canary
from streams.core.effects import Effects
from streams.core.identity import identifier_key
from streams.core.policy import Policy
from streams.core.rows import dump
from streams.dead_letters import Origin
from streams.logs import correlation
from streams.outbound import outbound
from streams.source_status import SourceStatuses
from streams.subjects import Subjects

log = structlog.get_logger()


def _log_tasks(effects: Effects, incoming: SubjectEvent, origin: Origin) -> None:
    """One line for a task that is new or has changed, none for what does nothing, nor for each of the canary's."""
    if is_canary(incoming.subject_id):
        return
    routing = incoming.routing
    for task in effects.tasks:
        if task.change is not TaskChange.DETAILS:
            log.info(
                "task",
                task=task.task_id,
                change=task.change,
                grade=task.grade,
                state=task.state,
                exercise=task.exercise,
                because_of=f"{routing.topic}/{routing.partition}/{routing.offset}",
                message=str(origin),
                correlation=correlation(routing.traceparent, incoming.event.event_id),
            )


def assess_agent(
    app: Any, policy: Policy, subjects: Subjects, alarms: Alarms, backlog: Backlog, statuses: SourceStatuses
) -> None:
    """Register the agent of `subject-events` over the tables of subjects and records."""
    events = app.raw_topic("subject-events")
    identifiers = app.raw_topic("identifiers")
    tombstoned = {
        name: app.raw_topic(name) for name in ("identifiers", "arrest-tasks", "safeguarding-tasks", "unresolved")
    }

    async def send(effects: Effects) -> None:
        for record in effects.identifiers:
            await identifiers.send(key=identifier_key(record), value=record.model_dump_json().encode())
        for forward in effects.forwards:
            await events.send(key=forward.subject_id.encode(), value=forward.model_dump_json().encode())
        for name, models in (
            ("arrest-tasks", effects.tasks),
            ("alerts", effects.alerts),
            ("safeguarding-tasks", effects.safeguarding),
            ("task-answers", effects.answers),
            ("audit", effects.audits),
        ):
            for model in models:
                await app.send_out(name, outbound(name, model))
        for name, key in effects.tombstones:
            await tombstoned[name].send(key=key.encode(), value=None)

    async def forget(message: Any, subject: str, effects: Effects) -> None:
        """The row goes once all else of it is gone, and the audit says so: then a repeat has nothing left to do."""
        await send(effects)
        await app.sends.barrier(app.settings.send_timeout_s)
        subjects.remove(subject)
        alarms.set(subject.encode(), None, message.timestamp)

    async def assess_one(message: Any) -> None:
        appended_at = datetime.fromtimestamp(message.timestamp, tz=UTC)
        taken_at = time.time()
        alarms.heard(message.timestamp)
        origin = Origin("subject-events", message.partition, message.offset, appended_at)
        try:
            incoming = SubjectEvent.read(message.value or b"")
        except ValidationError:
            # Only we write this topic; whatever else gets here is kept and shown, not guessed at.
            error = BadMessageError(BadReason.INVALID_FIELD, "not a subject event; only ingest writes this topic")
            metrics.DEAD_LETTERS.labels(origin.topic, error.reason).inc()
            await app.send_out("dead-letters", dead_letters.letter(origin, message.value, (), error))
            return
        subject = incoming.subject_id
        state, records = subjects.take(subject)
        committed = app.committed.get((message.topic, message.partition), 0)
        effects = decide(state, records, incoming, policy, appended_at, message.offset, committed)
        if effects.gone:
            await forget(message, subject, effects)
            await asyncio.to_thread(app.purge_tables, message.partition, subject)
            return
        row = dump(state)
        metrics.ROW_BYTES.observe(len(row))
        if records.needed_by_row:
            # The tables have changelogs of their own: after a crash a row must not refer to a record that was
            # lost on the way.
            await app.sends.barrier(app.settings.send_timeout_s)
        subjects.put(state, records, row)
        due = None if state.wake_at is None else state.wake_at.timestamp()
        alarms.set(subject.encode(), due, (state.now or appended_at).timestamp())
        await send(effects)
        measured.judged(incoming, message.timestamp, taken_at, time.time())
        measured.decided(effects, incoming, alarms.clock.now())
        _log_tasks(effects, incoming, origin)
        if effects.purge:
            await asyncio.to_thread(app.purge_tables, message.partition, subject)
        if effects.duplicate:
            statuses.count(incoming.event.source, "duplicate")
        if effects.commit_now:
            await app.commit({message.topic})

    async def assess(stream: Any) -> None:
        async for received in stream.events():
            async with app.whole(received.message):
                await assess_one(received.message)
                backlog.applied(received.message.tp, received.message.offset)

    app.agent(events, name="assess", concurrency=1)(assess)
