"""OwnTracks, its location messages (HTTP mode, or MQTT through a bridge that adds `topic`).

Configuration of the app: mode HTTP, URL of our HTTP door's `/adapters/owntracks`; `topic` then is
`owntracks/USER/DEVICE`.

| OwnTracks | here | |
| --- | --- | --- |
| `_type` | - | `location` is taken; transitions, waypoints, cards and the like are not |
| `topic` | `device_id` | `USER/DEVICE`; `tid` is two letters, and no name |
| `tst` | `time` | seconds since 1970, of the fix |
| `created_at` | `recordedtime` | seconds since 1970, where the app states it: a queued fix is sent late |
| `lat`, `lon` | `position` | degrees, WGS84 |
| `acc` | `accuracy_m` | metres |
| `batt` under 20 | `battery_low` | percent |
| `vel` | - | km/h; nothing here rests on it |
"""

from datetime import UTC, datetime

from schemas.base import format_time
from schemas.inbound import BadMessageError, BadReason
from streams.adapters.translated import Supplier, Translated, event, number, text, whole

_LOW_BATTERY_PERCENT = 20.0


def translate(raw: bytes, supplier: Supplier) -> list[Translated]:
    """The fix of a location message."""
    body = whole(raw)
    if body.get("_type") != "location":
        return []
    device = text(body, "topic").removeprefix("owntracks/")
    latitude, longitude = number(body, "lat"), number(body, "lon")
    if latitude is None or longitude is None:
        raise BadMessageError(BadReason.INVALID_FIELD, "lat or lon is missing")
    time, created = _moment(number(body, "tst"), "tst"), number(body, "created_at")
    position = {"latitude": latitude, "longitude": longitude}
    accuracy, battery = number(body, "acc"), number(body, "batt")
    if accuracy is not None and accuracy > 0:
        position["accuracy_m"] = accuracy
    low = battery is not None and battery < _LOW_BATTERY_PERCENT
    data = {"device_id": device, "position": position, "battery_low": True if low else None}
    recorded = None if created is None else _moment(created, "created_at")
    return [event("sightings", "tag_fix", f"{device}/{time}", supplier, time, recorded, data)]


def _moment(seconds: float | None, name: str) -> str:
    try:
        return format_time(datetime.fromtimestamp(seconds if seconds is not None else float("nan"), tz=UTC))
    except (ValueError, OverflowError, OSError):
        raise BadMessageError(BadReason.INVALID_FIELD, f"{name}: no seconds since 1970") from None
