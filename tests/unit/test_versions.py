"""An event of an older schema version is made one of the current version, wherever it is read."""

from typing import Any

import orjson
import pytest
from builders import NOW, report

from schemas import versions
from schemas.inbound import BadMessageError, BadReason, decode, decode_current
from schemas.internal import Arrival, Held, Routing, SubjectEvent, encode_held, encode_subject_event

REPORT = report(NOW)
ARRIVAL = {"topic": "breach-reports", "partition": 0, "offset": 7, "appended_at": NOW, "sha256": "00"}


def step(event: dict[str, Any]) -> dict[str, Any]:
    """Once, what a report is about was called its `kind`."""
    data = dict(event["data"])
    data["nature"] = data.pop("kind")
    return event | {"data": data}


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A report of the version before the first, while that is read."""
    monkeypatch.setitem(versions.UPCASTS, 0, step)
    body = orjson.loads(REPORT.model_dump_json(exclude_none=True))
    body["data"]["kind"] = body["data"].pop("nature")
    return orjson.dumps(body | {"schemaversion": 0})


def test_what_came_of_an_older_event_is_what_would_have_come_of_a_current_one(older: bytes) -> None:
    event, current = decode_current("breach-reports", older)
    assert event == REPORT
    assert decode("breach-reports", current) == event


def test_a_current_event_is_carried_as_it_came() -> None:
    value = REPORT.model_dump_json(exclude_none=True).encode()
    assert decode_current("breach-reports", value)[1] is value


def test_an_older_event_that_lies_in_our_own_topics_is_read(older: bytes) -> None:
    routed = encode_subject_event("S1", Routing(**ARRIVAL), older)
    assert SubjectEvent.read(routed).event == REPORT
    assert Held.read(encode_held(Arrival(**ARRIVAL), older)).event == REPORT


@pytest.mark.parametrize("data", [{}, {"kind": 7}, [], "x", None])
def test_an_older_event_that_is_not_valid_is_a_dead_letter(older: bytes, data: Any) -> None:
    with pytest.raises(BadMessageError) as raised:
        decode("breach-reports", orjson.dumps(orjson.loads(older) | {"data": data}))
    assert raised.value.reason is BadReason.INVALID_FIELD


@pytest.mark.parametrize("version", [2, -1, 1.0, True, "1", None])
def test_other_versions_are_refused_and_those_that_are_read_are_named(older: bytes, version: Any) -> None:
    with pytest.raises(BadMessageError, match=r"not one that this pipeline reads \(0, 1\)") as raised:
        decode("breach-reports", orjson.dumps(orjson.loads(older) | {"schemaversion": version}))
    assert raised.value.reason is BadReason.UNKNOWN_VERSION


def test_an_event_that_states_no_version_is_of_the_first() -> None:
    assert versions.version_of({}) == 1
    assert not versions.is_older({})
