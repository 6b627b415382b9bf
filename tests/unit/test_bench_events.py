"""What the bench invents is what senders send."""

from datetime import UTC, datetime
from random import Random

from schemas.inbound import decode
from schemas.plate_reads import quick_read
from streams.bench.events import fixes, order, report
from streams.bench.reads import reads

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def test_its_events_are_valid() -> None:
    decode("orders", order(7, NOW))
    decode("breach-reports", report(7, "report-7", NOW))
    made = list(fixes(subjects=3, count=10, end=NOW, seed=1))
    assert [number for number, _ in made] == [0, 1, 2] * 3 + [0]
    assert all(decode("sightings", value).time <= NOW for _, value in made)


def test_its_reads_are_valid_and_of_the_length_that_cameras_send() -> None:
    for value in reads(200, ["AB12 CDE"], 0.5, Random(1)):
        decode("anpr-reads", value)
        quick_read(value)
        assert 470 < len(value) < 530
