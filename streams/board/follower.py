"""Keeps the read model equal to the topics: all of the tasks, the newest alerts, and answers to updates.

A consumer without a group reads from the beginning, is ready once it has read what was there at the start, and then
follows. Every two seconds it looks where the topics end: once it has read up to there, the data is known to be of
that moment at least.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.updates import TaskAnswer
from streams import metrics
from streams.board.model import Model
from streams.board.positions import FOLLOWED
from streams.board.stream import Hub
from streams.kafka.admin import cluster_of
from streams.kafka.topics import full_name
from streams.settings import Settings

log = structlog.get_logger()

ANSWERS = "task-answers"
ANSWERS_KEPT_S = 3600.0
_LOOK_EVERY_S = 2.0
_FORGET_EVERY_S = 60.0
# A page says after ten seconds that it is stale; a board that does not catch up by itself is then left to others.
_BLIND_AFTER_S = 30.0
# A fetch leaves out partitions whose last batch is still being worked on, and an event there waits for as long as the
# broker holds the fetch (`streams.transport`).
_FETCH_WAIT_MS = 10
_BATCH = 500


class Follower:
    """Takes what the topics hold into `model`, and tells `hub` and `answered` of it."""

    def __init__(self, settings: Settings, model: Model, hub: Hub, answered: Callable[[TaskAnswer], None]) -> None:
        self._settings, self._model, self._hub, self._answered = settings, model, hub, answered
        self._cluster = cluster_of(settings)
        self._names = {full_name(settings, name): name for name in (*FOLLOWED, ANSWERS)}
        self._fresh_at: float | None = None
        self.task: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer | None = None
        # A connection answers in order: a look at the log's end would wait behind a fetch.
        self._ends: AIOKafkaConsumer | None = None
        self._applied: dict[TopicPartition, int] = {}
        self._progress = asyncio.Event()
        self.caught_up = asyncio.Event()
        self.applied = asyncio.Condition()
        """Notified after each batch that was taken in."""

    def age_s(self) -> float | None:
        """How old what is shown may be: seconds since all that the topics held was taken in; None: not yet."""
        return None if self._fresh_at is None else time.monotonic() - self._fresh_at

    def ready(self) -> str | None:
        """Why the board cannot be shown yet; None: it can."""
        if self.task is not None and self.task.done():
            return "it does not read its topics any more"
        return None if self.caught_up.is_set() else "it is reading the tasks that there are"

    def current(self) -> str | None:
        """Why another board is better asked; None: this one is as good. What it has it goes on to show."""
        age = self.age_s()
        old = age is not None and age > _BLIND_AFTER_S
        return self.ready() or (f"what it has is {age:.0f} s old" if old else None)

    def alive(self) -> str | None:
        return "it does not read its topics any more" if self.task is not None and self.task.done() else None

    def start(self) -> None:
        self.task = asyncio.create_task(self._run(), name="board-follower")

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self.task
        for consumer in (self._consumer, self._ends):
            if consumer is not None:
                await consumer.stop()

    async def _run(self) -> None:
        self._consumer = AIOKafkaConsumer(
            **self._cluster.options(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
        )
        await self._consumer.start()
        self._ends = AIOKafkaConsumer(**self._cluster.options(), enable_auto_commit=False)
        await self._ends.start()
        await self._place()
        self._forget()
        await asyncio.gather(self._read(), self._look(), self._keep_forgetting())

    async def _place(self) -> None:
        """Tasks from the beginning, alerts and answers from as long ago as they are kept."""
        assert self._consumer is not None
        for name in self._names:
            # The first answer may come before the metadata of a topic that nobody has asked for.
            await self._consumer._client.add_topic(name)
        partitions = [
            TopicPartition(name, number)
            for name in self._names
            for number in sorted(self._consumer.partitions_for_topic(name) or ())
        ]
        self._consumer.assign(partitions)
        self._applied = dict(await self._consumer.beginning_offsets(partitions))
        for name, kept_s in (("alerts", self._settings.board_alerts_h * 3600), (ANSWERS, ANSWERS_KEPT_S)):
            recent = [tp for tp in partitions if self._names[tp.topic] == name]
            since = int((time.time() - kept_s) * 1000)
            found = await self._consumer.offsets_for_times(dict.fromkeys(recent, since))
            ends = await self._consumer.end_offsets(recent)
            self._applied |= {tp: ends[tp] if at is None else at.offset for tp, at in found.items()}
        for tp, offset in self._applied.items():
            self._consumer.seek(tp, offset)
        self._hub.begin(
            {
                (self._names[tp.topic], tp.partition): offset
                for tp, offset in self._applied.items()
                if self._names[tp.topic] in FOLLOWED
            }
        )

    async def _read(self) -> None:
        assert self._consumer is not None
        while True:
            batches = await self._consumer.getmany(timeout_ms=1000, max_records=_BATCH)
            for tp, messages in batches.items():
                for message in messages:
                    self._take(self._names[tp.topic], message)
                self._applied[tp] = messages[-1].offset + 1
            if batches:
                self._progress.set()
                self._progress = asyncio.Event()
                async with self.applied:
                    self.applied.notify_all()

    def _take(self, name: str, message: Any) -> None:
        try:
            if name == ANSWERS:
                if message.value is not None:
                    self._answered(TaskAnswer.read(message.value))
                return
            place = (name, message.partition)
            change = self._model.apply(place, message.offset, message.key or b"", message.value)
            self._hub.passed(place, message.offset, message.timestamp, change, time.time() * 1000)
        except ValueError:
            # One message that cannot be read must not end every board, again and again: lists say that it is there.
            metrics.UNREADABLE.labels(name).inc()
            log.error("message_unreadable", topic=name, partition=message.partition, offset=message.offset)
            if name in FOLLOWED:
                self._hub.passed((name, message.partition), message.offset, message.timestamp, None, 0.0)

    async def _look(self) -> None:
        """Confirm again and again that all that the topics held has been taken in, and since when that is so."""
        assert self._ends is not None
        while True:
            started = time.monotonic()
            try:
                ends = await self._ends.end_offsets(list(self._applied))
            except Exception as error:  # aiokafka raises errors of several families while brokers are away
                log.warning("ends_not_known", error=type(error).__name__)
                await asyncio.sleep(_LOOK_EVERY_S)
                continue
            metrics.BOARD_UNREAD.set(sum(max(0, end - self._applied[tp]) for tp, end in ends.items()))
            while any(self._applied[tp] < end for tp, end in ends.items()):
                await self._progress.wait()
            metrics.BOARD_UNREAD.set(0)
            self._fresh_at = started
            if not self.caught_up.is_set():
                self.caught_up.set()
                log.info("board_caught_up", tasks=len(self._model.tasks))
            await asyncio.sleep(max(0.0, started + _LOOK_EVERY_S - time.monotonic()))

    def _forget(self) -> None:
        now = datetime.now(UTC)
        self._model.forget(
            now - timedelta(days=self._settings.board_ended_days),
            now - timedelta(hours=self._settings.board_alerts_h),
        )

    async def _keep_forgetting(self) -> None:
        while True:
            await asyncio.sleep(_FORGET_EVERY_S)
            self._forget()
