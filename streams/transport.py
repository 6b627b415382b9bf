"""Faust's Kafka transport with the guarantee that it lacks: no commit before every send has succeeded.

In faust-streaming 0.15.3 `ProducerBuffer.flush()` gives up after 0.1 s without progress and the offsets are
committed all the same, and a table drops the future of its changelog send. Here every send of the process is
tracked, the changelog's too, and the one place through which all commits go waits for them. If a send fails,
or our own code does, nothing is committed any more and the process ends; its successor reads the events again.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.errors import BreachwatchError
from streams.watchdog import Pulse


class UnsentError(BreachwatchError):
    """A send did not succeed, or an agent failed: what was read must be read again."""


class Sends:
    """The sends of one process that Kafka has not acknowledged yet, and the first fault of it."""

    def __init__(self) -> None:
        self._pending: set[asyncio.Future[Any]] = set()
        self.fault: BaseException | None = None

    def __len__(self) -> int:
        return len(self._pending)

    def track(self, send: asyncio.Future[Any]) -> None:
        self._pending.add(send)
        send.add_done_callback(self._done)

    def _done(self, send: asyncio.Future[Any]) -> None:
        self._pending.discard(send)
        if send.cancelled():
            self.poison(UnsentError("a send was cancelled"))
        elif (error := send.exception()) is not None:
            self.poison(error)

    def poison(self, fault: BaseException) -> None:
        """From now on every barrier refuses."""
        self.fault = self.fault or fault

    async def barrier(self, timeout_s: float) -> None:
        """Wait until every send made before this call has succeeded; raises UnsentError otherwise."""
        pending = list(self._pending)
        if pending and self.fault is None:
            _, late = await asyncio.wait(pending, timeout=timeout_s)
            if late:
                self.poison(UnsentError(f"{len(late)} sends were not acknowledged within {timeout_s:g} s"))
        if self.fault is not None:
            raise UnsentError(f"not committed: {type(self.fault).__name__}: {self.fault}") from self.fault


class Producer(driver.Producer):
    """Tracks what it sends; idempotent, so that a retry inside the client neither doubles nor reorders."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sends: Sends = self.app.sends
        self.pulse: Pulse = self.app.pulse

    def _settings_extra(self) -> Mapping[str, Any]:
        return {**super()._settings_extra(), "acks": "all", "enable_idempotence": True}

    def send_soon(self, fut: Any) -> None:
        self.pulse.check()
        self.sends.track(fut)
        super().send_soon(fut)

    async def send(self, topic: str, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        self.pulse.check()
        sent: asyncio.Future[Any] = await super().send(topic, *args, **kwargs)
        self.sends.track(sent)
        self.app.count_sent(topic)
        return sent


# A fetch leaves out partitions whose last batch is still being worked on, and the next fetch is sent only when
# this one ends: an event there waits for as long as the broker holds the fetch. Faust holds it for 1.5 s, which
# was the latency of one event in three. At 10 ms an idle worker asks a hundred times a second, 1 % of a core.
FETCH_WAIT_MS = 10


class ConsumerThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def on_start(self) -> None:
        await super().on_start()
        # While a fetched record has not been taken aiokafka asks its broker for nothing, 0.1 s from when it came.
        # Our own writes to a changelog come back here and are not taken before the next recovery: the first event
        # of each changelog partition held up the next event by those 0.1 s.
        fetcher = self._ensure_consumer()._fetcher
        fetcher._prefetch_backoff = min(fetcher._prefetch_backoff, FETCH_WAIT_MS / 1000)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """As Faust's, and to the beginning where nothing is committed yet.

        Faust throws away what a fetch brings in the middle of a rebalance and seeks back to what is committed.
        Where nothing is, aiokafka stays where it is: behind messages that no agent has seen, for ever.
        """
        offsets: Mapping[TP, int] = await self.call_thread(self._seek_to_committed)
        return offsets

    async def _seek_to_committed(self) -> Mapping[Any, int]:
        consumer = self._ensure_consumer()
        committed: Mapping[Any, int] = await consumer.seek_to_committed()
        # Changelogs are never committed; recovery keeps their positions itself.
        unread = [tp for tp, offset in committed.items() if not offset and not self.consumer._is_changelog_tp(tp)]
        if unread:
            await consumer.seek_to_beginning(*unread)
        return committed


class Consumer(driver.Consumer):
    """Commits only behind the barrier, and hands out every message after a rebalance or a recovery.

    When the tables are recovered, Faust lets stream partitions be fetched, seeks back to what is committed, and
    then resumes flow control, which empties the agents' queues. What was handed out in between is lost until the
    next restart: it is gone from the queues, and when it is fetched again Faust takes it for read already. So
    nothing is handed out from before the seek until the flow is resumed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._between_batches = asyncio.Event()
        self._between_batches.set()

    def _new_consumer_thread(self) -> Any:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _wait_next_records(self, *timeout: float) -> Any:
        self._between_batches.set()
        records, active = await super()._wait_next_records(*timeout)
        # Without flow Faust hands none of them out: it seeks back itself, by the method below.
        if self.flow_active:
            self._between_batches.clear()
            if records and self.app.sieve is not None:
                records = await self.app.sieve(records)
        return records, active

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """As Faust's, without the message behind the gap, at `offset_to`.

        Faust takes it for acknowledged before its agent has seen it. And once it is acknowledged it is in the list
        twice, where a commit ends: one gap a second was all that it got over.
        """
        if offset_from < offset_to:
            await super()._add_gap(tp, offset_from, offset_to - 1)

    async def perform_seek(self) -> None:
        """Whoever calls this resumes the flow afterwards."""
        self.stop_flow()
        await self._between_batches.wait()
        await super().perform_seek()

    async def verify_all_partitions_active(self) -> None:
        """Nothing: the watchdog looks for stalls. Faust's look takes changelogs for stalled, which are not read once
        the tables are recovered: an error a minute and partition in the log, of a worker that is well."""

    async def _commit(self, offsets: Mapping[Any, int]) -> bool:
        # The offsets were chosen before this call, and an event is acknowledged only after its agent has made
        # all its sends: so the barrier covers everything that these offsets promise.
        try:
            await self.app.before_commit()
        except UnsentError as error:
            await self.app.crash(error)
            return False
        if not await super()._commit(offsets):
            return False
        for tp, offset in offsets.items():
            self.app.committed[(tp.topic, tp.partition)] = offset
        return True


class Transport(driver.Transport):
    Consumer = Consumer
    Producer = Producer
