"""Behaviour 43 by real processes: their logs and metrics, and every key and header that they write."""

import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from builders import report
from harness import Pipeline, quick, running
from kafka import KafkaConsumer, TopicPartition
from searching import Search, noisy_world, secrets_of

from streams.kafka.local import free_ports
from streams.kafka.topics import TOPICS, full_name, topic_specs
from streams.settings import Settings
from streams.simulator import Noise, SimulatedWorld


def _metrics(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return bytes(answer.read())


def _all_messages(settings: Settings) -> Iterator[Any]:
    """Every message of every topic of the pipeline."""
    consumer = KafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        group_id=None,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    try:
        wanted = [
            TopicPartition(spec.name, number) for spec in topic_specs(settings) for number in range(spec.partitions)
        ]
        consumer.assign(wanted)
        ends = consumer.end_offsets(wanted)
        while any(consumer.position(tp) < end for tp, end in ends.items()):
            for batch in consumer.poll(timeout_ms=500, max_records=5000).values():
                yield from batch
    finally:
        consumer.close()


def _publish(pipeline: Pipeline, world: SimulatedWorld) -> None:
    sends = []
    for event in world.events:
        key = event.key.encode() if event.key is not None else None
        sends.append(pipeline.send(event.topic, event.encoded(), key))
    for send in sends:
        send.get(30)


def test_behaviour_43_real_worker_and_gate_leak_nothing(pipeline_settings: Settings, tmp_path: Path) -> None:
    """Their logs and metrics, every key and header of every topic, and the values of what they publish for others.

    The values of what only we read (subject events, held events, identifiers, changelogs) and of dead letters hold
    the events themselves: they are for nobody's eyes, which is the business of the broker's access lists.
    """
    of_gate, of_worker = free_ports(2)
    settings = quick(pipeline_settings, metrics_port=of_gate)
    end = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
    world = noisy_world(Noise.level("high"), end=end, hours=6, orders=30)
    search = Search(secrets_of(world))
    phone = world.truth.secrets[0].phone
    inbound = {full_name(settings, topic.name) for topic in TOPICS if topic.direction == "inbound"}
    with running(settings, tmp_path / "logs") as pipeline:
        pipeline.worker(settings=settings.model_copy(update={"metrics_port": of_worker}))
        pipeline.gate()
        pipeline.ready(workers=1, gates=1)
        _publish(pipeline, world)
        # A sender that keys by what must not be a key, and a report that names nobody known.
        pipeline.publish("breach-reports", b"{", key=phone.encode())
        lost = report(end, identifiers=[{"kind": "phone", "value": phone}]).model_dump(mode="json", exclude_none=True)
        pipeline.publish("breach-reports", lost, key=phone.encode())
        pipeline.drained(120)
        metrics = [_metrics(port) for port in (of_gate, of_worker)]
        assert b"breachwatch_gate_reads_total" in metrics[0]
        assert b"breachwatch_events_in_total" in metrics[1]
        search.none_in("metric", metrics)
        for process in pipeline.processes:
            process.stop()
        logs = [process.log.read_bytes() for process in pipeline.processes]
    assert any(b"dead_letter" in log for log in logs)
    search.none_in("log", logs)

    seen: dict[str, int] = {}
    shown = {"alerts", "audit", "arrest-tasks", "safeguarding-tasks"}
    shown_values = {full_name(settings, name) for name in (*shown, "task-answers")}
    for message in _all_messages(settings):
        if message.topic in inbound:
            continue
        seen[message.topic.removeprefix(settings.topic_prefix)] = seen.get(message.topic, 0) + 1
        search.none_in(f"key of {message.topic}", [message.key or b""])
        for name, value in message.headers:
            search.none_in(f"header {name} of {message.topic}", [value or b""])
        if message.topic in shown_values:
            search.none_in(f"value of {message.topic}", [message.value or b""])
    assert shown | {"identifiers", "dead-letters", "unresolved", "subject-events"} <= set(seen)
