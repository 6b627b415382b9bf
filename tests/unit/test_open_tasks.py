"""What of the messages of `arrest-tasks` still waits, and for what."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.tasks import ArrestTask, TaskState
from streams.contract import outbound
from streams.core.open_tasks import STATES, OpenTasks, UnreadableTaskError, Waiting
from streams.core.policy import load_policy

POLICY = load_policy()
GRADES = [grade.name for grade in POLICY.grades]
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
EXAMPLE = outbound()["arrest-tasks"]


def task(
    state: str = "open", grade: str = GRADES[0], *, age_s: float = 60, due_in_s: float = 60, **more: Any
) -> bytes:
    """A task as it is sent, opened and due so long before and after NOW."""
    changes = {
        "state": state,
        "grade": grade,
        "opened_at": (NOW - timedelta(seconds=age_s)).isoformat(),
        "deadline": (NOW + timedelta(seconds=due_in_s)).isoformat(),
        "revision": 1,
        "exercise": False,
    }
    value = json.dumps(EXAMPLE | changes | more).encode()
    ArrestTask.model_validate_json(value)
    return value


def seen(*messages: tuple[bytes, bytes | None]) -> Waiting:
    tasks = OpenTasks(POLICY)
    for key, value in messages:
        tasks.take(key, value)
    return tasks.waiting(NOW)


def some(counts: Counter[Any]) -> dict[Any, int]:
    return {what: count for what, count in counts.items() if count}


def test_tasks_are_counted_by_grade_and_state_until_they_are_over() -> None:
    found = seen(
        (b"1", task()),
        (b"2", task("assigned", GRADES[1])),
        (b"3", task("arrested")),
        (b"4", task("withdrawal_recommended")),
        *((over.encode(), task(over)) for over in ("closed", "merged", "withdrawn")),
    )
    assert some(found.tasks) == {
        (GRADES[0], "open"): 1,
        (GRADES[1], "assigned"): 1,
        (GRADES[0], "arrested"): 1,
        (GRADES[0], "withdrawal_recommended"): 1,
    }


def test_every_grade_and_state_is_there_with_nothing_to_count() -> None:
    found = seen()
    assert found.tasks == {(grade, state): 0 for grade in GRADES for state in STATES}
    assert found.oldest_open == dict.fromkeys(GRADES)
    assert found.overdue == dict.fromkeys(GRADES, 0)
    assert set(STATES) == set(TaskState) - {TaskState.CLOSED, TaskState.MERGED, TaskState.WITHDRAWN}


def test_exercises_are_left_out() -> None:
    assert some(seen((b"1", task(exercise=True, due_in_s=-60))).tasks) == {}
    assert seen((b"1", task(exercise=True, due_in_s=-60))).overdue[GRADES[0]] == 0


def test_the_oldest_is_of_tasks_that_nobody_has_acknowledged() -> None:
    found = seen((b"1", task(age_s=60)), (b"2", task(age_s=90)), (b"3", task("acknowledged", age_s=900)))
    assert found.oldest_open == dict.fromkeys(GRADES) | {GRADES[0]: NOW - timedelta(seconds=90)}


@pytest.mark.parametrize(
    ("state", "due_in_s", "overdue"),
    [
        ("open", -1, 1),
        ("open", 0, 1),
        ("open", 1, 0),
        ("en_route", -1, 1),
        ("attempted", -1, 0),
        ("arrested", -1, 0),
        ("withdrawal_recommended", -1, 0),
        ("closed", -1, 0),
    ],
)
def test_overdue_is_what_nobody_has_attended_by_its_deadline(state: str, due_in_s: float, overdue: int) -> None:
    assert seen((b"1", task(state, due_in_s=due_in_s))).overdue[GRADES[0]] == overdue


def test_a_null_value_removes_a_task_whatever_its_state() -> None:
    assert some(seen((b"1", task()), (b"1", None)).tasks) == {}
    again = seen((b"1", task(revision=7)), (b"1", None), (b"1", task(revision=1)))
    assert some(again.tasks) == {(GRADES[0], "open"): 1}


def test_a_task_sent_again_as_it_was_does_not_open_it_again() -> None:
    assert some(seen((b"1", task("closed", revision=7)), (b"1", task(revision=6))).tasks) == {}


def test_a_grade_that_the_policy_does_not_have_counts_as_the_highest() -> None:
    assert some(seen((b"1", task(grade="of_last_year"))).tasks) == {(GRADES[0], "open"): 1}


@pytest.mark.parametrize("value", [b"", b"{", b"\xff", b"{}", b"[]", task().replace(b'"open"', b'"on_the_moon"')])
def test_what_is_no_task_is_said_and_changes_nothing(value: bytes) -> None:
    tasks = OpenTasks(POLICY)
    tasks.take(b"1", task())
    with pytest.raises(UnreadableTaskError):
        tasks.take(b"1", value)
    assert some(tasks.waiting(NOW).tasks) == {(GRADES[0], "open"): 1}


_LIVES = st.lists(
    st.lists(
        st.tuples(st.sampled_from(list(TaskState)), st.sampled_from(GRADES), st.integers(-100, 100)),
        min_size=1,
        max_size=5,
    ),
    max_size=6,
)


@given(_LIVES, st.data())
def test_any_order_of_repeats_counts_as_the_newest_of_each_task(
    lives: list[list[tuple[TaskState, str, int]]], data: st.DataObject
) -> None:
    """Also where a task is open again after it was over, and a worker sends what it sent before."""
    sent = [
        (str(number).encode(), task(state, grade, age_s=due + 200, due_in_s=due, revision=revision))
        for number, life in enumerate(lives)
        for revision, (state, grade, due) in enumerate(life, 1)
    ]
    again = data.draw(st.lists(st.sampled_from(sent), max_size=10)) if sent else []
    found = seen(*data.draw(st.permutations(sent + again)))
    newest = [life[-1] for life in lives]
    assert some(found.tasks) == Counter((grade, state) for state, grade, _ in newest if state in STATES)
    for grade in GRADES:
        opened = [NOW - timedelta(seconds=due + 200) for state, of, due in newest if (of, state) == (grade, "open")]
        assert found.oldest_open[grade] == min(opened, default=None)
        late = [s for s, of, due in newest if of == grade and due <= 0]
        assert found.overdue[grade] == sum(s in ("open", "acknowledged", "assigned", "en_route") for s in late)
