"""The sieve before Faust: from a source in a flood what cannot be used is counted, and all else goes on."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import orjson
from faust.types import TP
from harness import tag_fix
from hypothesis import given
from hypothesis import strategies as st

from schemas.inbound import BadMessageError, BadReason
from schemas.internal import DeadLetterHeaders
from streams.dead_letters import Letters, Origin
from streams.kafka.cluster import Cluster
from streams.kafka.topics import full_name
from streams.outbound import Outbound
from streams.refusals import Refusals
from streams.settings import Settings
from streams.source_controls import SourceControls
from streams.source_status import SourceStatuses

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SETTINGS = Settings(dead_letters_per_minute=2)
TOPIC = full_name(SETTINGS, "sightings")
GOOD, BAD = orjson.dumps(tag_fix("TAG-1")), b'{"source": "test/tag_fix", "type": "tag_fix"}'
ERROR = BadMessageError(BadReason.INVALID_FIELD, "data: Field required")


def record(offset: int, value: bytes, partition: int = 0) -> Any:
    return SimpleNamespace(
        value=value, headers=(), offset=offset, partition=partition, timestamp=NOW.timestamp() * 1000
    )


class Sieve:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Outbound]] = []
        self.letters = Letters(SETTINGS.dead_letters_per_minute)
        self.controls = SourceControls(Cluster(("localhost:1",)), "source-controls")
        self.statuses = SourceStatuses("worker-1", self.send)
        self.refusals = Refusals(SETTINGS, self.letters, self.controls, self.statuses, self.send)

    async def send(self, topic: str, message: Outbound) -> None:
        self.sent.append((topic, message))

    def flood(self, source: str = "test/tag_fix", letters: int = 3) -> None:
        for offset in range(letters):
            self.sent += self.letters.take(Origin("sightings", 9, offset, NOW), BAD, (), source, ERROR)
        list(self.letters.kept_back())

    def passed(self, *records: Any, topic: str = TOPIC) -> list[int]:
        tp = TP(topic, records[0].partition)
        return [one.offset for one in asyncio.run(self.refusals.sieve({tp: list(records)}))[tp]]

    def kept_back(self) -> int:
        return sum(DeadLetterHeaders.from_kafka(made.headers).count for _, made in self.letters.kept_back())


def test_without_a_flood_everything_goes_on() -> None:
    sieve = Sieve()
    assert sieve.passed(*[record(offset, BAD) for offset in range(10, 20)]) == list(range(10, 20))
    assert sieve.kept_back() == 0


def test_of_a_flood_the_last_goes_on_for_its_offset_is_what_is_committed() -> None:
    sieve = Sieve()
    sieve.flood()
    assert sieve.passed(*[record(offset, BAD) for offset in range(10, 20)]) == [19]
    assert sieve.kept_back() == 9
    status = sieve.statuses.status("test/tag_fix")
    assert status.outcomes == {"dead_letter": 9}
    assert status.newest_dead_letter is not None
    assert status.newest_dead_letter.offset == 18


def test_others_are_not_sieved() -> None:
    sieve = Sieve()
    sieve.flood("tags/other")
    assert sieve.passed(record(10, BAD), record(11, BAD)) == [10, 11]
    sieve.flood()
    elsewhere = full_name(SETTINGS, "subject-events")
    assert sieve.passed(record(10, BAD), record(11, BAD), topic=elsewhere) == [10, 11]


def test_the_first_messages_of_a_partition_go_on() -> None:
    """Faust takes offset 0 for "nothing read yet": it would see no gap behind it."""
    sieve = Sieve()
    sieve.flood()
    assert sieve.passed(*[record(offset, BAD) for offset in range(5)]) == [0, 1, 4]


def test_a_source_that_is_off_is_sieved_too() -> None:
    sieve = Sieve()
    sieve.flood()
    assert sieve.passed(record(10, GOOD), record(11, GOOD)) == [10, 11]
    off = {"source": "test", "off": True, "by": "inspector", "at": "2026-11-25T11:00:00Z", "reason": "broken"}
    sieve.controls.take(orjson.dumps(off))
    assert sieve.passed(record(10, GOOD), record(11, GOOD)) == [11]
    assert sieve.statuses.status("test/tag_fix").reasons == {"source_off": 1}


def test_it_is_told_once_an_hour() -> None:
    sieve = Sieve()
    sieve.flood()
    for first in range(10, 100, 10):
        sieve.passed(*[record(first + n, BAD) for n in range(10)])
    assert [topic for topic, _ in sieve.sent].count("alerts") == 1


@given(values=st.lists(st.sampled_from([GOOD, BAD, b"{", b"null"]), min_size=1, max_size=40), first=st.integers(0, 5))
def test_each_message_goes_on_or_is_counted(values: list[bytes], first: int) -> None:
    sieve = Sieve()
    sieve.flood()
    sieve.flood("unknown")
    records = [record(first + number, value) for number, value in enumerate(values)]
    passed = sieve.passed(*records)
    assert passed == sorted(set(passed))
    assert len(passed) + sieve.kept_back() == len(values)
    assert {one.offset for one in records if one.value == GOOD} <= set(passed)
    assert records[-1].offset in passed
