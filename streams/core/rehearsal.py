"""The pipeline in memory, without Kafka: for a policy's rehearsal, for explanations and for tests."""

import hashlib
from datetime import datetime, timedelta

from schemas.base import Event
from schemas.inbound import BadMessageError, decode
from schemas.internal import Arrival, DeadlineDue, SubjectEvent
from schemas.safeguarding import SafeguardingTask
from schemas.tasks import Alert, ArrestTask, AuditEntry
from schemas.updates import TaskAnswer
from streams.core.assess import decide
from streams.core.effects import cause_id
from streams.core.index import IdentifierIndex
from streams.core.policy import Policy
from streams.core.records import Records
from streams.core.resolve import Target, resolve
from streams.core.rows import dump, load
from streams.core.state import SubjectState

_MOMENT = timedelta(milliseconds=1)


class Rehearsal:
    """Feeds events through resolving and assessing under one policy; what came out is in its lists.

    An event that names nobody yet is held and driven on when an identifier appears, and a row is woken when
    something on it falls due, as in the pipeline.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.index = IdentifierIndex()
        self.tasks: dict[str, ArrestTask] = {}
        self.safeguarding: dict[str, SafeguardingTask] = {}
        self.answers: list[TaskAnswer] = []
        self.alerts: list[Alert] = []
        self.audits: list[AuditEntry] = []
        self.refused: list[BadMessageError] = []
        self.rows: dict[str, bytes] = {}
        self._tables: dict[str, dict[bytes, bytes]] = {}
        self._held: list[tuple[str, Event, datetime]] = []
        self._due: dict[str, datetime] = {}
        self._offset = 0

    def feed(self, topic: str, value: bytes, now: datetime) -> None:
        """One inbound message, which the broker takes at `now`."""
        try:
            event = decode(topic, value)
        except BadMessageError as error:
            self.refused.append(error)
            return
        self.apply(topic, event, now)

    def advance(self, now: datetime) -> None:
        """Wake each subject whose row waits for something that has fallen due by `now`, as workers do."""
        while self._due:
            subject_id, due = min(self._due.items(), key=lambda item: (item[1], item[0]))
            # A moment later: a silence begins once its last second is over.
            at = due + _MOMENT
            if at > now:
                return
            alarm = DeadlineDue(
                id=cause_id("deadline", subject_id, at.isoformat()),
                source="breachwatch",
                type="deadline_due",
                time=at,
                recordedtime=at,
            )
            self._assess("deadlines", alarm, at, Target(subject_id))
            assert self._due.get(subject_id) != due, "what was due has been done, or it would be due for ever"

    def apply(self, topic: str, event: Event, now: datetime) -> None:
        self.advance(now)
        targets = resolve(event, self.index)
        if not targets:
            self._held.append((topic, event, now))
        known = len(self.index)
        for target in targets:
            self._assess(topic, event, now, target)
        if len(self.index) != known:
            held, self._held = self._held, []
            for held_topic, held_event, _ in held:
                self.apply(held_topic, held_event, now)

    def _assess(self, topic: str, event: Event, now: datetime, target: Target) -> None:
        self._offset += 1
        arrival = Arrival(
            topic=topic,
            partition=0,
            offset=self._offset,
            appended_at=now,
            sha256=hashlib.sha256(event.model_dump_json().encode()).hexdigest(),
            traceparent=event.traceparent,
        )
        routing = target.routing(arrival)
        self._decide(
            SubjectEvent.model_validate({"subject_id": target.subject_id, "routing": routing, "event": event}), now
        )

    def _decide(self, incoming: SubjectEvent, now: datetime) -> None:
        self._offset += 1
        subject_id = incoming.subject_id
        state = self.state(subject_id)
        records = Records(subject_id, self._tables.setdefault(subject_id, {}), set(state.hours))
        effects = decide(state, records, incoming, self.policy, now, self._offset, self._offset)
        self._due.pop(subject_id, None)
        if effects.gone:
            self.rows.pop(subject_id, None)
            del self._tables[subject_id]
        else:
            self.rows[subject_id] = dump(state)
            if state.wake_at is not None:
                self._due[subject_id] = state.wake_at
        for record in effects.identifiers:
            self.index.add(record)
        self.audits += effects.audits
        self.alerts += effects.alerts
        self.answers += effects.answers
        self.tasks |= {task.task_id: task for task in effects.tasks}
        self.safeguarding |= {task.safeguarding_id: task for task in effects.safeguarding}
        for _, key in effects.tombstones:
            self.tasks.pop(key, None)
            self.safeguarding.pop(key, None)
        for forward in effects.forwards:
            self._decide(forward, now)

    def state(self, subject_id: str) -> SubjectState:
        return load(self.rows.get(subject_id), subject_id)


def arrival(event: Event) -> datetime:
    """When an event of a file is taken to have arrived: when it was recorded, at least a moment after it was."""
    return max(event.recordedtime, event.time) + _MOMENT
