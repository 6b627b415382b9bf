"""What is out there already becomes events that our topics take; whatever comes, no adapter raises anything else."""

from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.inbound import BadMessageError, decode
from schemas.sightings import PlateRead, TagFix
from streams.adapters.routes import FORMATS, routes
from streams.adapters.translated import Supplier
from streams.settings import Settings

SUPPLIER = Supplier("test/supplier", datetime(2026, 11, 25, 9, tzinfo=UTC), {"camera-1": (52.6, 1.3)})
TRACCAR: dict[str, Any] = {
    "position": {
        "id": 8812,
        "attributes": {"batteryLevel": 71, "sat": 9, "hdop": 0.9, "motion": False},
        "deviceId": 3,
        "protocol": "osmand",
        "serverTime": "2026-11-25T08:30:02.000+00:00",
        "deviceTime": "2026-11-25T08:30:01.000+00:00",
        "fixTime": "2026-11-25T08:30:00.000+00:00",
        "outdated": False,
        "valid": True,
        "latitude": 52.631,
        "longitude": 1.2935,
        "altitude": 20.0,
        "speed": 3.2,
        "course": 180.0,
        "address": None,
        "accuracy": 8.0,
        "network": None,
    },
    "device": {"id": 3, "name": "bracelet", "uniqueId": "TAG-004711", "status": "online", "attributes": {}},
}
ALARM: dict[str, Any] = {
    "event": {
        "id": 500,
        "attributes": {"alarm": "tampering"},
        "deviceId": 3,
        "type": "alarm",
        "eventTime": "2026-11-25T08:30:00.000+00:00",
        "positionId": 8812,
    },
    **TRACCAR,
}
STREAM: dict[str, Any] = {
    "hook": {"target": "door", "id": "camera-1", "event": "recognition", "filename": "a.jpg"},
    "data": {
        "camera_id": "camera-1",
        "filename": "a.jpg",
        "timestamp": "2026-11-25T08:30:00.606935Z",
        "timestamp_local": "2026-11-25 08:30:00.606935+00:00",
        "results": [
            {"plate": "bd15dlo", "score": 0.839, "candidates": [{"plate": "bd15dlo"}, {"plate": "8d15dlo"}]},
            {"plate": "ab12cde", "score": 0.5, "direction": 90},
        ],
    },
}
OWNTRACKS: dict[str, Any] = {
    "_type": "location",
    "topic": "owntracks/sam/phone",
    "tid": "ph",
    "tst": 1764059400,
    "created_at": 1764059460,
    "lat": 52.631,
    "lon": 1.2935,
    "acc": 12,
    "batt": 15,
    "vel": 3,
}
SAMPLES = {"traccar": [TRACCAR, ALARM], "plate-recognizer": [STREAM], "owntracks": [OWNTRACKS]}


def made(name: str, body: Any) -> list[Any]:
    return [decode(topic, value) for topic, value in FORMATS[name](orjson.dumps(body), SUPPLIER)]


def fix(name: str, body: Any) -> TagFix:
    [found] = made(name, body)
    assert isinstance(found, TagFix)
    return found


def traccar(**position: Any) -> dict[str, Any]:
    return {**TRACCAR, "position": TRACCAR["position"] | position}


# -- Traccar ---------------------------------------------------------------------------------------------------


def test_traccar_a_position_is_a_fix_of_the_device_by_its_own_name() -> None:
    found = fix("traccar", TRACCAR)
    assert (found.id, found.data.device_id) == ("8812", "TAG-004711")
    assert found.time == datetime(2026, 11, 25, 8, 30, tzinfo=UTC), "when the receiver had it"
    assert found.recordedtime == datetime(2026, 11, 25, 8, 30, 2, tzinfo=UTC), "when the server had it"
    assert found.data.position is not None
    assert (found.data.position.accuracy_m, found.data.satellites, found.data.hdop) == (8.0, 9, 0.9)
    assert not found.data.tamper
    assert not found.data.battery_low


@pytest.mark.parametrize("stale", [{"valid": False}, {"outdated": True}])
def test_traccar_what_is_no_fix_or_an_old_one_is_no_place(stale: dict[str, bool]) -> None:
    found = fix("traccar", traccar(**stale, attributes={"alarm": "lowBattery,removing"}))
    assert found.data.position is None
    assert found.time == datetime(2026, 11, 25, 8, 30, 1, tzinfo=UTC), "the device's own time"
    assert found.data.tamper
    assert found.data.battery_low


@pytest.mark.parametrize(("level", "low"), [(19, True), (20, False), (None, False), ("19", False)])
def test_traccar_a_low_battery_is_said(level: object, low: bool) -> None:
    assert fix("traccar", traccar(attributes={"batteryLevel": level})).data.battery_low == low


def test_traccar_an_unknown_accuracy_is_none() -> None:
    position = fix("traccar", traccar(accuracy=0.0)).data.position
    assert position is not None
    assert position.accuracy_m is None


def test_traccar_positions_that_are_not_stored_have_names_all_the_same() -> None:
    assert fix("traccar", traccar(id=0)).id == "TAG-004711-2026-11-25T08:30:00.000+00:00"


def test_traccar_an_alarm_is_a_fix_of_its_own() -> None:
    found = fix("traccar", ALARM)
    assert found.data.tamper
    assert found.id == "event-500-8812"
    without = {name: value for name, value in ALARM.items() if name != "position"}
    assert fix("traccar", without).data.position is None


@pytest.mark.parametrize("kind", ["deviceOnline", "geofenceExit", "deviceMoving"])
def test_traccar_other_events_are_none_of_our_business(kind: str) -> None:
    assert made("traccar", ALARM | {"event": ALARM["event"] | {"type": kind}}) == []


# -- Plate Recognizer Stream -------------------------------------------------------------------------------------


def test_stream_every_plate_is_a_read_at_its_camera() -> None:
    found = made("plate-recognizer", STREAM)
    assert all(isinstance(read, PlateRead) for read in found)
    assert [read.data.vrm for read in found] == ["BD15DLO", "AB12CDE"]
    assert {read.data.position.latitude for read in found} == {52.6}
    assert found[0].time == datetime(2026, 11, 25, 8, 30, 0, 606935, tzinfo=UTC)
    assert found[1].data.direction == "90 degrees"
    assert len({read.id for read in found}) == 2


@pytest.mark.parametrize("stated", ["2026-11-25T08:30:00Z", "2026-11-25 08:30:00", "2026-11-25T08:30:00+00:00"])
def test_stream_its_timestamp_is_utc_however_it_is_written(stated: str) -> None:
    body = {**STREAM, "data": STREAM["data"] | {"timestamp": stated}}
    assert made("plate-recognizer", body)[0].time == datetime(2026, 11, 25, 8, 30, tzinfo=UTC)


def test_stream_a_camera_that_nobody_has_placed_is_said() -> None:
    with pytest.raises(BadMessageError, match="a camera whose place is not"):
        made("plate-recognizer", {**STREAM, "data": STREAM["data"] | {"camera_id": "camera-2"}})


def test_stream_a_heartbeat_is_no_read() -> None:
    assert made("plate-recognizer", {**STREAM, "hook": {"event": "heartbeat"}}) == []


# -- OwnTracks -------------------------------------------------------------------------------------------------


def test_owntracks_a_location_is_a_fix_of_user_and_device() -> None:
    found = fix("owntracks", OWNTRACKS)
    assert found.data.device_id == "sam/phone"
    assert found.time == datetime(2025, 11, 25, 8, 30, tzinfo=UTC)
    assert found.recordedtime == datetime(2025, 11, 25, 8, 31, tzinfo=UTC)
    assert found.data.battery_low
    assert found.data.position is not None
    assert found.data.position.accuracy_m == 12.0


@pytest.mark.parametrize("kind", ["transition", "lwt", "waypoint", None])
def test_owntracks_other_messages_are_none_of_our_business(kind: str | None) -> None:
    assert made("owntracks", OWNTRACKS | {"_type": kind}) == []


# -- all ---------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def paths(body: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    return [found for key, value in inner for found in ((*before, key), *paths(value, (*before, key)))]


def replaced(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    inner = dict(body) if isinstance(body, dict) else list(body)
    inner[path[0]] = replaced(inner[path[0]], path[1:], value)
    return inner


@pytest.mark.parametrize("name", FORMATS)
@given(st.data())
def test_no_adapter_raises_anything_but_what_is_wrong(name: str, data: st.DataObject) -> None:
    sample = data.draw(st.sampled_from(SAMPLES[name]))
    body = replaced(sample, data.draw(st.sampled_from([(), *paths(sample)])), data.draw(JSON))
    try:
        raw = orjson.dumps(body)
    except TypeError:  # an integer of more than 64 bits
        raw = repr(body).encode()
    for topic, value in translated_or_nothing(name, raw):
        with suppress(BadMessageError):
            decode(topic, value)


@pytest.mark.parametrize("name", FORMATS)
@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_what_is_wrong(name: str, raw: bytes) -> None:
    translated_or_nothing(name, raw)


def translated_or_nothing(name: str, raw: bytes) -> list[Any]:
    try:
        return list(FORMATS[name](raw, SUPPLIER))
    except BadMessageError:
        return []


def test_a_task_that_was_erased_is_no_event() -> None:
    erased = SimpleNamespace(key=b"task-1", value=None, headers=[])
    made = routes(Settings(), {})["cloudevents"].make(erased)
    assert (made.sent, made.faults) == ([], [])
