"""What the gate remembers of reads on no order, and until when."""

from typing import NamedTuple

import pytest
from aiokafka import TopicPartition

from streams.core.plates import skeleton
from streams.gate import LookBack

ZERO, ONE = TopicPartition("anpr-reads", 0), TopicPartition("anpr-reads", 1)


class Message(NamedTuple):
    partition: int
    offset: int
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def value(self) -> bytes:
        """Its offset, to tell it by."""
        return str(self.offset).encode()


@pytest.fixture
def look_back() -> LookBack:
    """Three reads at 100, 101 and 102 s, the second on the other partition; both are read on to offset 9."""
    kept = LookBack(seconds=30, most=10)
    for at, plate, partition, offset in (
        (100, "AB12CDE", ZERO, 5),
        (101, "XY34ZZZ", ONE, 3),
        (102, "AB12CDE", ZERO, 7),
    ):
        kept.remember(at, partition, [skeleton(plate)], [Message(partition.partition, offset)])
    kept.seen(ZERO, 9)
    kept.seen(ONE, 9)
    return kept


def offsets(look_back: LookBack, plate: str) -> list[int]:
    return [int(value) for value, _ in look_back.recall([plate])]


def test_a_newly_known_plate_finds_its_reads(look_back: LookBack) -> None:
    assert offsets(look_back, "AB12 CDE") == [5, 7]
    assert offsets(look_back, "QQ11QQQ") == []


def test_several_plates_are_looked_for_at_once_and_a_read_is_found_once(look_back: LookBack) -> None:
    assert [int(value) for value, _ in look_back.recall(["XY34 ZZZ", "AB12 CDE", "A812CDE"])] == [5, 3, 7]
    assert look_back.recall([]) == []


def test_it_finds_misreads_of_it_too(look_back: LookBack) -> None:
    """Confused characters, and one that was lost: as the index does for a plate that is known already."""
    look_back.remember(103, ONE, [skeleton("A812CDE"), skeleton("AB12CD")], [Message(1, 20), Message(1, 21)])
    assert set(offsets(look_back, "AB12CDE")) == {5, 7, 20, 21}


def test_a_read_stays_until_the_orders_of_its_time_are_known(look_back: LookBack) -> None:
    assert look_back.forget(129.9) == 0
    assert len(look_back) == 3
    look_back.forget(130.0)
    assert (len(look_back), offsets(look_back, "AB12CDE")) == (2, [7])
    look_back.forget(float("-inf"))
    assert len(look_back) == 2, "workers that are not seen settle nothing"


def test_commits_trail_what_is_remembered(look_back: LookBack) -> None:
    assert look_back.committable() == {ZERO: 5, ONE: 3}
    look_back.forget(131.0)
    assert look_back.committable() == {ZERO: 7, ONE: 9}
    look_back.forget(132.0)
    assert look_back.committable() == {ZERO: 9, ONE: 9}


def test_too_many_go_oldest_first_and_are_counted() -> None:
    look_back = LookBack(seconds=30, most=2)
    for number in range(5):
        look_back.remember(100, ZERO, [skeleton("AB12CDE")], [Message(0, number)])
    assert look_back.forget(float("-inf")) == 3
    assert offsets(look_back, "AB12CDE") == [3, 4]
    assert look_back.forget(float("-inf")) == 0


def test_a_partition_that_is_another_gates_now_is_dropped(look_back: LookBack) -> None:
    look_back.drop({ZERO})
    assert offsets(look_back, "AB12CDE") == []
    assert look_back.committable() == {ONE: 3}
    look_back.forget(200.0)
    assert len(look_back) == 0
