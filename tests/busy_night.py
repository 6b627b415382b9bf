"""A busy night at the board: its open tasks, and what changes of them."""

import uuid
from datetime import UTC, datetime

from builders import NOW, Subject, fix, order, report, update

from schemas.tasks import ArrestTask, TaskChange

TASKS, RATE = 500, 50
"""Open tasks, and changes a second."""


def task_of_a_subject() -> ArrestTask:
    """With two breaches and some history: as long as a task usually is."""
    subject = Subject(order())
    subject.feed(report(NOW), fix(NOW))
    subject.feed(update(subject.task.task_id, "assign", NOW, assignee="Car 7"))
    return subject.task


BASE = task_of_a_subject()


def revised(number: int, revision: int) -> tuple[bytes, bytes]:
    """Key and value of a task's next revision, as of now."""
    made = BASE.model_copy(
        update={
            "task_id": str(uuid.UUID(int=number)),
            "subject_id": f"L{number}",
            "revision": revision,
            "change": TaskChange.DETAILS,
            "updated_at": datetime.now(UTC),
        }
    )
    return made.task_id.encode(), made.model_dump_json().encode()
