"""How many arrest tasks wait for what, from the messages of `arrest-tasks`: what of them is on a gauge."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from schemas.tasks import TaskState
from streams.core.policy import Policy
from streams.core.transitions import OVER, UNATTENDED

STATES: Sequence[TaskState] = [state for state in TaskState if state not in OVER]
"""Of tasks that are not over."""


class UnreadableTaskError(ValueError):
    """A message that is no arrest task; the text has nothing of it."""


class _Task(msgspec.Struct, gc=False):
    """What is needed of an ArrestTask; a whole one takes pydantic 50 µs, and there may be 100,000 to begin with."""

    revision: int
    state: TaskState
    grade: str
    opened_at: datetime
    deadline: datetime
    exercise: bool


_read = msgspec.json.Decoder(_Task).decode


class Waiting(NamedTuple):
    """What waits, of real tasks; each mapping has every grade of the policy, or grade and state."""

    tasks: Counter[tuple[str, TaskState]]
    oldest_open: dict[str, datetime | None]
    """Of tasks that nobody has acknowledged, when the first was opened."""
    overdue: Counter[str]


class OpenTasks:
    """The newest of each task, of those that are over only which revision that was.

    A worker that comes back after a crash sends tasks again as they were: the highest revision counts, whatever comes
    after it. A null value, which erases a task, is the end of it.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._revisions: dict[bytes | None, int] = {}
        self._open: dict[bytes | None, _Task] = {}

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """One message. Raises UnreadableTaskError, and leaves everything as it was."""
        if value is None:
            self._revisions.pop(key, None)
            self._open.pop(key, None)
            return
        try:
            task = _read(value)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UnreadableTaskError(f"not an arrest task: {type(error).__name__}") from None
        if task.revision < self._revisions.get(key, 0):
            return
        self._revisions[key] = task.revision
        if task.exercise or task.state in OVER:
            self._open.pop(key, None)
        else:
            # An earlier policy may have had other grades.
            task.grade = self._policy.grade(task.grade).name
            self._open[key] = task

    def waiting(self, now: datetime) -> Waiting:
        """As it is at `now`."""
        grades = [grade.name for grade in self._policy.grades]
        found = Waiting(
            Counter({(grade, state): 0 for grade in grades for state in STATES}),
            dict.fromkeys(grades),
            Counter(dict.fromkeys(grades, 0)),
        )
        for task in self._open.values():
            grade = task.grade
            found.tasks[grade, task.state] += 1
            oldest = found.oldest_open[grade]
            if task.state is TaskState.OPEN and (oldest is None or task.opened_at < oldest):
                found.oldest_open[grade] = task.opened_at
            if task.state in UNATTENDED and task.deadline <= now:
                found.overdue[grade] += 1
        return found
