"""What becomes of messages that cannot be used: counts, dead letters, alerts; and a short way for a flood of them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from faust.types import TP

from schemas.cloud_events import Headers, structured
from schemas.inbound import BadMessageError, BadReason, decode_current
from streams import metrics
from streams.dead_letters import Letters, Origin
from streams.kafka.topics import INGESTED, full_name
from streams.outbound import Outbound
from streams.settings import Settings
from streams.source_controls import SourceControls
from streams.source_status import SourceStatuses, source_of

log = structlog.get_logger()

# Below this offset Faust knows no gaps: it takes 0 for "nothing read yet", and would never commit what follows one.
_FIRST = 2


@dataclass
class _Refused:
    """Of one fetch and partition, the messages of one source with the same reason."""

    first: Any
    last: Any
    error: BadMessageError
    many: int = 0


class Refusals:
    """The refused messages of one worker."""

    def __init__(
        self,
        settings: Settings,
        letters: Letters,
        controls: SourceControls,
        statuses: SourceStatuses,
        send: Callable[[str, Outbound], Awaitable[None]],
    ) -> None:
        self._letters, self._controls, self._statuses, self._send = letters, controls, statuses, send
        self._max_bytes = settings.max_message_bytes
        self._topics = {full_name(settings, name): name for name in INGESTED}

    async def refuse(
        self, origin: Origin, value: bytes | None, headers: Headers, source: str, error: BadMessageError
    ) -> None:
        """Count the message, and send what must be sent because of it."""
        self._count(origin, source, error, 1)
        for topic, made in self._letters.take(origin, value, headers, source, error):
            if topic == "dead-letters":
                log.warning("dead_letter", reason=error.reason, message=str(origin), detail=error.detail)
            await self._send(topic, made)

    async def sieve(self, fetched: Mapping[TP, list[Any]]) -> dict[TP, list[Any]]:
        """What a fetch brought, without that which sources refuse to mend.

        Faust takes 60 µs for a message before we see it and we 50 µs after: a source that sends 10,000 a second which
        cannot be used would fill the worker, and others' events on the same partitions wait behind them. From a
        source that has had its dead letters of the minute, they are refused here, in a third of the time.

        The last message of a partition always goes on: what Faust commits is its offset, and all before it. What was
        counted here and not committed is counted again after a crash.
        """
        return {tp: await self._sieved(tp, records) for tp, records in fetched.items()}

    async def _sieved(self, tp: TP, records: list[Any]) -> list[Any]:
        name = self._topics.get(tp.topic)
        if name is None or not records or not self._letters.any_full(name):
            return records
        passed, refused = [], dict[tuple[str, BadReason], _Refused]()
        for record in records[:-1]:
            if (found := self._fault(name, record)) is None:
                passed.append(record)
            else:
                source, error = found
                of_kind = refused.setdefault((source, error.reason), _Refused(record, record, error))
                of_kind.last, of_kind.error, of_kind.many = record, error, of_kind.many + 1
        for (source, _), of_kind in refused.items():
            first, last = _origin(name, of_kind.first), _origin(name, of_kind.last)
            self._count(last, source, of_kind.error, of_kind.many)
            for topic, made in self._letters.keep_back(first, last, source, of_kind.error, of_kind.many):
                await self._send(topic, made)
        return [*passed, records[-1]]

    def _fault(self, name: str, record: Any) -> tuple[str, BadMessageError] | None:
        """The source and what is wrong, if the message can be refused here."""
        value = structured(record.value, record.headers)
        source = source_of(value)
        if record.offset < _FIRST or not self._letters.is_full(name, source):
            return None
        try:
            event, _ = decode_current(name, value, self._max_bytes)
            self._controls.check_now(event.source)
        except BadMessageError as error:
            return source, error
        return None

    def _count(self, origin: Origin, source: str, error: BadMessageError, many: int) -> None:
        metrics.EVENTS_IN.labels(origin.topic, "dead_letter").inc(many)
        metrics.DEAD_LETTERS.labels(origin.topic, error.reason).inc(many)
        self._statuses.dead_letter(source, origin, error, many)


def _origin(name: str, record: Any) -> Origin:
    return Origin(name, record.partition, record.offset, datetime.fromtimestamp(record.timestamp / 1000, tz=UTC))
