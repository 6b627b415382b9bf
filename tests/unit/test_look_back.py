"""What the gate remembers of reads on no order, and until when."""

from typing import NamedTuple

import pytest
from aiokafka import TopicPartition

from streams.core.plates import skeleton
from streams.gate import Ages, LookBack

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
    assert [int(value) for value, _ in look_back.recall(["XY34 ZZZ", "AB12 CDE", "A812CDE"])] == [5, 7, 3]
    assert look_back.recall([]) == []


def test_it_finds_misreads_of_it_too(look_back: LookBack) -> None:
    """Confused characters, and one that was lost: as the index does for a plate that is known already."""
    look_back.remember(103, ONE, [skeleton("A812CDE"), skeleton("AB12CD")], [Message(1, 20), Message(1, 21)])
    assert set(offsets(look_back, "AB12CDE")) == {5, 7, 20, 21}


def test_a_read_stays_until_the_orders_of_its_time_are_known(look_back: LookBack) -> None:
    look_back.forget(129.9)
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


def test_a_partition_that_is_behind_does_not_wait_for_one_that_is_not() -> None:
    look_back = LookBack(seconds=30, most=10)
    for at, partition in ((200, ZERO), (100, ONE)):
        look_back.remember(at, partition, [skeleton("AB12CDE")], [Message(partition.partition, 1)])
    look_back.forget(130.0)
    assert look_back.committable() == {ZERO: 1}


def test_what_is_shed_is_the_oldest_and_is_counted() -> None:
    look_back = LookBack(seconds=30, most=3)
    for number in range(5):
        assert look_back.full == (number >= 3)
        look_back.remember(100 - number, (ZERO, ONE)[number % 2], [skeleton("AB12CDE")], [Message(0, number)])
    assert look_back.shed() == 3
    assert sorted(offsets(look_back, "AB12CDE")) == [2, 4], "the oldest of each partition come first"
    assert look_back.shed() == 0


def test_a_partition_that_is_another_gates_now_is_dropped(look_back: LookBack) -> None:
    look_back.drop({ZERO})
    assert offsets(look_back, "AB12CDE") == []
    assert look_back.committable() == {ONE: 3}
    look_back.forget(200.0)
    assert len(look_back) == 0


def test_a_read_is_as_old_as_the_first_end_of_its_partition_that_lay_behind_it() -> None:
    ages = Ages()
    ages.ended(100, ZERO, 10)
    ages.ended(100.5, ZERO, 15)
    ages.ended(101, ZERO, 20)
    assert ages.born(102, ZERO, 4) == 100
    assert ages.born(102, ZERO, 9) == 100
    assert ages.born(102, ZERO, 10) == 101, "no more than one a second is kept"
    assert ages.born(102, ZERO, 20) == 102, "it was not there before, as far as is known"
    assert ages.born(102, ONE, 0) == 102


def test_of_a_partition_that_was_another_gates_nothing_is_known() -> None:
    ages = Ages()
    ages.ended(100, ZERO, 10)
    ages.drop({ZERO})
    assert ages.born(105, ZERO, 4) == 105


def test_what_is_kept_of_ages_is_what_lies_ahead() -> None:
    ages = Ages()
    for second in range(5000):
        ages.ended(second, ZERO, second)
        ages.born(second, ZERO, second - 1)
    assert len(ages._ends[ZERO]) <= 2
