"""Alarms: each worker wakes the subjects of its own partitions when something on their rows falls due.

A timer outside the stream cannot write a table, so what is due is published to `subject-events` and assess
applies it. The row keeps its own `wake_at`, so a worker that takes partitions over finds their alarms there.
"""

import asyncio
import contextlib
import hashlib
import heapq
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from schemas.internal import DeadlineDue, Routing, SubjectEvent
from streams.core.effects import cause_id

log = structlog.get_logger()

# Assess judges by the broker's clock. Where that is behind ours the alarm comes too early and changes nothing;
# it is set again, not sooner than this.
RETRY_S = 1.0
# Between two looks at the heap when nothing is due: what a deadline may be late by.
TICK_S = 0.25


class Alarms:
    """A heap of (due, subject); a subject's newest setting counts."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, bytes]] = []
        self._due: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def set(self, subject: bytes, due: float | None, not_before: float = 0.0) -> None:
        """`due` in seconds since 1970; None: the subject waits for nothing."""
        if due is None:
            self._due.pop(subject, None)
            return
        due = max(due, not_before)
        if self._due.get(subject) != due:
            self._due[subject] = due
            heapq.heappush(self._heap, (due, subject))

    def pop(self, now: float) -> list[bytes]:
        """Those due by `now`; each is forgotten until it is set again."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            due, subject = heapq.heappop(self._heap)
            if self._due.get(subject) == due:
                del self._due[subject]
                found.append(subject)
        return found

    def clear(self) -> None:
        self._heap, self._due = [], {}


def wake_at(row: bytes) -> float | None:
    """The row's alarm, seconds since 1970, without decoding the rest of it into models."""
    stated = orjson.loads(row).get("wake_at")
    return None if stated is None else datetime.fromisoformat(stated).timestamp()


def wake_up(subject: bytes, now: float) -> bytes:
    """The `subject-events` message that wakes a subject."""
    at = datetime.fromtimestamp(now, tz=UTC)
    event = DeadlineDue(
        id=cause_id("deadline", subject.decode(), at.isoformat()),
        source="breachwatch",
        type="deadline_due",
        time=at,
        recordedtime=at,
    )
    routing = Routing(
        topic="deadlines",
        partition=0,
        offset=0,
        appended_at=at,
        sha256=hashlib.sha256(event.model_dump_json().encode()).hexdigest(),
    )
    return SubjectEvent(subject_id=subject.decode(), routing=routing, event=event).model_dump_json().encode()


class AlarmClock:
    """Sends the wake-ups that are due for the partitions that this worker owns."""

    def __init__(self, app: Any, alarms: Alarms, clock: Callable[[], float] = time.time) -> None:
        self._app = app
        self._alarms = alarms
        self._clock = clock
        self._subject_events = app.raw_topic("subject-events")
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.task = asyncio.create_task(self._run(), name="alarms")

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self.task

    def load(self, table: Any) -> None:
        """Take every alarm from the rows of the partitions that are now ours."""
        self._alarms.clear()
        for subject, row in table.items():
            self._alarms.set(bytes(subject), wake_at(row))
        log.info("alarms_loaded", alarms=len(self._alarms))

    async def _run(self) -> None:
        while True:
            now = self._clock()
            for subject in self._alarms.pop(now):
                await self._subject_events.send(key=subject, value=wake_up(subject, now))
            await asyncio.sleep(TICK_S)
