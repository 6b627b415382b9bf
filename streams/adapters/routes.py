"""What each adapter reads, what it makes of a message, and where that goes: pure, and the same wherever it runs.

Raw messages lie in a topic of their own, so that what an adapter got wrong can be made again once it is mended.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from schemas.cloud_events import structured
from schemas.inbound import BadMessageError, decode
from schemas.tasks import Alert
from streams.adapters import owntracks, plate_recognizer, traccar
from streams.adapters.cap import as_cap
from streams.adapters.translated import Supplier, Translate
from streams.core.keys import message_key
from streams.outbound import OUT, Outbound
from streams.settings import Settings

FORMATS: dict[str, Translate] = {
    "traccar": traccar.translate,
    "plate-recognizer": plate_recognizer.translate,
    "owntracks": owntracks.translate,
}
"""Format -> what makes events of a raw message."""
SUPPLIER = "bw-supplier"
"""The header of a raw message that came through the HTTP door: the `source` that its sender speaks for."""
Cameras = Mapping[str, tuple[float, float]]


def raw_topic(form: str) -> str:
    return f"raw-{form}"


@dataclass(frozen=True)
class Made:
    """What one message became: what is sent, and what of it could not be."""

    source: str
    sent: list[tuple[str, Outbound]]
    """Topic without prefix, message."""
    faults: list[BadMessageError]


class Route(NamedTuple):
    """One adapter."""

    reads: tuple[str, ...]
    """Topics, without prefix."""
    writes: tuple[str, ...]
    make: Callable[[Any], Made]
    """Of a Kafka message; raises nothing."""


def routes(settings: Settings, cameras: Cameras) -> dict[str, Route]:
    """Name of the adapter -> what it does."""
    inwards = {
        name: Route((raw_topic(name),), ("sightings", "anpr-reads"), _inwards(settings, name, translate, cameras))
        for name, translate in FORMATS.items()
    }
    return inwards | {
        "cap": Route(("alerts",), ("alerts-cap",), _cap(settings)),
        "cloudevents": Route(tuple(OUT), ("cloud-events",), _structured),
    }


def _inwards(settings: Settings, name: str, translate: Translate, cameras: Cameras) -> Callable[[Any], Made]:
    fixed = settings.adapter_sources.get(name, name)

    def make(message: Any) -> Made:
        headers = dict(message.headers)
        source = headers[SUPPLIER].decode("utf-8", "replace") if headers.get(SUPPLIER) else fixed
        received_at = datetime.fromtimestamp(message.timestamp / 1000, tz=UTC)
        made = translated(message.value, translate, Supplier(source, received_at, cameras), settings)
        trace = [(name, value) for name, value in message.headers if name == "traceparent"]
        return replace(made, sent=[(topic, event._replace(headers=trace)) for topic, event in made.sent])

    return make


def translated(value: bytes | None, translate: Translate, supplier: Supplier, settings: Settings) -> Made:
    """The events of one raw message; those that our own schemas refuse are faults of it."""
    made = Made(supplier.source, [], [])
    try:
        found = translate(value or b"", supplier)
    except BadMessageError as error:
        made.faults.append(error)
        return made
    for topic, event in found:
        try:
            key = message_key(decode(topic, event, settings.max_message_bytes))
        except BadMessageError as error:
            made.faults.append(error)
        else:
            made.sent.append((topic, Outbound(key, event, [])))
    return made


def _cap(settings: Settings) -> Callable[[Any], Made]:
    def make(message: Any) -> Made:
        alert = Alert.read(message.value)
        value = as_cap(alert, settings.cap_sender)
        headers = [("content-type", b"application/cap+xml")]
        return Made("breachwatch", [("alerts-cap", Outbound(alert.alert_id.encode(), value, headers))], [])

    return make


def _structured(message: Any) -> Made:
    if message.value is None:  # a task was erased: its key says no more than that
        return Made("breachwatch", [], [])
    value = structured(message.value, message.headers)
    headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
    return Made("breachwatch", [("cloud-events", Outbound(message.key, value or b"", headers))], [])
