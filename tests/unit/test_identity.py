"""Corrected identities: a tag or plate that was another's, two subjects who are one, one who is two."""

from typing import Any

import pytest
from builders import (
    SUBJECT,
    after,
    away,
    custody,
    event,
    fix,
    no_contact,
    order,
    order_ended,
    read,
    report,
    retraction,
    update,
)
from world import World, spo

from schemas.orders import IdentityCorrected
from schemas.tasks import TaskState

OTHER = "S2"
TAG = {"kind": "tag", "value": "tag-1"}
PLATE = {"kind": "plate", "value": "BD15 DLO"}


def corrected(how: str, at: float, subject: str = SUBJECT, other: str = OTHER, **more: Any) -> IdentityCorrected:
    data = {"how": how, "subject_id": subject, "other_subject_id": other, "reason": "one record, two people", **more}
    return event(IdentityCorrected, data, after(at))


def order_on(subject: str, order_id: str, **more: Any) -> Any:
    return order(order_id, **{"respondent": {"subject_id": subject, "name": "Sam Other"}, "identifiers": [], **more})


# -- a tag or plate that was somebody else's -------------------------------------------------------------------


def test_a_tag_that_was_another_persons_at_the_time_takes_its_breach_back() -> None:
    world = World(spo(identifiers=[TAG])).give(fix(after(60)), report(after(90)))
    assert len(world.breaches) == 2
    handed_back = {**TAG, "valid_to": after(0)}
    world.give(spo(version=2, made_at=after(100), identifiers=[handed_back]))
    assert [b.term_kind for b in world.breaches] == ["no_contact"], "the report stands"
    assert world.alert("correction").to == "controller"
    assert world.task.change == "correction"
    assert world.task.last_seen is None
    assert "not the subject's" in world.why("breach_withdrawn")


def test_withdrawal_is_recommended_when_nothing_else_stands() -> None:
    world = World(spo(identifiers=[PLATE])).give(read(after(60)))
    world.give(spo(version=2, made_at=after(100), identifiers=[{**PLATE, "valid_to": after(0)}]))
    assert world.task.state is TaskState.WITHDRAWAL_RECOMMENDED
    assert world.breaches == []


def test_the_same_whichever_comes_first() -> None:
    returned = spo(version=2, made_at=after(-900), identifiers=[{**TAG, "valid_to": after(-800)}])
    world = World(spo(identifiers=[TAG]), returned).give(fix(after(60)))
    assert world.nothing_happened()


def test_a_correction_that_is_corrected_counts_the_evidence_again() -> None:
    world = World(spo(identifiers=[TAG])).give(fix(after(60)))
    world.give(spo(version=2, made_at=after(100), identifiers=[{**TAG, "valid_to": after(0)}]))
    assert world.breaches == []
    world.give(spo(version=3, made_at=after(200), identifiers=[TAG]))
    assert [b.certainty for b in world.breaches] == ["confirmed"]
    assert world.task.state is TaskState.OPEN


def test_evidence_from_while_it_was_theirs_stands() -> None:
    world = World(spo(identifiers=[TAG])).give(fix(after(60)), fix(after(120), away(east_m=3000)))
    world.give(spo(version=2, made_at=after(200), identifiers=[{**TAG, "valid_to": after(100)}]))
    assert len(world.breaches) == 1
    assert world.breach.began_at == after(60)


def test_a_tag_that_goes_to_another_subject_shows_the_others_breach() -> None:
    mine = spo("O1", identifiers=[TAG])
    world = World(mine, order_on(OTHER, "O2"))
    world.give(fix(after(60)))
    assert {task.subject_id for task in world.live} == {SUBJECT}
    world.give(
        spo("O1", version=2, made_at=after(100), identifiers=[{**TAG, "valid_to": after(0)}]),
        order_on(OTHER, "O2", version=2, made_at=after(100), identifiers=[{**TAG, "valid_from": after(90)}]),
        fix(after(200)),
    )
    tasks = {task.subject_id: task for task in world.tasks}
    assert tasks[SUBJECT].state is TaskState.WITHDRAWAL_RECOMMENDED
    assert tasks[OTHER].breach_count == 1


# -- two subjects who are one ----------------------------------------------------------------------------------


def merged_world() -> World:
    world = World(spo("O1"), order_on(OTHER, "O2", terms=[no_contact()]))
    return world.give(fix(after(60)), report(after(90), order_id="O2"))


def test_merged_subjects_have_one_task_with_the_breaches_of_both() -> None:
    world = merged_world()
    mine = next(task for task in world.tasks if task.subject_id == SUBJECT)
    world.give(update(mine.task_id, "assign", after(100), assignee="unit 3"))
    world.give(corrected("merged", 120))
    (live,) = world.live
    assert live.subject_id == OTHER
    assert {(b.order_id, b.term_kind) for b in live.breaches} >= {("O1", "exclusion_zone"), ("O2", "no_contact")}
    gone = next(task for task in world.tasks if task.subject_id == SUBJECT)
    assert (gone.state, gone.merged_into, gone.change) == (TaskState.MERGED, OTHER, "correction")
    assert live.deadline <= gone.deadline
    joined = next(entry.what for entry in live.history if "joined by" in entry.what)
    assert gone.task_id in joined
    assert "with unit 3" in joined
    assert world.alert("subjects_merged").task_id == gone.task_id


def test_an_order_that_moves_is_still_that_of_its_source() -> None:
    world = merged_world().give(corrected("merged", 120))
    moved = world.state(OTHER).orders["O1"].versions
    assert [version.source for version in moved] == ["test/source"]


def test_what_comes_later_for_the_one_who_is_another_goes_to_that_one() -> None:
    world = merged_world().give(corrected("merged", 120))
    before = world.live[0].breach_count
    world.give(report(after(300)), fix(after(2000)), custody("escaped", after(2100)))
    (live,) = world.live
    assert live.breach_count == before + 3, "a report that names both orders' subject fits both"
    assert world.state(OTHER).custody == "escaped"
    world.give(spo("O3", made_at=after(2200)))
    assert "O3" in world.state(OTHER).orders


def test_an_update_of_the_task_that_was_merged_is_answered() -> None:
    world = merged_world()
    mine = next(task for task in world.tasks if task.subject_id == SUBJECT)
    world.give(corrected("merged", 120), update(mine.task_id, "acknowledge", after(200)))
    assert not world.answer.accepted
    assert "merged" in (world.answer.reason or "")


def test_nothing_falls_due_on_the_row_that_was_merged() -> None:
    world = merged_world().give(corrected("merged", 120))
    assert world.state(SUBJECT).wake_at is None
    world.wait(after(3600))
    escalated = {alert.subject_id for alert in world.alerts("escalation")}
    assert escalated == {OTHER}


def test_a_breach_whose_evidence_has_left_goes_along() -> None:
    world = World(spo("O1", made_at=after(-900)), order_on(OTHER, "O2"))
    world.wait(after(86_400 * 5))
    assert "notify" in world.terms()
    world.give(corrected("merged", 86_400 * 6))
    (live,) = world.live
    assert ("O1", "notify") in {(b.order_id, b.term_kind) for b in live.breaches}


def test_merged_once_is_merged() -> None:
    world = merged_world().give(corrected("merged", 120))
    tasks = world.tasks
    world.give(corrected("merged", 130))
    assert world.tasks == tasks


def test_of_two_who_are_each_said_to_be_the_other_the_newer_word_stands() -> None:
    world = merged_world().give(corrected("merged", 120), corrected("merged", 240, OTHER, SUBJECT))
    (live,) = world.live
    assert live.subject_id == SUBJECT
    assert world.state(SUBJECT).merged_into is None
    assert world.state(OTHER).merged_into == SUBJECT
    assert world.alerts("identity_corrected")
    world.give(report(after(400), order_id="O2"))
    assert world.live[0].breach_count == live.breach_count + 1


def test_a_discharge_that_was_known_goes_along_and_can_be_taken_back() -> None:
    ended = order_ended("O1", at=after(30))
    world = World(spo("O1"), order_on(OTHER, "O2", terms=[no_contact()]))
    world.give(ended, corrected("merged", 60), fix(after(120)))
    assert world.tasks == []
    world.give(retraction(ended.id, subject_id=OTHER, at=after(180)))
    assert [(t.subject_id, t.breach_count) for t in world.live] == [(OTHER, 1)]


# -- one who is two --------------------------------------------------------------------------------------------


@pytest.fixture
def one() -> World:
    world = World(spo("O1", identifiers=[TAG]), spo("O2", identifiers=[PLATE], terms=[no_contact()]))
    return world.give(fix(after(60)), report(after(90), order_id="O2"))


def test_a_split_gives_the_orders_and_what_breached_them_to_the_other(one: World) -> None:
    one.give(corrected("split", 120, order_ids=["O2"]))
    tasks = {task.subject_id: task for task in one.live}
    assert {b.order_id for b in tasks[SUBJECT].breaches} == {"O1"}
    assert {b.order_id for b in tasks[OTHER].breaches} == {"O2"}
    assert one.state(SUBJECT).orders.keys() == {"O1"}
    one.give(report(after(300), order_id="O2"), fix(after(2000)))
    assert next(task for task in one.live if task.subject_id == OTHER).breach_count == 2


def test_a_split_that_takes_every_breach_recommends_withdrawal(one: World) -> None:
    one.give(corrected("split", 120, order_ids=["O1", "O2"]))
    tasks = {task.subject_id: task for task in one.tasks}
    assert tasks[SUBJECT].state is TaskState.WITHDRAWAL_RECOMMENDED
    assert tasks[SUBJECT].breaches == []
    assert tasks[OTHER].state is TaskState.OPEN
    assert tasks[OTHER].breach_count == 2
    assert one.state(SUBJECT).hours == [] or not list(one.state(SUBJECT).devices)


def test_a_split_of_an_order_that_is_not_theirs_is_told(one: World) -> None:
    one.give(corrected("split", 120, order_ids=["O9"]))
    assert one.alert("check_identity").severity == "high"
    assert len(one.breaches) == 2


def test_a_merger_that_was_wrong_is_split_again() -> None:
    world = merged_world().give(corrected("merged", 120))
    world.give(corrected("split", 240, OTHER, SUBJECT, order_ids=["O1"]))
    tasks = {task.subject_id: task for task in world.live}
    assert {b.order_id for b in tasks[SUBJECT].breaches} == {"O1"}
    assert {b.order_id for b in tasks[OTHER].breaches} == {"O2"}
    assert world.state(SUBJECT).merged_into is None
    world.give(fix(after(4000)))
    assert next(task for task in world.live if task.subject_id == SUBJECT).last_seen is not None
