"""Ingest: every inbound message becomes a subject event, a held event, or a dead letter."""

import asyncio
import hashlib
import re
import time
from datetime import UTC, datetime
from typing import Any

from schemas.base import TRACEPARENT, Event
from schemas.cloud_events import structured
from schemas.inbound import BadMessageError, BadReason, decode_current
from schemas.internal import Arrival, encode_held, encode_subject_event
from schemas.reports import BreachReport
from streams import dead_letters, metrics
from streams.agents import measured
from streams.backlog import Backlog
from streams.core.effects import cause_id
from streams.core.resolve import direct_subject, resolve
from streams.dead_letters import Origin
from streams.identifiers import IndexReader
from streams.outbound import outbound
from streams.refusals import Refusals
from streams.source_controls import SourceControls
from streams.source_status import SourceStatuses, source_of

BACKFILL = "sightings-backfill"
# What may wait in front of assess when a message of the topic is passed on; of the other topics nothing is held back.
# Assess takes 2 to 3 ms for an event: a report should wait for some 0.3 s behind sightings, however many there are.
AHEAD = {"sightings": 100, BACKFILL: 10}
RETROSPECTIVE = "bw-retrospective"
"""The header of what a search of retained reads has found: the search's id."""


def trace_of(headers: Any) -> str | None:
    """The `traceparent` header of a message; one of another form is none (W3C Trace Context, section 4.3)."""
    stated = _header(headers, "traceparent")
    return stated if stated is not None and re.fullmatch(TRACEPARENT, stated) else None


def _header(headers: Any, name: str) -> str | None:
    value = dict(headers or {}).get(name)
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value


def ingest_agent(
    app: Any,
    name: str,
    index: IndexReader,
    backlog: Backlog,
    controls: SourceControls,
    statuses: SourceStatuses,
    refusals: Refusals,
) -> None:
    """Register the agent of the inbound topic `name`."""
    subject_events = app.raw_topic("subject-events")
    unresolved = app.raw_topic("unresolved")

    async def forward(origin: Origin, message: Any, current: bytes, event: Event) -> str:
        if direct_subject(event) is None:
            await index.confirm_fresh(origin.appended_at.timestamp())
        arrival = Arrival(
            topic=origin.topic,
            partition=origin.partition,
            offset=origin.offset,
            appended_at=origin.appended_at,
            sha256=hashlib.sha256(message.value).hexdigest(),
            traceparent=trace_of(message.headers) or event.traceparent,
            search_id=_header(message.headers, RETROSPECTIVE) if name == BACKFILL else None,
        )
        targets = resolve(event, index.index)
        for target in targets:
            subject, routing = target.subject_id, target.routing(arrival)
            await subject_events.send(key=subject.encode(), value=encode_subject_event(subject, routing, current))
        if targets:
            return "resolved"
        await unresolved.send(key=cause_id("held", event.event_id).encode(), value=encode_held(arrival, current))
        if isinstance(event, BreachReport):
            detail = "the report is held and goes on when its order or identifier arrives"
            unknown = BadMessageError(BadReason.UNKNOWN_SUBJECT, detail)
            raised = dead_letters.alert(origin, unknown, exercise=event.exercise)
            if raised is not None:
                await app.send_out("alerts", outbound("alerts", raised))
        return "unresolved"

    async def ingest(stream: Any) -> None:
        async for received in stream.events():
            message, taken_at = received.message, time.time()
            origin = Origin(
                name, message.partition, message.offset, datetime.fromtimestamp(message.timestamp, tz=UTC)
            )
            async with app.whole(message):
                value = structured(message.value, message.headers or ())
                try:
                    event, current = decode_current(name, value, app.settings.max_message_bytes)
                    await controls.check(event.source)
                except BadMessageError as error:
                    await refusals.refuse(origin, message.value, message.headers or (), source_of(value), error)
                    # What is only counted waits for nothing: thousands in a row would hold up all other agents.
                    await asyncio.sleep(0)
                else:
                    if name in AHEAD:
                        await backlog.room(AHEAD[name])
                    outcome = await forward(origin, message, current, event)
                    statuses.count(event.source, outcome, at=event.time)
                    metrics.EVENTS_IN.labels(name, outcome).inc()
                    if not event.exercise:
                        measured.arrived(event.recordedtime.timestamp(), message.timestamp, taken_at, time.time())

    ingest.__name__ = f"ingest_{name.replace('-', '_')}"
    app.agent(app.raw_topic(name), name=ingest.__name__, concurrency=1)(ingest)
