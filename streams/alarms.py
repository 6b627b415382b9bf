"""Alarms: each worker wakes the subjects of its own partitions when something on their rows falls due.

A timer outside the stream cannot write a table, so what is due is published to `subject-events` and assess
applies it. The row keeps its own `wake_at`, so a worker that takes partitions over finds their alarms there.

A wait is measured by the monotonic clock, from the row's own time at its last event, so that no step of a clock
makes it longer. The wake-up says how far the row's time has come by that measure, and assess takes the later of
this and the broker's time. What has passed while no worker ran is known from the broker's clock alone: where the
estimate of that runs ahead, a wake-up comes early, changes nothing, and its acknowledgement sets the estimate right.
"""

import asyncio
import contextlib
import heapq
import math
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog

from schemas.internal import DeadlineDue, encode_own_event
from streams.broker_clock import BrokerClock
from streams.core.effects import cause_id
from streams.core.rows import head

log = structlog.get_logger()

# An alarm is not due sooner than this after it was set, so that one that comes too early cannot spin.
RETRY_S = 1.0
# Between two looks at the heap when nothing is due: what a deadline may be late by.
TICK_S = 0.25
# Wake-ups that have been sent and not been applied yet. What has happened comes on the same topic: after a day
# without any worker tens of thousands may be due, at 1.5 to 2.3 ms each, and a new breach must not wait for them all.
MAX_UNDER_WAY = 100
# Settings that no longer count and may lie in the heap beside as many that do.
_SPARE = 1000


class Alarm(NamedTuple):
    """When a subject must be woken; `due` and `row_time` by the row's time, seconds since 1970."""

    due: float
    row_time: float
    """The row's time when the alarm was set."""
    set_at: float
    """The monotonic time then."""


class WakeUp(NamedTuple):
    """A subject that is due, and how far its row's time has come at least."""

    subject: bytes
    row_time: float


class Alarms:
    """A heap of subjects by when they are due; a subject's newest setting counts."""

    def __init__(self, clock: BrokerClock) -> None:
        self.clock = clock
        self._alarms: dict[bytes, Alarm] = {}
        self._heap: list[tuple[float, bytes, Alarm]] = []
        self._under_way: set[bytes] = set()
        """Whose wake-up is sent; it is applied when their alarm is set again."""

    def __len__(self) -> int:
        return len(self._alarms)

    def set(self, subject: bytes, due: float | None, row_time: float) -> None:
        """`due` None: the subject waits for nothing."""
        self._under_way.discard(subject)
        if due is None:
            self._alarms.pop(subject, None)
            return
        alarm = self._alarms[subject] = Alarm(due, row_time, self.clock.monotonic())
        heapq.heappush(self._heap, (self._rings(alarm), subject, alarm))
        # A tag's every fix sets an alarm that is due in an hour: at 100 a second 360,000 settings would wait for one
        # that no longer counts.
        if len(self._heap) > 2 * len(self._alarms) + _SPARE:
            self._rebuild()

    def _rebuild(self) -> None:
        self._heap = [(self._rings(alarm), subject, alarm) for subject, alarm in self._alarms.items()]
        heapq.heapify(self._heap)

    def clear(self) -> None:
        self._alarms, self._heap, self._under_way = {}, [], set()

    def heard(self, appended: float, sent: float = -math.inf) -> None:
        """Take in what a message or an acknowledgement says of the broker's clock, as `BrokerClock.heard`."""
        if not self.clock.heard(appended, sent):
            return
        log.warning("broker_clock_differs", now=datetime.fromtimestamp(self.clock.now(), tz=UTC).isoformat())
        self._rebuild()

    def pop(self) -> WakeUp | None:
        """The next that is due, forgotten until it is set again; None if nobody is, or enough are under way."""
        if len(self._under_way) >= MAX_UNDER_WAY:
            return None
        now = self.clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            _, subject, alarm = heapq.heappop(self._heap)
            if self._alarms.get(subject) is alarm:
                del self._alarms[subject]
                self._under_way.add(subject)
                return WakeUp(subject, alarm.row_time + now - alarm.set_at)
        return None

    def _rings(self, alarm: Alarm) -> float:
        """The monotonic time of the alarm: as soon as either measure says that it is due."""
        by_wait = alarm.set_at + alarm.due - alarm.row_time
        by_broker = self.clock.monotonic() + alarm.due - self.clock.now()
        return max(min(by_wait, by_broker), alarm.set_at + RETRY_S)


def wake_up(subject: bytes, row_time: float, sent: float) -> bytes:
    """The `subject-events` message that wakes a subject; both times in seconds since 1970."""
    at, sent_at = datetime.fromtimestamp(row_time, tz=UTC), datetime.fromtimestamp(sent, tz=UTC)
    event = DeadlineDue(
        id=cause_id("deadline", subject.decode(), at.isoformat()),
        source="breachwatch",
        type="deadline_due",
        time=at,
        recordedtime=sent_at,
    )
    return encode_own_event(subject.decode(), "deadlines", event)


class AlarmClock:
    """Sends the wake-ups that are due for the partitions that this worker owns."""

    def __init__(self, app: Any, alarms: Alarms) -> None:
        self._alarms = alarms
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
            stored = head(row)
            self._alarms.set(bytes(subject), stored.wake_at, stored.now)
        log.info("alarms_loaded", alarms=len(self._alarms))

    async def _run(self) -> None:
        while True:
            await self._ring()
            await asyncio.sleep(TICK_S)

    async def _ring(self) -> None:
        """Send what is due; the first alone, since its acknowledgement may show that the others are not."""
        first = self._alarms.pop()
        if first is None:
            return
        sent = self._alarms.clock.monotonic()
        acknowledged = await (await self._send(first))
        self._alarms.heard(acknowledged.timestamp / 1000, sent)
        while (due := self._alarms.pop()) is not None:
            await self._send(due)

    async def _send(self, due: WakeUp) -> Any:
        value = wake_up(due.subject, due.row_time, self._alarms.clock.now())
        return await self._subject_events.send(key=due.subject, value=value)
