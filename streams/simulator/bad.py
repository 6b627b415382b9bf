"""Messages that are no events, each with the reason that its dead letter must give."""

import hashlib
from random import Random
from typing import Any

import orjson

from schemas.base import Event
from schemas.inbound import BadReason
from schemas.orders import Order
from schemas.sightings import TagFix
from streams.simulator.truth import TrueDeadLetter

BadMessage = tuple[str, str | None, bytes | None, BadReason]
"""Topic, key, value and reason."""


def bad_messages(rng: Random, run: str, count: int, order: Order, fix: TagFix | None) -> list[BadMessage]:
    """`count` messages, of each kind in turn; none is twice the same, where bytes can differ.

    `order` lends its body, so that dead letters hold a victim's details; `fix` lends one to broken sightings.
    """
    return [_make(rng, f"{run}-bad{number:05}", number, order, fix) for number in range(count)]


def _make(rng: Random, name: str, number: int, order: Order, fix: TagFix | None) -> BadMessage:
    body = _body(order, name)
    sighting = _body(fix, name) if fix is not None else None
    kinds: list[tuple[str, bytes | None, BadReason]] = [
        ("breach-reports", f'{{"id": "{name}", "type": "breach_rep'.encode(), BadReason.NOT_JSON),
        ("orders", orjson.dumps(body | {"time": "2026-03-29T01:30:00"}), BadReason.INVALID_FIELD),
        ("sightings", name.encode() + b"\xff\xfe", BadReason.NOT_UTF8),
        ("custody-events", b" " * rng.randint(1, 200), BadReason.EMPTY),
        ("orders", None, BadReason.NULL_VALUE),
        ("custody-events", orjson.dumps([name]), BadReason.NOT_AN_OBJECT),
        ("breach-reports", b"null", BadReason.NOT_AN_OBJECT),
        ("orders", orjson.dumps(body | {"schemaversion": 2}), BadReason.UNKNOWN_VERSION),
        ("custody-events", orjson.dumps(body | {"type": "weather"}), BadReason.UNKNOWN_TYPE),
        ("breach-reports", orjson.dumps(body), BadReason.WRONG_TOPIC),
        ("sightings", f'{{"id": "{name}", "hdop": NaN}}'.encode(), BadReason.NOT_JSON),
    ]
    if sighting is not None:
        away = sighting["data"] | {"position": {"latitude": 51.5, "longitude": -270.6}}
        kinds.append(("sightings", orjson.dumps(sighting | {"data": away}), BadReason.INVALID_FIELD))
        kinds.append(("sightings", orjson.dumps(sighting | {"home": "unknown"}), BadReason.INVALID_FIELD))
    topic, value, reason = kinds[number % len(kinds)]
    # A null value under an order's own key: a tombstone that must not erase it.
    return topic, order.data.order_id if value is None else None, value, reason


def _body(event: Event, name: str) -> dict[str, Any]:
    return event.model_dump(mode="json") | {"id": name}


def dead_letter(message: BadMessage) -> TrueDeadLetter:
    """What must be found for `message` among the dead letters."""
    topic, _, value, reason = message
    return TrueDeadLetter(topic=topic, sha256=hashlib.sha256(value or b"").hexdigest(), reason=reason)
