"""A protected person is erased from a subject's row: what goes, what stays, what refuses."""

from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from builders import (
    NOW,
    POLICY,
    SUBJECT,
    Subject,
    after,
    away,
    circle,
    custody,
    erase,
    erase_person,
    event,
    fix,
    no_contact,
    order,
    order_ended,
    place_hold,
    report,
    update,
    wake,
    zone,
)

from schemas.erasure import digest
from schemas.orders import IdentifierRecord, IdentityCorrected, OrderData, Role
from streams.core.chain import faults
from streams.core.identity import identifier_key
from streams.core.index import IdentifierIndex
from streams.core.persons import ERASED, who, without
from streams.core.state import MAX_BREACHES

DAY_S = 86_400
OVER = after(8 * DAY_S)
HERS: list[dict[str, Any]] = [
    {"kind": "tag", "value": "tag-hers", "role": "protected_person", "person_id": "P1"},
    {"kind": "phone", "value": "+441234", "role": "protected_person", "person_id": "P1"},
    {"kind": "tag", "value": "tag-1"},
]
PEOPLE: list[dict[str, Any]] = [
    {
        "person_id": "P1",
        "name": "Jane Secret",
        "address": "1 Hidden Lane",
        "safe_contact": {"means": ["phone"], "held_at": "file 7"},
    },
    {"person_id": "P2", "relation": "child", "name": "Kim Secret"},
]
TERMS: list[dict[str, Any]] = [
    zone("hers", area=circle(200, 1000), text="1 Hidden Lane and around it"),
    zone("both", area=circle(300, 9000), protects=["P1", "P2"], text="the school of Kim Secret"),
    zone("his", area=circle(300, 0, 9000), protects=["P2"]),
    no_contact("words", text="not to ring Jane Secret", carve_outs=[{"kind": "solicitor", "text": "of Jane Secret"}]),
    {"term_id": "other", "kind": "other", "text": "not to name Jane Secret", "protects": ["P1"]},
    {"term_id": "near", "kind": "distance", "metres": 100, "protects": ["P1"]},
]


def made(**more: Any) -> Any:
    return order(terms=TERMS, protected_persons=PEOPLE, identifiers=HERS, applicant="Jane Secret", **more)


def worked() -> Subject:
    """Her tag and his, a visit to her zone, a report; tasks with notes; all closed, and the order ended at NOW."""
    subject = Subject(made(), fix(after(-900), away(1000)), fix(after(-840), away(1000)))
    subject.feed(fix(after(-800), device="tag-hers"), role=Role.PROTECTED_PERSON, person_id="P1")
    subject.feed(report(after(-700), order_id="O1", protected_person_id="P1"))
    [task], [safe] = subject.tasks, subject.safeguarding
    for one in (
        update(task, "note_wishes", after(-600), reason="Jane Secret wants him gone"),
        update(safe, "told", after(-500), person_id="P1", reason="Jane Secret knows"),
        update(task, "close", after(-400), role="supervisor", outcome="charged"),
        update(safe, "close", after(-300), role="supervisor", reason="Jane Secret has moved"),
        order_ended(at=NOW),
    ):
        subject.feed(one)
    assert subject.state.safeguarding[0].state == "closed"
    return subject


def erased(subject: Subject, at: datetime = OVER, person: str = "P1", **more: Any) -> Subject:
    subject.feed(erase_person(person, at, **more), now=at)
    subject.feed(wake(at), now=at)
    return subject


def refused(subject: Subject, at: datetime = OVER, person: str = "P1") -> str:
    before = (subject.state.breaches, dict(subject.table))
    subject.feed(erase_person(person, at), now=at)
    assert subject.decisions()[-1] == "erasure_refused"
    assert (subject.state.breaches, subject.table) == before
    return "\n".join(subject.audits[-1].reasons)


def all_of(subject: Subject) -> bytes:
    """What tables and compacted topics hold afterwards."""
    shown = b"".join(task.model_dump_json().encode() for task in subject.tasks.values())
    return (subject.row or b"") + b"".join(subject.table.values()) + shown


def test_nothing_says_any_more_who_the_order_protected() -> None:
    subject = erased(worked())
    for secret in (b"Secret", b"Hidden", b"P1", b"+441234", b"tag-hers", b"file 7"):
        assert secret not in all_of(subject).replace(b"Kim Secret", b""), secret
    assert b"Kim Secret" in all_of(subject), "the child is another person"
    assert subject.decisions()[-1] == "person_erased"
    assert digest("P1") in subject.audits[-1].reasons[0]
    assert "P1" not in subject.audits[-1].model_dump_json()
    assert faults(subject.audits) == []
    assert subject.state.leaving == {}


def test_the_subjects_own_matter_stays() -> None:
    subject = worked()
    facts, tasks = subject.facts(), subject.state.tasks
    erased(subject)
    assert subject.facts() == facts
    assert [task.task_id for task in subject.state.tasks] == [task.task_id for task in tasks]
    assert {person for fact in subject.breaches for person in fact.protects} <= {ERASED, "P2"}
    assert "arrest" not in subject.kinds()[-1:]


def test_nobody_is_named_by_their_devices_any_more() -> None:
    subject = erased(worked())
    index = IdentifierIndex()
    for record in subject.identifiers:
        index.add(record)
    assert {record.value for record in index} == {"S1", "O1", "tag-1"}
    gone = {key for effects in subject.effects for topic, key in effects.tombstones if topic == "identifiers"}
    hers = {r for r in map(IdentifierRecord.model_dump_json, subject.identifiers) if '"P1"' in r}
    assert gone == {identifier_key(IdentifierRecord.model_validate_json(r)).decode() for r in hers}


def test_the_closed_safeguarding_task_about_them_goes() -> None:
    subject = worked()
    [safe] = subject.safeguarding
    erased(subject)
    assert subject.state.safeguarding == []
    assert ("safeguarding-tasks", safe) in subject.effects[-2].tombstones


def test_tasks_that_the_row_has_are_sent_again_and_others_deleted() -> None:
    subject = worked()
    [task] = subject.tasks
    erased(subject, beside={"tasks": [task, "T-old"]})
    assert [key for topic, key in subject.effects[-2].tombstones if topic == "arrest-tasks"] == ["T-old"]
    assert [sent.task_id for sent in subject.effects[-2].tasks] == [task]


def test_an_order_in_force_refuses() -> None:
    assert "order O1 protects them and is in force" in refused(Subject(made()))


def test_an_order_that_is_still_judged_refuses() -> None:
    assert "evidence from before that may come in until" in refused(worked(), after(6 * DAY_S))


def test_open_tasks_about_them_refuse() -> None:
    subject = Subject(made(expires_at=NOW), report(after(-700), order_id="O1", protected_person_id="P1"))
    why = refused(subject)
    assert "arrest task" in why
    assert "safeguarding task" in why


def test_a_hold_on_the_subject_refuses() -> None:
    subject = worked()
    subject.feed(place_hold(after(60)))
    assert "legal hold H1" in refused(subject)


def test_a_version_that_no_longer_names_them_lets_the_older_one_be_erased() -> None:
    second = order(
        version=2, effective_from=NOW, protected_persons=[PEOPLE[1]], terms=[TERMS[2]], identifiers=[HERS[2]]
    )
    subject = Subject(made(), second)
    assert "may come in until" in refused(subject, after(6 * DAY_S))
    erased(subject)
    assert b"Jane" not in all_of(subject)
    assert subject.records.order("O1", 2).data == second.data


def test_whose_device_a_version_still_lists_is_named_by_it() -> None:
    second = order(version=2, effective_from=NOW, protected_persons=[PEOPLE[1]], terms=[TERMS[2]], identifiers=HERS)
    assert "order O1 protects them and is in force" in refused(Subject(made(), second))
    subject = erased(Subject(made(), second, order_ended(at=NOW)))
    assert b'"P1"' not in all_of(subject)
    assert b"tag-hers" not in all_of(subject)
    assert subject.records.order("O1", 2).data.protected_persons == second.data.protected_persons


def test_a_task_is_about_them_when_its_grounds_have_left_the_row() -> None:
    subject = Subject(made(), fix(after(-900), away(1000)), fix(after(-840), away(1000)))
    first = subject.task.task_id
    subject.feed(fix(after(-500), away(50_000)), fix(after(-450), away(50_000)))
    subject.feed(update(first, "close", after(-400), role="supervisor", outcome="charged"))
    last = after(60 * MAX_BREACHES)
    for number in range(MAX_BREACHES + 5):
        subject.feed(report(after(60 * number), order_id="O1", protected_person_id="P2", id=f"r{number}"))
    assert {fact.task_id for fact in subject.breaches}.isdisjoint({first})
    for task in {*subject.tasks, *subject.safeguarding} - {first}:
        subject.feed(update(task, "close", last, role="supervisor", outcome="charged", reason="over"))
    subject.feed(order_ended(at=last))
    erased(subject, last + timedelta(days=9), beside={"tasks": [first]})
    assert subject.decisions()[-1] == "person_erased"
    assert '"P1"' not in subject.tasks[first].model_dump_json()


def test_who_was_merged_into_somebody_keeps_nobody_for_that_one_refuses_by_itself() -> None:
    merger = {"how": "merged", "subject_id": SUBJECT, "other_subject_id": "S2", "reason": "one person"}
    subject = Subject(made(), event(IdentityCorrected, merger, NOW), order_ended(at=NOW))
    assert not subject.state.orders["O1"].ends, "it went on to the other's row"
    assert b'"P1"' not in all_of(erased(subject))


def test_a_safeguarding_task_that_goes_on_for_others_stays() -> None:
    subject = Subject(made(), custody("detained", after(-1000)), custody("released", after(-900)))
    [safe] = subject.safeguarding
    subject.feed(order(version=2, protected_persons=[PEOPLE[1]], terms=[TERMS[2]], made_at=NOW))
    erased(subject, beside={"safeguarding": [safe]})
    assert subject.decisions()[-1] == "person_erased"
    assert [row.safeguarding_id for row in subject.state.safeguarding] == [safe]
    assert not [
        key for effects in subject.effects for topic, key in effects.tombstones if topic == "safeguarding-tasks"
    ]


def test_an_order_that_names_them_again_meanwhile_is_left_whole() -> None:
    subject = worked()
    subject.feed(erase_person("P1", OVER), now=OVER)
    again = order("O2", made_at=OVER, protected_persons=PEOPLE)
    subject.feed(again, now=OVER, commits=False)
    subject.feed(wake(OVER), now=OVER)
    assert subject.records.order("O2", 1).data == again.data
    assert b"Jane" not in orjson.dumps(subject.records.order("O1", 1).data.model_dump(mode="json"))


def test_the_orders_beside_the_row_wait_until_the_row_is_committed() -> None:
    subject = worked()
    command = erase_person("P1", OVER)
    first = subject.feed(command, now=OVER)
    committed = subject.committed
    subject.committed = committed
    subject.feed(wake(OVER), now=OVER, commits=False)
    assert b"Jane" in b"".join(subject.table.values())
    assert subject.state.wake_at == subject.state.now
    subject.replay(command, offset=subject.offset - 1, committed=committed)
    again = subject.effects[-1]
    assert (again.identifiers, again.tombstones) == (first.identifiers, first.tombstones)
    subject.offset += 1
    subject.feed(wake(OVER), now=OVER)
    assert b"Jane" not in b"".join(subject.table.values())


def test_an_attempt_that_came_to_half_of_it_is_made_again_in_full() -> None:
    """The local store had the orders without them, the changelog not yet: each is written again."""
    subject = worked()
    subject.feed(erase_person("P1", OVER), now=OVER)
    row = subject.row
    subject.feed(wake(OVER), now=OVER)
    half = dict(subject.table)

    class Noting(dict[bytes, bytes]):
        written: set[bytes] = set()

        def __setitem__(self, key: bytes, value: bytes) -> None:
            self.written.add(key)
            super().__setitem__(key, value)

    subject.table, subject.row = Noting(half), row
    subject.feed(wake(OVER), now=OVER)
    assert b"S1|o|O1|1" in Noting.written
    assert dict(subject.table) == half


def test_an_audit_entry_that_is_sent_twice_is_the_same() -> None:
    subject = worked()
    subject.feed(erase_person("P1", OVER), now=OVER)
    row, table = subject.row, dict(subject.table)
    last = wake(OVER)
    subject.feed(last, now=OVER)
    subject.row, subject.table = row, table
    subject.replay(last, committed=0)
    subject.feed(wake(after(60, OVER)))
    assert subject.decisions().count("person_erased") == 2
    assert faults(subject.audits) == []


def test_of_nobody_no_row_is_made() -> None:
    subject = Subject(erase_person("P1", NOW))
    assert subject.row is None
    assert subject.decisions() == ["nobody"]


def test_afterwards_the_subject_can_be_erased_too() -> None:
    subject = erased(worked())
    subject.feed(erase(OVER), now=OVER)
    subject.feed(wake(OVER), now=OVER)
    assert (subject.row, subject.table) == (None, {})


def test_a_new_event_is_judged_as_before() -> None:
    subject = erased(worked())
    subject.feed(wake(OVER), now=OVER)  # the visit that nothing has ended ends by silence
    facts = subject.facts()
    at = OVER + timedelta(hours=1)
    subject.feed(order("O2", made_at=OVER, terms=[zone()]), fix(at, away(1000)), now=at)
    assert subject.facts() == facts
    assert POLICY.limits.horizon_s == 7 * DAY_S


DATA: OrderData = made().data


def test_an_order_without_somebody_whom_it_does_not_name_is_as_it_was() -> None:
    assert without(DATA, who(digest("P9"))) is DATA


def test_what_protects_others_too_keeps_its_area_and_loses_its_words() -> None:
    terms = {term.term_id: term for term in without(DATA, who(digest("P1"))).terms}
    assert (terms["hers"].kind, terms["hers"].text) == ("other", ERASED)
    assert (terms["both"].kind, terms["both"].text) == ("exclusion_zone", None)
    assert terms["both"].protects == [ERASED, "P2"]
    assert terms["his"] == DATA.terms[2]
    assert terms["near"].kind == "distance"


@pytest.mark.parametrize("first", ["P1", "P2"])
def test_with_the_last_of_them_everything_of_theirs_goes(first: str) -> None:
    second = {"P1": "P2", "P2": "P1"}[first]
    bare = order(terms=[zone("all", protects=[])], protected_persons=PEOPLE, identifiers=[]).data
    one = without(bare, who(digest(first)))
    assert one.terms[0].kind == "exclusion_zone", "it protects the other"
    both = without(one, who(digest(second)))
    assert both.terms[0].kind == "other"
    assert {person.person_id for person in both.protected_persons} == {ERASED}
    assert OrderData.model_validate_json(both.model_dump_json()) == both
