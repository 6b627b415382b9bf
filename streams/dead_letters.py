"""Dead letters and the alerts that go with them, as messages ready to be sent."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from schemas.cloud_events import Headers, carried
from schemas.inbound import BadMessageError, BadReason
from schemas.internal import DeadLetterHeaders
from schemas.tasks import Alert
from streams.core.effects import cause_id
from streams.outbound import Outbound, outbound

ToTopic = tuple[str, Outbound]
"""A topic, without prefix, and what is sent there."""
MANY = "many"
"""In place of a source, where too many of them send what cannot be used."""
# Of one topic, this many times what one source may have: names are the senders' own, and one that makes up a new
# one for each message must not get round its bound.
_SOURCES = 5


@dataclass(frozen=True)
class Origin:
    """Where a message lies: topic without prefix, partition, offset, and the broker's append time."""

    topic: str
    partition: int
    offset: int
    appended_at: datetime

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass
class _KeptBack:
    first: Origin
    last: Origin
    reasons: Counter[BadReason] = field(default_factory=Counter)


class Letters:
    """The dead letters of one process. Of each topic and source the first in a minute go out one by one, with their
    bytes; the others are counted, and one letter for each partition says which offsets they lie between. Their bytes
    stay where they are, in the topic.

    So a sender whose software is broken can fill neither the topic of dead letters nor anybody's screen. Who uses it
    sends what `kept_back` has to say before it commits, or a crash would lose the count.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._minute = 0
        self._of_a_topic = per_minute * _SOURCES
        self._singly: Counter[tuple[str, str]] = Counter()
        self._full: set[str] = set()
        self._kept: dict[tuple[str, int, str], _KeptBack] = {}
        self._told: set[tuple[int, str, str]] = set()

    def take(
        self, origin: Origin, value: bytes | None, its_own: Headers, source: str, error: BadMessageError
    ) -> Iterator[ToTopic]:
        """What must be sent now because of this message; `its_own` are its headers."""
        if self._may_go_singly(origin, source):
            yield "dead-letters", letter(origin, value, its_own, error, source)
            if (raised := alert(origin, error)) is not None:
                yield "alerts", outbound("alerts", raised)
        else:
            yield from self.keep_back(origin, origin, source, error, 1)

    def keep_back(
        self, first: Origin, last: Origin, source: str, error: BadMessageError, many: int
    ) -> Iterator[ToTopic]:
        """What must be sent now because of so many messages of one partition and reason, of a source that is full."""
        if self._singly[(first.topic, "")] >= self._of_a_topic:
            source = MANY
        kept = self._kept.setdefault((first.topic, first.partition, source), _KeptBack(first, last))
        kept.last = last
        kept.reasons[error.reason] += many
        if (raised := self._flood(last, source, error)) is not None:
            yield "alerts", outbound("alerts", raised)

    def kept_back(self) -> Iterator[ToTopic]:
        """A letter for those of each partition and source that have been kept back since the last call."""
        kept, self._kept = self._kept, {}
        for (_, _, source), one in kept.items():
            yield "dead-letters", _summary(source, one)

    def is_full(self, topic: str, source: str) -> bool:
        """Has the source, or have all of the topic, had the letters of the minute of the newest?"""
        return self._singly[(topic, source)] >= self._per_minute or self._singly[(topic, "")] >= self._of_a_topic

    def any_full(self, topic: str) -> bool:
        """Is any source's share of the topic used up?"""
        return topic in self._full

    def _may_go_singly(self, origin: Origin, source: str) -> bool:
        minute = int(origin.appended_at.timestamp()) // 60
        if minute != self._minute:
            self._minute = minute
            self._singly.clear()
            self._full.clear()
        if self.is_full(origin.topic, source):
            self._full.add(origin.topic)
            return False
        self._singly[(origin.topic, source)] += 1
        self._singly[(origin.topic, "")] += 1
        return True

    def _flood(self, origin: Origin, source: str, error: BadMessageError) -> Alert | None:
        """Once an hour; not of a source that somebody has switched off."""
        hour = self._minute // 60
        if error.reason is BadReason.SOURCE_OFF or (hour, origin.topic, source) in self._told:
            return None
        self._told = {told for told in self._told if told[0] == hour} | {(hour, origin.topic, source)}
        return Alert(
            alert_id=cause_id("alert", "dead_letter_flood", origin.topic, source, str(hour)),
            kind="dead_letter_flood",
            severity="critical" if origin.topic == "breach-reports" else "high",
            at=origin.appended_at,
            text=f"source {source} sends more than {self._per_minute} messages a minute on {origin.topic} that can't "
            f"be used, the newest because of {error.reason}: {error.detail}; they are counted and stay in the topic: "
            "see `breachwatch sources status` and `breachwatch sources off`",
        )


def letter(
    origin: Origin, value: bytes | None, its_own: Headers, error: BadMessageError, source: str | None = None
) -> Outbound:
    """The dead letter of one message: its bytes, and those of its headers that are part of the event."""
    found = DeadLetterHeaders(
        reason=error.reason,
        detail=error.detail,
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        appended_at=origin.appended_at,
        source=source,
    ).to_kafka()
    return Outbound(_key(origin), value or b"", [*found, *carried(its_own)])


def _summary(source: str, kept: _KeptBack) -> Outbound:
    count = kept.reasons.total()
    reasons = ", ".join(f"{many:,} {reason}" for reason, many in kept.reasons.most_common())
    first, last = kept.first, kept.last
    found = DeadLetterHeaders(
        reason=kept.reasons.most_common(1)[0][0],
        detail=f"{count:,} messages of source {source} from offset {first.offset} to {last.offset}, too many to be "
        f"kept one by one: {reasons}; their bytes are in the topic until its retention ends",
        topic=first.topic,
        partition=first.partition,
        offset=first.offset,
        appended_at=first.appended_at,
        source=source,
        last_offset=last.offset,
        count=count,
    )
    return Outbound(_key(first, "kept back", source), b"", found.to_kafka())


def _key(origin: Origin, *more: str) -> bytes:
    """Our own hash: the original key may hold anything."""
    return cause_id("dead-letter", str(origin), *more).encode()


def alert(origin: Origin, error: BadMessageError, *, exercise: bool = False) -> Alert | None:
    """The alert that a dead letter, or a report that is held, raises, if a person must know at once.

    A breach report that cannot be read may be somebody waiting for help (behaviour 41); a null value may be a
    sender's attempt to end a protection.
    """
    if error.reason is BadReason.UNKNOWN_SUBJECT:
        kind, severity, what = "unknown_subject", "high", "a breach report names nobody whom an order is known for"
        see = f"message {origin}"
    elif origin.topic == "breach-reports":
        kind, severity, what = "unreadable_breach_report", "critical", "a breach report could not be read"
        see = f"message {origin}, see `breachwatch dead-letters list`"
    elif error.reason is BadReason.NULL_VALUE:
        kind, severity, what = "null_value", "medium", "a null value was published; it changed nothing"
        see = f"message {origin}, see `breachwatch dead-letters list`"
    else:
        return None
    return Alert.model_validate(
        {
            "alert_id": cause_id("alert", kind, str(origin)),
            "kind": kind,
            "severity": severity,
            "at": origin.appended_at,
            "text": f"{what}: {error.detail}; {see}",
            "exercise": exercise,
        }
    )
