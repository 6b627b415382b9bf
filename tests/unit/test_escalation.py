"""A task that waits gets louder, step by step, each once, whenever the row is woken."""

from datetime import timedelta

import pytest
from builders import (
    NOW,
    POLICY,
    Subject,
    after,
    fix,
    order,
    order_ended,
    policy_with,
    report,
    retraction,
    update,
    wake,
)

from schemas.tasks import TaskState
from streams.core.ladder import due_steps, next_step, told
from streams.core.policy import STEPS
from streams.core.state import Waiting

LADDER = POLICY.grades[0]
TIMES = [after_s for _, after_s in LADDER.steps]


def escalations(subject: Subject) -> list[str | None]:
    return [alert.to for alert in subject.alerts if alert.kind == "escalation"]


def test_the_steps_come_in_their_order_and_the_last_repeats() -> None:
    waiting = Waiting(since=NOW)
    seen = []
    for _ in range(6):
        when, step = next_step(waiting, LADDER)
        seen.append(((when - NOW).total_seconds(), step))
        assert [step for _, step in due_steps(waiting, LADDER, when)] == [step]
        assert told(waiting, LADDER) == step
    assert [step for _, step in seen[:4]] == list(STEPS)
    assert [at for at, _ in seen] == [*TIMES, TIMES[-1] + 300, TIMES[-1] + 600]


def test_nothing_is_due_a_moment_before() -> None:
    waiting = Waiting(since=NOW)
    assert list(due_steps(waiting, LADDER, NOW + timedelta(seconds=TIMES[0] - 0.001))) == []
    assert waiting.told == 0


def test_after_an_outage_each_step_is_told_and_the_repeats_as_one() -> None:
    waiting = Waiting(since=NOW)
    taken = [step for _, step in due_steps(waiting, LADDER, NOW + timedelta(days=1))]
    assert taken == [*STEPS, "neighbouring_force"]
    when, _ = next_step(waiting, LADDER)
    assert NOW + timedelta(days=1) < when <= NOW + timedelta(days=1, seconds=LADDER.repeat_every_s)


@pytest.mark.parametrize("wakes", [1, 2, 5])
def test_a_wake_up_that_comes_again_takes_no_step_twice(wakes: int) -> None:
    subject = Subject(order())
    subject.feed(fix(NOW))
    subject.feed(*(wake(after(TIMES[1] + 1)) for _ in range(wakes)))
    assert escalations(subject) == ["controller", "supervisor"]
    assert subject.task.escalated_to == "supervisor"


def test_a_clock_that_steps_back_takes_no_step_again_and_moves_none_later() -> None:
    subject = Subject(order())
    subject.feed(fix(NOW))
    subject.feed(wake(after(TIMES[0])), now=after(TIMES[0]))
    due = subject.state.wake_at
    subject.feed(wake(after(-3600)), now=after(-3600))
    assert escalations(subject) == ["controller"]
    assert subject.state.wake_at == due


def test_noise_moves_no_step_and_no_deadline_later() -> None:
    subject = Subject(order())
    subject.feed(fix(NOW))
    due, deadline = subject.task.next_escalation_at, subject.task.deadline
    subject.feed(fix(after(30)), report(after(40)), update(subject.task.task_id, "note", after(50), reason="looked"))
    assert (subject.task.next_escalation_at, subject.task.deadline) == (due, deadline)
    assert subject.state.wake_at is not None
    assert due is not None
    assert subject.state.wake_at <= due


def test_a_task_that_becomes_graver_is_escalated_by_the_graver_times() -> None:
    subject = Subject(order(risk="standard"))
    subject.feed(report(NOW, "other"))
    assert subject.task.grade == "priority"
    before = subject.task.next_escalation_at
    subject.feed(fix(after(200)))
    assert subject.task.grade == "immediate"
    assert before is not None
    assert subject.task.next_escalation_at == after(TIMES[0])
    subject.feed(wake(after(201)))
    assert escalations(subject) == ["controller"], "it has waited longer than that already"


def test_what_was_begun_lapses_sooner_on_a_task_that_becomes_graver() -> None:
    subject = Subject(order(risk="standard"))
    subject.feed(report(NOW, "other"))
    subject.feed(update(subject.task.task_id, "acknowledge", after(60)), fix(after(200)))
    lapses = after(200) + timedelta(seconds=LADDER.lapse_after_s["acknowledged"])
    subject.feed(wake(lapses - timedelta(seconds=1)))
    assert subject.task.state is TaskState.ACKNOWLEDGED
    subject.feed(wake(lapses))
    assert subject.task.state is TaskState.OPEN


@pytest.mark.parametrize("state", ["acknowledged", "assigned", "en_route", "attempted"])
def test_each_thing_begun_lapses_once_and_the_task_waits_again(state: str) -> None:
    moves = {"acknowledged": ["acknowledge"], "assigned": ["assign"], "en_route": ["assign", "en_route"]}
    subject = Subject(order())
    subject.feed(fix(NOW))
    for number, action in enumerate(moves.get(state, ["assign", "attempted"])):
        more = {"assignee": "unit 1", "reason": "nobody in"}
        subject.feed(update(subject.task.task_id, action, after(10 + number), **more))
    assert subject.task.state == state
    assert subject.task.next_escalation_at is None
    at = subject.now + timedelta(seconds=LADDER.lapse_after_s[state])  # type: ignore[index]
    subject.feed(wake(at), wake(at + timedelta(seconds=1)))
    assert subject.task.state is TaskState.OPEN
    assert subject.kinds().count("lapsed") == 1
    assert subject.task.next_escalation_at == at + timedelta(seconds=TIMES[0])


def test_somebody_who_acts_just_before_the_lapse_is_heard_just_after_it() -> None:
    subject = Subject(order())
    subject.feed(fix(NOW))
    subject.feed(update(subject.task.task_id, "acknowledge", after(10)))
    subject.feed(wake(after(310)))
    assert subject.task.state is TaskState.OPEN
    subject.feed(update(subject.task.task_id, "assign", after(309), assignee="unit 1"), now=after(311))
    assert subject.task.state is TaskState.ASSIGNED


def test_a_withdrawal_that_nobody_decides_gets_louder_too() -> None:
    subject = Subject(order(notifies_elsewhere=True))
    sent = report(NOW)
    subject.feed(sent, retraction(sent.id, at=after(60)))
    assert subject.task.state is TaskState.WITHDRAWAL_RECOMMENDED
    step = after(POLICY.grade(subject.task.grade).escalate_after_s["controller"])
    assert subject.task.next_escalation_at == step, "as before: nobody has acted"
    subject.feed(wake(step))
    assert escalations(subject) == ["controller"]
    assert "a withdrawal waits for a decision" in next(a.text for a in subject.alerts if a.kind == "escalation")


def test_an_ended_task_never_wakes_the_row_for_itself() -> None:
    subject = Subject(order(notifies_elsewhere=True))
    subject.feed(fix(NOW))
    subject.feed(update(subject.task.task_id, "arrested", after(10)))
    before = len(subject.alerts)
    subject.feed(wake(after(86_400 * 2)))
    assert {alert.kind for alert in subject.alerts[before:]} <= {"safeguarding_escalation", "tag_silent"}


def test_a_step_left_out_of_the_policy_is_not_taken() -> None:
    body = POLICY.model_dump()
    body["grades"][0]["escalate_after_s"] = {"supervisor": 60}
    subject = Subject(order(), policy=type(POLICY).model_validate(body))
    subject.feed(fix(NOW), wake(after(61)))
    assert escalations(subject) == ["supervisor"]
    assert policy_with().grades[0].steps == LADDER.steps


@pytest.mark.parametrize("begun", [False, True])
def test_a_breach_that_is_gone_for_a_moment_moves_no_step_later(begun: bool) -> None:
    subject = Subject(order())
    subject.feed(fix(NOW))
    if begun:
        subject.feed(update(subject.task.task_id, "acknowledge", after(10)))
    due = subject.state.tasks[0].waiting.lapses_at or subject.task.next_escalation_at
    ended = order_ended(at=after(-60))
    subject.feed(ended, now=after(60))
    assert subject.task.state is TaskState.WITHDRAWAL_RECOMMENDED
    subject.feed(retraction(ended.id, at=after(90)))
    assert subject.task.state is (TaskState.ACKNOWLEDGED if begun else TaskState.OPEN)
    assert (subject.state.tasks[0].waiting.lapses_at or subject.task.next_escalation_at) == due
