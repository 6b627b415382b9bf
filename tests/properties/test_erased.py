"""Whatever has happened, an erasure leaves nothing, wherever a crash falls into it; and the log read again agrees."""

import re
from datetime import timedelta
from random import Random
from typing import Any

from builders import POLICY, SUBJECT, Subject, erase, erase_person, order, order_ended, report, update, wake
from histories import LATER, evidence, orders
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import Event
from schemas.tasks import TaskState
from streams.core.chain import faults
from streams.core.effects import Effects
from streams.core.identity import identifier_key
from streams.core.index import IdentifierIndex
from streams.core.reread import Reread

OVER = LATER + timedelta(days=8)
NAMED: list[dict[str, Any]] = [
    {"kind": "tag", "value": "tag-1"},
    {"kind": "plate", "value": "BD15 DLO"},
    {"kind": "tag", "value": "tag-hers", "role": "protected_person", "person_id": "P1"},
]


class Topics:
    """What the compacted topics hold after these effects, and whom a process that has followed them all knows."""

    def __init__(self, effects: list[Effects]) -> None:
        self.held: dict[str, dict[str, bytes]] = {
            name: {} for name in ("identifiers", "arrest-tasks", "safeguarding-tasks", "unresolved")
        }
        self.index = IdentifierIndex()
        for each in effects:
            for record in each.identifiers:
                self.index.add(record)
                self.held["identifiers"][identifier_key(record).decode()] = record.model_dump_json().encode()
            for task in each.tasks:
                self.held["arrest-tasks"][task.task_id] = task.model_dump_json().encode()
            for safe in each.safeguarding:
                self.held["safeguarding-tasks"][safe.safeguarding_id] = safe.model_dump_json().encode()
            for name, key in each.tombstones:
                self.held[name].pop(key, None)

    def everything(self) -> bytes:
        return b"".join(value for topic in self.held.values() for value in topic.values())


def over(made: list[Event], shown: list[Event], random: Random) -> Subject:
    """A subject of these events in any order, and all of it closed and ended at LATER."""
    story = [order("O0", identifiers=NAMED), *made, *shown, report(LATER - timedelta(hours=1), order_id="O0")]
    random.shuffle(story)
    subject = Subject(*story[:-3])
    subject.feed(*story[-3:], now=LATER)
    for order_id in subject.state.orders:
        subject.feed(order_ended(order_id, LATER), now=LATER)
    for task in subject.state.tasks:
        if task.state not in (TaskState.CLOSED, TaskState.WITHDRAWN):
            move = "withdraw" if task.state is TaskState.WITHDRAWAL_RECOMMENDED else "close"
            outcome = None if move == "withdraw" else "charged"
            subject.feed(
                update(task.task_id, move, LATER, role="supervisor", outcome=outcome, reason="over"), now=LATER
            )
    for safe in subject.state.safeguarding:
        subject.feed(update(safe.safeguarding_id, "close", LATER, role="supervisor", reason="over"), now=LATER)
    return subject


def read_again(subject: Subject, commits: int, store: tuple[bytes | None, dict[bytes, bytes]] | None) -> None:
    """The worker was killed when it had committed so much; `store` is what it has then, where it lost its disk."""
    if store is not None:
        subject.row, subject.table = store
    for incoming, appended_at, offset, _ in subject.decided[commits:]:
        subject.replay(incoming.event, offset=offset, committed=commits, now=appended_at)


def until_gone(subject: Subject) -> None:
    for _ in range(3):
        subject.feed(wake(OVER), now=OVER)
        if subject.row is None:
            return
    raise AssertionError(subject.decisions()[-5:])


@given(orders(), evidence(), st.randoms(use_true_random=False), st.integers(1, 8), st.booleans())
def test_nothing_is_left_of_a_subject(
    made: list[Event], shown: list[Event], random: Random, uncommitted: int, disk_lost: bool
) -> None:
    subject = over(made, shown, random)
    commits = len(subject.decided)
    store = subject.row, dict(subject.table)
    late = [order_ended("O0", LATER) for _ in range(uncommitted - 1)]
    subject.committed = commits
    subject.feed(*late, erase(OVER), now=OVER, commits=False)
    assert subject.state.erased is not None, subject.audits[-1].reasons
    ended = subject.offset
    read_again(subject, commits, store if disk_lost else None)
    subject.offset = ended
    until_gone(subject)
    topics = Topics(subject.effects)
    assert subject.table == {}
    assert len(topics.index) == 0
    assert topics.everything() == b""


@given(orders(), evidence(), st.randoms(use_true_random=False))
def test_the_log_read_again_has_nothing_of_them_either(made: list[Event], shown: list[Event], random: Random) -> None:
    subject = over(made, shown, random)
    subject.feed(erase(OVER), now=OVER)
    until_gone(subject)
    assert faults(subject.audits) == []
    subject.feed(order("O1"), now=OVER)
    reread = Reread(POLICY)
    for incoming, appended_at, offset, _ in subject.decided:
        reread.feed(incoming, appended_at, offset)
    assert reread.rows[SUBJECT] == subject.row
    assert reread.records[SUBJECT] == subject.table
    assert reread.read[SUBJECT] == subject.state.revision


@given(orders(), evidence(), st.randoms(use_true_random=False), st.booleans())
def test_nothing_says_whom_an_order_protected(
    made: list[Event], shown: list[Event], random: Random, disk_lost: bool
) -> None:
    subject = over(made, shown, random)
    commits = len(subject.decided)
    store, facts = (subject.row, dict(subject.table)), subject.facts()
    subject.committed = commits
    subject.feed(erase_person("P1", OVER), now=OVER, commits=False)
    assert subject.state.leaving, subject.audits[-1].reasons
    read_again(subject, commits, store if disk_lost else None)
    subject.offset = commits
    subject.feed(wake(OVER), now=OVER)
    assert subject.row is not None
    topics = Topics(subject.effects)
    there = subject.row + b"".join(subject.table.values()) + topics.everything()
    assert not re.search(rb'"P1"|tag-hers', there)
    assert subject.facts() == facts
    assert all(record.value != "tag-hers" for record in topics.index)
