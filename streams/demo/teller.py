"""Tells the story: publishes its steps, waits for the task that answers each, and measures how long it took."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from schemas.internal import DeadLetterHeaders
from schemas.tasks import Alert, ArrestTask
from streams.demo.stage import StageError
from streams.demo.story import Step, steps
from streams.kafka.topics import full_name
from streams.settings import Settings

ANSWER_TIMEOUT_S = 30.0
_WATCHED = ("arrest-tasks", "alerts", "dead-letters")


@dataclass
class Told:
    """What came of the story."""

    tasks: dict[str, ArrestTask] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    dead_letters: list[DeadLetterHeaders] = field(default_factory=list)
    events_in: int = 0
    latencies_ms: list[float] = field(default_factory=list)


class Teller:
    """Publishes and watches; `show` is given each step's sentence, then what came out with its latency in ms."""

    def __init__(self, settings: Settings, show: Callable[[str, object, float | None], None]) -> None:
        assert settings.bootstrap_servers is not None
        servers = settings.bootstrap_servers.split(",")
        self._settings = settings
        self._show = show
        self.told = Told()
        self._producer = KafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=0)
        self._consumer = KafkaConsumer(
            bootstrap_servers=servers,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # What the demonstration measures is the pipeline, not how long its own fetch is held.
            fetch_max_wait_ms=5,
        )
        watched = [full_name(settings, name) for name in _WATCHED]
        self._names = dict(zip(watched, _WATCHED, strict=True))
        self._consumer.assign(
            [TopicPartition(topic, number) for topic in watched for number in self._partitions(topic)]
        )
        self._consumer.seek_to_beginning()

    def _partitions(self, topic: str) -> set[int]:
        return self._consumer.partitions_for_topic(topic) or set()

    def close(self) -> None:
        self._producer.close(timeout=5)
        self._consumer.close()

    def tell(self) -> Told:
        """Every step in turn. Raises StageError when a step is not answered in time."""
        for step in steps():
            self._show("step", step.says, None)
            acknowledged_at = self._publish(step)
            if step.awaits is not None:
                self._await(partial(self._answered, step.awaits), step, acknowledged_at)
            elif "dead letter" in step.says:
                self._await(lambda: bool(self.told.dead_letters), step, None)
        return self.told

    def _publish(self, step: Step) -> float:
        task_id = next(iter(self.told.tasks), "")
        futures = [
            self._producer.send(full_name(self._settings, topic), value.replace(b'"TASK"', f'"{task_id}"'.encode()))
            for topic, value in step.messages
        ]
        self._producer.flush()
        for future in futures:
            future.get(timeout=10)
        self.told.events_in += len(futures)
        return time.time()

    def _answered(self, event_id: str | None) -> bool:
        return any(
            (task.last_seen is not None and task.last_seen.event_id == event_id)
            or any(entry.event_id == event_id for entry in task.history)
            for task in self.told.tasks.values()
        )

    def _await(self, condition: Callable[[], bool], step: Step, since: float | None) -> None:
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while not condition():
            self._poll(since)
            if time.monotonic() > deadline:
                raise StageError(f"nothing answered within {ANSWER_TIMEOUT_S:g} s: {step.says}")
        if since is not None:
            self.told.latencies_ms.append((time.time() - since) * 1000)

    def _poll(self, since: float | None = None) -> None:
        for messages in self._consumer.poll(timeout_ms=20).values():
            for message in messages:
                took_ms = None if since is None else (time.time() - since) * 1000
                self._take(message, took_ms)

    def _take(self, message: Any, took_ms: float | None) -> None:
        name = self._names[message.topic]
        if name == "arrest-tasks":
            task = ArrestTask.model_validate_json(message.value)
            self.told.tasks[task.task_id] = task
            self._show("task", task, took_ms)
        elif name == "alerts":
            alert = Alert.model_validate_json(message.value)
            if alert.alert_id not in self.told.alerts:
                self.told.alerts[alert.alert_id] = alert
                self._show("alert", alert, None)
        else:
            letter = DeadLetterHeaders.from_kafka(message.headers)
            self.told.dead_letters.append(letter)
            self._show("dead_letter", letter, None)

    def watch(self) -> None:
        """Go on showing what comes, until interrupted."""
        while True:
            self._poll()
