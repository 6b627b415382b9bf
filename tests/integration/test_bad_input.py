"""Bad input: kept whole, told in words that a person can act on, and never in the way of the next message."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import confluent_kafka
import orjson
import pytest
from harness import (
    Event,
    Fact,
    Pipeline,
    ago,
    custody,
    event,
    order,
    place,
    plate_read,
    report,
    tag_fix,
)

from streams.chaos.outcome import DeadLetter
from streams.kafka.topics import full_name

NAME = "Zebedee Plantedname"
"""Somebody's name in each payload and key: it may be in the dead letter's value, and nowhere else."""
KEY = NAME.encode()
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def pipeline(module_pipeline: Pipeline) -> Iterator[Pipeline]:
    module_pipeline.worker()
    module_pipeline.gate()
    module_pipeline.publish("orders", order("S-known", tag="TAG-known", plate="KN11OWN"))
    module_pipeline.until(lambda: len(module_pipeline.outputs.records["identifiers"]) >= 4, "the order is known")
    yield module_pipeline
    for process in module_pipeline.processes:
        assert NAME not in process.log.read_text()
        process.stop()


# -- one bad message after another -------------------------------------------------------------------------


class Bad(NamedTuple):
    topic: str
    value: bytes
    reason: str
    says: tuple[str, ...]
    """Words that its detail must have."""


def named(body: Event, **data: Any) -> bytes:
    """The event with the planted name in it, and other data."""
    described = {"description": NAME} if body["type"] == "breach_report" else {}
    return orjson.dumps(body | {"data": body["data"] | described | data})


def with_time(value: object) -> bytes:
    return named(report("O-S-known") | {"time": value})


def at(latitude: object, longitude: object) -> bytes:
    return named(tag_fix("TAG-known"), position={"latitude": latitude, "longitude": longitude})


def raw_fix(number: str) -> bytes:
    """A fix with a number as no JSON encoder writes it."""
    return named(tag_fix("TAG-known"), hdop=123456).replace(b"123456", number.encode())


def with_ring(*ring: tuple[float, float]) -> bytes:
    """An order on a zone with this ring, longitude first."""
    made = order(f"S-ring-{next(_numbers)}")
    made["data"]["terms"][0]["area"] = {"type": "Polygon", "coordinates": [ring]}
    made["data"]["respondent"]["name"] = NAME
    return orjson.dumps(made)


def without(body: Event, name: str) -> bytes:
    return named(body | {"data": {key: value for key, value in body["data"].items() if key != name}})


OFFSET = "RFC 3339 text with seconds and an offset, like"
LARGE = orjson.dumps(report("O-S-known") | {"data": {"description": NAME + "x" * 1_000_000}})

CASES = {
    "not JSON": Bad("orders", b'{"name": "' + KEY, "not_json", ("not JSON at line 1 column",)),
    "not JSON but XML": Bad("custody-events", b"<name>" + KEY + b"</name>", "not_json", ("not JSON", "column 1")),
    "deep nesting": Bad("sightings", b"[" * 100_000, "not_json", ("not JSON",)),
    "invalid UTF-8": Bad(
        "sightings", KEY + b"\xff\xfe", "not_utf8", (f"byte {len(KEY)}", "encode the JSON as UTF-8")
    ),
    "UTF-16": Bad("orders", order("S-16")["id"].encode("utf-16"), "not_utf8", ("byte 0", "UTF-8")),
    "a field missing": Bad(
        "breach-reports", without(report("O"), "nature"), "invalid_field", ("data.nature", "required")
    ),
    "a field too many": Bad(
        "sightings",
        named(tag_fix("T"), **{NAME: 1}),
        "invalid_field",
        ("data.<a field that the schema does not have>",),
    ),
    "another type of value": Bad(
        "sightings", named(tag_fix("T"), hdop=NAME), "invalid_field", ("data.hdop", "number")
    ),
    "a value not in the list": Bad(
        "breach-reports", named(report("O"), nature=NAME), "invalid_field", ("data.nature",)
    ),
    "nobody meant": Bad(
        "breach-reports", named(report()), "invalid_field", ("say who is meant: order_id, subject_id",)
    ),
    "unknown version": Bad(
        "sightings", named(tag_fix("T") | {"schemaversion": 2}), "unknown_version", ("schemaversion", "(1)")
    ),
    "a time without offset": Bad(
        "breach-reports", with_time("2026-11-25T08:30:00"), "invalid_field", ("time:", OFFSET)
    ),
    "a date alone": Bad("breach-reports", with_time("2026-11-25"), "invalid_field", ("time:", OFFSET)),
    "an epoch number": Bad("breach-reports", with_time(1_764_059_400), "invalid_field", ("time:", OFFSET)),
    "no such day": Bad("breach-reports", with_time("2026-02-30T08:30:00Z"), "invalid_field", ("time:", "day value")),
    "year 1, east of Greenwich": Bad(
        "breach-reports",
        with_time("0001-01-01T00:00:00+14:00"),
        "invalid_field",
        ("between the years 1900 and 9000",),
    ),
    "the end of time, west of it": Bad(
        "breach-reports",
        with_time("9999-12-31T23:59:59-14:00"),
        "invalid_field",
        ("between the years 1900 and 9000",),
    ),
    "NaN": Bad("sightings", raw_fix("NaN"), "not_json", ("RFC 8259 has no NaN or Infinity",)),
    "infinity": Bad("sightings", raw_fix("Infinity"), "not_json", ("RFC 8259 has no NaN or Infinity",)),
    "minus infinity": Bad("sightings", raw_fix("-Infinity"), "not_json", ("RFC 8259 has no NaN or Infinity",)),
    "infinity by overflow": Bad("sightings", raw_fix("1e999"), "not_json", ("not JSON",)),
    "NaN as text": Bad("sightings", at("NaN", 1.0), "invalid_field", ("data.position.latitude", "number")),
    "longitude out of range": Bad("sightings", at(51.5, 200.5), "invalid_field", ("data.position.longitude", "180")),
    "latitude out of range": Bad("sightings", at(-90.5, 1.0), "invalid_field", ("data.position.latitude", "-90")),
    "an open ring": Bad(
        "orders", with_ring((0, 51), (1, 51), (1, 52), (0, 52)), "invalid_field", ("area", "same start and end")
    ),
    "a ring of two points": Bad(
        "orders", with_ring((0, 51), (1, 51), (0, 51)), "invalid_field", ("area", "at least 4")
    ),
    "a self-crossing ring": Bad(
        "orders",
        with_ring((0, 51), (1, 52), (1, 51), (0, 52), (0, 51)),
        "invalid_field",
        ("area", "crosses or touches itself"),
    ),
    "a ring over the antimeridian": Bad(
        "orders",
        with_ring((179, 51), (-179, 51), (-179, 52), (179, 52), (179, 51)),
        "invalid_field",
        ("area", "crosses the antimeridian: split it there"),
    ),
    "a ring off the globe": Bad(
        "orders",
        with_ring((190, 51), (191, 51), (191, 52), (190, 51)),
        "invalid_field",
        ("area", "longitude of the ring"),
    ),
    "an empty body": Bad("orders", b"", "empty", ("empty", "one JSON object per message")),
    "blanks": Bad("custody-events", b" \n\t ", "empty", ("empty", "one JSON object per message")),
    "the text null": Bad("orders", b"null", "not_an_object", ("a JSON null", "one JSON object per message")),
    "a list": Bad("task-updates", orjson.dumps([NAME]), "not_an_object", ("a JSON array",)),
    "a text": Bad("task-updates", orjson.dumps(NAME), "not_an_object", ("a JSON string",)),
    "1 MB": Bad("breach-reports", LARGE, "too_large", (f"{len(LARGE)} bytes; at most 1000000",)),
    "unknown source type": Bad(
        "sightings", named(tag_fix("T") | {"type": NAME}), "unknown_type", ("sightings takes plate_read, tag_fix",)
    ),
    "another topic's": Bad(
        "orders", named(report("O")), "wrong_topic", ("a breach_report does not belong here", "orders takes")
    ),
    "a read that matches and is not valid": Bad(
        "anpr-reads",
        named(plate_read("KN11OWN") | {"time": "2026-11-25"}),
        "invalid_field",
        ("plate_read: time", OFFSET),
    ),
    "a read that is none": Bad("anpr-reads", b"\x00\x01" + KEY, "not_json", ("not JSON",)),
}


@pytest.mark.parametrize("bad", CASES.values(), ids=CASES.keys())
def test_bad_input_is_kept_and_told_and_passed(pipeline: Pipeline, bad: Bad) -> None:
    [sent] = pipeline.publish(bad.topic, bad.value, key=KEY, partition=0)
    nexts = next_message(bad.topic)
    pipeline.publish(bad.topic, nexts, partition=0)
    letter = letter_of(pipeline, bad.topic, sent)
    assert letter.value == bad.value
    assert letter.headers.reason == bad.reason
    for words in bad.says:
        assert words in letter.headers.detail
    assert NAME not in letter.headers.model_dump_json()
    assert letter.key != KEY
    went_on(pipeline, nexts)
    assert not [alert for alert in pipeline.outputs.alerts() if NAME in alert.text]


def next_message(topic: str) -> Event:
    """A good message for the topic, on its way to a subject's row."""
    match topic:
        case "orders":
            return order(f"S-next-{next(_numbers)}")
        case "breach-reports":
            return report("O-S-known", ago(60))
        case "sightings":
            return tag_fix("TAG-known", ago(60))
        case "anpr-reads":
            return plate_read("KN11OWN", ago(60))
        case "custody-events":
            return custody("S-known", "released", ago(7200))
    data: dict[str, Any] = {
        "task_id": "none",
        "subject_id": "S-known",
        "action": "acknowledge",
        "actor": "c",
        "role": "controller",
    }
    return event("task_update", **data)


def letter_of(pipeline: Pipeline, topic: str, sent: Any) -> DeadLetter:
    """The dead letter of the message that lies there."""

    def found() -> DeadLetter | None:
        where = (topic, sent.partition, sent.offset)
        letters = pipeline.outputs.dead_letters()
        return next((x for x in letters if (x.headers.topic, x.headers.partition, x.headers.offset) == where), None)

    letter = pipeline.until(found, f"a dead letter of {topic}/{sent.partition}/{sent.offset}")
    assert letter is not None
    assert letter.headers.appended_at.timestamp() == pytest.approx(sent.timestamp / 1000)
    return letter


def went_on(pipeline: Pipeline, body: Event) -> None:
    """Return when the event is on its way to its subject's row."""
    event_id = f'"event":{{"id":"{body["id"]}",'.encode()
    pipeline.until(
        lambda: any(event_id in record.value for record in pipeline.outputs.records["subject-events"]),
        f"{body['type']} {body['id']} goes on",
    )


# -- what a person must hear of at once --------------------------------------------------------------------


@pytest.mark.parametrize("topic", ["orders", "breach-reports", "sightings", "custody-events", "anpr-reads"])
def test_a_null_value_changes_nothing_and_is_told(pipeline: Pipeline, topic: str) -> None:
    """As a tombstone under the order's own key: it ends no protection."""
    subject = f"S-null-{topic}"
    pipeline.publish("orders", order(subject))
    first, second = ago(120), ago(60)
    pipeline.publish("breach-reports", report(f"O-{subject}", first))
    before = {Fact(subject, f"O-{subject}", "T2", "reported", first, first)}
    pipeline.until_facts(before, subject)

    [sent] = pipeline.publish(topic, None, key=f"O-{subject}".encode())
    letter = letter_of(pipeline, topic, sent)
    assert (letter.headers.reason, letter.value) == ("null_value", b"")
    assert "publish an order_ended event" in letter.headers.detail
    where = f"{topic}/{sent.partition}/{sent.offset}"
    kind, severity = (
        ("unreadable_breach_report", "critical") if topic == "breach-reports" else ("null_value", "medium")
    )
    alert = pipeline.until(lambda: alert_of(pipeline, kind, where), "the alert")
    assert alert.severity == severity
    assert "a null value changes nothing" in alert.text

    pipeline.publish("breach-reports", report(f"O-{subject}", second))
    pipeline.until_facts(before | {Fact(subject, f"O-{subject}", "T2", "reported", second, second)}, subject)


def test_a_breach_report_that_cannot_be_read_is_a_critical_alert(pipeline: Pipeline) -> None:
    """It may be somebody who waits for help."""
    [sent] = pipeline.publish("breach-reports", b'{"type": "breach_report", "description": "' + KEY, key=KEY)
    where = f"breach-reports/{sent.partition}/{sent.offset}"
    alert = pipeline.until(lambda: alert_of(pipeline, "unreadable_breach_report", where), "the alert", within_s=10)
    assert alert.severity == "critical"
    assert "not JSON" in alert.text
    assert "breachwatch dead-letters" in alert.text
    assert NAME not in alert.text


def test_a_report_that_names_nobody_known_is_told_held_and_goes_on_with_its_order(pipeline: Pipeline) -> None:
    at_, subject = ago(30), "S-later"
    [sent] = pipeline.publish("breach-reports", named(report(f"O-{subject}", at_)))
    where = f"breach-reports/{sent.partition}/{sent.offset}"
    alert = pipeline.until(lambda: alert_of(pipeline, "unknown_subject", where), "the alert", within_s=10)
    assert alert.severity == "high"
    assert "names nobody whom an order is known for" in alert.text
    assert "goes on when its order or identifier arrives" in alert.text
    assert NAME not in alert.text
    assert pipeline.outputs.records["unresolved"]
    assert not pipeline.outputs.facts(subject)

    pipeline.publish("orders", order(subject))
    pipeline.until_facts({Fact(subject, f"O-{subject}", "T2", "reported", at_, at_)}, subject)
    pipeline.until(
        lambda: any(r.value is None for r in pipeline.outputs.records["unresolved"]), "the held report is let go"
    )


def alert_of(pipeline: Pipeline, kind: str, where: str) -> Any:
    return next((a for a in pipeline.outputs.alerts() if a.kind == kind and f"message {where}" in a.text), None)


# -- unusual, and not bad ----------------------------------------------------------------------------------


def test_an_order_of_nearly_a_megabyte_is_acted_on(pipeline: Pipeline) -> None:
    subject, at_ = "S-large", ago(30)
    made = order(subject)
    text = {"kind": "other", "protects": [f"P-{subject}"], "text": "x" * 19_000}
    made["data"]["terms"] += [{"term_id": f"long-{number}", **text} for number in range(51)]
    assert 950_000 < len(orjson.dumps(made)) < 1_000_000
    pipeline.publish("orders", made)
    pipeline.publish("breach-reports", report(f"O-{subject}", at_))
    pipeline.until_facts({Fact(subject, f"O-{subject}", "T2", "reported", at_, at_)}, subject)


@pytest.mark.parametrize(
    "headers",
    [
        [("traceparent", b"\xff\xfe")],
        [("traceparent", b"")],
        [("traceparent", None)],
        [("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), ("traceparent", b"again")],
        [("", b""), ("x" * 1000, b"\x00" * 1000)],
    ],
    ids=["not text", "empty", "null", "twice", "foreign"],
)
@pytest.mark.parametrize("topic", ["breach-reports", "anpr-reads"])
def test_odd_headers_are_no_hindrance(
    pipeline: Pipeline, topic: str, headers: list[tuple[str, bytes | None]]
) -> None:
    message = next_message(topic)
    # kafka-python refuses to send a header without value; librdkafka, like Kafka, does not.
    sender = confluent_kafka.Producer({"bootstrap.servers": pipeline.settings.bootstrap_servers})
    sender.produce(full_name(pipeline.settings, topic), orjson.dumps(message), headers=headers)
    assert sender.flush(30) == 0
    went_on(pipeline, message)


def test_a_position_without_accuracy_and_a_fix_without_position_are_no_dead_letters(pipeline: Pipeline) -> None:
    fix = tag_fix("TAG-known", ago(60))
    del fix["data"]["position"]
    bare = tag_fix("TAG-known", ago(50))
    bare["data"]["position"] = {key: value for key, value in place((51.6, -0.1)).items() if key != "accuracy_m"}
    before = len(pipeline.outputs.dead_letters())
    pipeline.publish("sightings", fix, bare)
    went_on(pipeline, fix)
    went_on(pipeline, bare)
    assert len(pipeline.outputs.dead_letters()) == before
