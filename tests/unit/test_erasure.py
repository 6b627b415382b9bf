"""A subject is erased: what refuses it, what goes in which order, and what a crash in the middle leaves."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import (
    MADE,
    NOW,
    POLICY,
    SUBJECT,
    Subject,
    after,
    away,
    custody,
    erase,
    fix,
    lift_hold,
    order,
    order_ended,
    order_served,
    order_stayed,
    place_hold,
    report,
    update,
    wake,
)

from schemas.orders import NEVER, IdentityCorrected, OrderStayed
from streams.core.chain import faults
from streams.core.identity import identifier_key
from streams.core.index import IdentifierIndex
from streams.core.rows import dump
from streams.core.state import ROW_LIMIT_BYTES

DAY_S = 86_400
OVER = after(8 * DAY_S)
"""The horizon (7 days) and a day after what happens at NOW."""
TAG = [{"kind": "tag", "value": "tag-1"}, {"kind": "plate", "value": "BD15 DLO"}]


def closed(subject: Subject) -> Subject:
    """As it is: what is open is closed, and the order ended."""
    at = subject.now + timedelta(minutes=5)
    for task in list(subject.tasks.values()):
        subject.feed(update(task.task_id, "close", at, role="supervisor", outcome="charged", reason="x"))
    for safe in list(subject.safeguarding.values()):
        subject.feed(update(safe.safeguarding_id, "close", at, role="supervisor", reason="x"))
    subject.feed(order_ended(at=at))
    return subject


def worked() -> Subject:
    """An order, a visit, a report, a task with an incident: all over, and ended at NOW."""
    subject = Subject(order(identifiers=TAG), fix(after(-900)), fix(after(-840)), report(after(-800)))
    subject.feed(update(subject.task.task_id, "link", after(-700), incident="INC-9"))
    return closed(subject)


def finished(subject: Subject, at: datetime = OVER) -> Subject:
    """Erased, and woken once that is committed."""
    subject.feed(erase(at), now=at)
    subject.feed(wake(at), now=at)
    return subject


def index_of(subject: Subject) -> IdentifierIndex:
    index = IdentifierIndex()
    for record in subject.identifiers:
        index.add(record)
    return index


def refused(subject: Subject, at: datetime = OVER, **more: Any) -> str:
    before = subject.state
    subject.feed(erase(at, **more), now=at)
    entry = subject.effects[-1].audits[-1]
    assert entry.decision == "erasure_refused"
    assert subject.state.orders == before.orders
    assert subject.state.tasks == before.tasks
    return "\n".join(entry.reasons)


def deleted(subject: Subject, topic: str) -> set[str]:
    return {key for effects in subject.effects for name, key in effects.tombstones if name == topic}


def test_nothing_is_left_of_an_erased_subject() -> None:
    subject = finished(worked())
    assert subject.row is None
    assert subject.table == {}
    assert deleted(subject, "arrest-tasks") == set(subject.tasks)
    assert deleted(subject, "safeguarding-tasks") == set(subject.safeguarding)
    assert deleted(subject, "identifiers") == {identifier_key(r).decode() for r in subject.identifiers}
    assert len(index_of(subject)) == 0
    assert subject.decisions()[-1] == "erased"
    assert faults(subject.audits) == []


def test_the_row_is_there_until_all_that_came_before_is_committed() -> None:
    subject = worked()
    subject.feed(erase(OVER), now=OVER)
    committed = subject.committed
    assert subject.state.wake_at == subject.state.now
    assert not subject.state.orders
    assert SUBJECT.encode() in b"".join(subject.table), "the records go with the row"
    for _ in range(3):
        subject.committed = committed
        subject.feed(wake(OVER), now=OVER, commits=False)
        assert subject.row is not None
    subject.feed(wake(OVER), now=OVER)
    assert subject.row is None
    assert subject.decisions().count("erased") == 1


def test_its_last_effects_are_sent_again_when_the_command_is_read_again() -> None:
    subject = worked()
    command = erase(OVER)
    first = subject.feed(command, now=OVER)
    assert first.identifiers
    assert first.tombstones
    row, table = subject.row, dict(subject.table)
    assert subject.replay(command, now=OVER) == replace(first, again=True)
    assert (subject.row, subject.table) == (row, table)


def test_what_came_before_is_not_put_back_when_it_is_read_again() -> None:
    """All of it was one commit interval: the worker was killed at its end, and a second after."""
    subject = Subject()
    ended = after(-9 * DAY_S)
    story = [order(identifiers=TAG), order_ended(at=ended), fix(after(-60)), report(after(-50), "contact")]
    story.append(erase(NOW))
    subject.feed(*story, now=NOW, commits=False)
    for offset, each in enumerate(story):
        subject.replay(each, offset=offset, committed=0, now=NOW)
    assert subject.state.erased is not None
    assert not subject.state.orders
    assert not subject.state.breaches
    kept = {key for key in subject.table if b"|e|" in key}
    subject.offset = len(story)
    subject.feed(wake(after(1)))
    assert subject.row is None
    assert subject.table == {}
    assert len(index_of(subject)) == 0
    assert kept == set() or subject.table == {}


def test_a_wake_up_that_is_read_again_makes_no_row() -> None:
    subject = finished(worked())
    again = subject.feed(wake(OVER), now=OVER)
    assert (again.gone, again.audits, subject.row) == (True, [], None)


def test_an_audit_entry_that_is_sent_twice_is_the_same() -> None:
    """The worker was killed when the entry was out, and neither row nor commit; the next does not know yet what is
    committed, so that another wake-up ends it."""
    subject = worked()
    subject.feed(erase(OVER), now=OVER)
    row, table = subject.row, dict(subject.table)
    last = wake(OVER)
    subject.feed(last, now=OVER)
    subject.row, subject.table = row, table
    subject.replay(last, committed=0)
    assert subject.row is not None
    subject.feed(wake(after(60, OVER)))
    assert subject.row is None
    assert subject.decisions().count("erased") == 2
    assert faults(subject.audits) == []


def test_what_is_lost_of_the_deletions_is_deleted_again() -> None:
    """The process ended when the local store had lost the records, and the changelog had not heard of it."""
    subject = worked()
    subject.feed(erase(OVER), now=OVER)
    row = subject.row
    wanted = set(subject.table)

    class Noting(dict[bytes, bytes]):
        deleted: set[bytes] = set()

        def __delitem__(self, key: bytes) -> None:
            self.deleted.add(key)
            super().__delitem__(key)

    subject.table = Noting()
    subject.row = row
    subject.feed(wake(OVER), now=OVER)
    assert wanted <= Noting.deleted


def test_an_order_in_force_refuses_and_says_how_it_ends() -> None:
    why = refused(Subject(order()))
    assert "order O1 is in force" in why
    assert "order_ended" in why


@pytest.mark.parametrize(
    "events",
    [
        [order(effective_from=after(30 * DAY_S))],
        [order(effective_on_end_of="O2"), order("O2")],
        [order(), order_stayed(at=NOW)],
        [order(expires_at=after(100 * DAY_S)), order(version=2, effective_from=after(50 * DAY_S))],
        [order_served()],
    ],
    ids=["not begun", "waits", "stayed", "varied later", "not here yet"],
)
def test_an_order_that_may_yet_bind_refuses(events: list[Any]) -> None:
    assert "in force, or may yet be" in refused(Subject(*events))


def test_an_order_that_is_over_refuses_for_as_long_as_it_is_still_judged() -> None:
    subject = Subject(order(expires_at=NOW))
    assert "evidence from before that may come in until 2026-12-02 08:00Z" in refused(subject, after(6 * DAY_S))
    assert finished(subject).row is None


def test_a_stayed_order_that_was_ended_is_over() -> None:
    stayed: OrderStayed = order_stayed(at=after(-DAY_S))
    assert finished(Subject(order(), stayed, order_ended(at=NOW))).row is None


@pytest.mark.parametrize("state", ["open", "arrested"])
def test_a_task_that_nobody_has_closed_refuses(state: str) -> None:
    subject = Subject(order(expires_at=NOW), report(after(-60)))
    if state == "arrested":
        subject.feed(custody("arrested", after(-30)))
    why = refused(subject)
    assert f"arrest task {subject.task.task_id} is {state}: close it first" in why
    assert "safeguarding task" in why


def test_a_hold_refuses_until_it_is_lifted() -> None:
    subject = worked()
    subject.feed(place_hold(after(3600)), place_hold(after(3700), "H2"))
    why = refused(subject)
    assert "legal hold H1: placed by DI 3 on 2026-11-25 09:00Z: trial in March" in why
    assert "legal hold H2" in why
    subject.feed(lift_hold(OVER), now=OVER)
    assert "H2" in refused(subject)
    subject.feed(lift_hold(OVER, "H2"), now=OVER)
    assert finished(subject).row is None


def test_a_hold_that_is_not_there_cannot_be_lifted() -> None:
    subject = Subject(order(), place_hold(NOW), lift_hold(after(1), "H7"))
    assert subject.audits[-1].decision == "hold_refused"
    assert "there is: H1" in subject.audits[-1].reasons[0]


def test_holds_are_bounded_and_no_placing_is_lost_silently() -> None:
    subject = Subject(order(), *(place_hold(after(n), f"H{n}") for n in range(11)))
    assert len(subject.state.holds) == 10
    assert subject.decisions()[-1] == "hold_refused"


@pytest.mark.parametrize("command", [place_hold(NOW), lift_hold(NOW)])
def test_a_command_about_nobody_leaves_no_row(command: Any) -> None:
    subject = Subject(command)
    subject.feed(command)
    assert subject.row is None
    assert subject.decisions() == ["nobody", "nobody"]
    assert faults(subject.audits) == []


def test_who_is_another_is_erased_with_them_alone() -> None:
    data = {"how": "merged", "subject_id": SUBJECT, "other_subject_id": "S2", "reason": "one person"}
    from builders import event

    subject = Subject(order())
    subject.feed(place_hold(NOW))
    subject.feed(event(IdentityCorrected, data, NOW))
    [matter] = [f for f in subject.effects[-1].forwards if f.event.type == "moved_matter"]
    assert list(matter.event.data.holds) == ["H1"], "the hold goes where the evidence goes"  # type: ignore[union-attr]
    subject.feed(lift_hold(NOW))
    assert "the subject is S2: erase that one" in refused(subject)
    subject.feed(erase(OVER, merged_into="S2"), now=OVER)
    subject.feed(wake(OVER), now=OVER)
    assert subject.row is None


def test_what_the_command_found_beside_goes_too() -> None:
    subject = worked()
    subject.table[b"S1|o|gone|1"] = b"left by a split"
    subject.table[b"S2|o|O1|1"] = b"another subject's"
    link = {"kind": "incident", "value": "INC-1", "subject_id": SUBJECT, "role": "subject", "order_id": "T0"}
    beside = {
        "tasks": ["T0"],
        "safeguarding": ["G0"],
        "identifiers": ["a" * 64],
        "held": ["K0"],
        "links": [link],
        "records": ["S1|o|gone|1", "S2|o|O1|1"],
    }
    subject.feed(erase(OVER, beside=beside), now=OVER)
    assert {"T0"} < deleted(subject, "arrest-tasks")
    assert {"G0"} < deleted(subject, "safeguarding-tasks")
    assert {"a" * 64} < deleted(subject, "identifiers")
    assert deleted(subject, "unresolved") == {"K0"}
    assert any(r.value == "INC-1" and r.valid_to == NEVER for r in subject.effects[-1].identifiers)
    subject.feed(wake(OVER), now=OVER)
    assert list(subject.table) == [b"S2|o|O1|1"]


def test_what_the_outbox_needs_is_not_deleted_under_it() -> None:
    """An event with hundreds of effects, which are kept beside the row until they are committed."""
    plates = [{"kind": "plate", "value": f"AB{n:02}CD{e}"} for n in range(99) for e in "EF"]
    subject = Subject(order(expires_at=after(-8 * DAY_S), identifiers=plates), now=NOW)
    parts = [key.decode() for key in subject.table if b"|x|" in key]
    assert parts
    subject.feed(erase(NOW, beside={"records": parts}), commits=False)
    assert subject.replay(order(), offset=0, committed=0).identifiers, "its effects can be sent again"


def test_evidence_that_comes_meanwhile_is_not_kept() -> None:
    subject = worked()
    subject.feed(erase(OVER), now=OVER)
    subject.feed(fix(OVER), now=OVER)
    assert subject.decisions()[-1] == "not_kept"
    late = report(OVER)
    subject.feed(late, now=OVER)
    assert subject.kinds()[-1] == "report_of_the_erased"
    subject.replay(late, now=OVER)
    subject.feed(wake(OVER), now=OVER)
    assert (subject.row, subject.table) == (None, {})
    assert faults(subject.audits) == []


def test_the_row_waits_for_what_came_meanwhile_too() -> None:
    """Of a repeat nothing is sent, and still it can be read again: it must find that the subject was erased."""
    subject = worked()
    subject.feed(erase(OVER), fix(OVER), fix(OVER), now=OVER)
    assert not subject.effects[-1]
    subject.committed = subject.offset
    subject.feed(wake(OVER), now=OVER, commits=False)
    assert subject.row is not None
    assert subject.state.outbox == []
    subject.feed(wake(OVER), now=OVER)
    assert subject.row is None


def test_an_order_that_comes_meanwhile_begins_a_row_of_its_own() -> None:
    subject = worked()
    before = [each for each, *_ in subject.decided]
    subject.feed(erase(OVER), now=OVER)
    subject.feed(order("O9", made_at=OVER, terms=None), now=OVER, commits=False)
    assert list(subject.state.orders) == ["O9"]
    assert subject.state.hours == []
    assert [key for key in subject.table if b"|x|" not in key] == [b"S1|o|O9|1"]
    assert "erased" in subject.decisions()
    assert faults(subject.audits) == []
    subject.replay(before[2].event, offset=2, committed=0, now=OVER)
    assert subject.state.hours == [], "nothing of the erased life comes back"
    subject.offset = len(before) + 1
    subject.feed(fix(after(60, OVER)), wake(after(90, OVER)))
    assert subject.breach.order_id == "O9"


def test_a_second_command_deletes_what_the_first_has_not() -> None:
    subject = worked()
    subject.feed(erase(OVER), now=OVER)
    subject.table[b"S1|o|late|1"] = b"found by the second"
    subject.feed(erase(OVER, beside={"records": ["S1|o|late|1"]}), now=OVER)
    subject.feed(wake(OVER), now=OVER)
    assert (subject.row, subject.table) == (None, {})
    assert faults(subject.audits) == []


def test_a_hold_cannot_be_placed_on_what_is_left() -> None:
    subject = worked()
    subject.feed(erase(OVER), place_hold(OVER), now=OVER)
    assert subject.decisions()[-1] == "hold_refused"
    assert "nothing is known" in subject.audits[-1].reasons[0]


def test_a_full_row_leaves_a_small_one() -> None:
    times: Iterable[float] = range(0, 6 * DAY_S, 3600)
    subject = Subject(order(expires_at=after(6 * DAY_S)), *(fix(after(t), away(0, 60_000)) for t in times))
    at = after(14 * DAY_S)
    subject.feed(erase(at, beside={"records": [f"S1|o|{n:090}|1" for n in range(300)]}), now=at)
    assert len(dump(subject.state)) < ROW_LIMIT_BYTES
    assert subject.state.erased is not None
    subject.feed(wake(at), now=at)
    assert (subject.row, subject.table) == (None, {})


def test_the_horizon_is_the_policys() -> None:
    assert POLICY.limits.horizon_s == 7 * DAY_S
    assert MADE < NOW
