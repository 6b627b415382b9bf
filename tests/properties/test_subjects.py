"""Subjects kept decoded are as if they were read anew for each event."""

import pytest
from builders import NOW, POLICY, SUBJECT, Subject, after, fix, order
from histories import evidence, orders
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import Event
from streams.core.assess import decide
from streams.core.effects import Effects
from streams.core.rows import dump
from streams.subjects import Subjects


class Kept:
    """What a subject's events bring about where its row stays decoded."""

    def __init__(self, most: int) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.table: dict[bytes, bytes] = {}
        self.subjects = Subjects(self.rows, self.table, most)
        self.effects: list[Effects] = []

    def feed(self, subject: Subject) -> None:
        for incoming, appended_at, offset, committed in subject.decided[len(self.effects) :]:
            state, records = self.subjects.take(incoming.subject_id)
            self.effects.append(decide(state, records, incoming, POLICY, appended_at, offset, committed))
            self.subjects.put(state, records, dump(state))


@given(orders(), evidence(), st.randoms(use_true_random=False))
def test_kept_decoded_it_is_as_if_read_anew(made: list[Event], shown: list[Event], random: object) -> None:
    events = [*made, *shown]
    random.shuffle(events)  # type: ignore[attr-defined]
    subject, kept = Subject(), Kept(most=1)
    subject.feed(*events)
    kept.feed(subject)
    assert kept.effects == subject.effects
    assert kept.rows[SUBJECT.encode()] == subject.row
    assert kept.table == subject.table


def test_what_is_taken_is_read_anew_unless_it_is_put_back() -> None:
    subject, kept = Subject(order(), fix(NOW)), Kept(most=1)
    kept.feed(subject)
    state, _ = kept.subjects.take(SUBJECT)
    state.breaches.clear()
    again, _ = kept.subjects.take(SUBJECT)
    assert again.breaches, "half of a decision is not kept"


def test_those_longest_unused_go() -> None:
    kept, states = Kept(most=2), {}
    for name in ("S1", "S2", "S1", "S3"):
        state, records = kept.subjects.take(name)
        kept.subjects.put(state, records, dump(state))
        states[name] = state
    assert len(kept.subjects) == 2
    assert kept.subjects.take("S1")[0] is states["S1"]
    assert kept.subjects.take("S2")[0] is not states["S2"]


def test_after_a_rebalance_the_tables_are_read() -> None:
    """Another worker has had the partition, and has written the row."""
    subject, kept = Subject(order(), fix(NOW)), Kept(most=10)
    kept.feed(subject)
    subject.feed(fix(after(60)))
    assert subject.row is not None
    kept.rows[SUBJECT.encode()] = subject.row
    kept.subjects.clear()
    assert dump(kept.subjects.take(SUBJECT)[0]) == subject.row


@pytest.mark.parametrize("most", [0, 1])
def test_none_need_be_kept(most: int) -> None:
    kept = Kept(most)
    kept.feed(Subject(order(), fix(NOW), fix(after(60))))
    assert len(kept.subjects) == most


def test_a_row_is_deleted_also_where_it_is_not_there() -> None:
    """Its null value may not have reached the changelog when an earlier attempt ended."""

    class Table(dict[bytes, bytes]):
        sent: list[bytes] = []

        def __delitem__(self, key: bytes) -> None:  # as Faust's, which tells the changelog first
            self.sent.append(key)
            super().__delitem__(key)

    rows = Table({b"S1": b"{}"})
    subjects = Subjects(rows, {}, 10)
    subjects.remove("S1")
    subjects.remove("S1")
    assert (rows, rows.sent) == ({}, [b"S1", b"S1"])
