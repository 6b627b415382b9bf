"""What came out of a pipeline, as its readers see it."""

from collections import defaultdict
from datetime import datetime
from typing import Any, NamedTuple

from schemas.internal import DeadLetterHeaders
from schemas.tasks import Alert, ArrestTask, AuditEntry
from streams.core.waiting_letters import read_mark

READ_TOPICS = (
    "arrest-tasks",
    "safeguarding-tasks",
    "task-answers",
    "alerts",
    "audit",
    "dead-letters",
    "unresolved",
    "subject-events",
    "identifiers",
)


class Fact(NamedTuple):
    """A breach as the truth knows it: what does not depend on arrival order."""

    subject: str
    order: str
    term: str | None
    certainty: str
    began: datetime
    ended: datetime | None


class DeadLetter(NamedTuple):
    headers: DeadLetterHeaders
    value: bytes
    key: bytes


class Outcome:
    """The messages of the topics that a pipeline writes, each list in the order of reading."""

    def __init__(self) -> None:
        self.records: dict[str, list[Any]] = {name: [] for name in READ_TOPICS}
        self._tasks: dict[str, ArrestTask] = {}

    def add(self, name: str, record: Any) -> None:
        """Take in a message of the topic `name` (without prefix)."""
        self.records[name].append(record)
        if name == "arrest-tasks":
            if record.value is None:
                self._tasks.pop(record.key.decode(), None)
            else:
                task = ArrestTask.model_validate_json(record.value)
                self._tasks[task.task_id] = task

    def final_tasks(self) -> list[ArrestTask]:
        """The newest state of each task, in the order in which they were opened."""
        return sorted(self._tasks.values(), key=lambda task: (task.opened_at, task.task_id))

    def tasks_of(self, subject: str) -> list[ArrestTask]:
        return [task for task in self.final_tasks() if task.subject_id == subject]

    def facts(self, *subjects: str) -> set[Fact]:
        """The breaches that stand on the final tasks; of all subjects if none is named."""
        return {fact for fact in self.facts_by_id().values() if not subjects or fact.subject in subjects}

    def facts_by_id(self) -> dict[str, Fact]:
        return {
            b.breach_id: Fact(task.subject_id, b.order_id, b.term_id, b.certainty, b.began_at, b.ended_at)
            for task in self._tasks.values()
            for b in task.breaches
        }

    def alerts(self) -> list[Alert]:
        """In the order of sending, repeats and all."""
        return [Alert.model_validate_json(record.value) for record in self.records["alerts"]]

    def alerts_by_id(self) -> dict[str, list[Alert]]:
        found: dict[str, list[Alert]] = defaultdict(list)
        for alert in self.alerts():
            found[alert.alert_id].append(alert)
        return dict(found)

    def audits(self) -> list[AuditEntry]:
        return [AuditEntry.model_validate_json(record.value) for record in self.records["audit"]]

    def dead_letters(self) -> list[DeadLetter]:
        return [
            DeadLetter(DeadLetterHeaders.from_kafka(record.headers), record.value, record.key)
            for record in self.records["dead-letters"]
            if read_mark(record.headers) is None
        ]

    def summary(self) -> str:
        counts = ", ".join(f"{len(records)} {name}" for name, records in self.records.items())
        return f"came out: {counts}\nalerts: {[alert.kind for alert in self.alerts()]}"
