"""Bytes become an event, or a reason why not that a person can act on and that holds none of the bytes' values."""

from typing import Any

import orjson
import pytest
from builders import NOW, circle, fix, order, report, square, wire, zone

from schemas.inbound import EVENT_TYPES, TOPIC_EVENTS, BadMessageError, BadReason, decode

SECRET = "Quendryth-Lane-42"
"""Stands for a protected person's address: no error may repeat it."""


def order_body(**data: Any) -> dict[str, Any]:
    body = orjson.loads(order().model_dump_json(exclude_none=True))
    body["data"] |= data
    return body


def fix_body(**changes: Any) -> dict[str, Any]:
    return {**orjson.loads(fix(NOW).model_dump_json(exclude_none=True)), **changes}


def area(ring: list[list[float]]) -> dict[str, Any]:
    return order_body(terms=[zone(area={"type": "Polygon", "coordinates": [ring]})])


def boxed(*bbox: float) -> dict[str, Any]:
    """An order on a zone with this bounding box."""
    return order_body(terms=[zone(area={**square(), "bbox": bbox})])


def refused(topic: str, value: bytes | None, max_bytes: int | None = None) -> BadMessageError:
    with pytest.raises(BadMessageError) as caught:
        decode(topic, value, max_bytes)
    return caught.value


BAD_BYTES: list[tuple[str, bytes | None, BadReason]] = [
    ("null value", None, BadReason.NULL_VALUE),
    ("empty", b"", BadReason.EMPTY),
    ("blank", b" \n", BadReason.EMPTY),
    ("not JSON", b"{{{", BadReason.NOT_JSON),
    ("cut off", b'{"type": "tag_fix", ', BadReason.NOT_JSON),
    ("0xff", b"\xff", BadReason.NOT_UTF8),
    ("0xff within", b'{"id": "\xff"}', BadReason.NOT_UTF8),
    ("UTF-16", '{"id": 1}'.encode("utf-16"), BadReason.NOT_UTF8),
    ("NaN", b'{"x": NaN}', BadReason.NOT_JSON),
    ("Infinity", b'{"x": Infinity}', BadReason.NOT_JSON),
    ("text null", b"null", BadReason.NOT_AN_OBJECT),
    ("array", b"[]", BadReason.NOT_AN_OBJECT),
    ("number", b"1", BadReason.NOT_AN_OBJECT),
    ("text", b'"x"', BadReason.NOT_AN_OBJECT),
    ("true", b"true", BadReason.NOT_AN_OBJECT),
    ("no type", b"{}", BadReason.UNKNOWN_TYPE),
    ("type is a list", b'{"type": []}', BadReason.UNKNOWN_TYPE),
    ("deep nesting", b"[" * 5000 + b"]" * 5000, BadReason.NOT_JSON),
    ("lone surrogate", b'{"type": "\\ud800"}', BadReason.NOT_JSON),
]


@pytest.mark.parametrize(("name", "value", "reason"), BAD_BYTES, ids=[row[0] for row in BAD_BYTES])
def test_bytes_that_are_no_event(name: str, value: bytes | None, reason: BadReason) -> None:
    assert refused("sightings", value).reason is reason


BAD_FIXES: list[tuple[str, dict[str, Any], BadReason, str]] = [
    ("unknown version", {"schemaversion": 2}, BadReason.UNKNOWN_VERSION, "schemaversion"),
    ("version as text", {"schemaversion": "1"}, BadReason.UNKNOWN_VERSION, "schemaversion"),
    ("version true", {"schemaversion": True}, BadReason.UNKNOWN_VERSION, "schemaversion"),
    ("unknown type", {"type": "tag_fixed"}, BadReason.UNKNOWN_TYPE, "tag_fix"),
    ("wrong topic", {"type": "custody_event"}, BadReason.WRONG_TOPIC, "sightings takes"),
    ("naive time", {"time": "2026-11-25T08:00:00"}, BadReason.INVALID_FIELD, "time: a time must be RFC 3339"),
    ("date alone", {"time": "2026-11-25"}, BadReason.INVALID_FIELD, "offset"),
    ("epoch seconds", {"time": 1764057600}, BadReason.INVALID_FIELD, "time"),
    ("epoch as text", {"time": "1764057600"}, BadReason.INVALID_FIELD, "time"),
    ("no seconds", {"time": "2026-11-25T08:00Z"}, BadReason.INVALID_FIELD, "time"),
    ("30 February", {"time": "2026-02-30T08:00:00Z"}, BadReason.INVALID_FIELD, "time"),
    ("no time", {"time": None}, BadReason.INVALID_FIELD, "time"),
    ("unknown field", {SECRET: 1}, BadReason.INVALID_FIELD, "a field that the schema does not have"),
    ("id with a space", {"id": f"{SECRET} x"}, BadReason.INVALID_FIELD, "id"),
    ("id is a number", {"id": 7}, BadReason.INVALID_FIELD, "id"),
    ("empty source", {"source": ""}, BadReason.INVALID_FIELD, "source"),
    ("exercise as text", {"exercise": "true"}, BadReason.INVALID_FIELD, "exercise"),
    ("data missing", {"data": None}, BadReason.INVALID_FIELD, "data"),
    ("trace of another form", {"traceparent": SECRET}, BadReason.INVALID_FIELD, "traceparent"),
]


@pytest.mark.parametrize(("name", "changes", "reason", "says"), BAD_FIXES, ids=[row[0] for row in BAD_FIXES])
def test_an_envelope_that_is_wrong(name: str, changes: dict[str, Any], reason: BadReason, says: str) -> None:
    error = refused("sightings", orjson.dumps(fix_body(**changes)))
    assert error.reason is reason
    assert says in error.detail
    assert SECRET not in str(error)


@pytest.mark.parametrize(
    "where",
    [
        {"latitude": 53.8, "longitude": -270.6},
        {"latitude": 91, "longitude": 0},
        {"latitude": "53.8", "longitude": -1.5},
        {"latitude": 53.8},
        {"latitude": 53.8, "longitude": -1.5, "accuracy_m": 0},
        {"latitude": 53.8, "longitude": -1.5, "accuracy_m": -5},
        {"latitude": True, "longitude": -1.5},
    ],
)
def test_a_position_that_is_none(where: dict[str, Any]) -> None:
    error = refused("sightings", orjson.dumps(fix_body(data={"device_id": "tag-1", "position": where})))
    assert error.reason is BadReason.INVALID_FIELD
    assert "data.position" in error.detail
    assert "270" not in str(error)


@pytest.mark.parametrize("number", [b"1e999", b"-1e999"])
def test_infinity_by_overflow_is_refused(number: bytes) -> None:
    value = orjson.dumps(fix_body()).replace(b'"latitude":53.8', b'"latitude":' + number)
    assert number in value
    assert refused("sightings", value).reason in (BadReason.INVALID_FIELD, BadReason.NOT_JSON)


RING = square()["coordinates"][0]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (area(RING[:-1]), "linear ring"),
        (area([RING[0], RING[2], RING[1], RING[3], RING[0]]), "crosses or touches itself"),
        (area([[179, 51], [-179, 51], [-179, 52], [179, 52], [179, 51]]), "antimeridian"),
        (area([[-181, 51], [-180, 51], [-180, 52], [-181, 51]]), "outside -180 to 180"),
        (area([[0, 89], [1, 89], [1, 91], [0, 89]]), "outside -90 to 90"),
        (area([RING[0]] * 4), "inside and outside are not defined"),
        (order_body(terms=[zone(area={"type": "Polygon", "coordinates": []})]), "the area is empty"),
        (order_body(terms=[zone(area={"type": "MultiPolygon", "coordinates": [[RING], []]})]), "the area is empty"),
        (boxed(-1.5, 53.9, -1.4, 53.8), "the bounding box lies above"),
        (boxed(-1.5, 53.7, 90.0, -1.4, 53.8, 10.0), "the bounding box lies above"),
        (order_body(terms=[zone(area={**circle(), "radius_m": 0})]), "radius_m"),
        (order_body(terms=[zone(area={"type": "Point", "coordinates": [0, 0]})]), "area"),
        (order_body(terms=[]), "data.terms"),
        (order_body(terms=[zone(), zone()]), "two terms have the same term_id"),
        (order_body(terms=[zone(protects=["P9"])]), "not in protected_persons"),
        (order_body(expires_at="2020-01-01T00:00:00Z"), "expires_at is not after made_at"),
        (order_body(version=0), "data.version"),
        (order_body(kind="asbo"), "data.kind"),
        (order_body(protected_persons=[]), "protected_persons"),
        (order_body(protected_persons=[{"person_id": "P1", "address": "x" * 201}]), "address"),
        (order_body(respondent={"subject_id": "S1", "date_of_birth": "1.2.1990"}), "date_of_birth"),
    ],
)
def test_an_order_that_has_no_single_reading(body: dict[str, Any], says: str) -> None:
    error = refused("orders", orjson.dumps(body))
    assert error.reason is BadReason.INVALID_FIELD
    assert says in error.detail


def test_a_bounding_box_is_shown_nowhere(recwarn: pytest.WarningsRecorder) -> None:
    """It is where a victim lives."""
    upside_down, over_the_antimeridian = boxed(-1.5, 53.97531, -1.4, 53.8), boxed(179.97531, 53.7, -179.9, 53.8)
    assert "97531" not in str(refused("orders", orjson.dumps(upside_down)))
    decode("orders", orjson.dumps(over_the_antimeridian))
    assert not recwarn.list


def test_a_report_must_say_who_is_meant() -> None:
    body = wire("breach_report", {"nature": "contact", "reported_by": "witness"}, NOW)
    assert "say who is meant" in refused("breach-reports", orjson.dumps(body)).detail


def test_what_is_too_large_is_not_parsed() -> None:
    value = b'{"type": "' + b"x" * 1_000_000 + b'"}'
    error = refused("sightings", value, 1_000_000)
    assert error.reason is BadReason.TOO_LARGE
    assert "1000000" in error.detail


@pytest.mark.parametrize(
    ("term", "says"),
    [
        ({"term_id": "T1"}, "data.terms.0.kind: Field required"),
        ({"term_id": "T1", "kind": SECRET}, "data.terms.0.kind: not one of the values that the schema allows"),
        ({"term_id": "T1", "kind": 17}, "data.terms.0.kind: not one of the values that the schema allows"),
        (zone(area={"radius_m": 5}), "data.terms.0.exclusion_zone.area.type: Field required"),
    ],
)
def test_the_field_that_tells_alternatives_apart_is_named(term: dict[str, Any], says: str) -> None:
    error = refused("orders", orjson.dumps(order_body(terms=[term])))
    assert error.detail == f"not a valid order: {says}"


def test_no_values_in_what_is_said_of_many_faults() -> None:
    person = {"person_id": f"{SECRET} x", "name": [SECRET], "address": {SECRET: SECRET}, "relation": SECRET}
    terms = [{"kind": SECRET, "term_id": SECRET}, {**zone(), "area": {"type": SECRET}}, zone(text=SECRET * 2000)]
    error = refused("orders", orjson.dumps(order_body(protected_persons=[person], terms=terms, court=[SECRET])))
    assert SECRET not in str(error)
    assert SECRET not in repr(error)
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert "and " in error.detail  # more faults than are listed


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_each_type_is_taken_by_the_topics_that_say_so(name: str) -> None:
    for topic, models in TOPIC_EVENTS.items():
        error = refused(topic, orjson.dumps({"type": name, "schemaversion": 1}))
        taken = EVENT_TYPES[name] in models
        assert error.reason is (BadReason.INVALID_FIELD if taken else BadReason.WRONG_TOPIC)


def test_good_messages_are_events() -> None:
    for topic, event in (("orders", order()), ("sightings", fix(NOW)), ("breach-reports", report(NOW))):
        value = event.model_dump_json(exclude_none=True).encode()
        assert decode(topic, value) == event
        assert decode(topic, b"\n" + value + b" \n") == event


def test_a_byte_order_mark_is_answered() -> None:
    value = b"\xef\xbb\xbf" + fix(NOW).model_dump_json(exclude_none=True).encode()
    assert refused("sightings", value).reason is BadReason.NOT_JSON


def test_a_fix_may_have_no_position() -> None:
    value = orjson.dumps(fix_body(data={"device_id": "tag-1", "tamper": True}))
    assert decode("sightings", value).data.position is None  # type: ignore[attr-defined]
