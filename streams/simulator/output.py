"""Where a simulated world goes: files, or a cluster."""

import base64
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import orjson

from schemas.base import format_time
from schemas.inbound import TOPIC_EVENTS
from streams.errors import BreachwatchError
from streams.settings import Settings
from streams.simulator.world import SimulatedEvent, SimulatedWorld

_FLUSH_TIMEOUT_S = 60.0
# A topic that does not exist shows as a send that waits for it this long.
_TOPIC_TIMEOUT_MS = 10_000
_HINT = "do the topics exist? `breachwatch topics check` tells"


class PublishError(BreachwatchError):
    """Simulated messages could not be sent, or must not be."""


def line(event: SimulatedEvent, **more: object) -> str:
    """One line of ``all.jsonl``: a value that is no event is there as base64, or null."""
    body: dict[str, object] = {"topic": event.topic, "key": event.key}
    encoded = event.encoded()
    if event.value is None or isinstance(event.value, bytes):
        body["value_b64"] = None if encoded is None else base64.b64encode(encoded).decode()
    else:
        assert encoded is not None
        body["value"] = orjson.Fragment(encoded)
    return orjson.dumps(body | more).decode()


def write(world: SimulatedWorld, folder: Path) -> list[Path]:
    """Write ``<topic>.jsonl`` (events only), ``all.jsonl``, ``bad-messages.jsonl`` and ``truth.json``.

    What an earlier world left in the folder under these names goes. Returns the files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*TOPIC_EVENTS, "all", "bad-messages"):
        (folder / f"{name}.jsonl").unlink(missing_ok=True)
    written: dict[str, Path] = {}
    with ExitStack() as stack:
        files: dict[str, TextIO] = {}

        def put(name: str, text: str) -> None:
            if name not in files:
                written[name] = folder / f"{name}.jsonl"
                files[name] = stack.enter_context(written[name].open("w", encoding="utf-8"))
            files[name].write(text + "\n")

        for at, event in zip(world.sent_at, world.events, strict=True):
            put("all", line(event, sent_at=format_time(at)))
            encoded = event.encoded()
            if encoded is not None and not isinstance(event.value, bytes):
                put(event.topic, encoded.decode())
        for event, reason in world.bad:
            put("bad-messages", line(event, reason=reason))
    truth = folder / "truth.json"
    truth.write_text(world.truth.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return [*written.values(), truth]


def publish(
    world: SimulatedWorld,
    settings: Settings,
    settle_s: float = 0.0,
    progress: Callable[[int], None] = lambda _sent: None,
) -> int:
    """Send every message in its order, each acknowledged by all replicas; returns how many.

    Between those sent before the world began, which are its orders, and the rest, wait `settle_s` seconds.
    Raises PublishError or KafkaUnavailableError.
    """
    from kafka import KafkaProducer
    from kafka.errors import KafkaError

    from streams.kafka.admin import cluster_of
    from streams.kafka.client import connect
    from streams.kafka.topics import full_name

    if settings.environment == "production" and not world.config.exercise:
        raise PublishError("invented events go to production as an exercise only: add --exercise")
    cluster = cluster_of(settings)
    with connect(cluster):
        pass  # a producer would wait a minute to say that nobody answers
    failed: list[BaseException] = []
    producer = KafkaProducer(**cluster.options(), acks="all", linger_ms=20, max_block_ms=_TOPIC_TIMEOUT_MS)
    try:
        waited = False
        for count, (at, event) in enumerate(zip(world.sent_at, world.events, strict=True), start=1):
            if not waited and at >= world.config.start:
                producer.flush(timeout=_FLUSH_TIMEOUT_S)
                time.sleep(settle_s)
                waited = True
            key = None if event.key is None else event.key.encode()
            sent = producer.send(full_name(settings, event.topic), key=key, value=event.encoded())
            sent.add_errback(failed.append)
            _raise_first(failed)
            if count % 1000 == 0:
                progress(count)
        producer.flush(timeout=_FLUSH_TIMEOUT_S)
    except KafkaError as error:
        raise PublishError(f"Kafka at {cluster} takes no messages: {type(error).__name__}; {_HINT}") from error
    finally:
        producer.close(timeout=5)
    _raise_first(failed)
    progress(len(world.events))
    return len(world.events)


def _raise_first(failed: Iterable[BaseException]) -> None:
    for error in failed:
        raise PublishError(f"a message was not acknowledged: {type(error).__name__}; {_HINT}") from error
