"""Dead letters and the alerts that go with them, as messages ready to be sent."""

from dataclasses import dataclass
from datetime import datetime

from schemas.cloud_events import Headers, carried
from schemas.inbound import BadMessageError, BadReason
from schemas.internal import DeadLetterHeaders
from schemas.tasks import Alert
from streams.core.effects import cause_id


@dataclass(frozen=True)
class Origin:
    """Where a message lies: topic without prefix, partition, offset, and the broker's append time."""

    topic: str
    partition: int
    offset: int
    appended_at: datetime

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


def headers(origin: Origin, error: BadMessageError, its_own: Headers = ()) -> list[tuple[str, bytes]]:
    """The Kafka headers of the dead letter of a message, with those of `its_own` that are part of the event."""
    found = DeadLetterHeaders(
        reason=error.reason,
        detail=error.detail,
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        appended_at=origin.appended_at,
    ).to_kafka()
    return [*found, *carried(its_own)]


def key(origin: Origin) -> bytes:
    """Our own hash: the original key may hold anything."""
    return cause_id("dead-letter", str(origin)).encode()


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
