"""Which dead letters wait for somebody: letters, marks, repeats and what retention has deleted."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.inbound import BadMessageError, BadReason
from schemas.internal import DeadLetterHandled, DeadLetterHeaders
from streams.core.waiting_letters import OTHER, REASONS, Place, Waiting, WaitingLetters, read_letter, read_mark
from streams.dead_letters import Letters, Origin

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
Message = tuple[bytes | None, Any, Place, float]


def letter(key: bytes, offset: int, reason: str = "not_json", *, at: float = 100.0, **more: Any) -> Message:
    headers = DeadLetterHeaders(
        reason=reason, detail="d", topic="sightings", partition=1, offset=5, appended_at=NOW, **more
    )
    return key, headers.to_kafka(), Place(0, offset), at


def mark(
    key: bytes, offset: int, how: Literal["replayed", "dismissed"] = "dismissed", last_offset: int | None = None
) -> Message:
    headers = DeadLetterHandled(handled=how, by="somebody", at=NOW, last_offset=last_offset)
    return key, headers.to_kafka(), Place(0, offset), 200.0


def after(*messages: Message) -> WaitingLetters:
    letters = WaitingLetters()
    for message in messages:
        letters.take(*message)
    return letters


def some(waiting: Waiting) -> tuple[dict[str, int], dict[str, float]]:
    return {reason: count for reason, count in waiting.counts.items() if count}, waiting.since


def test_letters_wait_by_reason_since_the_oldest() -> None:
    found = after(letter(b"a", 0, at=100), letter(b"b", 1, at=90), letter(b"c", 2, "invalid_field", at=95)).waiting()
    assert some(found) == ({"not_json": 2, "invalid_field": 1}, {"not_json": 90, "invalid_field": 95})
    assert set(found.counts) == set(REASONS) == {*BadReason, OTHER}


def test_a_letter_for_many_counts_with_its_count() -> None:
    assert some(after(letter(b"a", 0, count=997, last_offset=999)).waiting())[0] == {"not_json": 997}


@pytest.mark.parametrize("how", ["replayed", "dismissed"])
def test_what_was_handled_waits_no_more_and_says_how(how: Literal["replayed", "dismissed"]) -> None:
    one, other = letter(b"a", 0), letter(b"b", 1)
    letters = after(one, other, mark(b"a", 2, how))
    assert some(letters.waiting())[0] == {"not_json": 1}
    found = letters.handled(*one[:3])
    assert found is not None
    assert (found.handled, found.by, found.at) == (how, "somebody", NOW)
    assert letters.handled(*other[:3]) is None


def test_a_letter_sent_again_after_a_crash_is_one_and_waits_since_the_first() -> None:
    assert some(after(letter(b"a", 0, at=90), letter(b"a", 3, at=150)).waiting()) == (
        {"not_json": 1},
        {"not_json": 90},
    )
    assert some(after(letter(b"a", 0), mark(b"a", 1), letter(b"a", 2)).waiting())[0] == {}


def test_what_is_added_to_a_letter_for_many_after_it_was_handled_waits() -> None:
    first, more = letter(b"a", 0, count=10, last_offset=20), letter(b"a", 2, count=15, last_offset=30)
    handled = mark(b"a", 1, last_offset=20)
    assert some(after(first, handled).waiting())[0] == {}
    added = after(first, handled, more)
    assert some(added.waiting())[0] == {"not_json": 15}
    assert added.handled(*first[:3]) is not None
    assert added.handled(*more[:3]) is None
    assert some(after(first, handled, more, mark(b"a", 3, last_offset=30)).waiting())[0] == {}


def test_what_retention_has_deleted_waits_no_more() -> None:
    letters = after(letter(b"a", 0), letter(b"b", 7), letter(b"c", 3), letter(b"c", 9))
    assert some(letters.waiting())[0] == {"not_json": 3}
    letters.forget({0: 7})
    assert some(letters.waiting())[0] == {"not_json": 2}
    letters.take(*mark(b"b", 10))
    assert some(letters.waiting())[0] == {"not_json": 1}


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        [("bw-reason", b"\xff")],
        [("bw-handled", b"dismissed")],
        [("bw-handled", b"eaten"), ("bw-by", b"x"), ("bw-at", b"2026-11-25T08:00:00Z")],
        letter(b"a", 0)[1] + [("bw-surprise", b"x")],
    ],
)
def test_what_another_program_wrote_waits_too_and_is_marked_by_its_place(headers: Any) -> None:
    foreign = (b"not ours", headers, Place(0, 4), 80.0)
    assert some(after(foreign).waiting()) == ({OTHER: 1}, {OTHER: 80.0})
    letters = after(foreign, mark(b"0:4", 9))
    assert some(letters.waiting())[0] == {}
    assert letters.handled(*foreign[:3]) is not None


def test_a_reason_that_is_not_known_here_is_other() -> None:
    assert some(after(letter(b"a", 0, "of next year")).waiting())[0] == {OTHER: 1}


def test_a_letter_is_no_mark_and_a_mark_no_letter() -> None:
    assert read_mark(letter(b"a", 0)[1]) is None
    assert read_letter(mark(b"a", 0)[1]) is None


def test_letters_as_they_are_sent_are_read() -> None:
    """Ten bad messages, of which three go singly."""
    sent = Letters(3)
    error = BadMessageError(BadReason.NOT_JSON, "not JSON")
    out = [made for n in range(10) for made in sent.take(Origin("sightings", 0, n, NOW), b"{", (), "tags/x", error)]
    out += sent.kept_back()
    letters = WaitingLetters()
    for number, (_, message) in enumerate(one for one in out if one[0] == "dead-letters"):
        letters.take(message.key, message.headers, Place(0, number), 100.0)
    assert some(letters.waiting())[0] == {"not_json": 10}


_LETTER = st.tuples(st.just("letter"), st.sampled_from("abc"), st.integers(1, 4), st.integers(0, 99))
_MARK = st.tuples(st.just("mark"), st.sampled_from("abc"), st.integers(0, 4), st.integers(0, 99))


@given(st.lists(_LETTER | _MARK, max_size=12), st.data())
def test_any_order_of_repeats_counts_the_same(sent: list[tuple[str, str, int, int]], data: st.DataObject) -> None:
    """Letters for many grow; a mark is good for what its letter was then."""
    messages = [
        letter(key.encode(), offset, at=float(at), count=end, last_offset=end)
        if kind == "letter"
        else mark(key.encode(), offset, last_offset=end)
        for offset, (kind, key, end, at) in enumerate(sent)
    ]
    again = data.draw(st.lists(st.sampled_from(messages), max_size=6)) if messages else []
    found = after(*data.draw(st.permutations(messages + again))).waiting()
    ends, marks, since = Counter[str](), Counter[str](), dict[str, float]()
    for kind, key, end, at in sent:
        if kind == "letter":
            ends[key], since[key] = max(ends[key], end), min(since.get(key, at), at)
        else:
            marks[key] = max(marks[key], end)
    wait = {key for key in since if marks[key] < ends[key]}
    assert found.counts["not_json"] == sum(ends[key] for key in wait)
    assert found.since == ({"not_json": min(since[key] for key in wait)} if wait else {})
