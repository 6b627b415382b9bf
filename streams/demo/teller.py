"""Tells the story: publishes its steps, waits for what answers each, and measures how long it took."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from schemas.internal import DeadLetterHeaders
from schemas.orders import IdentifierRecord
from schemas.tasks import Alert, ArrestTask
from streams.core.waiting_letters import read_mark
from streams.demo.stage import Stage, StageError
from streams.demo.story import Step, steps
from streams.kafka.admin import cluster_of
from streams.kafka.topics import BY_NAME, full_name, topic_specs

ANSWER_TIMEOUT_S = 30.0
_WATCHED = ("identifiers", "arrest-tasks", "alerts", "dead-letters")


@dataclass
class Told:
    """What came of the story; `latencies_ms` has one value for each event that made or changed a task."""

    tasks: dict[str, ArrestTask] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    dead_letters: list[DeadLetterHeaders] = field(default_factory=list)
    orders: set[str] = field(default_factory=set)
    events_in: int = 0
    latencies_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Shown:
    """One thing to show: a Step that begins, or a task, alert or dead letter that came.

    `before` is the task as it was, `took_ms` the time since the broker acknowledged what the step published.
    """

    thing: Step | ArrestTask | Alert | DeadLetterHeaders
    before: ArrestTask | None = None
    took_ms: float | None = None


class Teller:
    """Publishes and watches a stage; `show` is given each step, and what came of it, as it happens."""

    def __init__(self, stage: Stage, show: Callable[[Shown], None]) -> None:
        settings = stage.settings
        cluster = cluster_of(settings)
        self._stage = stage
        self._show = show
        self.told = Told()
        self._full = {name: full_name(settings, name) for name in BY_NAME}
        watched = {self._full[name]: name for name in _WATCHED}
        self._names = watched
        self._producer = KafkaProducer(**cluster.options(), acks="all", linger_ms=0)
        self._consumer = KafkaConsumer(
            **cluster.options(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # What the demonstration measures is the pipeline, not how long its own fetch is held.
            fetch_max_wait_ms=5,
        )
        self._consumer.assign(
            [
                TopicPartition(spec.name, number)
                for spec in topic_specs(settings)
                if spec.name in watched
                for number in range(spec.partitions)
            ]
        )
        self._consumer.seek_to_beginning()

    def close(self) -> None:
        """Leave the cluster; says nothing and never fails."""
        self._producer.close(timeout=2)
        self._consumer.close()

    def tell(self, pause_s: float = 0.0) -> Told:
        """Every step in turn, with `pause_s` for people to read. Raises StageError when nothing answers a step."""
        for step in steps():
            self._show(Shown(step))
            since = self._publish(step)
            self._await(step, since)
            self._watch_for(pause_s)
        return self.told

    def watch(self) -> None:
        """Go on showing what comes, until interrupted or a process ends."""
        while True:
            self._watch_for(1.0)

    def _watch_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._poll(None)
        self._stage.check()

    def _publish(self, step: Step) -> float:
        """Send all of the step; returns when, by our clock, the broker had acknowledged the last of it."""
        task_id = next(iter(self.told.tasks), "")
        futures = [
            self._producer.send(self._full[topic], value.replace(b'"TASK"', f'"{task_id}"'.encode()))
            for topic, value in step.messages
        ]
        self._producer.flush(timeout=ANSWER_TIMEOUT_S)
        for future in futures:
            future.get(timeout=ANSWER_TIMEOUT_S)
        self.told.events_in += len(futures)
        return time.monotonic()

    def _answered(self, step: Step) -> bool:
        told = self.told
        if step.answer == "order":
            return step.names in told.orders
        if step.answer == "dead letter":
            return bool(told.dead_letters) and any(a.kind == "unreadable_breach_report" for a in told.alerts.values())
        return any(
            (task.last_seen is not None and task.last_seen.event_id == step.names)
            or any(entry.event_id == step.names for entry in task.history)
            for task in told.tasks.values()
        )

    def _await(self, step: Step, since: float) -> None:
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while not self._answered(step):
            self._poll(since)
            self._stage.check()
            if time.monotonic() > deadline:
                raise StageError(f"no {step.answer} came within {ANSWER_TIMEOUT_S:g} s of: {step.says}")
        if step.answer == "task":
            self.told.latencies_ms.append((time.monotonic() - since) * 1000)

    def _poll(self, since: float | None) -> None:
        for messages in self._consumer.poll(timeout_ms=20).values():
            for message in messages:
                self._take(message, None if since is None else (time.monotonic() - since) * 1000)

    def _take(self, message: Any, took_ms: float | None) -> None:
        name = self._names[message.topic]
        if message.value is None:
            return
        if name == "identifiers":
            self.told.orders.add(IdentifierRecord.model_validate_json(message.value).order_id)
        elif name == "arrest-tasks":
            task = ArrestTask.read(message.value)
            before = self.told.tasks.get(task.task_id)
            self.told.tasks[task.task_id] = task
            self._show(Shown(task, before, took_ms))
        elif name == "alerts":
            alert = Alert.read(message.value)
            if alert.alert_id not in self.told.alerts:
                self.told.alerts[alert.alert_id] = alert
                self._show(Shown(alert))
        elif read_mark(message.headers) is None:
            letter = DeadLetterHeaders.from_kafka(message.headers)
            self.told.dead_letters.append(letter)
            self._show(Shown(letter))
