"""Traccar (position and event forwarding, `forward.type` and `event.forward.type` = `json` or `kafka`).

Configuration of Traccar 6, in `traccar.xml`:

    <entry key='forward.type'>kafka</entry>
    <entry key='forward.url'>broker-1:9092,broker-2:9092</entry>
    <entry key='forward.topic'>raw-traccar</entry>
    <entry key='event.forward.type'>kafka</entry>
    <entry key='event.forward.url'>broker-1:9092,broker-2:9092</entry>
    <entry key='event.forward.topic'>raw-traccar</entry>

Its Kafka key is the number of a row of its database, and means nothing here.

| Traccar | here | |
| --- | --- | --- |
| `device.uniqueId` | `device_id` | what the tag is known by; `device.id` and `name` are Traccar's own |
| `position.id` | `id` | 0 where Traccar stores no positions: then the tag and the time of the fix |
| `position.fixTime` | `time` | when the receiver had the fix; `deviceTime` where there is no fix |
| `position.serverTime` | `recordedtime` | when Traccar had it |
| `position.latitude`, `longitude` | `position` | degrees, WGS84 |
| `position.accuracy` | `accuracy_m` | metres; 0 says that it is not known |
| `position.valid` false, `outdated` true | no `position` | no fix, or the last one over again |
| `attributes.alarm` `tampering`, `removing` | `tamper` | several alarms are separated by commas |
| `attributes.alarm` `lowBattery`, `batteryLevel` under 20 | `battery_low` | |
| `attributes.hdop`, `sat` | `hdop`, `satellites` | |
| `position.speed` | - | knots; nothing here rests on it |
| `event.type` `alarm` | as the position that it came with | the alarm is in `event.attributes` |
| `event.type` anything else | - | geofences and motion are Traccar's own opinion; silence is noticed here |
"""

from collections.abc import Mapping
from typing import Any

from schemas.inbound import BadMessageError, BadReason
from streams.adapters.translated import Supplier, Translated, event, number, part, text, whole

_TAMPER = {"tampering", "removing"}
_LOW_BATTERY_PERCENT = 20.0


def translate(raw: bytes, supplier: Supplier) -> list[Translated]:
    """The fix of a forwarded position, or of a forwarded alarm; nothing for any other event."""
    body = whole(raw)
    if "event" not in body:
        return [_fix(part(body, "device"), part(body, "position"), supplier, prefix="", alarms=set())]
    told = part(body, "event")
    if told.get("type") != "alarm":
        return []
    alarms, device = _alarms(_attributes(told)), part(body, "device")
    prefix = f"event-{told.get('id', 0)}-"
    if isinstance(body.get("position"), dict):
        return [_fix(device, body["position"], supplier, prefix, alarms)]
    return [_data(device, f"{prefix}{text(device, 'uniqueId')}", supplier, text(told, "eventTime"), None, {}, alarms)]


def _fix(
    device: Mapping[str, Any], position: Mapping[str, Any], supplier: Supplier, prefix: str, alarms: set[str]
) -> Translated:
    is_fix = position.get("valid") is True and position.get("outdated") is not True
    time = text(position, "fixTime" if is_fix else "deviceTime")
    number_of_row = position.get("id")
    stored = isinstance(number_of_row, int) and number_of_row > 0
    name = f"{prefix}{number_of_row}" if stored else f"{prefix}{text(device, 'uniqueId')}-{time}"
    attributes = _attributes(position)
    data: dict[str, Any] = {"hdop": number(attributes, "hdop"), "satellites": _whole_number(attributes, "sat")}
    if is_fix:
        latitude, longitude = number(position, "latitude"), number(position, "longitude")
        if latitude is None or longitude is None:
            raise BadMessageError(BadReason.INVALID_FIELD, "position: latitude or longitude is missing")
        data["position"] = {"latitude": latitude, "longitude": longitude}
        accuracy = number(position, "accuracy")
        if accuracy is not None and accuracy > 0:
            data["position"]["accuracy_m"] = accuracy
    battery = number(attributes, "batteryLevel")
    if battery is not None and battery < _LOW_BATTERY_PERCENT:
        data["battery_low"] = True
    return _data(device, name, supplier, time, position.get("serverTime"), data, alarms | _alarms(attributes))


def _data(
    device: Mapping[str, Any],
    name: str,
    supplier: Supplier,
    time: str,
    recorded: Any,
    data: dict[str, Any],
    alarms: set[str],
) -> Translated:
    data["device_id"] = text(device, "uniqueId")
    if alarms & _TAMPER:
        data["tamper"] = True
    if "lowBattery" in alarms:
        data["battery_low"] = True
    stated = recorded if isinstance(recorded, str) else None
    return event("sightings", "tag_fix", name, supplier, time, stated, data)


def _attributes(part_of: Mapping[str, Any]) -> dict[str, Any]:
    found = part_of.get("attributes")
    return found if isinstance(found, dict) else {}


def _alarms(attributes: Mapping[str, Any]) -> set[str]:
    stated = attributes.get("alarm")
    return {alarm.strip() for alarm in stated.split(",")} if isinstance(stated, str) else set()


def _whole_number(attributes: Mapping[str, Any], name: str) -> int | None:
    found = attributes.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) else None
