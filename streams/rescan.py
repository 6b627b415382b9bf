"""The retro-search: retained plate reads are searched for orders that were known late.

The gate passes over what is on no order, and `anpr-reads` keeps it for two days. One pass over the reads since a
moment finds those that may be on the vehicles of some orders, and passes them on to `sightings-backfill` unchanged,
marked as retrospective. A read that the gate has passed on too has the same event id, and counts once.

How far a search has come is in the committed offsets of a group of its own, so a search that is asked for again with
the same words goes on where it ended. It waits while the gate is behind: what happens now comes first.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic import ValidationError

from schemas.base import EXERCISE
from schemas.orders import IdentifierKind, IdentifierRecord
from schemas.searches import RetroSearch, RetroSearchData
from schemas.tasks import Alert
from streams.agents.ingest import BACKFILL, RETROSPECTIVE
from streams.core import policy
from streams.core.effects import cause_id
from streams.core.index import IdentifierIndex
from streams.core.resolve import is_exercise
from streams.errors import BreachwatchError
from streams.gate import TOPIC, fault_of, sift
from streams.kafka.access import GATES, RESCANS
from streams.kafka.admin import cluster_of
from streams.kafka.client import connect
from streams.kafka.lag import committed
from streams.kafka.reading import read_all
from streams.kafka.topics import MAX_REQUEST_BYTES, full_name
from streams.settings import Settings

_LOOK_EVERY_S = 2.0
_AT_A_TIME = 5000
_ATTEMPTS = 5
# A search of two days of the national feed takes an hour or two beside a gate that works.
_LONGEST_SEARCH_MS = 86_400_000


@dataclass(frozen=True)
class Search:
    """What is searched, and under what authority."""

    order_ids: tuple[str, ...]
    since: datetime
    authority: str
    reason: str

    @property
    def search_id(self) -> str:
        """The same for the same words, so that a search can be taken up again."""
        return cause_id("search", *sorted(self.order_ids), self.since.isoformat(), self.authority, self.reason)


@dataclass
class Found:
    """How far a search has come: reads in this run, of all that there were at its start."""

    total: int = 0
    reads: int = 0
    matches: int = 0
    retained_from: datetime | None = None
    """The oldest read that is left, where it is younger than what was asked for."""


Say = Callable[[str], None]


def vehicles(settings: Settings, order_ids: Sequence[str]) -> IdentifierIndex:
    """An index of the plates that these orders name; raises BreachwatchError for an order that names none."""
    index = IdentifierIndex()
    for message in read_all(cluster_of(settings), full_name(settings, "identifiers")):
        record = IdentifierRecord.model_validate_json(message.value) if message.value else None
        if record is not None and record.order_id in order_ids and record.kind is IdentifierKind.PLATE:
            index.add(record)
    named = {record.order_id for record in index}
    if missing := [order_id for order_id in order_ids if order_id not in named]:
        raise BreachwatchError(
            f"no vehicle to search for: {', '.join(missing)}: no order that is known, or it names no plate, or none "
            "of its terms is about places"
        )
    return index


async def rescan(settings: Settings, search: Search, say: Say) -> Found:
    """Search up to what there is now; returns when all of it is searched and acknowledged."""
    index = vehicles(settings, search.order_ids)
    async with _clients(settings, search) as (consumer, producer):
        partitions = consumer.assignment()
        ends = await consumer.end_offsets(partitions)
        found = await _place(consumer, search, ends)
        await _tell(producer, settings, search, index, found, "began")
        look_again = 0.0
        while left := [tp for tp in partitions if await consumer.position(tp) < ends[tp]]:
            consumer.pause(*(partitions - set(left)))
            if time.monotonic() >= look_again:
                say(f"{found.reads:,} of {found.total:,} reads searched, {found.matches:,} passed on")
                await _gate_keeps_up(settings, consumer, say)
                look_again = time.monotonic() + _LOOK_EVERY_S
            await _some(settings, search, consumer, producer, index, found)
        await _tell(producer, settings, search, index, found, "ended")
    return found


@asynccontextmanager
async def _clients(settings: Settings, search: Search) -> AsyncIterator[tuple[AIOKafkaConsumer, AIOKafkaProducer]]:
    cluster = cluster_of(settings)
    consumer = AIOKafkaConsumer(
        **cluster.options(),
        group_id=f"{settings.topic_prefix}{RESCANS}-{search.search_id}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=MAX_REQUEST_BYTES,
    )
    producer = AIOKafkaProducer(
        **cluster.options(), acks="all", enable_idempotence=True, max_request_size=MAX_REQUEST_BYTES
    )
    topic = full_name(settings, TOPIC)
    await consumer.start()
    try:
        await producer.start()
        try:
            await consumer._client.add_topic(topic)
            consumer.assign([TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()])
            yield consumer, producer
        finally:
            await producer.stop()
    finally:
        await consumer.stop()


async def _place(consumer: AIOKafkaConsumer, search: Search, ends: dict[TopicPartition, int]) -> Found:
    """Go to where the search ended, or to the first read since the moment that is asked for."""
    found = Found()
    at = await consumer.offsets_for_times({tp: int(search.since.timestamp() * 1000) for tp in ends})
    beginnings = await consumer.beginning_offsets(list(ends))
    for tp, end in ends.items():
        first = at[tp]
        start = end if first is None else first.offset
        # Nothing older is left, and there was something.
        if first is not None and first.offset == beginnings[tp] > 0:
            oldest = datetime.fromtimestamp(first.timestamp / 1000, tz=UTC)
            found.retained_from = max(found.retained_from or oldest, oldest)
        start = max(start, await consumer.committed(tp) or 0)
        consumer.seek(tp, start)
        found.total += end - start
    return found


async def _some(
    settings: Settings,
    search: Search,
    consumer: AIOKafkaConsumer,
    producer: AIOKafkaProducer,
    index: IdentifierIndex,
    found: Found,
) -> None:
    """Search some reads, and commit once what they brought is acknowledged."""
    batches = await consumer.getmany(timeout_ms=500, max_records=_AT_A_TIME)
    mark, sends = (RETROSPECTIVE, search.search_id.encode()), []
    for messages in batches.values():
        found.reads += len(messages)
        others = sift(messages, index.looks_known).others
        for message in others:
            if fault_of(message, settings.max_message_bytes) is not None:
                continue  # a dead letter, since the gate came by
            headers = [*message.headers, mark]
            sends.append(await producer.send(full_name(settings, BACKFILL), message.value, headers=headers))
    found.matches += len(sends)
    await asyncio.gather(*sends)
    if batches:
        await consumer.commit({tp: messages[-1].offset + 1 for tp, messages in batches.items()})


async def _gate_keeps_up(settings: Settings, consumer: AIOKafkaConsumer, say: Say) -> None:
    """Wait until the gate has committed all but the newest reads: it trails by its look-back, by intention."""
    said = False
    while (behind := await _gate_is_behind(settings, consumer)) > 0:
        if not said:
            say(f"waiting: the gate is behind, and reads of now come first ({behind:,} reads)")
            said = True
        await asyncio.sleep(_LOOK_EVERY_S)


async def _gate_is_behind(settings: Settings, consumer: AIOKafkaConsumer) -> int:
    """Reads that the gate should have committed, and has not."""
    since = time.time() - settings.gate_lookback_s - settings.rescan_gate_lag_s
    partitions = consumer.assignment()
    younger = await consumer.offsets_for_times({tp: int(since * 1000) for tp in partitions})
    ends = await consumer.end_offsets(partitions)
    done = await asyncio.to_thread(_committed_by_gate, settings)
    due = {tp: ends[tp] if younger[tp] is None else younger[tp].offset for tp in partitions}
    return sum(max(0, offset - done.get(tp.partition, 0)) for tp, offset in due.items())


def _committed_by_gate(settings: Settings) -> dict[int, int]:
    with connect(cluster_of(settings)) as client:
        return committed(client, f"{settings.topic_prefix}{GATES}", full_name(settings, TOPIC))


async def _tell(
    producer: AIOKafkaProducer,
    settings: Settings,
    search: Search,
    index: IdentifierIndex,
    found: Found,
    phase: Literal["began", "ended"],
) -> None:
    """Put the search on the record of each subject, through their row."""
    ended = phase == "ended"
    for subject in sorted({plate.subject_id for plate in index}):
        now = datetime.now(UTC)
        event = RetroSearch(
            type="retro_search",
            id=cause_id(search.search_id, subject, phase),
            source="breachwatch/rescan",
            time=now,
            recordedtime=now,
            exercise=is_exercise(subject),
            data=RetroSearchData(
                search_id=search.search_id,
                phase=phase,
                subject_id=subject.removeprefix(EXERCISE),
                order_ids=sorted({plate.order_id for plate in index if plate.subject_id == subject}),
                since=search.since,
                retained_from=found.retained_from,
                authority=search.authority,
                reason=search.reason,
                reads=found.reads if ended else None,
                matches=found.matches if ended else None,
            ),
        )
        value = event.model_dump_json(exclude_none=True).encode()
        await producer.send_and_wait(full_name(settings, BACKFILL), value, key=subject.encode())


async def follow(settings: Settings, rule: policy.RetroSearch, say: Say) -> None:
    """Search for each order whose search is proposed in `alerts`, for as long as this runs; several in one pass.

    Raises BreachwatchError where the policy does not authorise that.
    """
    if not rule.automatic:
        raise BreachwatchError(
            "the policy does not authorise automatic searches: set retro_search.automatic and its authority there, "
            "or ask for a search with --order, --from, --authority and --reason"
        )
    consumer = AIOKafkaConsumer(
        full_name(settings, "alerts"),
        **cluster_of(settings).options(),
        group_id=f"{settings.topic_prefix}{RESCANS}",
        max_poll_interval_ms=_LONGEST_SEARCH_MS,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        while True:
            batches = await consumer.getmany(timeout_ms=1000)
            proposed = [alert for messages in batches.values() for m in messages if (alert := _proposal(m.value))]
            if proposed:
                orders = tuple(sorted({order_id for order_id, _ in proposed}))
                since = min(since for _, since in proposed)
                await _search(settings, Search(orders, since, rule.authority, "the order was known late"), say)
            if batches:
                await consumer.commit()
    finally:
        await consumer.stop()


async def _search(settings: Settings, search: Search, say: Say) -> None:
    """An order's identifiers may come a moment after its alert."""
    for attempt in range(_ATTEMPTS):
        try:
            await rescan(settings, search, say)
        except BreachwatchError as error:
            if attempt + 1 == _ATTEMPTS:
                say(f"not searched: {error}")
            await asyncio.sleep(_LOOK_EVERY_S)
        else:
            return


def _proposal(value: bytes | None) -> tuple[str, datetime] | None:
    """The order that an alert proposes to search for, and since when."""
    try:
        alert = Alert.read(value or b"")
    except ValidationError:
        return None
    if alert.kind != "retro_search_proposed" or alert.order_id is None or alert.since is None:
        return None
    return alert.order_id, alert.since
