"""Statistics, against a case that was computed by hand."""

import csv
import io
from typing import Any

from builders import NOW, Subject, after, custody, fix, order, report, update

from schemas.tasks import TaskState
from streams.board.model import TaskSummary, summary
from streams.board.statistics import as_csv, statistics, times

BASE = Subject(order())
BASE.feed(report(NOW))
S = TaskState
GRADES = ["immediate", "priority", "prompt"]


def task(task_id: str, opened: float, **changes: Any) -> TaskSummary:
    """Opened so many seconds after NOW; other times are told as seconds from then on."""
    moments = {
        name: None if changes.get(name) is None else after(opened + changes.pop(name))
        for name in ("breached_at", "acknowledged_at", "arrested_at", "deadline")
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    fixed = {
        "task_id": task_id,
        "opened_at": after(opened),
        "grade": "immediate",
        "breach_count": 1,
        "owning_force": "A",
    }
    fixed |= moments
    return summary(BASE.task).model_copy(update=fixed | changes)


BY_HAND = [
    # Three immediate ones of A: told after 10, 20 and 40 s; acknowledged after 60 and 120 s; one arrested after 600.
    task("a", 0, breached_at=-10, acknowledged_at=60, arrested_at=600, deadline=900, state=S.CLOSED),
    task("b", 100, breached_at=-20, acknowledged_at=120, deadline=900, state=S.ASSIGNED),
    task("c", 200, breached_at=-40, deadline=900, subject_id="S2"),
    # One of force B, whose breach is dated after its task: a clock that runs ahead. Its opening breach is gone in e.
    task("d", 300, breached_at=5, deadline=9000, owning_force="B", subject_id="S3", breach_count=4),
    task("e", 400, grade="prompt", deadline=9000, owning_force="B", subject_id="S4"),
    # Opened before, and overdue for longest; not counted in the rows.
    task("f", -7200, grade="prompt", deadline=3600, subject_id="S5"),
    # An exercise, which counts nowhere.
    task("g", 10, deadline=1, exercise=True),
]


def test_the_case_by_hand() -> None:
    found = statistics(BY_HAND, GRADES, NOW, after(3600), now=after(1200))
    assert found.tasks == 5
    rows = {(row.grade, row.force): row for row in found.rows}
    assert list(rows) == [("immediate", "A"), ("immediate", "B"), ("prompt", "B")]
    first = rows["immediate", "A"]
    assert (first.tasks, first.live, first.overdue, first.arrested) == (3, 2, 2, 1)
    assert first.breach_to_task.model_dump() == {
        "known": 3, "not_yet": 0, "median_s": 20.0, "p90_s": 40.0, "longest_s": 40.0
    }  # fmt: skip
    assert first.task_to_acknowledgement.model_dump() == {
        "known": 2, "not_yet": 1, "median_s": 60.0, "p90_s": 120.0, "longest_s": 120.0
    }  # fmt: skip
    assert first.task_to_arrest.model_dump() == {
        "known": 1, "not_yet": 2, "median_s": 600.0, "p90_s": 600.0, "longest_s": 600.0
    }  # fmt: skip
    assert rows["immediate", "B"].breach_to_task.longest_s == 0.0
    assert rows["prompt", "B"].breach_to_task.model_dump() == {
        "known": 0, "not_yet": 1, "median_s": None, "p90_s": None, "longest_s": None
    }  # fmt: skip
    assert [(row.grade, row.force, row.tasks) for row in found.total] == [
        ("immediate", "all", 4),
        ("prompt", "all", 1),
    ]
    assert [day.model_dump() for day in found.days] == [
        {"day": "2026-11-25", "tasks": {"immediate": 4, "prompt": 1}}
    ]  # fmt: skip
    assert found.overdue_now == ["f", "b", "c"]
    assert [one.model_dump() for one in found.repeated] == [
        {"subject_id": "S1", "tasks": 2, "breaches": 2},
        {"subject_id": "S3", "tasks": 1, "breaches": 4},
    ]


def test_a_day_is_one_of_london() -> None:
    late = [task("a", 0, deadline=9000).model_copy(update={"opened_at": NOW.replace(month=7, hour=23, minute=30)})]
    found = statistics(late, GRADES, NOW.replace(month=1), NOW, NOW)
    assert [day.day for day in found.days] == ["2026-07-26"]


def test_of_nothing_there_is_nothing() -> None:
    found = statistics([], GRADES, NOW, after(60), NOW)
    assert (found.tasks, found.rows, found.days, found.overdue_now, found.repeated) == (0, [], [], [], [])
    assert times([]).median_s is None


def test_a_spreadsheet_gets_a_line_for_each_row_and_no_formula() -> None:
    trick = BY_HAND[0].model_copy(update={"owning_force": "=1+1"})
    lines = list(csv.reader(io.StringIO(as_csv(statistics([trick], GRADES, NOW, after(60), NOW)))))
    assert len(lines) == 2
    assert len(lines[0]) == len(lines[1]) == 6 + 3 * 5
    said = dict(zip(*lines, strict=True))
    assert said["force"] == "'=1+1"
    assert (said["breach_to_task_median_s"], said["task_to_arrest_known"]) == ("10.0", "1")


def test_the_times_of_a_task_are_what_the_core_says() -> None:
    """From the breach's own time to custody's, by way of everything between."""
    subject = Subject(order())
    subject.feed(fix(after(-30)), now=NOW)
    subject.feed(update(subject.task.task_id, "acknowledge", after(90)))
    subject.feed(custody("arrested", after(700)))
    [row] = statistics([summary(subject.task)], GRADES, NOW, after(60), after(800)).rows
    assert (row.breach_to_task.median_s, row.task_to_acknowledgement.median_s, row.task_to_arrest.median_s) == (
        30.0, 90.0, 700.0
    )  # fmt: skip
