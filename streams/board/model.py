"""The board's read model: a pure fold of the messages of `arrest-tasks`, `safeguarding-tasks` and `alerts`.

Of each task the newest revision counts, however often and in whatever order messages come. A null value removes.
Tasks that are over are forgotten once statistics need them no more; of alerts the newest are kept, for some hours.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict

from schemas.base import Instant
from schemas.safeguarding import SafeguardingTask
from schemas.tasks import Alert, ArrestTask, Certainty, LastSeen, Outcome, TaskChange, TaskState
from streams.board.positions import Place
from streams.core.canary import is_canary
from streams.core.effects import cause_id
from streams.core.safeguarding import LIVE as SAFEGUARDING_LIVE
from streams.core.state import FINAL
from streams.core.tasks import UNKNOWN_FORCE

Kind = Literal["task", "task_removed", "safeguarding", "safeguarding_removed", "alert"]


class Breached(BaseModel):
    """A kind of term that was breached, and how sure that is at its surest."""

    model_config = ConfigDict(frozen=True)

    term_kind: str
    certainty: Certainty


class TaskSummary(BaseModel):
    """An arrest task as a list shows it; the fields that `arrest-tasks` has mean what they mean there."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    revision: int
    change: TaskChange
    subject_id: str
    subject_name: str | None
    state: TaskState
    grade: str
    score: int
    opened_at: Instant
    updated_at: Instant
    deadline: Instant
    breached: list[Breached]
    """Surest first."""
    breach_count: int
    breached_at: Instant | None
    """When the breach that opened it began; None where that one is no longer listed."""
    last_breach_at: Instant | None
    last_seen: LastSeen | None
    owning_force: str
    forces: list[str]
    warnings: list[str]
    flags: list[str]
    assigned_to: str | None
    acknowledged_by: str | None
    acknowledged_at: Instant | None
    """When a person first acted on it."""
    arrested_at: Instant | None
    court_deadline: Instant | None
    escalated_to: str | None
    next_escalation_at: Instant | None
    incidents: list[str]
    outcome: Outcome | None
    merged_into: str | None
    exercise: bool


class KeptTask(NamedTuple):
    """An arrest task, its message as it came, and where that lies."""

    summary: TaskSummary
    shown: bytes
    """The summary as JSON."""
    raw: bytes
    place: Place
    offset: int
    forces: frozenset[str]


class KeptSafeguarding(NamedTuple):
    """A safeguarding task, and its message as it came."""

    task: SafeguardingTask
    raw: bytes
    forces: frozenset[str]


class KeptAlert(NamedTuple):
    """An alert, and its message as it came."""

    alert: Alert
    raw: bytes
    forces: frozenset[str]
    protected: bool
    """Only for those who see what concerns protected people."""


class Change(NamedTuple):
    """What a message changed, for those who see it."""

    kind: Kind
    data: bytes
    """JSON: of a task its summary, of what is removed its id, of all else the message."""
    forces: frozenset[str]
    """Whose it is; none: everybody's."""
    before: frozenset[str] | None
    """Whose it was until now; None: it was not there."""
    exercise: bool
    protected: bool = False
    """Only for those who see what concerns protected people."""
    removal: bytes = b""
    """What somebody is told who saw it until now, and does not any more."""


class Model:
    """What the topics hold. `most_alerts` is how many alerts are kept."""

    def __init__(self, most_alerts: int) -> None:
        self.tasks: dict[str, KeptTask] = {}
        self.safeguarding: dict[str, KeptSafeguarding] = {}
        self.alerts: dict[str, KeptAlert] = {}
        """By id, the newest last."""
        self.unreadable: set[str] = set()
        """Tasks of which the newest cannot be read: whoever looks must know that they are missing or old."""
        self._most_alerts = most_alerts
        self._forget_before: datetime | None = None

    def apply(self, place: Place, offset: int, key: bytes, value: bytes | None) -> Change | None:
        """Take in a message; what it changed, None for nothing. Raises ValueError for what is none."""
        named = key.decode(errors="replace")
        try:
            change = self._taken(place, offset, named, value)
        except ValueError:
            if place[0] != "alerts":
                self.unreadable.add(named)
            raise
        if change is not None or value is None:
            self.unreadable.discard(named)
        return change

    def _taken(self, place: Place, offset: int, key: str, value: bytes | None) -> Change | None:
        match place[0]:
            case "arrest-tasks":
                return self._task(place, offset, key, value)
            case "safeguarding-tasks":
                return self._safeguarding(key, value)
            case _:
                return None if value is None else self._alert(value)

    def _task(self, place: Place, offset: int, task_id: str, value: bytes | None) -> Change | None:
        known = self.tasks.get(task_id)
        if value is None:
            self.tasks.pop(task_id, None)
            return None if known is None else _task_removed(known)
        task = ArrestTask.read(value)
        _is_of_key(task.task_id, task_id)
        if is_canary(task.subject_id) or (known is not None and task.revision <= known.summary.revision):
            return None
        if self._is_old(task):
            self.tasks.pop(task_id, None)
            return None if known is None else _task_removed(known)
        forces = frozenset((task.owning_force, *task.forces)) - {UNKNOWN_FORCE}
        shown = summary(task)
        kept = KeptTask(shown, shown.model_dump_json().encode(), value, place, offset, forces)
        self.tasks[task_id] = kept
        before = None if known is None else known.forces
        return Change("task", kept.shown, forces, before, task.exercise, removal=_id("task_id", task_id))

    def _safeguarding(self, task_id: str, value: bytes | None) -> Change | None:
        known = self.safeguarding.get(task_id)
        removal = _id("safeguarding_id", task_id)
        if value is None:
            return self._without_safeguarding(task_id)
        task = SafeguardingTask.read(value)
        _is_of_key(task.safeguarding_id, task_id)
        if is_canary(task.subject_id) or (known is not None and task.revision <= known.task.revision):
            return None
        if task.state not in SAFEGUARDING_LIVE and self._forget_before and task.updated_at < self._forget_before:
            return self._without_safeguarding(task_id)
        forces = frozenset((task.owning_force,)) - {UNKNOWN_FORCE}
        self.safeguarding[task_id] = KeptSafeguarding(task, value, forces)
        before = None if known is None else known.forces
        return Change("safeguarding", value, forces, before, task.exercise, protected=True, removal=removal)

    def _without_safeguarding(self, task_id: str) -> Change | None:
        known = self.safeguarding.pop(task_id, None)
        if known is None:
            return None
        removal = _id("safeguarding_id", task_id)
        return Change("safeguarding_removed", removal, known.forces, None, known.task.exercise, protected=True)

    def _alert(self, value: bytes) -> Change | None:
        alert = Alert.read(value)
        if alert.alert_id in self.alerts or (alert.subject_id is not None and is_canary(alert.subject_id)):
            return None
        # One that names none is of nobody whom we know, or about no subject: everybody's.
        forces = frozenset(alert.forces)
        kept = self.alerts[alert.alert_id] = KeptAlert(alert, value, forces, alert.to == "safeguarding")
        while len(self.alerts) > self._most_alerts:
            del self.alerts[next(iter(self.alerts))]
        return Change("alert", value, forces, None, alert.exercise, kept.protected)

    def forget(self, before: datetime, alerts_before: datetime) -> None:
        """Forget what ended before then, also when its message comes again, and alerts of before their time."""
        self._forget_before = before
        self.alerts = {name: kept for name, kept in self.alerts.items() if kept.alert.at >= alerts_before}
        self.tasks = {task_id: kept for task_id, kept in self.tasks.items() if not self._is_old(kept.summary)}
        self.safeguarding = {
            task_id: kept
            for task_id, kept in self.safeguarding.items()
            if kept.task.state in SAFEGUARDING_LIVE or kept.task.updated_at >= before
        }

    def _is_old(self, task: ArrestTask | TaskSummary) -> bool:
        return task.state in FINAL and self._forget_before is not None and task.updated_at < self._forget_before

    def beside(self, task: TaskSummary) -> Iterator[KeptSafeguarding]:
        """The safeguarding tasks of the same subject."""
        return (kept for kept in self.safeguarding.values() if kept.task.subject_id == task.subject_id)


def _is_of_key(task_id: str, key: str) -> None:
    if task_id != key:
        raise ValueError("the message has another task's id than its key")


def _task_removed(known: KeptTask) -> Change:
    removal = _id("task_id", known.summary.task_id)
    return Change("task_removed", removal, known.forces, None, known.summary.exercise)


def _id(name: str, value: str) -> bytes:
    return orjson.dumps({name: value})


def summary(task: ArrestTask) -> TaskSummary:
    """What a list shows of a task."""
    surest: dict[str, Certainty] = {}
    order = list(Certainty)
    for breach in sorted(task.breaches, key=lambda b: order.index(b.certainty)):
        surest.setdefault(breach.term_kind, breach.certainty)
    opened_by = (b for b in task.breaches if cause_id("task", task.subject_id, b.breach_id) == task.task_id)
    return TaskSummary(
        task_id=task.task_id,
        revision=task.revision,
        change=task.change,
        subject_id=task.subject_id,
        subject_name=task.subject_name,
        state=task.state,
        grade=task.grade,
        score=task.priority.score,
        opened_at=task.opened_at,
        updated_at=task.updated_at,
        deadline=task.deadline,
        breached=[Breached(term_kind=kind, certainty=certainty) for kind, certainty in surest.items()],
        breach_count=task.breach_count,
        breached_at=next((breach.began_at for breach in opened_by), None),
        last_breach_at=max((breach.began_at for breach in task.breaches), default=None),
        last_seen=task.last_seen,
        owning_force=task.owning_force,
        forces=task.forces,
        warnings=task.warnings,
        flags=task.flags,
        assigned_to=task.assigned_to,
        acknowledged_by=task.acknowledged_by,
        acknowledged_at=task.acknowledged_at,
        arrested_at=task.arrested_at,
        court_deadline=task.court_deadline,
        escalated_to=task.escalated_to,
        next_escalation_at=task.next_escalation_at,
        incidents=task.incidents,
        outcome=task.outcome,
        merged_into=task.merged_into,
        exercise=task.exercise,
    )
