"""Behaviours 41 and 42: what cannot be read, and what cannot be judged yet.

That a worker sends these messages is for the broker to show: `tests/integration`.
"""

import asyncio
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition
from builders import fix, no_contact, read, report, zone
from world import World, m, spo

from schemas.inbound import BadMessageError, BadReason, decode
from schemas.internal import Held
from schemas.orders import IdentifierKind, IdentifierRecord, Role
from streams import dead_letters
from streams.dead_letters import Origin
from streams.identifiers import IndexReader
from streams.kafka.cluster import Cluster
from streams.unresolved import HeldEvents

ORIGIN = Origin("breach-reports", 3, 41, m(0))
SECRET = "Mrs Secret, 1 Hidden Lane, 07700 900123"


def _refusal(topic: str, value: bytes | None) -> BadMessageError:
    with pytest.raises(BadMessageError) as refused:
        decode(topic, value)
    return refused.value


def _malformed() -> list[bytes]:
    body = report(m(0), description=SECRET).model_dump(mode="json", exclude_none=True)
    wrong_value = orjson.dumps(body | {"data": body["data"] | {"nature": SECRET}})
    wrong_field = orjson.dumps(body | {"data": body["data"] | {SECRET: SECRET}})
    return [f'{{"data": "{SECRET}"'.encode(), b"\xff" + SECRET.encode(), wrong_value, wrong_field]


# -- 41 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", _malformed(), ids=["cut off", "not UTF-8", "wrong value", "unknown field"])
def test_behaviour_41_malformed_breach_report_is_an_alert_at_once_with_its_payload_redacted(value: bytes) -> None:
    error = _refusal("breach-reports", value)
    alert = dead_letters.alert(ORIGIN, error)
    assert alert is not None
    assert (alert.kind, alert.severity, alert.at) == ("unreadable_breach_report", "critical", m(0))
    assert "breach-reports/3/41" in alert.text
    key, _, headers = dead_letters.letter(ORIGIN, value, (), error)
    shown = alert.model_dump_json() + b" ".join([key, *(text for _, text in headers)]).decode() + str(error)
    assert not [word for word in ("Secret", "Hidden", "900123") if word in shown]


def test_behaviour_41_alert_of_the_same_message_is_one_alert() -> None:
    error = _refusal("breach-reports", b"{")
    first, again = (dead_letters.alert(ORIGIN, error) for _ in range(2))
    other = dead_letters.alert(Origin("breach-reports", 3, 42, m(0)), error)
    assert first is not None
    assert first == again
    assert other is not None
    assert other.alert_id != first.alert_id


def test_behaviour_41_malformed_sighting_is_a_dead_letter_only() -> None:
    error = _refusal("sightings", b"{{{")
    assert error.reason is BadReason.NOT_JSON
    assert dead_letters.alert(Origin("sightings", 0, 1, m(0)), error) is None


def test_behaviour_41_breach_report_whose_subject_is_not_found_is_an_alert() -> None:
    alert = dead_letters.alert(ORIGIN, BadMessageError(BadReason.UNKNOWN_SUBJECT, "the report is held"))
    assert alert is not None
    assert alert.severity == "high"
    assert "nobody whom an order is known for" in alert.text


def test_behaviour_41_report_under_an_order_that_the_known_subject_does_not_have_goes_to_a_person() -> None:
    world = World(spo()).give(report(m(1), order_id="UNKNOWN", subject_id="S1"))
    assert not world.tasks
    assert world.alert("report_without_order").severity == "high"


# -- 42 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("early", [fix(m(1)), read(m(1)), report(m(1), "entered_zone", order_id="O1")])
def test_behaviour_42_what_comes_before_its_order_is_known_waits_and_is_judged(early: Any) -> None:
    world = World().give(early)
    assert world.audits() == [], 'never "no order"'
    world.give(spo(terms=[zone(), no_contact()]), now=m(10))
    assert world.breach.began_at == m(1)
    assert world.task.opened_at == m(10)


def test_behaviour_42_held_events_wait_by_every_name_until_they_are_driven_on() -> None:
    held = HeldEvents()
    event = read(m(1), vrm="BDI5 DL0").model_dump(mode="json", exclude_none=True)
    value = Held.read(
        orjson.dumps(
            {"topic": "sightings", "partition": 0, "offset": 1, "appended_at": event["time"], "sha256": "0" * 64}
            | {"event": event}
        )
    )
    held.put(b"k", 2, value.model_dump_json().encode())
    assert held.waiting_for(("plate", "BD15DLO")) == [b"k"], "by the plate as its format spells it"
    assert held.waiting_for(("plate", "AB12CDE")) == []
    held.discard(b"k")
    assert held.waiting_for(("plate", "BD15DLO")) == []


class _Ends:
    """The log's ends as a broker tells them: `None` while it does not answer."""

    def __init__(self) -> None:
        self.end: int | None = None

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        if self.end is None:
            await asyncio.sleep(3600)
        assert self.end is not None
        return dict.fromkeys(partitions, self.end)


def _record(value: str) -> bytes:
    record = IdentifierRecord(kind=IdentifierKind.TAG, value=value, subject_id="S1", role=Role.SUBJECT, order_id="O1")
    return record.model_dump_json().encode()


def test_behaviour_42_while_the_index_is_not_known_to_be_complete_sightings_wait() -> None:
    """With a broker that is silent, then tells of a record that has not been read yet."""

    async def scenario() -> None:
        partition = TopicPartition("identifiers", 0)
        reader = IndexReader(Cluster(""), "identifiers", freshness_timeout_s=0.02)
        ends = _Ends()
        reader._partitions, reader._applied = [partition], {partition: 0}
        reader._ends = ends  # type: ignore[assignment]
        reader._started.set()
        waiting = asyncio.create_task(reader.confirm_fresh())
        await asyncio.sleep(0.1)
        assert not waiting.done(), "the broker does not answer: it waits, it never passes silently"
        waiting.cancel()

        ends.end, reader._check, reader._next_check = 1, None, None
        waiting = asyncio.create_task(reader.confirm_fresh())
        await asyncio.sleep(0.1)
        assert not waiting.done(), "a record is in the log and not in the index"
        reader._apply(_record("tag-1"))
        reader._applied[partition] = 1
        reader._progress.set()
        await asyncio.wait_for(waiting, 5)
        assert reader.index.find(IdentifierKind.TAG, "tag-1", m(0), False)

    asyncio.run(scenario())
