"""Whole decisions on one subject: what becomes a task, what corrects it, what repeats, what never passes silently."""

from datetime import timedelta

import pytest
from builders import (
    NOW,
    POLICY,
    Subject,
    adjudicated,
    after,
    away,
    circle,
    face,
    fix,
    no_contact,
    order,
    order_ended,
    order_served,
    policy_with,
    read,
    report,
    requirement_met,
    retraction,
    seen,
    update,
    wake,
    zone,
)

from schemas.base import Event
from schemas.tasks import TaskState
from streams.core.effects import Effects

OUT = away(0, 2000)


def test_a_visit_and_a_report_become_one_task_with_every_ground() -> None:
    subject = Subject(order())
    subject.feed(fix(after(0)), report(after(60)))
    task = subject.task
    assert (task.state, task.breach_count, task.subject_name) == (TaskState.OPEN, 2, "Robin Example")
    assert [(b.term_id, b.certainty) for b in task.breaches] == [("t-zone", "confirmed"), ("t-contact", "reported")]
    first = task.breaches[0]
    assert (first.order_id, first.order_version, first.protects) == ("O1", 1, ["P1"])
    assert "PACE 1984 s24" in first.power
    assert first.proof_of_service is not None
    evidence = first.evidence[0]
    assert (evidence.topic, evidence.partition, evidence.offset) == ("sightings", 0, 1)
    assert task.last_seen is not None
    assert task.last_seen.time == after(0)
    assert task.policy_version == POLICY.version
    assert subject.kinds() == ["breach", "breach"]
    assert [a.severity for a in subject.alerts] == ["critical", "critical"]


def test_several_orders_are_several_grounds_on_one_task() -> None:
    subject = Subject(order("O1"), order("O2", kind="restraining"))
    subject.feed(fix(NOW))
    assert sorted(b.order_id for b in subject.task.breaches) == ["O1", "O2"]


def test_every_later_sighting_moves_where_they_were_last_seen() -> None:
    subject = Subject(order())
    subject.feed(fix(after(0)), fix(after(30), OUT), fix(after(90), OUT))
    assert subject.task.last_seen is not None
    assert subject.task.last_seen.time == after(90)
    assert subject.kinds() == ["breach"]  # a position is no alert


def test_an_older_position_is_not_the_last_one_seen() -> None:
    subject = Subject(order())
    subject.feed(fix(after(600)), fix(after(0), OUT), now=after(700))
    assert subject.task.last_seen is not None
    assert subject.task.last_seen.time == after(600)


def test_a_new_position_is_sent_at_most_once_a_minute() -> None:
    subject = Subject(order())
    subject.feed(fix(after(0)))
    sent = sum(bool(subject.feed(fix(after(n), OUT)).tasks) for n in range(1, 181))
    assert 2 <= sent <= 4


# -- late arrival ------------------------------------------------------------------------------------------


def test_a_late_order_judges_again_what_was_before_it() -> None:
    subject = Subject()
    subject.feed(fix(after(0)), report(after(60)))
    assert subject.tasks == {}
    assert "report_without_order" in subject.kinds()
    subject.feed(order(), now=after(120))
    assert subject.task.breach_count == 2
    assert subject.breaches[0].began_at == after(0)


def test_a_late_variation_corrects_and_withdraws() -> None:
    subject = Subject(order())
    subject.feed(fix(after(0)), report(after(0)))
    moved = [zone(area=circle(200, 9000)), no_contact()]
    subject.feed(order(version=2, terms=moved, effective_from=after(-60)), now=after(60))
    assert [(f.term_id, f.order_version) for f in subject.breaches] == [("t-contact", 2)]
    assert subject.kinds()[-1] == "correction"
    assert "breach_corrected" in subject.decisions()
    assert subject.task.state is TaskState.OPEN  # a person closes it, not we
    assert subject.task.breach_count == 1


def test_when_nothing_stands_withdrawal_is_recommended() -> None:
    subject = Subject(order())
    subject.feed(fix(NOW))
    subject.feed(order_ended(at=after(-60)), now=after(60))
    assert subject.breaches == []
    assert "withdrawal of the task is recommended" in subject.alerts[-1].text
    assert any("withdrawal recommended" in flag for flag in subject.task.flags)
    assert subject.task.state is TaskState.WITHDRAWAL_RECOMMENDED


def test_discharge_stops_new_breaches_and_keeps_the_earlier_ones() -> None:
    subject = Subject(order())
    subject.feed(report(after(0)), order_ended(at=after(60)), report(after(120)))
    assert subject.task.breach_count == 1
    assert "report_without_order" in subject.kinds()


@pytest.mark.parametrize("served_late", [True, False])
def test_an_unserved_order_keeps_the_grade_and_says_serve_now(served_late: bool) -> None:
    def task(served: bool) -> Subject:
        subject = Subject(order(served=served))
        subject.feed(fix(NOW))
        return subject

    served, unserved = task(True), task(False)
    assert unserved.task.grade == served.task.grade
    assert unserved.task.priority == served.task.priority
    assert any(flag.startswith("serve now") for flag in unserved.task.flags)
    assert "gives no confirmed power yet" in unserved.task.breaches[0].power
    if served_late:
        unserved.feed(order_served(at=after(-3600)), now=after(60))
        assert not any(flag.startswith("serve now") for flag in unserved.task.flags)
        assert "PACE 1984 s24" in unserved.task.breaches[0].power


# -- retraction --------------------------------------------------------------------------------------------


def test_a_retracted_report_no_longer_stands() -> None:
    subject = Subject(order())
    subject.feed(report(NOW, id="r1"), retraction("r1", at=after(60)))
    assert subject.breaches == []
    assert subject.kinds() == ["breach", "correction"]


@pytest.mark.parametrize("retracted_first", [False, True])
def test_a_retraction_counts_before_and_after_what_it_takes_back(retracted_first: bool) -> None:
    events: list[Event] = [report(after(0), id="r1"), retraction("r1", at=after(60))]
    subject = Subject(order())
    subject.feed(*(reversed(events) if retracted_first else events))
    assert subject.breaches == []


def test_a_retracted_fix_takes_its_visit_with_it_and_nothing_else() -> None:
    subject = Subject(order())
    subject.feed(fix(after(0), id="f1"), *(fix(after(60 * n), OUT) for n in range(1, 5)), fix(after(400)))
    assert [f.began_at for f in subject.breaches] == [after(0), after(400)]
    subject.feed(retraction("f1", at=after(500)))
    assert [f.began_at for f in subject.breaches] == [after(400)]


def test_a_retracted_first_fix_moves_the_beginning_of_the_visit() -> None:
    subject = Subject(order())
    subject.feed(fix(after(0), id="f1"), fix(after(60)), retraction("f1", at=after(70)))
    assert subject.breach.began_at == after(60)


def test_after_a_retraction_the_device_is_where_it_was_before() -> None:
    subject = Subject(order())
    subject.feed(fix(after(0), OUT), fix(after(60), id="f1"), retraction("f1", at=after(70)))
    assert subject.breaches == []
    assert subject.state.last_seen is not None
    assert subject.state.last_seen.time == after(0)
    assert subject.state.tracks == {}
    subject.feed(fix(after(120)))
    assert subject.breach.began_at == after(120)


def test_a_retracted_only_fix_leaves_nothing_behind() -> None:
    subject = Subject(order())
    subject.feed(fix(after(0), id="f1"), retraction("f1", at=after(70)))
    state = subject.state
    assert (state.breaches, state.tracks, state.devices, state.last_seen) == ([], {}, {}, None)


def test_another_source_cannot_retract() -> None:
    subject = Subject(order())
    subject.feed(report(NOW, id="r1"))
    subject.feed(retraction("r1", at=after(60)).model_copy(update={"source": "another/source"}))
    assert subject.breach.opened_by.event_id == "test/source#r1"


def test_that_an_order_ended_can_be_taken_back() -> None:
    ended = order_ended(at=after(-60))
    subject = Subject(order(), ended)
    subject.feed(report(NOW))
    assert subject.breaches == []
    subject.feed(retraction(ended.id, at=after(60)))
    assert subject.breach.term_id == "t-contact"


def test_what_cannot_be_taken_back_is_said() -> None:
    made = order(id="o-1")
    subject = Subject(made, retraction("o-1", at=NOW))
    assert subject.kinds() == ["retraction_refused"]


# -- repeats -----------------------------------------------------------------------------------------------


EVENTS: list[Event] = [
    order(id="d1"),
    order_served(at=after(-600)),
    fix(after(0), id="d2"),
    read(after(10)),
    report(after(20)),
    seen(after(30)),
    update("none", "acknowledge", after(40)),
]


def test_each_event_again_changes_nothing() -> None:
    once, again = Subject(), Subject()
    for event in EVENTS:
        once.feed(event)
        again.feed(event)
        effects = again.feed(event)
        assert (effects.alerts, effects.tasks, effects.identifiers) == ([], [], [])
    assert once.facts() == again.facts()
    assert once.task.breach_count == again.task.breach_count


def strip(effects: Effects) -> tuple[object, ...]:
    return effects.identifiers, effects.audits, effects.alerts, [task.task_id for task in effects.tasks]


@pytest.mark.parametrize("count", range(1, len(EVENTS) + 1))
def test_a_replay_from_the_outbox_sends_the_same_again(count: int) -> None:
    """The process ended after the row was written, before the commit: the ids and the texts are the same."""
    subject = Subject()
    subject.feed(*EVENTS[:count])
    sent = subject.effects[-1]
    row = subject.row
    again = subject.replay(EVENTS[count - 1])
    assert strip(again) == strip(sent)
    assert [task.revision for task in again.tasks] == [task.revision for task in sent.tasks]
    assert subject.state.model_copy(update={"now": None}) == type(subject.state).model_validate_json(
        row or b""
    ).model_copy(update={"now": None})


def test_a_replay_of_several_sends_each_again() -> None:
    subject = Subject()
    subject.feed(EVENTS[0])
    for event in EVENTS[1:]:
        subject.feed(event, commits=False)
    sent = [strip(effects) for effects in subject.effects]
    for offset in range(1, len(EVENTS)):
        if any(sent[offset]):
            assert strip(subject.replay(EVENTS[offset], offset=offset, committed=1)) == sent[offset]


def test_long_effects_are_sent_again_too() -> None:
    """More than the row can hold: an order with 200 identifiers."""
    plates = [{"kind": "plate", "value": f"AB{n:02}CDE{n}"} for n in range(200)]
    big = order(identifiers=plates)
    subject = Subject(big)
    assert len(subject.identifiers) == 202
    assert subject.max_row_bytes < 5000
    assert strip(subject.replay(big)) == strip(subject.effects[0])
    subject.feed(fix(NOW))
    assert not [key for key in subject.table if b"|x|" in key]  # committed: it leaves


def test_a_long_outbox_asks_for_a_commit() -> None:
    subject = Subject()
    asked = [subject.feed(order(f"O{n}"), commits=False).commit_now for n in range(20)]
    assert not any(asked[:12])
    assert all(asked[12:])


def test_time_never_goes_back() -> None:
    subject = Subject(order())
    subject.feed(report(after(0)), now=after(100))
    subject.feed(report(after(50)), now=after(60))
    assert subject.audits[-1].at == after(100)


# -- what must not be acted on, nor pass silently ----------------------------------------------------------


def test_a_future_clock_is_quarantined_and_never_latest() -> None:
    subject = Subject(order())
    subject.feed(fix(after(3600)), now=NOW)
    assert subject.breaches == []
    assert subject.state.last_seen is None
    assert subject.decisions()[-1] == "quarantined"
    assert subject.kinds() == ["clock_ahead"]
    subject.feed(fix(after(10)), now=after(20))
    assert subject.breach.began_at == after(10)


def test_a_clock_that_is_ahead_by_little_is_believed() -> None:
    subject = Subject(order())
    subject.feed(fix(after(POLICY.limits.future_tolerance_s)), now=NOW)
    assert len(subject.breaches) == 1


def test_nought_nought_with_tamper_still_alerts() -> None:
    subject = Subject(order())
    subject.feed(fix(NOW, {"latitude": 0, "longitude": 0}, tamper=True))
    assert subject.kinds() == ["tag_tamper"]
    assert subject.breaches == []
    assert subject.state.last_seen is None
    subject.feed(fix(after(60), no_position=True, tamper=True, battery_low=True))
    assert subject.kinds() == ["tag_tamper", "tag_tamper", "tag_battery"]


def test_a_look_alike_is_for_a_person_and_only_where_it_matters() -> None:
    subject = Subject(order())
    subject.feed(read(after(0), OUT, vrm="8D15DLO"), match="look-alike")
    assert subject.kinds() == []
    subject.feed(read(after(60), vrm="8D15DLO"), match="look-alike")
    assert subject.kinds() == ["check_plate"]
    assert subject.alerts[0].forces == [order().data.owning_force], "whose order it is, and nobody else's to see"
    assert subject.breaches == []
    assert subject.state.last_seen is None
    subject.feed(report(after(70)), read(after(80), OUT), now=after(90))
    subject.feed(read(after(100), OUT, vrm="8D15DLO"), match="look-alike")
    assert subject.kinds()[-1] == "check_plate"  # away from every zone, but with a task open


@pytest.mark.parametrize(("outcome", "breaches"), [("confirmed", 1), ("rejected", 0)])
def test_a_face_match_needs_its_adjudication(outcome: str, breaches: int) -> None:
    subject = Subject(order())
    subject.feed(face(NOW, id="m1"))
    assert (subject.breaches, subject.state.last_seen) == ([], None)
    assert subject.kinds() == ["adjudicate"]
    subject.feed(adjudicated("m1", after(600), outcome))
    assert len(subject.breaches) == breaches
    assert (subject.state.last_seen is not None) is bool(breaches)


def test_a_verdict_after_a_day_is_too_late() -> None:
    subject = Subject(order())
    subject.feed(face(NOW, id="m1"), adjudicated("m1", after(90_000)))
    assert subject.breaches == []
    assert subject.decisions()[-1] == "no_match_to_adjudicate"


def test_beyond_the_horizon_goes_to_a_person_if_it_would_breach() -> None:
    subject = Subject(order())
    late = NOW + timedelta(seconds=POLICY.limits.horizon_s + 60)
    subject.feed(fix(NOW), report(NOW), fix(NOW, OUT, device="tag-2"), now=late)
    assert subject.kinds() == ["old_breach", "old_breach"]
    assert subject.breaches == []


def test_a_visit_over_the_horizon_stays_one_visit() -> None:
    """A tag that lives in the zone: its first days are no longer kept when the order is varied."""
    subject = Subject(order(), policy=policy_with(limits={"horizon_s": 7200}))
    subject.feed(*(fix(after(300 * n)) for n in range(60)))
    subject.feed(order(version=2, effective_from=after(17_000)))
    assert subject.breach.began_at == after(0)
    assert subject.breach.ended_at is None
    assert subject.task.breach_count == 1


def test_the_order_ends_while_the_subject_is_inside() -> None:
    subject = Subject(order(expires_at=after(90)))
    subject.feed(fix(after(0)), fix(after(60)), fix(after(120)))
    fact = subject.breach
    assert fact.ended_at == after(60)
    assert any(flag.startswith("lapsed") for flag in fact.flags)


def test_silence_ends_a_visit_for_the_time_being() -> None:
    subject = Subject(order(notifies_elsewhere=True))
    subject.feed(fix(after(0)), fix(after(60)))
    due = subject.state.wake_at
    assert due is not None
    subject.feed(wake(after(700)))
    assert subject.breach.ended_at == after(60)
    subject.feed(fix(after(400)), fix(after(720)), now=after(730))  # they were on their way
    assert subject.breach.ended_at is None
    assert subject.task.breach_count == 1


def test_a_silent_tag_is_an_alert_once() -> None:
    subject = Subject(order())
    silent = after(POLICY.evidence.silence_s + 1)
    subject.feed(fix(NOW, OUT), wake(silent), wake(silent))
    assert subject.kinds().count("tag_silent") == 1


def test_a_task_that_nobody_attends_misses_its_deadline_once() -> None:
    subject = Subject(order())
    subject.feed(report(NOW))
    deadline = subject.task.deadline
    subject.feed(wake(deadline - timedelta(seconds=1)))
    assert "deadline_missed" not in subject.kinds()
    subject.feed(wake(deadline), wake(deadline))
    assert subject.kinds().count("deadline_missed") == 1


def test_the_duty_to_notify_is_a_breach_by_absence_unless_met() -> None:
    def life(*events: Event) -> Subject:
        subject = Subject(order(made_at=NOW, served=True))
        subject.feed(*events)
        return subject

    missed = life(wake(after(4 * 86400)))
    assert (missed.breach.term_kind, missed.breach.certainty) == ("notify", "possible")
    assert life(requirement_met(None, after(86400)), wake(after(4 * 86400))).breaches == []
    late_record = life(wake(after(4 * 86400)), requirement_met(None, after(86400)))
    assert late_record.breaches == []
    assert late_record.kinds()[-1] == "correction"


def test_two_orders_of_one_version_with_other_content_are_a_conflict() -> None:
    subject = Subject(order(), order(risk="high"))
    assert subject.kinds() == ["order_version_conflict"]
    subject.feed(order())
    assert subject.kinds() == ["order_version_conflict"]  # the same content again is only a repeat
    assert subject.records.order("O1", 1).data.risk == "medium"


def test_exercise_traffic_says_so_everywhere() -> None:
    subject = Subject(order(exercise=True), subject_id="exercise/S1")
    subject.feed(report(NOW).model_copy(update={"exercise": True}))
    assert subject.task.exercise
    assert all(alert.exercise for alert in subject.alerts)
    assert all(audit.exercise for audit in subject.audits)


def test_every_decision_is_audited_and_repeated_negatives_once_an_hour() -> None:
    subject = Subject(order())
    for second in range(0, 7200, 60):
        assert subject.feed(fix(after(second), OUT)).audits or second % 3600
    negatives = [audit for audit in subject.audits if audit.decision == "no_breach"]
    assert len(negatives) == 2
    assert "59 alike since" in negatives[1].reasons[0]


def test_an_event_before_the_order_is_intelligence() -> None:
    subject = Subject(order(made_at=after(100)))
    subject.feed(report(NOW), now=after(200))
    assert subject.breaches == []
    assert any("may still be stalking" in reason for audit in subject.audits for reason in audit.reasons)
