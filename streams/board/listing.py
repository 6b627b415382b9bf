"""Which tasks a list shows, in which order, page by page. Pure."""

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

import msgspec

from schemas.tasks import TaskState
from streams.board.model import KeptTask, TaskSummary
from streams.board.people import Exercises, Person, of_world
from streams.core.policy import Policy
from streams.core.state import FINAL
from streams.core.transitions import LIVE, SEARCHING

Rank = tuple[bool, int, float, str]
"""What tasks are sorted by: whether nobody need look for the subject any more; grade, gravest first; deadline; id."""


@dataclass(frozen=True)
class Wanted:
    """What a list is asked for; an empty part asks for nothing in particular."""

    states: frozenset[TaskState] = frozenset()
    """None named: all that are not over."""
    grades: frozenset[str] = frozenset()
    force: str | None = None
    """The owning force, or one in whose area an event was."""
    assigned: bool | None = None
    overdue: bool = False
    """Past the deadline, and nobody has the subject."""
    text: str = ""
    """Part of the task's or subject's id or name, or of an incident's number; upper and lower case are the same."""
    exercises: Exercises = "none"


class Page(NamedTuple):
    """A part of the list, how many there are in all, and where the next part begins (None: this was the last)."""

    tasks: list[KeptTask]
    total: int
    next: str | None


def is_overdue(task: TaskSummary, now: datetime) -> bool:
    return task.state in SEARCHING and task.deadline < now


def wanted_by(person: Person, wanted: Wanted, now: datetime) -> Callable[[KeptTask], bool]:
    """Tells whether a task is on the list."""
    needle = wanted.text.casefold()

    def on_it(kept: KeptTask) -> bool:
        task = kept.summary
        return (
            person.sees(kept.forces)
            and of_world(task.exercise, wanted.exercises)
            and (task.state in wanted.states if wanted.states else task.state not in FINAL)
            and (not wanted.grades or task.grade in wanted.grades)
            and (wanted.force is None or wanted.force in kept.forces)
            and (wanted.assigned is None or wanted.assigned == (task.assigned_to is not None))
            and (not wanted.overdue or is_overdue(task, now))
            and (not needle or any(needle in name.casefold() for name in _names(task)))
        )

    return on_it


def _names(task: TaskSummary) -> Iterable[str]:
    return (task.task_id, task.subject_id, task.subject_name or "", *task.incidents)


def rank(task: TaskSummary, policy: Policy) -> Rank:
    """A grade that an earlier policy gave stands before all: somebody must look."""
    names = [grade.name for grade in policy.grades]
    grade = names.index(task.grade) if task.grade in names else -1
    return (task.state not in LIVE, grade, task.deadline.timestamp(), task.task_id)


def page(
    tasks: Iterable[KeptTask], chosen: Callable[[KeptTask], bool], policy: Policy, most: int, cursor: str | None
) -> Page:
    """The most urgent first. Raises ValueError for what is no cursor of ours.

    A cursor names the last task of a page by what it is sorted by, so that tasks that come and go move nothing of
    what follows.
    """
    ranked = sorted(((rank(kept.summary, policy), kept) for kept in tasks if chosen(kept)), key=itemgetter(0))
    after = None if cursor is None else _decode(cursor)
    rest: Sequence[tuple[Rank, KeptTask]] = [one for one in ranked if after is None or one[0] > after]
    shown = rest[:most]
    following = _encode(shown[-1][0]) if len(rest) > most else None
    return Page([kept for _, kept in shown], len(ranked), following)


def _encode(rank: Rank) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(rank)).rstrip(b"=").decode()


def _decode(cursor: str) -> Rank:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        rank: Rank = msgspec.msgpack.decode(raw, type=Rank)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise ValueError("cursor: not one that a list gave") from None
    return rank
