"""What people ask of a month of tasks: how long it took, what is overdue, who comes again. Pure.

Exercises, and so the canary's, are never counted. A time that is not known is counted as such, not left out unsaid.
"""

import csv
import io
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from schemas.base import Instant
from streams.board.listing import is_overdue
from streams.board.model import TaskSummary
from streams.core.clocks import london_day
from streams.core.state import FINAL

MOST_REPEATED = 100


class Times(BaseModel):
    """How long it took, in seconds, of those tasks of which it is known."""

    known: Annotated[int, Field(ge=0)]
    not_yet: Annotated[int, Field(ge=0)]
    """Tasks of which it has not happened, or is not known."""
    median_s: float | None
    p90_s: float | None
    longest_s: float | None


class Row(BaseModel):
    """Tasks of one grade and one owning force that were opened in the time asked for."""

    grade: str
    force: str
    tasks: int
    live: int
    """Not over yet."""
    overdue: int
    """Past their deadline now, and nobody has the subject."""
    arrested: int
    breach_to_task: Times
    """From the beginning of the breach that opened it, as its source states it, to the task."""
    task_to_acknowledgement: Times
    """To the first that a person did with it."""
    task_to_arrest: Times


class Day(BaseModel):
    """Tasks opened on one day, Europe/London, by grade."""

    day: str
    tasks: dict[str, int]


class Repeated(BaseModel):
    """A subject with more than one task or breach in the time asked for."""

    subject_id: str
    tasks: int
    breaches: int


class Statistics(BaseModel):
    """Of tasks that were opened in the time asked for; a board has those that ended in the last weeks."""

    since: Instant
    until: Instant
    tasks: int
    rows: list[Row]
    """By grade and owning force; a force's area is not in the data."""
    total: list[Row]
    """By grade alone; `force` is `all`."""
    days: list[Day]
    overdue_now: list[str]
    """Ids of tasks, the longest overdue first, whenever they were opened."""
    repeated: list[Repeated]
    """Most tasks first, then most breaches."""


def times(seconds: Iterable[float | None]) -> Times:
    """Quantiles by the nearest rank, so that each is the time of a task that there was."""
    every = list(seconds)
    known = sorted(second for second in every if second is not None)
    return Times(
        known=len(known),
        not_yet=len(every) - len(known),
        median_s=_rank(known, 0.5),
        p90_s=_rank(known, 0.9),
        longest_s=known[-1] if known else None,
    )


def _rank(known: Sequence[float], part: float) -> float | None:
    return known[max(0, math.ceil(part * len(known)) - 1)] if known else None


def _between(begins: datetime | None, ends: datetime | None) -> float | None:
    """Never below nothing: the clocks of a sender and of ours may differ."""
    return None if begins is None or ends is None else max(0.0, (ends - begins).total_seconds())


def _row(grade: str, force: str, tasks: Sequence[TaskSummary], now: datetime) -> Row:
    return Row(
        grade=grade,
        force=force,
        tasks=len(tasks),
        live=sum(task.state not in FINAL for task in tasks),
        overdue=sum(is_overdue(task, now) for task in tasks),
        arrested=sum(task.arrested_at is not None for task in tasks),
        breach_to_task=times(_between(task.breached_at, task.opened_at) for task in tasks),
        task_to_acknowledgement=times(_between(task.opened_at, task.acknowledged_at) for task in tasks),
        task_to_arrest=times(_between(task.opened_at, task.arrested_at) for task in tasks),
    )


def statistics(
    tasks: Iterable[TaskSummary], grades: Sequence[str], since: datetime, until: datetime, now: datetime
) -> Statistics:
    """`grades` are the policy's, gravest first; tasks opened from `since` up to, and not at, `until` count."""
    real = [task for task in tasks if not task.exercise]
    opened = [task for task in real if since <= task.opened_at < until]

    def grouped(key: Callable[[TaskSummary], tuple[str, str]]) -> list[Row]:
        groups: dict[tuple[str, str], list[TaskSummary]] = defaultdict(list)
        for task in opened:
            groups[key(task)].append(task)
        order = {grade: number for number, grade in enumerate(grades)}
        ranked = sorted(groups, key=lambda group: (order.get(group[0], -1), group))
        return [_row(*group, groups[group], now) for group in ranked]

    days: dict[str, Counter[str]] = defaultdict(Counter)
    subjects: dict[str, list[TaskSummary]] = defaultdict(list)
    for task in opened:
        days[london_day(task.opened_at)][task.grade] += 1
        subjects[task.subject_id].append(task)
    repeated = [
        Repeated(subject_id=subject, tasks=len(theirs), breaches=sum(task.breach_count for task in theirs))
        for subject, theirs in subjects.items()
    ]
    overdue = sorted((task for task in real if is_overdue(task, now)), key=lambda t: (t.deadline, t.task_id))
    return Statistics(
        since=since,
        until=until,
        tasks=len(opened),
        rows=grouped(lambda task: (task.grade, task.owning_force)),
        total=grouped(lambda task: (task.grade, "all")),
        days=[Day(day=day, tasks=dict(days[day])) for day in sorted(days)],
        overdue_now=[task.task_id for task in overdue],
        repeated=sorted(
            (one for one in repeated if one.tasks > 1 or one.breaches > 1),
            key=lambda one: (-one.tasks, -one.breaches, one.subject_id),
        )[:MOST_REPEATED],
    )


_TIMES = ("breach_to_task", "task_to_acknowledgement", "task_to_arrest")


def as_csv(found: Statistics) -> str:
    """The rows by grade and force, with a heading (RFC 4180)."""
    out = io.StringIO()
    fields = list(Times.model_fields)
    writer = csv.writer(out)
    counts = ["grade", "force", "tasks", "live", "overdue", "arrested"]
    writer.writerow([*counts, *(f"{name}_{field}" for name in _TIMES for field in fields)])
    for row in found.rows:
        values = [_cell(getattr(row, name)) for name in counts]
        taken = [getattr(getattr(row, name), field) for name in _TIMES for field in fields]
        writer.writerow([*values, *("" if value is None else value for value in taken)])
    return out.getvalue()


def _cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula begins with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
