"""What an adapter makes of a raw message, and how it reads one: whatever the message is, nothing else is raised."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from schemas.base import format_time
from schemas.inbound import BadMessageError, BadReason


class Translated(NamedTuple):
    """An event of ours, and the topic that it belongs on."""

    topic: str
    value: bytes


@dataclass(frozen=True)
class Supplier:
    """What is known of the sender of raw messages and is not in them."""

    source: str
    """The `source` of its events."""
    received_at: datetime
    """When its message was taken: what was recorded when, where the message does not say."""
    cameras: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Camera -> latitude, longitude, for formats whose reads do not say where the camera is."""


Translate = Callable[[bytes, Supplier], list[Translated]]
"""Raises BadMessageError that says what is wrong; an empty list is a message that is none of our business."""


def whole(raw: bytes) -> dict[str, Any]:
    """The JSON object of a raw message."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadMessageError(BadReason.NOT_JSON, f"not JSON at line {error.lineno} column {error.colno}") from None
    if not isinstance(body, dict):
        raise BadMessageError(BadReason.NOT_AN_OBJECT, "not a JSON object")
    return body


def part(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object under a name, which must be there."""
    found = body.get(name)
    if not isinstance(found, dict):
        raise BadMessageError(BadReason.INVALID_FIELD, f"{name}: an object is missing")
    return found


def number(body: Mapping[str, Any], name: str) -> float | None:
    """A number; None where there is none, or something else."""
    found = body.get(name)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def text(body: Mapping[str, Any], name: str) -> str:
    """A text that must be there, and not be empty."""
    found = body.get(name)
    if not isinstance(found, str) or not found:
        raise BadMessageError(BadReason.INVALID_FIELD, f"{name}: a text is missing")
    return found


def event(
    topic: str, kind: str, name: str, supplier: Supplier, time: str, recorded: str | None, data: Mapping[str, Any]
) -> Translated:
    """An event as its topic takes it; what is None in `data` is left out."""
    body = {
        "specversion": "1.0",
        "id": name,
        "source": supplier.source,
        "type": kind,
        "time": time,
        "recordedtime": recorded or format_time(supplier.received_at),
        "data": {key: value for key, value in data.items() if value is not None},
    }
    return Translated(topic, orjson.dumps(body))
