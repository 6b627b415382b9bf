"""From a Kafka message to what an adapter sends: sources, cameras, faults, and what goes out."""

from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.inbound import BadReason, decode
from schemas.tasks import Alert
from streams.adapters.cameras import read_cameras
from streams.adapters.routes import FORMATS, SUPPLIER, routes
from streams.contract import outbound as examples
from streams.core.keys import message_key
from streams.errors import BreachwatchError
from streams.outbound import OUT, outbound
from streams.settings import Settings

FIX = {"_type": "location", "topic": "owntracks/robin/phone", "lat": 52.63, "lon": 1.29, "tst": 1_795_608_000}


class Message(NamedTuple):
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    key: bytes | None = None
    timestamp: int = 1_795_608_000_000


def test_a_source_is_the_senders_or_the_settings_or_the_format() -> None:
    message = Message(orjson.dumps(FIX))
    for settings, headers, source in (
        (Settings(), (), "owntracks"),
        (Settings(adapter_sources={"owntracks": "tags/x"}), (), "tags/x"),
        (Settings(adapter_sources={"owntracks": "tags/x"}), ((SUPPLIER, b"tags/y"),), "tags/y"),
    ):
        made = routes(settings, {})["owntracks"].make(message._replace(headers=headers))
        [(topic, event)] = made.sent
        assert (made.source, made.faults) == (source, [])
        assert decode(topic, event.value).source == source
        assert event.key == message_key(decode(topic, event.value))


def test_what_our_own_schemas_refuse_is_a_fault_of_the_message() -> None:
    made = routes(Settings(), {})["owntracks"].make(Message(orjson.dumps(FIX | {"lat": 200.0})))
    assert made.sent == []
    assert [fault.reason for fault in made.faults] == [BadReason.INVALID_FIELD]


@given(st.sampled_from(sorted(FORMATS)), st.none() | st.binary(max_size=60), st.binary(max_size=10))
def test_no_raw_message_raises(form: str, value: bytes | None, supplier: bytes) -> None:
    made = routes(Settings(), {})[form].make(Message(value, ((SUPPLIER, supplier),)))
    assert not made.sent


def test_an_alert_goes_out_in_cap_under_its_id() -> None:
    alert = Alert.model_validate(examples()["alerts"])
    key, value, headers = outbound("alerts", alert)
    [(topic, copy)] = routes(Settings(), {})["cap"].make(Message(value, tuple(headers), key)).sent
    assert (topic, copy.key) == ("alerts-cap", alert.alert_id.encode())
    assert f"<identifier>{alert.alert_id}</identifier>".encode() in copy.value


@pytest.mark.parametrize("topic", sorted(OUT))
def test_what_goes_out_is_a_cloud_event_in_structured_mode_too(topic: str) -> None:
    example: dict[str, Any] = examples()[topic]
    key, value, headers = outbound(topic, OUT[topic].model.model_validate_json(orjson.dumps(example)))
    [(name, copy)] = routes(Settings(), {})["cloudevents"].make(Message(value, tuple(headers), key)).sent
    event = orjson.loads(copy.value)
    assert (name, copy.key) == ("cloud-events", key)
    assert event["data"] == example
    assert event["specversion"] == "1.0"
    assert event["type"] == f"breachwatch.{OUT[topic].model.__name__}"
    assert {"id", "source", "time"} <= event.keys()


def test_a_task_that_has_left_its_topic_is_no_event() -> None:
    made = routes(Settings(), {})["cloudevents"].make(Message(None, (), b"task-1"))
    assert (made.sent, made.faults) == ([], [])


def test_cameras_are_read_and_a_wrong_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "cameras.csv"
    file.write_text("camera_id,latitude,longitude,road\nA47-1,52.63,1.29,A47\n", "utf-8-sig")
    assert read_cameras(file) == {"A47-1": (52.63, 1.29)}
    assert read_cameras(None) == {}
    for text, wrong in (
        ("camera_id,latitude,longitude\nA,52,1\nB,152,1\n", "line 3"),
        ("camera_id,latitude,longitude\nA\n", "line 2"),
        ("camera,lat\n", "camera_id, latitude, longitude"),
    ):
        file.write_text(text)
        with pytest.raises(BreachwatchError, match=wrong):
            read_cameras(file)
    with pytest.raises(BreachwatchError, match="No such file"):
        read_cameras(tmp_path / "none.csv")
