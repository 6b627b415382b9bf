"""What a sender refuses before anything is sent, the topics it chooses, and ids that stay the same."""

import hashlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from builders import NOW, fix, order, read

from schemas.base import Event
from schemas.examples import STORY
from schemas.inbound import EVENT_TYPES, TOPIC_EVENTS, decode
from schemas.internal import DeadlineDue
from schemas.sightings import TagFix
from streams.errors import BreachwatchError
from streams.kafka.client import KafkaUnavailableError
from streams.kafka.local import free_ports
from streams.sender import MAX_SHOWN, InvalidEventError, NotAcknowledgedError, Sender, stable_id, topic_of

SECRET = "Robin-Example-07700900123"
FIX = "fix-6059d8b1985de7796a34363a8193f199"
PLACE = {"latitude": 52.631, "longitude": 1.2935}


@pytest.fixture
def nobody() -> Iterator[Sender]:
    """A sender whose broker is a port at which any connection would be seen, and fail the test."""
    with closing(socket.create_server(("127.0.0.1", 0))) as broker:
        yield Sender(f"127.0.0.1:{broker.getsockname()[1]}", source="test/source")
        broker.setblocking(False)
        with pytest.raises(BlockingIOError):
            broker.accept()


def new(sender: Sender, **changes: Any) -> Event:
    fields = {"id": "fix-1", "time": NOW, "data": {"device_id": "TAG-1", "position": PLACE}} | changes
    return sender.send_new(fields.pop("kind", "tag_fix"), **fields)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "tag_fixx"}, "nothing was sent: the types are order, order_served"),
        ({"id": SECRET + " "}, "not a valid tag_fix: id: String should match pattern"),
        ({"time": datetime(2026, 11, 25)}, "time: a time must be RFC 3339 text with seconds and an offset"),  # noqa: DTZ001
        ({"time": "2026-11-25"}, "time: a time must be RFC 3339 text with seconds and an offset"),
        ({"recordedtime": "now"}, "recordedtime: a time must be RFC 3339 text"),
        ({"data": {"position": PLACE}}, "not a valid tag_fix: data.device_id: Field required"),
        ({"data": {"device_id": "TAG-1", SECRET: 1}}, "data.<a field that the schema does not have>"),
        (
            {"data": {"device_id": "TAG-1", "position": {"latitude": 91.0, "longitude": 0.0}}},
            "data.position.latitude",
        ),
        ({"data": {"device_id": "TAG-1", "hdop": float("nan")}}, "a tag_fix must be JSON: Out of range float"),
        ({"data": {"device_id": "TAG-1", "hdop": object()}}, "a tag_fix must be JSON: object is not JSON"),
        ({"traceparent": "00-1"}, "traceparent: String should match pattern"),
        ({"topic": "orders"}, "a tag_fix does not belong here; orders takes order"),
        ({"topic": "ordres"}, "topic: those are orders, breach-reports"),
        ({"kind": "retraction"}, "a retraction needs its topic, one of orders, breach-reports, sightings, custody"),
        (
            {"kind": "breach_report", "data": {"description": SECRET * 1000}},
            "not a valid breach_report: data.nature: Field required; data.description: String should have at most",
        ),
    ],
)
def test_what_is_not_valid_is_refused_by_field_and_no_broker_is_asked(
    nobody: Sender, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidEventError) as refused:
        new(nobody, **changes)
    assert str(refused.value).startswith("nothing was sent: ")
    assert said in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (fix(NOW).model_copy(update={"source": "test/other"}), "source: this sender is for events of test/source"),
        (fix(NOW).model_copy(update={"id": ""}), "not a valid tag_fix: id: String should have at least 1 character"),
        (
            TagFix.model_construct(id="fix-1", type="tag_fix", data={"device_id": 7}),
            "not a valid tag_fix: source: Field required",
        ),
        (DeadlineDue.model_construct(id="due-1"), "no topic takes a DeadlineDue from a sender"),
        (
            order().model_copy(update={"data": order().data.model_copy(update={"missing": ["x" * 200] * 6000})}),
            "bytes; at most 1000000 are read",
        ),
    ],
    ids=["another source", "a copy of it is not valid", "never validated", "internal", "too large"],
)
def test_a_model_is_judged_as_the_pipeline_will_judge_it(nobody: Sender, event: Event, said: str) -> None:
    with pytest.raises(InvalidEventError, match=said):
        nobody.send(event)


def test_a_source_that_is_no_identity_is_refused() -> None:
    with pytest.raises(BreachwatchError, match="source: "):
        Sender("127.0.0.1:1", source="the tags of ours")


def test_no_broker_is_an_error_that_says_so_and_is_no_wait() -> None:
    with Sender(f"127.0.0.1:{free_ports(1)[0]}", source="test/source") as sender:
        with pytest.raises(KafkaUnavailableError, match="no Kafka answers"):
            new(sender)
        sender.flush()


def test_each_type_has_one_topic_or_must_be_given_one() -> None:
    found = {}
    for name, model in EVENT_TYPES.items():
        if name == "retraction":
            continue
        found[name] = topic_of(model)
        assert model in TOPIC_EVENTS[found[name]]
    assert (found["plate_read"], found["tag_fix"], found["order_ended"]) == ("anpr-reads", "sightings", "orders")
    for topic, event in STORY:
        if event["type"] != "retraction":
            assert found[event["type"]] == topic


def test_what_is_sent_of_a_model_is_that_model() -> None:
    for topic, body in STORY:
        event = EVENT_TYPES[body["type"]].model_validate_json(orjson.dumps(body))
        assert decode(topic, event.model_dump_json(exclude_none=True).encode()) == event


def test_an_id_is_the_same_for_ever() -> None:
    """Senders have ids out of it in their records: what it gives is a contract, and no test may follow a change."""
    at = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
    hashed = hashlib.sha256(b'["TAG-004711","2026-11-25T08:30:00Z"]').hexdigest()
    assert f"fix-{hashed[:32]}" == FIX
    assert stable_id("fix", "TAG-004711", at) == FIX
    assert stable_id("fix", "TAG-004711", at.astimezone(timezone(timedelta(hours=1)))) == FIX
    assert stable_id("row", 7) == stable_id("row", "7")


def test_different_keys_give_different_ids_that_show_nothing() -> None:
    at = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
    keys: list[tuple[Any, ...]] = [("a", "bc"), ("ab", "c"), ("abc",), ('a","bc',), ("a", "b", "c"), (at,), ("é",)]
    ids = {stable_id("read", *key) for key in keys}
    assert len(ids) == len(keys)
    assert stable_id("fix", "a") != stable_id("read", "a")
    assert "BD15" not in stable_id("read", "BD15 DLO", at)


@pytest.mark.parametrize(
    "made",
    [
        lambda: stable_id("a fix", "x"),
        lambda: stable_id("x" * 81, "x"),
        lambda: stable_id("fix"),
        lambda: stable_id("fix", ""),
        lambda: stable_id("fix", None),  # type: ignore[arg-type]
        lambda: stable_id("fix", True),
        lambda: stable_id("fix", 1.5),  # type: ignore[arg-type]
        lambda: stable_id("fix", datetime(2026, 11, 25)),  # noqa: DTZ001
    ],
)
def test_a_key_that_names_nothing_gives_no_id(made: Callable[[], str]) -> None:
    with pytest.raises(BreachwatchError, match="stable_id: "):
        made()


def test_of_many_that_are_not_acknowledged_the_first_are_shown_and_all_are_there() -> None:
    events = [(read(NOW, id=f"read-{number}"), "anpr-reads") for number in range(MAX_SHOWN + 5)]
    error = NotAcknowledgedError(events, ["no answer"])
    assert error.events == events
    assert str(error) == (
        f"not acknowledged: {', '.join(f'read-{number}' for number in range(MAX_SHOWN))} and 5 more (no answer). "
        "Send again: ids make repeats harmless"
    )
    assert " more" not in str(NotAcknowledgedError(events[:MAX_SHOWN], ["no answer"]))


def test_it_needs_no_faust() -> None:
    code = "import sys, streams.sender; sys.exit('faust' in sys.modules or 'aiokafka' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
