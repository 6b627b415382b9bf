"""For Python programs that publish: each event is checked before it is sent, and none is lost unseen.

    with Sender("kafka-1:9092,kafka-2:9092", source="tags/supplier") as sender:
        for row in rows:
            sender.send_new("tag_fix", id=stable_id("fix", row.device, row.time), time=row.time, data={...})

The block ends when all is acknowledged, or with a NotAcknowledgedError that has the events that are not.
"""

import hashlib
import json
import time as clock
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from schemas.base import SCHEMA_VERSION, Event, format_time, is_identity
from schemas.inbound import EVENT_TYPES, TOPIC_EVENTS, BadMessageError, decode, type_name
from streams.core.keys import message_key
from streams.errors import BreachwatchError
from streams.kafka.cluster import Cluster
from streams.kafka.sending import LATE_S, SEND_TIMEOUT_S, close, opened, why
from streams.settings import MAX_MESSAGE_BYTES

MAX_SHOWN = 20
_BULK = "sightings-backfill"


class InvalidEventError(BreachwatchError):
    """An event that the pipeline would set aside; nothing of it was sent. The text names the field, and no value."""


class NotAcknowledgedError(BreachwatchError):
    """Events that may be in the log or not; the text has the ids of the first MAX_SHOWN.

    `events` are all of them in the order of sending, each with its topic: what `Sender.send` takes to send it again.
    """

    def __init__(self, events: list[tuple[Event, str]], reasons: list[str]) -> None:
        names = [event.id for event, _ in events]
        shown = ", ".join(names[:MAX_SHOWN]) + (f" and {len(names) - MAX_SHOWN} more" if names[MAX_SHOWN:] else "")
        super().__init__(f"not acknowledged: {shown} ({'; '.join(reasons)}). Send again: ids make repeats harmless")
        self.events = events


def stable_id(kind: str, *key: str | int | datetime) -> str:
    """An event's id out of the key by which its sender knows it already: of a fix, say, the device and the time.

    The id is `kind` (an Identity of 80 characters at most, such as `fix`) and a hash of the parts, so that no plate
    and no name is in it. The same parts give the same id for ever, in every version of this package, and a time gives
    the same in every offset. So an event that is sent again, after a restart or out of a back-up, is the same event
    and changes nothing: take what names it in your records, and nothing that is made when it is sent.

    Raises BreachwatchError for a part that names nothing: an empty text, or a time without an offset.
    """
    if not is_identity(kind) or len(kind) > 80:
        raise BreachwatchError("stable_id: the kind is 1 to 80 letters, digits and . _ : / @ + -, such as fix")
    if not key:
        raise BreachwatchError("stable_id: say what names the event besides its kind")
    text = json.dumps([_part(number, part) for number, part in enumerate(key, 1)], separators=(",", ":"))
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _part(number: int, part: object) -> str:
    if isinstance(part, datetime):
        if part.tzinfo is None:
            raise BreachwatchError(f"stable_id: part {number} of the key is a time without an offset")
        return format_time(part)
    if isinstance(part, str) and part:
        return part
    if isinstance(part, int) and not isinstance(part, bool):
        return str(part)
    raise BreachwatchError(f"stable_id: part {number} of the key is empty, or no text, whole number or time")


def topic_of(model: type[Event]) -> str:
    """The topic of the events of a class: bulk of a time gone by, on `sightings-backfill`, is for the sender to say.

    Raises InvalidEventError for a retraction, which goes where the events went that it takes back.
    """
    topics = [topic for topic, models in TOPIC_EVENTS.items() if model in models]
    if "anpr-reads" in topics:
        # What is on `sightings` of plates has passed the gate.
        return "anpr-reads"
    topics = [topic for topic in topics if topic != _BULK] or topics
    if len(topics) == 1:
        return topics[0]
    if not topics:
        raise InvalidEventError(f"nothing was sent: no topic takes a {model.__name__} from a sender")
    raise InvalidEventError(f"nothing was sent: a {type_name(model)} needs its topic, one of {', '.join(topics)}")


@dataclass(frozen=True)
class _Sent:
    event: Event
    topic: str
    future: Any
    until: float
    """When its acknowledgement is given up, by the monotonic clock."""

    @property
    def failed(self) -> bool:
        return bool(self.future.failed()) or (not self.future.is_done and self.until < clock.monotonic())


class Sender:
    """Sends the events of one source; for one thread.

    `cluster` is `host:port[,host:port]`, or a Cluster where the brokers want TLS or a log-in; it connects with the
    first event. `topic_prefix` is the deployment's BREACHWATCH_TOPIC_PREFIX. Sending is repeated until an event is
    acknowledged or `timeout_s` have passed.
    """

    def __init__(
        self, cluster: Cluster | str, *, source: str, topic_prefix: str = "", timeout_s: float = SEND_TIMEOUT_S
    ) -> None:
        if not is_identity(source):
            raise BreachwatchError("source: 1 to 120 letters, digits and . _ : / @ + -, such as tags/supplier")
        self._cluster = Cluster(cluster) if isinstance(cluster, str) else cluster
        self._source, self._prefix, self._timeout_s = source, topic_prefix, timeout_s
        self._client: KafkaProducer | None = None
        self._open: deque[_Sent] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send_new(
        self,
        kind: str,
        *,
        id: str,  # noqa: A002 - the envelope's own name
        time: datetime | str,
        data: Mapping[str, Any],
        recordedtime: datetime | str | None = None,
        exercise: bool = False,
        traceparent: str | None = None,
        topic: str | None = None,
    ) -> Event:
        """Send an event of type `kind`, as `send`, and return it.

        `data` is JSON as the contract has it; a time in it may be a datetime with an offset. Without `recordedtime`
        it was recorded now.
        """
        if kind not in EVENT_TYPES:
            raise InvalidEventError(f"nothing was sent: the types are {', '.join(EVENT_TYPES)}")
        body = {
            "type": kind,
            "id": id,
            "source": self._source,
            "time": time,
            "recordedtime": recordedtime or datetime.now(UTC),
            "schemaversion": SCHEMA_VERSION,
            "exercise": exercise,
            "traceparent": traceparent,
            "data": data,
        }
        try:
            text = json.dumps(body, allow_nan=False, default=_json)
        except (TypeError, ValueError) as error:
            raise InvalidEventError(f"nothing was sent: a {kind} must be JSON: {error}") from None
        topic = topic or topic_of(EVENT_TYPES[kind])
        event = _decoded(topic, text.encode())
        self.send(event, topic)
        return event

    def send(self, event: Event, topic: str | None = None) -> None:
        """Send an event, on the topic of its class where none is named. It is on its way then, not acknowledged.

        Raises InvalidEventError for one that is not valid or not of this source, and KafkaUnavailableError when no
        broker answers. Raises NotAcknowledgedError where this one cannot be sent or one before was not acknowledged,
        with this one among its events: so a program that never calls `flush` is told too.
        """
        topic = topic or topic_of(type(event))
        try:
            value = event.model_dump_json(exclude_none=True, warnings=False).encode()
        except ValueError as error:
            raise InvalidEventError(f"nothing was sent: the event is not JSON: {type(error).__name__}") from None
        event = _decoded(topic, value)
        if event.source != self._source:
            raise InvalidEventError(f"nothing was sent: source: this sender is for events of {self._source}")
        if self._client is None:
            self._client = opened(self._cluster, self._timeout_s)
        while self._open and self._open[0].future.succeeded():
            self._open.popleft()
        if self._open and self._open[0].failed:
            self._settle(event, topic)
        try:
            future = self._client.send(self._prefix + topic, key=message_key(event), value=value)
        except KafkaError as error:
            self._settle(event, topic, error)
        else:
            self._open.append(_Sent(event, topic, future, clock.monotonic() + self._timeout_s + LATE_S))

    def flush(self) -> None:
        """Return when all that was sent is acknowledged.

        Raises NotAcknowledgedError with what is not; none of it is kept here, it is the caller's to send again.
        """
        self._settle()

    def close(self) -> None:
        """As `flush`, and leave the brokers, also where that fails."""
        try:
            self.flush()
        finally:
            self._leave()

    def _settle(self, unsent: Event | None = None, topic: str = "", error: KafkaError | None = None) -> None:
        """Wait for all that is open; NotAcknowledgedError for what failed, and for one that could not be sent."""
        failed: list[tuple[Event, str]] = []
        reasons: dict[str, None] = {}
        for sent in self._open:
            try:
                sent.future.get(timeout=max(0.0, sent.until - clock.monotonic()))
            except KafkaError as fault:
                failed.append((sent.event, sent.topic))
                reasons[why(fault, self._cluster, self._prefix + sent.topic)] = None
        self._open.clear()
        if unsent is not None:
            failed.append((unsent, topic))
        if error is not None:
            reasons[why(error, self._cluster, self._prefix + topic)] = None
        if failed:
            # One that could not deliver may hold on to what it has: the next event gets a new one.
            self._leave()
            raise NotAcknowledgedError(failed, list(reasons))

    def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            close(client)


def _json(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _decoded(topic: str, value: bytes) -> Event:
    """The event as the pipeline will read it."""
    if topic not in TOPIC_EVENTS:
        raise InvalidEventError(f"nothing was sent: topic: those are {', '.join(TOPIC_EVENTS)}")
    try:
        return decode(topic, value, MAX_MESSAGE_BYTES)
    except BadMessageError as error:
        raise InvalidEventError(f"nothing was sent: {error.detail}") from None
