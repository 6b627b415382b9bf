"""Senders that are not ours: whatever hashes their keys, and whatever they key by, their events join.

Java clients hash keys with murmur2, librdkafka by default with CRC32, and some systems key by a row number.
"""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import confluent_kafka
import orjson
import pytest
from harness import Event, Fact, Pipeline, ago, order, plate_read, producer, report, tag_fix

from streams.kafka import jars
from streams.kafka.cluster import Cluster
from streams.kafka.local import _java
from streams.kafka.reading import read_all
from streams.kafka.topics import full_name
from streams.settings import Settings

Message = tuple[str, bytes | None, bytes]
"""Topic in full, key, value."""

KEYS: Mapping[str, Callable[[str, int], bytes | None]] = {
    "none": lambda _subject, _number: None,
    "row": lambda _subject, number: str(7_000_000 + 37 * number).encode(),
    "subject": lambda subject, _number: subject.encode(),
}


@pytest.fixture(scope="module")
def pipeline(module_pipeline: Pipeline) -> Iterator[Pipeline]:
    module_pipeline.worker("one")
    module_pipeline.worker("two")
    module_pipeline.gate()
    module_pipeline.ready(workers=2, gates=1)
    yield module_pipeline
    for process in module_pipeline.processes:
        process.stop()


def by_kafka_python(settings: Settings, messages: list[Message]) -> None:
    sender = producer(settings.bootstrap_servers or "")
    for topic, key, value in messages:
        sender.send(topic, key=key, value=value)
    sender.flush()
    sender.close()


def by_librdkafka(settings: Settings, messages: list[Message], **more: Any) -> None:
    failed: list[Any] = []

    def told(error: Any, _message: Any) -> None:
        if error is not None:
            failed.append(error)

    sender = confluent_kafka.Producer({"bootstrap.servers": settings.bootstrap_servers, "acks": "all", **more})
    for topic, key, value in messages:
        sender.produce(topic, key=key, value=value, on_delivery=told)
    assert sender.flush(30) == 0
    assert not failed


def by_kafkas_console_producer(settings: Settings, messages: list[Message]) -> None:
    """One run for each topic, since it takes one; all at the same time, since each starts a Java machine."""
    classpath = ":".join(map(str, jars.classpath()))
    runs = []
    for topic in sorted({topic for topic, _, _ in messages}):
        lines = [(key or b"NULL") + b"\t" + value for to, key, value in messages if to == topic]
        run = subprocess.Popen(
            [
                *(_java(settings.java), "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", classpath),
                "org.apache.kafka.tools.ConsoleProducer",
                *("--bootstrap-server", settings.bootstrap_servers or "", "--topic", topic),
                *("--property", "parse.key=true", "--property", "null.marker=NULL"),
                *("--producer-property", "acks=all"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        runs.append((run, b"\n".join(lines) + b"\n"))
    for run, text in runs:
        said, _ = run.communicate(text, timeout=60)
        assert run.returncode == 0, said.decode()


@pytest.mark.parametrize(
    "send",
    [by_kafka_python, by_librdkafka, by_kafkas_console_producer],
    ids=["kafka-python", "librdkafka", "Kafka's console producer"],
)
def test_events_of_this_sender_join(pipeline: Pipeline, send: Callable[[Settings, list[Message]], None]) -> None:
    messages: list[Message] = []
    expected: set[Fact] = set()
    letter = "P" if send is by_kafka_python else "L" if send is by_librdkafka else "J"
    for row, (kind, key_of) in enumerate(KEYS.items()):
        # Two of each, so that both of a sender's events for one subject rarely fall on one partition by luck.
        for number in range(2):
            subject = f"{letter}-{kind}-{number}"
            tag, plate = f"TAG-{subject}", f"{letter}{letter}{row}{number}GHJ"
            at, made = ago(60), order(subject, plate=plate, tag=tag)
            events: list[tuple[str, Event]] = [
                ("orders", made),
                ("sightings", tag_fix(tag, at)),
                ("anpr-reads", plate_read(plate, at)),
                ("breach-reports", report(f"O-{subject}", at)),
            ]
            for offset, (topic, event) in enumerate(events):
                key = key_of(subject, 10 * number + offset)
                messages.append((full_name(pipeline.settings, topic), key, orjson.dumps(event)))
            expected |= {
                Fact(subject, f"O-{subject}", "T1", "confirmed", at, None),
                Fact(subject, f"O-{subject}", "T1", "vehicle", at, None),
                Fact(subject, f"O-{subject}", "T2", "reported", at, at),
            }
    send(pipeline.settings, messages)
    subjects = {fact.subject for fact in expected}
    pipeline.until_facts(expected, *subjects)
    tasks = [task for subject in subjects for task in pipeline.outputs.tasks_of(subject)]
    assert len(tasks) == len(subjects), "one task a subject"


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_events_of_a_sender_that_compresses_join(pipeline: Pipeline, codec: str) -> None:
    """A codec that a reader of ours did not have would stop it at the first such batch, and each time it starts."""
    subject, number = f"C-{codec}", ["gzip", "snappy", "lz4", "zstd"].index(codec)
    tag, plate, at = f"TAG-{codec}", f"CC0{number}GHJ", ago(60)
    by_librdkafka(
        pipeline.settings,
        [
            (full_name(pipeline.settings, topic), None, orjson.dumps(event))
            for topic, event in (
                ("orders", order(subject, plate=plate, tag=tag)),
                ("sightings", tag_fix(tag, at)),
                ("anpr-reads", plate_read(plate, at)),
            )
        ],
        **{"compression.type": codec},
    )
    expected = {
        Fact(subject, f"O-{subject}", "T1", "confirmed", at, None),
        Fact(subject, f"O-{subject}", "T1", "vehicle", at, None),
    }
    pipeline.until_facts(expected, subject)
    cluster = Cluster(pipeline.settings.bootstrap_servers or "")
    shown = [message.value for message in read_all(cluster, full_name(pipeline.settings, "orders"))]
    assert any(f"O-{subject}".encode() in value for value in shown), "for those who tail it too"
