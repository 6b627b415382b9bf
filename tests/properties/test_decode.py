"""Whatever bytes arrive: an event, or a BadMessageError, and nothing else leaves `decode`."""

from typing import Any

import orjson
from builders import NOW, fix, order, report
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import Event
from schemas.inbound import EVENT_TYPES, TOPIC_EVENTS, BadMessageError, decode

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KNOWN = st.sampled_from(
    [orjson.loads(event.model_dump_json(exclude_none=True)) for event in (order(), fix(NOW), report(NOW))]
)


def end(topic: str, value: bytes | None) -> bool:
    """An event or a reason, and nothing else; is it an event?"""
    try:
        assert isinstance(decode(topic, value), Event)
    except BadMessageError as error:
        detail = error.detail
    else:
        return True
    assert 0 < len(detail) < 3000
    return False


@given(st.sampled_from(sorted(TOPIC_EVENTS)), st.binary(max_size=200))
def test_any_bytes_end_as_an_event_or_a_reason(topic: str, value: bytes) -> None:
    end(topic, value)


@given(st.sampled_from(sorted(TOPIC_EVENTS)), st.sampled_from(sorted(EVENT_TYPES)), JSON, JSON)
def test_any_json_ends_as_an_event_or_a_reason(topic: str, name: str, data: Any, version: Any) -> None:
    try:
        value = orjson.dumps({"type": name, "schemaversion": version, "data": data})
    except (TypeError, orjson.JSONEncodeError):  # a text or a number that JSON cannot hold
        return
    end(topic, value)


@given(KNOWN, st.data())
def test_any_change_of_a_good_message_ends_as_an_event_or_a_reason(body: dict[str, Any], data: st.DataObject) -> None:
    node: Any = orjson.loads(orjson.dumps(body))
    root = node
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and data.draw(st.booleans()):
            node = node[key]
            continue
        node[key] = data.draw(JSON)
        break
    try:
        value = orjson.dumps(root)
    except (TypeError, orjson.JSONEncodeError):
        return
    for topic in ("orders", "sightings", "breach-reports"):
        end(topic, value)


@given(KNOWN, st.integers(0, 3000), st.binary(min_size=1, max_size=3))
def test_any_damage_to_the_bytes_ends_as_an_event_or_a_reason(body: dict[str, Any], at: int, junk: bytes) -> None:
    value = orjson.dumps(body)
    at %= len(value)
    end("orders", value[:at] + junk + value[at + len(junk) :])
    end("sightings", value[:at])
