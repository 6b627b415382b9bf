"""A small world for behaviour tests: events as their senders publish them, through the whole pipeline in memory.

Messages are bytes, so decoding and identifying are part of every test; rows are woken when something on them
falls due, as a worker's alarm clock does.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from builders import NOW, POLICY, SUBJECT, order

from schemas.base import Event
from schemas.inbound import TOPIC_EVENTS
from schemas.orders import Order
from schemas.safeguarding import SafeguardingTask
from schemas.tasks import Alert, ArrestTask, AuditEntry, Breach
from schemas.updates import TaskAnswer
from streams.core.policy import Policy
from streams.core.rehearsal import Rehearsal
from streams.core.state import SubjectState
from streams.core.transitions import LIVE

IDENTIFIERS: list[dict[str, Any]] = [
    {"kind": "tag", "value": "tag-1"},
    {"kind": "plate", "value": "BD15 DLO"},
    {"kind": "face", "value": "wl-1"},
]
EDINBURGH = {"latitude": 55.9533, "longitude": -3.1883}
_TOPICS = ("orders", "breach-reports", "sightings", "custody-events", "task-updates", "source-heartbeats")


def m(minutes: float) -> datetime:
    """So many minutes after the moment at which most tests begin."""
    return NOW + timedelta(minutes=minutes)


def spo(*args: Any, **more: Any) -> Order:
    """As `builders.order`, with the subject's tag, plate and watch-list reference on it."""
    return order(*args, **{"identifiers": IDENTIFIERS, **more})


def topic_of(event: Event) -> str:
    return next(name for name in _TOPICS if isinstance(event, TOPIC_EVENTS[name]))


class World:
    """What came out of the events that went in. Orders given at the start are known ten minutes before NOW."""

    def __init__(self, *known: Event, policy: Policy = POLICY, now: datetime | None = None) -> None:
        self.pipeline = Rehearsal(policy)
        self.now = now or m(-10)
        for event in known:
            self.give(event, now=self.now)

    def give(self, *events: Event, now: datetime | None = None) -> "World":
        """Events in the order of their arrival, each at its own time unless `now` tells when it arrived."""
        for event in events:
            self.now = max(self.now, now or event.time)
            self.pipeline.feed(topic_of(event), event.model_dump_json(exclude_none=True).encode(), self.now)
        assert not self.pipeline.refused, self.pipeline.refused
        return self

    def wait(self, until: datetime) -> "World":
        """Time passes; what falls due is applied."""
        self.pipeline.advance(until)
        self.now = max(self.now, until)
        return self

    def state(self, subject_id: str = SUBJECT) -> SubjectState:
        return self.pipeline.state(subject_id)

    @property
    def tasks(self) -> list[ArrestTask]:
        return list(self.pipeline.tasks.values())

    @property
    def live(self) -> list[ArrestTask]:
        """Tasks that still send somebody out."""
        return [task for task in self.tasks if task.state in LIVE]

    @property
    def task(self) -> ArrestTask:
        """The one task that there is."""
        (task,) = self.tasks
        return task

    @property
    def answer(self) -> TaskAnswer:
        """The newest answer to an update."""
        return self.pipeline.answers[-1]

    @property
    def safeguarding(self) -> SafeguardingTask:
        """The one safeguarding task that there is."""
        (task,) = self.pipeline.safeguarding.values()
        return task

    @property
    def breaches(self) -> list[Breach]:
        """Those that stand on any task, by time, order and term."""
        found = [breach for task in self.tasks for breach in task.breaches]
        return sorted(found, key=lambda b: (b.began_at, b.order_id, b.term_id or ""))

    @property
    def breach(self) -> Breach:
        """The one breach that there is."""
        (breach,) = self.breaches
        return breach

    def terms(self) -> list[str]:
        return [breach.term_kind for breach in self.breaches]

    def alerts(self, kind: str | None = None) -> list[Alert]:
        return [alert for alert in self.pipeline.alerts if kind is None or alert.kind == kind]

    def alert(self, kind: str) -> Alert:
        """The one alert of this kind."""
        (alert,) = self.alerts(kind)
        return alert

    def kinds(self) -> set[str]:
        return {alert.kind for alert in self.alerts()}

    def audits(self, decision: str | None = None) -> list[AuditEntry]:
        return [entry for entry in self.pipeline.audits if decision is None or entry.decision == decision]

    def why(self, decision: str) -> str:
        """All reasons of the entries with this decision, as one text; empty if there is none."""
        return "; ".join(reason for entry in self.audits(decision) for reason in entry.reasons)

    def nothing_happened(self) -> bool:
        """No breach, no task, and no alert beyond those about the orders themselves."""
        return not self.tasks and self.kinds() <= {"check_order", "retro_search_proposed"}


def person(subject_id: str = SUBJECT, **more: Any) -> Mapping[str, Any]:
    """A respondent."""
    return {"subject_id": subject_id, "name": "Robin Example", **more}
