"""CloudEvents in binary and structured mode are the same events."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.cloud_events import binary_headers, carried, is_binary, structured
from schemas.examples import STORY
from schemas.inbound import BadMessageError, decode


def as_binary(event: dict[str, Any]) -> tuple[bytes, list[tuple[str, bytes]]]:
    """As a CloudEvents library sends it."""
    texts = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in event.items()}
    headers = [(f"ce_{name}", text.encode()) for name, text in texts.items() if name != "data"]
    return orjson.dumps(event["data"]), [("content-type", b"application/json"), *headers]


@pytest.mark.parametrize(("topic", "event"), STORY, ids=lambda value: value if isinstance(value, str) else None)
def test_an_event_in_binary_mode_is_the_same_event(topic: str, event: dict[str, Any]) -> None:
    event = event | {"schemaversion": 1, "exercise": True}
    value, headers = as_binary(event)
    assert is_binary(headers)
    assert decode(topic, structured(value, headers)) == decode(topic, orjson.dumps(event))


def test_a_plain_message_and_one_in_structured_mode_stay_as_they_are() -> None:
    value = orjson.dumps(STORY[0][1])
    assert structured(value, []) is value
    assert structured(value, [("content-type", b"application/cloudevents+json; charset=UTF-8")]) is value
    assert structured(None, as_binary(STORY[0][1])[1]) is None


def test_what_a_library_adds_is_taken() -> None:
    topic, event = STORY[3]
    event = event | {"datacontenttype": "application/json", "subject": "a tag", "partitionkey": "7"}
    value, headers = as_binary(event)
    assert decode(topic, structured(value, headers)).id == event["id"]


@given(st.binary(max_size=40), st.lists(st.tuples(st.sampled_from(["ce_specversion", "ce_id", "ce_"]), st.binary())))
def test_whatever_comes_ends_as_an_event_or_a_reason(value: bytes, headers: list[tuple[str, bytes]]) -> None:
    with pytest.raises(BadMessageError):
        decode("sightings", structured(value, headers))


def test_what_must_be_kept_of_a_message_is_what_makes_it_up() -> None:
    value, headers = as_binary(STORY[3][1])
    assert structured(value, carried([*headers, ("traceparent", b"00-1"), ("empty", None)])) == structured(
        value, headers
    )


def test_what_goes_out_is_a_cloud_event_with_its_value_as_it_was() -> None:
    headers = binary_headers({"id": "task-1/3", "source": "breachwatch", "type": "breachwatch.ArrestTask"})
    assert is_binary(headers)
    whole = orjson.loads(structured(b'{"task_id":"task-1"}', headers) or b"")
    assert whole["data"] == {"task_id": "task-1"}
    assert whole["id"] == "task-1/3"
