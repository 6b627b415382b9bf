"""Which events each inbound topic takes, and how bytes become an event or a reason why not."""

from collections.abc import Callable
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from schemas import versions
from schemas.base import Event
from schemas.custody import CustodyEvent
from schemas.orders import IdentityCorrected, Order, OrderEnded, OrderServed, OrderStayed, RequirementMet
from schemas.reports import BreachReport, Retraction, SourceHeartbeat
from schemas.searches import RetroSearch
from schemas.sightings import Adjudication, FaceMatch, OfficerSighting, PlateRead, TagFix
from schemas.updates import TaskUpdate

AnyEvent = Annotated[
    Order
    | OrderServed
    | OrderEnded
    | OrderStayed
    | RequirementMet
    | IdentityCorrected
    | BreachReport
    | Retraction
    | SourceHeartbeat
    | PlateRead
    | TagFix
    | OfficerSighting
    | FaceMatch
    | Adjudication
    | CustodyEvent
    | TaskUpdate
    | RetroSearch,
    Field(discriminator="type"),
]

_SIGHTINGS: tuple[type[Event], ...] = (PlateRead, TagFix, OfficerSighting, FaceMatch, Adjudication, Retraction)

TOPIC_EVENTS: dict[str, tuple[type[Event], ...]] = {
    "orders": (Order, OrderServed, OrderEnded, OrderStayed, RequirementMet, IdentityCorrected, Retraction),
    "breach-reports": (BreachReport, Retraction),
    "sightings": _SIGHTINGS,
    "sightings-backfill": (*_SIGHTINGS, RetroSearch),
    "anpr-reads": (PlateRead,),
    "custody-events": (CustodyEvent, Retraction),
    "task-updates": (TaskUpdate,),
    "source-heartbeats": (SourceHeartbeat,),
}
"""Inbound topic -> the event classes it takes; an event of another class there is a dead letter."""


def type_name(model: type[Event]) -> str:
    """The `type` attribute that an event class answers to."""
    return str(model.model_fields["type"].annotation.__args__[0])  # type: ignore[union-attr]


EVENT_TYPES: dict[str, type[Event]] = {
    type_name(model): model for models in TOPIC_EVENTS.values() for model in models
}
_ADAPTERS: dict[str, TypeAdapter[Event]] = {name: TypeAdapter(model) for name, model in EVENT_TYPES.items()}


class BadReason(StrEnum):
    """Why a message is not an event: a closed set, used as a metric label."""

    EMPTY = "empty"
    NULL_VALUE = "null_value"
    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    UNKNOWN_VERSION = "unknown_version"
    UNKNOWN_TYPE = "unknown_type"
    WRONG_TOPIC = "wrong_topic"
    INVALID_FIELD = "invalid_field"
    UNKNOWN_SUBJECT = "unknown_subject"
    SOURCE_OFF = "source_off"


class BadMessageError(ValueError):
    """A message that is not an acceptable event. `str()` says what, where and what to do, without its values.

    To say it can take longer than to find it: a `detail` that is a function is called when somebody asks.
    """

    def __init__(self, reason: BadReason, detail: str | Callable[[], str]) -> None:
        super().__init__(reason)
        self.reason = reason
        self._detail = detail

    @cached_property
    def detail(self) -> str:
        return self._detail if isinstance(self._detail, str) else self._detail()

    def __str__(self) -> str:
        return self.detail


def _describe(error: ValidationError, model: type[Event]) -> str:
    """Each wrong field with what is wrong: no input values, for they may be a victim's details.

    A discriminator's tag appears in pydantic's location (``terms.0.exclusion_zone.area``); it is kept, since
    it says which alternative was tried. Names of unknown fields are the sender's words, so they are not shown.
    """
    parts = []
    details = error.errors(include_input=False, include_url=False)
    for item in details[:5]:
        location = [str(step) for step in item["loc"]]
        if item["type"] == "extra_forbidden":
            location[-1] = "<a field that the schema does not have>"
        if item["type"] in ("union_tag_invalid", "union_tag_not_found"):
            # pydantic gives the place of the whole alternative; the rest of its context is what was sent.
            location.append(item["ctx"]["discriminator"].strip("'"))
        parts.append(f"{'.'.join(location) or 'message'}: {_message(item)}")
    if len(details) > 5:
        parts.append(f"and {len(details) - 5} more")
    return f"not a valid {type_name(model)}: " + "; ".join(parts)


def _message(item: Any) -> str:
    if item["type"] in ("literal_error", "enum", "union_tag_invalid"):
        return "not one of the values that the schema allows"
    if item["type"] == "union_tag_not_found":
        return "Field required"
    return str(item["msg"]).removeprefix("Value error, ")


def decode(topic: str, value: bytes | None, max_bytes: int | None = None) -> Event:
    """The event in a message's value, as `decode_current`."""
    return decode_current(topic, value, max_bytes)[0]


def decode_current(topic: str, value: bytes | None, max_bytes: int | None = None) -> tuple[Event, bytes]:
    """The event in a message's value, and its JSON in the current schema version: the value itself where it is.

    `topic` is the inbound topic's name without prefix. Raises BadMessageError, and nothing else, for anything
    that is not an event that this topic takes.
    """
    if value is None:
        raise BadMessageError(
            BadReason.NULL_VALUE,
            "a null value changes nothing here: to end an order publish an order_ended event",
        )
    if max_bytes is not None and len(value) > max_bytes:
        raise BadMessageError(BadReason.TOO_LARGE, f"the value is {len(value)} bytes; at most {max_bytes} are read")
    if not value.strip():
        raise BadMessageError(BadReason.EMPTY, "the value is empty: publish one JSON object per message")
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise BadMessageError(
            BadReason.NOT_UTF8, f"byte {error.start} is not valid UTF-8: encode the JSON as UTF-8"
        ) from None
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadMessageError(
            BadReason.NOT_JSON,
            f"not JSON at line {error.lineno} column {error.colno} (RFC 8259 has no NaN or Infinity)",
        ) from None
    if not isinstance(body, dict):
        raise BadMessageError(
            BadReason.NOT_AN_OBJECT,
            f"the value is a JSON {_json_kind(body)}; publish one JSON object per message",
        )
    if versions.version_of(body) not in versions.readable():
        known = ", ".join(map(str, versions.readable()))
        raise BadMessageError(
            BadReason.UNKNOWN_VERSION, f"schemaversion is not one that this pipeline reads ({known})"
        )
    if versions.is_older(body):
        body, value = _upcast(body)
    name = body.get("type")
    if not isinstance(name, str) or name not in EVENT_TYPES:
        raise BadMessageError(
            BadReason.UNKNOWN_TYPE, lambda: f"type is missing or unknown; {topic} takes {_takes(topic)}"
        )
    model = EVENT_TYPES[name]
    if model not in TOPIC_EVENTS[topic]:
        raise BadMessageError(BadReason.WRONG_TOPIC, f"a {name} does not belong here; {topic} takes {_takes(topic)}")
    try:
        return _ADAPTERS[name].validate_json(value), value
    except ValidationError as error:
        found = error
        raise BadMessageError(BadReason.INVALID_FIELD, lambda: _describe(found, model)) from None


def _upcast(body: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """An older event in the current version; one that a step cannot read is not valid."""
    try:
        current = versions.upcast(body)
        # orjson reads 1024 levels of nesting, and writes 254: then it raises a TypeError.
        return current, orjson.dumps(current)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise BadMessageError(
            BadReason.INVALID_FIELD, f"not valid for schemaversion {versions.version_of(body)}"
        ) from None


def _takes(topic: str) -> str:
    return ", ".join(type_name(model) for model in TOPIC_EVENTS[topic])


def _json_kind(value: object) -> str:
    if value is None:
        return "null"
    return {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}[type(value)]
