"""The models on the wire: strict, closed, in UTC, and the same after a round trip."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from builders import NOW, SUBJECT, away, circle, fix, order, report, square, wire, zone
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.base import Area, Event, Instant, Position, format_time
from schemas.internal import Arrival, DeadLetterHeaders, Routing, SubjectEvent, encode_held, encode_subject_event
from schemas.internal import Held as HeldEvent
from schemas.sightings import TagFix

_INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)
_AREA: TypeAdapter[Any] = TypeAdapter(Area)
POLYGON, MULTI = square(), {"type": "MultiPolygon", "coordinates": [square()["coordinates"]]}


def instant(text: str) -> datetime:
    return _INSTANT.validate_json(orjson.dumps(text))


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-25T08:30:00Z", datetime(2026, 11, 25, 8, 30, tzinfo=UTC)),
        ("2026-11-25t08:30:00z", datetime(2026, 11, 25, 8, 30, tzinfo=UTC)),
        ("2026-06-25T08:30:00+01:00", datetime(2026, 6, 25, 7, 30, tzinfo=UTC)),
        ("2026-11-25T08:30:00.123456Z", datetime(2026, 11, 25, 8, 30, 0, 123456, tzinfo=UTC)),
        ("2026-11-25T08:30:00-00:00", datetime(2026, 11, 25, 8, 30, tzinfo=UTC)),
        ("2028-02-29T00:00:00Z", datetime(2028, 2, 29, tzinfo=UTC)),
    ],
)
def test_times_are_rfc_3339_and_become_utc(text: str, utc: datetime) -> None:
    found = instant(text)
    assert found == utc
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25",
        "2026-11-25T08:30Z",
        "2026-11-25 08:30:00Z",
        "2026-11-25T08:30:00",
        "2026-11-25T08:30:00+0100",
        "20261125T083000Z",
        "2026-11-25T24:30:00Z",
        "2026-11-25T08:30:00Z\n",
        "2026-02-29T00:00:00Z",
        "1764057600",
        "",
    ],
)
def test_nothing_looser_is_a_time(text: str) -> None:
    with pytest.raises(ValidationError):
        instant(text)


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_a_time_is_the_same_instant_after_a_round_trip(naive: datetime, minutes: int) -> None:
    aware = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert instant(format_time(aware)) == aware
    assert format_time(aware).endswith("Z")


def test_events_are_frozen_and_closed() -> None:
    sent = fix(NOW)
    with pytest.raises(ValidationError, match="frozen"):
        sent.id = "x"
    body = wire("tag_fix", {"device_id": "t"}, NOW, colour="blue")
    with pytest.raises(ValidationError, match="Extra inputs"):
        TagFix.model_validate_json(orjson.dumps(body))


@pytest.mark.parametrize("sent", [order(), fix(NOW), report(NOW)], ids=["order", "fix", "report"])
def test_an_event_is_the_same_after_a_round_trip(sent: Event) -> None:
    assert type(sent).model_validate_json(sent.model_dump_json()) == sent
    assert type(sent).model_validate_json(sent.model_dump_json(exclude_none=True)) == sent


def test_source_and_id_name_the_event() -> None:
    assert fix(NOW, id="e-1").event_id == "test/source#e-1"


def test_nought_nought_is_no_place() -> None:
    assert not Position(latitude=0, longitude=0).usable
    assert Position(latitude=0, longitude=0.0001).usable


@pytest.mark.parametrize("area", [POLYGON, MULTI, circle(), {**POLYGON, "bbox": [-2, 53, -1, 54]}])
def test_sound_areas(area: dict[str, Any]) -> None:
    assert _AREA.validate_json(orjson.dumps(area)).type == area["type"]


def test_an_area_as_clockwise_as_its_sender_drew_it() -> None:
    """RFC 7946 section 3.1.6: parsers should not reject rings that do not follow the right-hand rule."""
    ring = POLYGON["coordinates"][0][::-1]
    assert _AREA.validate_json(orjson.dumps({"type": "Polygon", "coordinates": [ring]}))


def test_a_corridor_needs_a_line() -> None:
    here = away()
    point = [here["longitude"], here["latitude"]]
    for line in ([point], [point, point], [[179.5, 51], [-179.5, 51]]):
        with pytest.raises(ValidationError):
            _AREA.validate_json(orjson.dumps({"type": "Corridor", "line": line, "half_width_m": 20}))


def test_a_subject_event_carries_the_message_unchanged() -> None:
    sent = order(terms=[zone()])
    routing = Routing(topic="orders", partition=3, offset=4, appended_at=NOW, sha256="0" * 64)
    value = sent.model_dump_json(exclude_none=True).encode()
    encoded = encode_subject_event("S1", routing, b" " + value + b"\n")
    assert value in encoded
    assert SubjectEvent.read(encoded) == SubjectEvent(subject_id="S1", routing=routing, event=sent)


def test_a_held_event_keeps_its_coordinates() -> None:
    sent = fix(NOW)
    held = HeldEvent.model_validate_json(
        encode_held(
            Arrival(topic="sightings", partition=1, offset=2, appended_at=NOW, sha256="0" * 64),
            sent.model_dump_json(exclude_none=True).encode(),
        )
    )
    assert (held.topic, held.partition, held.offset, held.appended_at, held.event) == ("sightings", 1, 2, NOW, sent)


def test_dead_letter_headers_survive_kafka() -> None:
    headers = DeadLetterHeaders(
        reason="not_json",
        detail="not JSON, née at line 1",
        topic="orders",
        partition=0,
        offset=7,
        appended_at=NOW,
    )
    sent = headers.to_kafka()
    assert all(name.startswith("bw-") and isinstance(value, bytes) for name, value in sent)
    assert DeadLetterHeaders.from_kafka([*sent, ("other", b"\xff")]) == headers
    with pytest.raises(ValidationError):
        DeadLetterHeaders.from_kafka(sent[1:])


@pytest.mark.parametrize("ours", ["exercise/SUBJ-1", "source/anpr"])
def test_nobody_goes_by_an_id_of_ours(ours: str) -> None:
    """A person whose reference began so would be taken for the exercise's, and nobody would come."""
    for sent in (order(), report(NOW, subject_id=SUBJECT)):
        message = sent.model_dump_json().replace(f'"{SUBJECT}"', '"%s"')
        type(sent).model_validate_json(message.replace("%s", f"police/{ours}"))
        with pytest.raises(ValidationError, match="set `exercise` instead"):
            type(sent).model_validate_json(message.replace("%s", ours))
