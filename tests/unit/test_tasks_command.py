"""`breachwatch tasks`: what a controller reads, and the updates that the command sends."""

from datetime import timedelta

import pytest
from builders import NOW, POLICY, Subject, after, custody, fix, order, report, update, wake
from world import World, m, spo

from streams.cli.task_lists import Board, handover, left, shift, task_in_full, task_list
from streams.cli.tasks import update_of
from streams.errors import BreachwatchError

ELSEWHERE = {"latitude": 53.9, "longitude": -1.5}


def board(*subjects: Subject) -> Board:
    found = Board()
    for subject in subjects:
        found.tasks |= subject.tasks
        found.safeguarding |= subject.safeguarding
        found.alerts |= {alert.alert_id: alert for alert in subject.alerts}
        found.suppressed += [entry for entry in subject.audits if entry.decision == "suppressed"]
    return found


@pytest.fixture
def grave() -> Subject:
    person = {"person_id": "P1", "safe_contact": {"means": ["phone"], "start": "09:00", "never": ["voicemail"]}}
    subject = Subject(order(markers=["weapons"], protected_persons=[person, {"person_id": "P2"}]))
    subject.feed(fix(NOW))
    return subject


def test_the_gravest_stands_first_and_then_the_nearest_deadline(grave: Subject) -> None:
    slight = Subject(order(risk="standard", notifies_elsewhere=True), subject_id="S2")
    slight.feed(report(after(-60), "other"))
    lines = task_list(board(slight, grave), POLICY, after(60), ended=False)
    headers = [line for line in lines if line and not line.startswith(" ")]
    assert [line.split()[0] for line in headers] == ["IMMEDIATE", "PRIORITY", "SAFEGUARDING", "SAFEGUARDING"]
    assert "in 14 min" in headers[0]
    assert "(NOBODY)" in headers[0]
    assert "exclusion zone (confirmed); seen 1 min ago near Leeds, England" in lines[1]
    assert "WARNING: weapons" in lines[3]


def test_what_is_late_and_whom_it_was_told_is_said(grave: Subject) -> None:
    grave.feed(wake(after(1000)))
    (line,) = [line for line in task_list(board(grave), POLICY, after(1000), ended=False) if "IMMEDIATE" in line]
    assert "OVERDUE 2 min" in line
    assert "told neighbouring force" in line


def test_who_has_it_is_said(grave: Subject) -> None:
    grave.feed(update(grave.task.task_id, "assign", after(30), assignee="Car 7"))
    assert "assigned (Car 7)" in task_list(board(grave), POLICY, after(60), ended=False)[0]


def test_ended_tasks_are_listed_when_asked_for(grave: Subject) -> None:
    grave.feed(update(grave.task.task_id, "close", after(30), "supervisor", outcome="no_trace"))
    assert task_list(board(grave), POLICY, after(60), ended=False)[0] == "no arrest task is open"
    assert any("closed" in line for line in task_list(board(grave), POLICY, after(60), ended=True))


def test_one_task_in_full_begins_with_the_warnings(grave: Subject) -> None:
    grave.feed(update(grave.task.task_id, "link", after(10), incident="WYP/7"))
    text = task_in_full(grave.task, grave.safeguarding.values(), after(60))
    assert text[0] == "WARNING: weapons"
    whole = "\n".join(text)
    reach = "P1 (victim): phone, 09:00 to 24:00; never voicemail"
    for said in ("attend by", "PACE 1984 s24", "incidents: WYP/7", reach, "to be told", "history:", "priority"):
        assert said in whole, said


def test_the_handover_says_what_waits_what_goes_on_and_what_was_held_back(grave: Subject) -> None:
    grave.feed(*(fix(after(60 + n), ELSEWHERE, battery_low=True) for n in range(5)))
    grave.feed(wake(after(3700)))
    ended = Subject(order(), subject_id="S2")
    ended.feed(report(NOW))
    ended.feed(custody("arrested", after(100)))
    text = "\n".join(handover(board(grave, ended), POLICY, NOW - timedelta(hours=1), after(3800)))
    assert "1 tasks open, 2 opened in this shift" in text
    assert "waits for a person: 1" in text
    assert "arrested, to be closed: 1" in text
    assert "4 alerts of kind tag_battery about tag-1" in text
    assert "[duty inspector]" in text
    quiet = "\n".join(handover(board(grave, ended), POLICY, after(3750), after(3800)))
    assert "low alerts held back in this shift: 0" in quiet


def test_exercises_and_other_forces_are_kept_apart(grave: Subject) -> None:
    drill = Subject(order(exercise=True), subject_id="exercise/S1")
    drill.feed(report(NOW))
    both = board(grave, drill)
    assert [task.exercise for task in both.only(exercise=False, force=None).tasks.values()] == [False]
    assert [task.exercise for task in both.only(exercise=True, force=None).tasks.values()] == [True]
    assert both.only(exercise=False, force="Kent Police").tasks == {}
    assert len(both.only(exercise=False, force="West Yorkshire Police").safeguarding) == 1


def test_an_update_of_an_exercise_task_stays_in_the_exercise() -> None:
    drill = Subject(order(exercise=True), subject_id="exercise/S1")
    drill.feed(report(NOW))
    event = update_of(drill.task, "acknowledge", "controller", "op-1")
    assert (event.exercise, event.data.subject_id) == (True, "S1")


def test_a_role_or_an_outcome_that_is_none_is_named(grave: Subject) -> None:
    with pytest.raises(BreachwatchError, match="role"):
        update_of(grave.task, "acknowledge", "king", "op-1")
    with pytest.raises(BreachwatchError, match="outcome"):
        update_of(grave.task, "close", "supervisor", "op-1", outcome="done")


@pytest.mark.parametrize(("text", "hours"), [("12h", 12), ("90m", 1.5), ("2d", 48)])
def test_a_shift_is_as_long_as_it_says(text: str, hours: float) -> None:
    assert shift(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "h", "12", "x2h", "-1h"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a length of time"):
        shift(text)


def test_times_left_are_in_units_that_people_use() -> None:
    given = [left(after(60 * n), NOW) for n in (5, 119, 180, -5, 60 * 72)]
    assert given == ["in 5 min", "in 119 min", "in 3 h", "OVERDUE 5 min", "in 3 d"]


def test_what_was_held_back_is_counted_when_the_hour_is_over() -> None:
    world = World(spo()).give(*(fix(m(1 + n), ELSEWHERE, battery_low=True) for n in range(9)))
    assert world.audits("suppressed") == []
    world.wait(m(61))
    (entry,) = world.audits("suppressed")
    assert "8 alerts of kind tag_battery about tag-1" in entry.reasons[0]
    world.wait(m(300))
    assert len(world.audits("suppressed")) == 1
