"""Safeguarding beside the arrest: who must be told what, in which way, and that somebody does."""

from datetime import timedelta

import pytest
from builders import NOW, POLICY, Subject, after, custody, fix, order, order_ended, report, update, wake

from schemas.safeguarding import SafeguardingState, SafeguardingTask

SAFE = {"means": ["phone"], "start": "09:00", "until": "15:00", "by": "IDVA ref 12", "never": ["voicemail"]}
PEOPLE = [{"person_id": "P1", "safe_contact": SAFE}, {"person_id": "P2", "relation": "child"}]


def breached(**more: object) -> Subject:
    subject = Subject(order(protected_persons=PEOPLE, **more))  # type: ignore[arg-type]
    subject.feed(report(NOW))
    return subject


def task(subject: Subject) -> SafeguardingTask:
    return list(subject.safeguarding.values())[-1]


def act(subject: Subject, action: str, seconds: float, role: str = "controller", **more: object) -> None:
    subject.feed(update(task(subject).safeguarding_id, action, after(seconds), role, **more))


def told(subject: Subject, person: str, seconds: float) -> None:
    act(subject, "told", seconds, "officer", person_id=person, reason="that he was seen, and what to do")


def test_a_breach_opens_one_beside_the_arrest() -> None:
    subject = breached()
    found = task(subject)
    assert (found.state, found.arrest_task_id) == (SafeguardingState.OPEN, subject.task.task_id)
    assert [reason.kind for reason in found.reasons] == ["breach"]
    assert found.deadline == NOW + timedelta(seconds=POLICY.safeguarding.within_s["breach"])
    (person,) = [p for p in found.people if p.person_id == "P1"]
    assert person.safe_contact is not None
    assert person.safe_contact.model_dump(exclude_defaults=True, exclude_none=True) == SAFE
    assert person.owed


def test_only_those_whom_the_term_protects_are_named_for_a_breach() -> None:
    assert [p.person_id for p in task(breached()).people] == ["P1"]


def test_a_further_breach_is_added_to_the_one_that_is_open() -> None:
    subject = breached()
    subject.feed(report(after(60)))
    assert len(subject.safeguarding) == 1
    assert [reason.at for reason in task(subject).reasons] == [after(60)]


@pytest.mark.parametrize(
    ("state", "kind", "severity"),
    [("arrested", "arrest", None), ("released", "release", "critical"), ("escaped", "escape", "critical")],
)
def test_arrest_release_and_escape_are_told_to_everybody(state: str, kind: str, severity: str | None) -> None:
    subject = Subject(order(protected_persons=PEOPLE))
    subject.feed(custody(state, NOW))
    found = task(subject)
    assert [reason.kind for reason in found.reasons] == [kind]
    assert {p.person_id for p in found.people} == {"P1", "P2"}
    assert [a.severity for a in subject.alerts if a.kind == "safeguarding"] == ([severity] if severity else [])


def test_a_failed_tag_is_told() -> None:
    subject = Subject(order())
    subject.feed(fix(NOW, tamper=True))
    assert "tag_failed" in [reason.kind for reason in task(subject).reasons]
    silent = Subject(order())
    silent.feed(fix(NOW, {"latitude": 53.9, "longitude": -1.5}), wake(after(3601)))
    assert "tag_failed" in [reason.kind for reason in task(silent).reasons]


def test_nobody_is_told_of_what_concerns_no_order() -> None:
    subject = Subject()
    subject.feed(custody("released", NOW))
    assert subject.safeguarding == {}


def test_it_is_over_when_everybody_has_been_told() -> None:
    subject = breached()
    act(subject, "acknowledge", 60)
    act(subject, "assign", 70, assignee="PC 9")
    assert (task(subject).state, task(subject).assigned_to) == (SafeguardingState.ASSIGNED, "PC 9")
    told(subject, "P1", 300)
    found = task(subject)
    assert found.state is SafeguardingState.CLOSED
    assert found.people[0].told is not None
    assert found.people[0].told.by == "op-1 (officer)"
    assert not found.people[0].owed


def test_who_was_told_before_something_new_is_owed_another_word() -> None:
    subject = Subject(order(protected_persons=PEOPLE))
    subject.feed(custody("arrested", NOW))
    told(subject, "P1", 60)
    subject.feed(custody("released", after(120)))
    assert {p.person_id: p.owed for p in task(subject).people} == {"P1": True, "P2": True}
    told(subject, "P1", 180)
    assert task(subject).state is SafeguardingState.OPEN
    told(subject, "P2", 200)
    assert task(subject).state is SafeguardingState.CLOSED


def test_after_it_is_over_the_next_breach_opens_another() -> None:
    subject = breached()
    told(subject, "P1", 60)
    subject.feed(report(after(120)))
    assert len(subject.safeguarding) == 2


@pytest.mark.parametrize(
    ("action", "role", "fields", "says"),
    [
        ("told", "officer", {"person_id": "P9", "reason": "x"}, "no order of this subject protects"),
        ("told", "officer", {"person_id": "P1"}, "say who was told"),
        ("assign", "controller", {}, "needs an assignee"),
        ("close", "controller", {"reason": "x"}, "not for controller"),
        ("close", "supervisor", {}, "needs a reason"),
        ("arrested", "officer", {}, "is not for a safeguarding task"),
    ],
)
def test_what_is_refused_and_why(action: str, role: str, fields: dict[str, object], says: str) -> None:
    subject = breached()
    act(subject, action, 60, role, **fields)
    assert says in (subject.answers[-1].reason or "")
    assert task(subject).state is SafeguardingState.OPEN


def test_a_supervisor_closes_with_a_reason_before_everybody_was_told() -> None:
    subject = breached()
    act(subject, "close", 60, "supervisor", reason="her advocate has told her")
    assert task(subject).state is SafeguardingState.CLOSED


def test_it_gets_louder_until_somebody_takes_it_on_and_again_when_that_lapses() -> None:
    subject = breached()
    subject.feed(wake(after(1801)))
    alerts = [a.to for a in subject.alerts if a.kind == "safeguarding_escalation"]
    assert alerts == ["controller", "supervisor"]
    assert task(subject).escalated_to == "supervisor"
    act(subject, "acknowledge", 1900)
    assert task(subject).next_escalation_at is None
    lapses = after(1900 + POLICY.safeguarding.lapse_after_s["acknowledged"])
    subject.feed(wake(lapses))
    assert task(subject).state is SafeguardingState.OPEN
    assert [a.to for a in subject.alerts if a.kind == "safeguarding_escalation"] == alerts


def test_a_correction_is_told_only_to_those_who_have_heard_of_it() -> None:
    unheard = breached()
    unheard.feed(order_ended(at=after(-60)), now=after(60))
    assert [reason.kind for reason in task(unheard).reasons] == ["breach"]
    heard = breached()
    told(heard, "P1", 30)
    heard.feed(order_ended(at=after(-60)), now=after(60))
    assert [reason.kind for reason in task(heard).reasons] == ["correction"]


def test_wishes_move_nothing() -> None:
    subject = breached()
    act(subject, "note_wishes", 60, reason="wants nobody to come")
    assert task(subject).state is SafeguardingState.OPEN
    assert "wants nobody to come" in task(subject).history[-1].what


def test_of_two_who_assign_it_at_once_the_second_is_told() -> None:
    subject = breached()
    seen = task(subject).revision
    act(subject, "assign", 10, assignee="PC 1", revision=seen)
    act(subject, "assign", 10, assignee="PC 2", revision=seen)
    assert task(subject).assigned_to == "PC 1"
    assert "somebody moved the task" in (subject.answers[-1].reason or "")


def test_it_is_not_closed_over_news_that_whoever_closes_it_has_not_seen() -> None:
    subject = breached()
    seen = task(subject).revision
    subject.feed(custody("escaped", after(60)))
    act(subject, "close", 70, "supervisor", reason="she has left the country", revision=seen)
    assert task(subject).state is SafeguardingState.OPEN
    assert f"revision {seen + 1} brought news" in (subject.answers[-1].reason or "")
    act(subject, "close", 80, "supervisor", reason="she has left the country", revision=task(subject).revision)
    assert task(subject).state is SafeguardingState.CLOSED
