"""Evidence and order versions beside the row."""

from datetime import datetime, timedelta

import pytest
from builders import NOW, after, circle, order, position, zone

from streams.core.records import Observation, Records
from streams.core.zones import Placement


def observation(number: int, at: datetime = NOW, *, offset: int | None = None, track: str = "tag:t") -> Observation:
    return Observation(
        id=f"s#{number}",
        type="tag_fix",
        at=at,
        track=track,
        position=position(),
        topic="sightings",
        partition=0,
        offset=number,
        sha256="0" * 64,
        applied_at=number if offset is None else offset,
    )


def ids(found: object) -> list[str]:
    return [o.id for o in found]  # type: ignore[attr-defined]


@pytest.fixture
def table() -> dict[bytes, bytes]:
    return {}


@pytest.fixture
def records(table: dict[bytes, bytes]) -> Records:
    return Records("S1", table, set())


def test_what_is_added_is_read_back_by_another_reader(records: Records, table: dict[bytes, bytes]) -> None:
    kept = observation(1)
    assert records.add(kept)
    assert list(Records("S1", table, records.hours).all()) == [kept]
    assert list(Records("S2", table, records.hours).all()) == []


def test_a_duplicate_is_known_by_its_id_and_a_replay_by_its_offset(records: Records) -> None:
    assert records.add(observation(1))
    assert not records.add(observation(1, offset=99))
    assert records.add(observation(1))  # the same record again after a crash: apply it, keep it once
    assert ids(records.all()) == ["s#1"]


def test_all_are_in_the_order_of_their_time(records: Records) -> None:
    for number, seconds in enumerate((90, 0, 3700, 30, 0)):
        records.add(observation(number, after(seconds)))
    assert ids(records.all()) == ["s#1", "s#4", "s#3", "s#0", "s#2"]


def test_before_and_after_a_moment(records: Records) -> None:
    for number in range(6):
        records.add(observation(number, after(number * 40)))
    assert ids(records.before(after(80))) == ["s#2", "s#1", "s#0"]
    assert ids(records.after(after(80), after(160)))[:3] == ["s#2", "s#3", "s#4"]
    assert ids(Records("S1", {}, set()).before(NOW)) == []


def test_removed_is_gone(records: Records, table: dict[bytes, bytes]) -> None:
    records.add(observation(1))
    records.add(observation(2))
    records.remove(observation(1))
    assert ids(Records("S1", table, records.hours).all()) == ["s#2"]
    assert records.find("s#1") is None
    assert records.find("s#2") is not None


def test_whole_hours_expire(records: Records, table: dict[bytes, bytes]) -> None:
    records.add(observation(1, after(0)))
    records.add(observation(2, after(3600)))
    assert records.expire(after(3599)) == 0
    assert records.expire(after(3600)) == 1
    assert ids(records.all()) == ["s#2"]
    assert len(table) == 1
    assert records.hours == {int(after(3600).timestamp()) // 3600}


def test_a_slice_may_be_written_again(records: Records, table: dict[bytes, bytes]) -> None:
    records.add(observation(1))
    before = dict(table)
    table.clear()
    records.rewrite(NOW)
    assert table == before
    records.rewrite(NOW + timedelta(days=1))
    assert table == before


def test_an_order_version_is_kept_with_its_zones_prepared(records: Records) -> None:
    data = order(terms=[zone(locality=circle(5000))]).data
    assert not records.needed_by_row
    records.put_order(data)
    assert records.needed_by_row
    kept = records.order("O1", 1)
    assert kept.data == data
    term = kept.terms["t-zone"]
    assert kept.zone(term) is kept.zone(term)  # type: ignore[arg-type]
    assert kept.locality(term).place(position(4000, 0), 10) is Placement.IN
    assert records.order("O1", 1) is kept  # decoded once


def test_a_version_that_is_not_there_is_a_fault_of_ours(records: Records) -> None:
    with pytest.raises(KeyError, match="O1 version 2"):
        records.order("O1", 2)


@pytest.mark.parametrize("size", [1, 250_000, 250_001, 1_700_000])
def test_long_effects_are_kept_in_parts(records: Records, table: dict[bytes, bytes], size: int) -> None:
    raw = bytes(size)
    parts = records.put_effects(7, raw)
    assert records.effects(7, parts) == raw
    assert max(map(len, table.values())) <= 250_000
    records.drop_effects(7, parts)
    records.drop_effects(7, parts)
    assert table == {}
