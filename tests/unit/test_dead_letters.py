"""Dead letters: one by one with their bytes, and counted where there are too many."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.inbound import BadMessageError, BadReason
from schemas.internal import DeadLetterHeaders
from schemas.tasks import Alert
from streams.dead_letters import MANY, Letters, Origin, ToTopic

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ERROR = BadMessageError(BadReason.INVALID_FIELD, "data.position: Field required")


def origin(offset: int, topic: str = "sightings", partition: int = 0, at: datetime = NOW) -> Origin:
    return Origin(topic, partition, offset, at)


def letters_of(messages: list[ToTopic]) -> list[tuple[DeadLetterHeaders, bytes]]:
    return [(DeadLetterHeaders.from_kafka(m.headers), m.value) for topic, m in messages if topic == "dead-letters"]


def alerts_of(messages: list[ToTopic]) -> list[Alert]:
    return [Alert.model_validate_json(m.value) for topic, m in messages if topic == "alerts"]


def test_a_bad_message_is_kept_with_its_bytes_and_what_makes_them_up() -> None:
    letters = Letters(3)
    headers = [("ce_id", b"7"), ("x-other", b"no")]
    [(topic, message)] = letters.take(origin(7), b"{", headers, "tags/x", ERROR)
    assert topic == "dead-letters"
    assert message.value == b"{"
    assert ("ce_id", b"7") in message.headers
    assert "x-other" not in dict(message.headers)
    found = DeadLetterHeaders.from_kafka(message.headers)
    assert (found.topic, found.partition, found.offset, found.source, found.count) == ("sightings", 0, 7, "tags/x", 1)
    assert list(letters.kept_back()) == []


def test_what_is_too_much_is_counted_and_told_once() -> None:
    letters = Letters(3)
    sent = [m for n in range(1000) for m in letters.take(origin(n), b"{", (), "tags/x", ERROR)]
    assert [h.offset for h, _ in letters_of(sent)] == [0, 1, 2]
    [alert] = alerts_of(sent)
    assert alert.kind == "dead_letter_flood"
    [(kept, value)] = letters_of(list(letters.kept_back()))
    assert (kept.offset, kept.last_offset, kept.count, value) == (3, 999, 997, b"")
    assert list(letters.kept_back()) == []
    later = [m for n in range(1000, 1100) for m in letters.take(origin(n), b"{", (), "tags/x", ERROR)]
    assert later == []
    assert [h.count for h, _ in letters_of(list(letters.kept_back()))] == [100]


def test_one_source_does_not_use_up_what_another_may_have() -> None:
    letters = Letters(3)
    for n in range(100):
        list(letters.take(origin(n), b"{", (), "tags/x", ERROR))
    assert letters_of(list(letters.take(origin(100), b"[", (), "tags/y", ERROR)))[0][1] == b"["
    assert letters_of(list(letters.take(origin(1, topic="orders"), b"[", (), "tags/x", ERROR)))[0][1] == b"["


def test_a_name_for_each_message_does_not_get_round_the_bound() -> None:
    letters = Letters(3)
    sent = [m for n in range(1000) for m in letters.take(origin(n), b"{", (), f"tags/{n}", ERROR)]
    assert len(letters_of(sent)) == 15
    [alert] = alerts_of(sent)
    assert f"source {MANY} " in alert.text
    assert [h.count for h, _ in letters_of(list(letters.kept_back()))] == [985]


def test_in_the_next_minute_the_first_go_singly_again_and_in_the_next_hour_it_is_told_again() -> None:
    letters = Letters(1)
    sent = []
    for minute in (0, 1, 60):
        for n in range(3):
            at = NOW + timedelta(minutes=minute)
            sent += list(letters.take(origin(minute * 10 + n, at=at), b"{", (), "tags/x", ERROR))
    assert [h.offset for h, _ in letters_of(sent)] == [0, 10, 600]
    assert len({alert.alert_id for alert in alerts_of(sent)}) == len(alerts_of(sent)) == 2


def test_of_a_source_that_was_switched_off_nobody_is_told_again() -> None:
    letters = Letters(1)
    off = BadMessageError(BadReason.SOURCE_OFF, "switched off")
    sent = [m for n in range(5) for m in letters.take(origin(n), b"{", (), "tags/x", off)]
    assert alerts_of(sent) == []
    assert [h.count for h, _ in letters_of(list(letters.kept_back()))] == [4]


def test_unreadable_breach_reports_are_each_an_alert_until_they_are_a_flood() -> None:
    letters = Letters(2)
    sent = [m for n in range(50) for m in letters.take(origin(n, topic="breach-reports"), b"{", (), "a", ERROR)]
    kinds = Counter(alert.kind for alert in alerts_of(sent))
    assert kinds == {"unreadable_breach_report": 2, "dead_letter_flood": 1}
    assert {alert.severity for alert in alerts_of(sent)} == {"critical"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["sightings", "orders"]),
            st.integers(0, 2),
            st.sampled_from(["a", "b", "c", "d"]),
            st.booleans(),
            st.integers(0, 100),
        ),
        max_size=60,
    )
)
def test_every_bad_message_is_in_one_letter(bad: list[tuple[str, int, str, bool, int]]) -> None:
    """By itself or in a count; a letter's range has as many messages as it says, or more."""
    letters, found, offsets = Letters(2), list[DeadLetterHeaders](), Counter[tuple[str, int]]()
    at = NOW
    for topic, partition, source, commits, seconds in bad:
        at += timedelta(seconds=seconds)
        one = Origin(topic, partition, offsets[topic, partition], at)
        offsets[topic, partition] += 1
        found += [h for h, _ in letters_of(list(letters.take(one, b"{", (), source, ERROR)))]
        if commits:
            found += [h for h, _ in letters_of(list(letters.kept_back()))]
    found += [h for h, _ in letters_of(list(letters.kept_back()))]
    for (topic, partition), count in offsets.items():
        mine = [h for h in found if (h.topic, h.partition) == (topic, partition)]
        assert sum(h.count for h in mine) == count
        covered = {
            n for h in mine for n in range(h.offset, (h.offset if h.last_offset is None else h.last_offset) + 1)
        }
        assert covered == set(range(count))
        assert all(h.last_offset is None or h.count <= h.last_offset - h.offset + 1 for h in mine)
