"""What is still there of somebody: in which messages, and until when they go."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from streams.kafka.topics import DAY_MS, topic_specs
from streams.remains import Names, Remaining, keeping, remaining, stores
from streams.settings import Settings

T = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
CONFIG = {spec.name: spec.config for spec in topic_specs(Settings())}


@dataclass
class Message:
    offset: int
    key: bytes | None
    value: bytes | None
    at: datetime = T
    partition: int = 0
    headers: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def timestamp(self) -> int:
        return int(self.at.timestamp() * 1000)


def days(number: float) -> datetime:
    return T + timedelta(days=number)


@pytest.mark.parametrize(
    ("data", "there"),
    [
        (b'{"subject_id":"SUBJ-1"}', True),
        (b"SUBJ-1|e|29", True),
        (b"joined by task 5 of SUBJ-1.", True),
        (b"by-hand/SUBJ-1/2026-11-27", True),
        (b'{"subject_id":"SUBJ-12"}', False),
        (b'{"subject_id":"SUBJ-1-B"}', False),
        (b'{"subject_id":"XSUBJ-1"}', False),
        (b"exercise/SUBJ-1", False),
        (None, False),
    ],
)
def test_a_name_is_a_word_of_its_own(data: bytes | None, there: bool) -> None:
    assert Names(["SUBJ-1"]).are_in(data) is there


def test_a_name_is_found_as_json_may_write_it() -> None:
    names = Names(["Zo\u00eb", "exercise/S1"])
    assert names.are_in(b'"Zo\\u00eb"')
    assert names.are_in('"Zo\u00eb"'.encode())
    assert names.are_in(b'"exercise\\/S1"')
    assert names.are_in(b"exercise/S1|e|5")


def test_names_are_looked_for_in_key_value_and_headers() -> None:
    names = Names(["S1", "BD15 DLO"])
    assert names.are_on(Message(0, b"S1", None))
    assert names.are_on(Message(0, None, b'"BD15 DLO"'))
    assert names.are_on(Message(0, None, None, headers=[("ce_subject", b"S1")]))
    assert not names.are_on(Message(0, b"S2", b"{}", headers=[("ce_id", b"7")]))


def test_what_goes_by_age_goes_with_its_segment() -> None:
    messages = [Message(3, b"S1", b"{}"), Message(5, b"S2", b"{}"), Message(9, None, b'"S1"', days(1), partition=1)]
    assert remaining("alerts", messages, Names(["S1"]), keeping(CONFIG["alerts"])) == [
        Remaining("alerts", 0, 3, 3, count=1, until=days(31)),
        Remaining("alerts", 1, 9, 9, count=1, until=days(32)),
    ]


def test_what_is_compacted_goes_when_it_is_superseded_and_the_null_value_after_it() -> None:
    how = keeping(CONFIG["arrest-tasks"])
    task = Message(1, b"t1", b'"S1"')
    names = Names(["S1"])
    assert remaining("arrest-tasks", [task], names, how) == [Remaining("arrest-tasks", 0, 1, 1, count=1, stays=1)]
    gone = [task, Message(2, b"t1", None, days(2))]
    assert remaining("arrest-tasks", gone, names, how) == [Remaining("arrest-tasks", 0, 1, 1, count=1, until=days(9))]
    own = [Message(1, b"S1", b"{}"), Message(2, b"S1", b"{}", days(1)), Message(7, b"S1", None, days(2))]
    assert remaining("rows", own, names, how) == [Remaining("rows", 0, 1, 7, count=3, until=days(2 + 7 + 7))]


def test_a_key_in_another_partition_supersedes_nothing() -> None:
    how = keeping(CONFIG["identifiers"])
    messages = [Message(1, b"k", b'"S1"'), Message(1, b"k", None, partition=1)]
    assert [one.stays for one in remaining("identifiers", messages, Names(["S1"]), how)] == [1]


def test_of_two_ways_to_go_the_earlier_counts() -> None:
    how = keeping(CONFIG["unresolved"])
    names = Names(["S1"])
    held = [Message(1, b"k", b'"S1"')]
    assert [one.until for one in remaining("unresolved", held, names, how)] == [days(9)]
    driven = [*held, Message(2, b"k", None, days(1))]
    assert [one.until for one in remaining("unresolved", driven, names, how)] == [days(8)]


def test_what_the_cluster_keeps_for_ever_stays() -> None:
    how = keeping({"cleanup.policy": "delete", "retention.ms": "-1", "segment.ms": str(DAY_MS)})
    assert [one.stays for one in remaining("audit", [Message(1, b"S1", b"")], Names(["S1"]), how)] == [1]


def test_a_spread_without_an_end_can_be_added() -> None:
    endless = {**CONFIG["identifiers"], "max.compaction.lag.ms": str(2**63 - 1)}
    messages = [Message(1, b"k", b'"S1"'), Message(2, b"k", None)]
    [one] = remaining("identifiers", messages, Names(["S1"]), keeping(endless))
    assert one.until is not None


def test_local_tables_are_looked_at_also_while_they_are_open(tmp_path: Path) -> None:
    rows = Rdict(str(tmp_path / "w1" / "tables" / "subjects-0.db"), Options(raw_mode=True))
    rows[b"S1"], rows[b"S2"] = b"{}", b'{"merged_into":"S3"}'
    rows.flush()
    [stored] = stores(tmp_path, Names(["S1"]))
    assert (stored.rows, stored.files > 0) == (1, True)
    del rows[b"S1"]
    rows.flush()
    [stored] = stores(tmp_path, Names(["S1"]))
    assert (stored.rows, stored.files > 0) == (0, True), "what was deleted is in the files still"
    assert stores(tmp_path, Names(["S9"])) == []
    rows.close()
