"""Lists of tasks: who sees which, in which order, page by page while tasks come and go."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest
from builders import NOW, POLICY, Subject, after, order, report
from hypothesis import given
from hypothesis import strategies as st

from schemas.tasks import TaskState
from streams.board.listing import Wanted, is_overdue, page, wanted_by
from streams.board.model import KeptTask, summary
from streams.board.people import Person

BASE = Subject(order())
BASE.feed(report(NOW))
SUMMARY = summary(BASE.task)
S = TaskState
EVERY = Wanted()


def kept(task_id: str, **changes: Any) -> KeptTask:
    task = SUMMARY.model_copy(update={"task_id": task_id, "deadline": after(900), "grade": "immediate", **changes})
    return KeptTask(task, task.model_dump_json().encode(), b"", ("arrest-tasks", 0), 0, frozenset(task.forces))


def somebody(*forces: str) -> Person:
    return Person("op-7", "controller", frozenset(forces) or None, 2e9)


def ids(tasks: Iterable[KeptTask], wanted: Wanted = EVERY, who: Person | None = None, now: datetime = NOW) -> str:
    found = page(tasks, wanted_by(who or somebody(), wanted, now), POLICY, 100, None)
    assert found.next is None
    return "".join(one.summary.task_id for one in found.tasks)


TASKS = [
    kept("a", grade="prompt", deadline=after(10)),
    kept("b", grade="immediate", deadline=after(900)),
    kept("c", grade="immediate", deadline=after(100), forces=["B"], assigned_to="Car 7", state=S.ASSIGNED),
    kept("d", grade="of-before", deadline=after(5000), forces=["A", "B"], incidents=["TF/2026/117"]),
    kept("e", state=S.CLOSED),
    kept("f", state=S.ARRESTED, deadline=after(-50), subject_name="Simon Sample"),
    kept("g", exercise=True, subject_id="exercise/S9"),
]


def test_the_gravest_stand_first_then_the_nearest_deadline_and_whom_nobody_looks_for_last() -> None:
    assert ids(TASKS) == "dcbaf", "a grade of an earlier policy is looked at first"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(states=frozenset({S.CLOSED, S.ASSIGNED})), "ce"),
        (Wanted(grades=frozenset({"prompt"})), "a"),
        (Wanted(force="B"), "dc"),
        (Wanted(assigned=True), "c"),
        (Wanted(assigned=False, grades=frozenset({"immediate"})), "bf"),
        (Wanted(text="tf/2026"), "d"),
        (Wanted(text="sample"), "f"),
        (Wanted(text="nobody"), ""),
        (Wanted(exercises="only"), "g"),
        (Wanted(exercises="with"), "dcbgaf"),
    ],
)
def test_a_list_has_what_is_asked_for(wanted: Wanted, found: str) -> None:
    assert ids(TASKS, wanted) == found


def test_what_is_overdue_is_past_its_deadline_and_nobody_has_the_subject() -> None:
    assert ids(TASKS, Wanted(overdue=True), now=after(101)) == "ca"
    assert not is_overdue(TASKS[5].summary, NOW), "they are in custody"


def test_another_forces_tasks_are_not_there() -> None:
    assert ids(TASKS, who=somebody("A")) == "d"
    assert ids(TASKS, Wanted(force="B"), who=somebody("A")) == "d"
    assert ids(TASKS, Wanted(exercises="with"), who=somebody("C")) == ""


@given(
    st.lists(st.tuples(st.sampled_from(["immediate", "priority", "prompt"]), st.integers(0, 5)), max_size=25),
    st.integers(1, 7),
    st.sets(st.integers(0, 24)),
)
def test_pages_have_every_task_once_also_while_others_go(
    made: list[tuple[str, int]], most: int, gone: set[int]
) -> None:
    tasks = [kept(f"t{n:02}", grade=grade, deadline=after(at)) for n, (grade, at) in enumerate(made)]
    everybody = wanted_by(somebody(), Wanted(), NOW)
    seen: list[str] = []
    cursor, left = None, tasks
    while True:
        found = page(left, everybody, POLICY, most, cursor)
        seen += [one.summary.task_id for one in found.tasks]
        assert len(found.tasks) <= most
        assert found.total == len(left)
        left = [one for n, one in enumerate(tasks) if n not in gone]
        cursor = found.next
        if cursor is None:
            break
    assert len(seen) == len(set(seen))
    assert {one.summary.task_id for one in left} <= set(seen)


@pytest.mark.parametrize("cursor", ["x", "!!", "k5MAAg", "\u00e9"])
def test_what_is_no_cursor_is_said(cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        page(TASKS, wanted_by(somebody(), Wanted(), NOW), POLICY, 5, cursor)
