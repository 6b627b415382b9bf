"""Plate Recognizer Stream, by webhook.

Configuration, in its `config.ini`: `webhook_targets` names a target whose `url` is our HTTP door's
`/adapters/plate-recognizer`; `image_type` may stay off, since images are not taken.

| Stream | here | |
| --- | --- | --- |
| `hook.event` | - | `recognition` is taken; heartbeats, dwell times and video clips are not reads |
| `data.camera_id` | `camera_id` | its place comes from the supplier's list of cameras |
| `data.timestamp` | `time` | UTC; `timestamp_local` is the same moment by the camera's clock on the wall |
| `data.results[].plate` | `vrm` | small letters without spaces; one read for each result |
| `data.results[].score` | `confidence` | of the whole plate, 0 to 1 |
| `data.results[].candidates` | - | other readings: what looks alike is found here, for every camera alike |
| `data.results[].direction` | `direction` | degrees, where the camera is calibrated |
| `data.filename`, index of the result | `id` | with the camera and the time |
"""

from typing import Any

from schemas.inbound import BadMessageError, BadReason
from streams.adapters.translated import Supplier, Translated, event, number, part, text, whole

CAMERA_ACCURACY_M = 30.0


def translate(raw: bytes, supplier: Supplier) -> list[Translated]:
    """A read for each plate that was recognised."""
    body = whole(raw)
    hook, data = part(body, "hook"), part(body, "data")
    if hook.get("event") != "recognition":
        return []
    camera, results = text(data, "camera_id"), data.get("results")
    if camera not in supplier.cameras:
        raise BadMessageError(
            BadReason.INVALID_FIELD, "data.camera_id: a camera whose place is not in the supplier's list of cameras"
        )
    if not isinstance(results, list):
        raise BadMessageError(BadReason.INVALID_FIELD, "data.results: a list is missing")
    time = _utc(text(data, "timestamp"))
    return [_read(result, index, camera, time, supplier) for index, result in enumerate(results)]


def _utc(stated: str) -> str:
    """Older versions write it without its offset, and mean UTC."""
    time = stated.replace(" ", "T")
    return time if time.endswith("Z") or "+" in time[10:] or "-" in time[10:] else f"{time}Z"


def _read(result: Any, index: int, camera: str, time: str, supplier: Supplier) -> Translated:
    if not isinstance(result, dict):
        raise BadMessageError(BadReason.INVALID_FIELD, f"data.results.{index}: not an object")
    latitude, longitude = supplier.cameras[camera]
    direction = number(result, "direction")
    data = {
        "vrm": text(result, "plate").upper(),
        "camera_id": camera,
        "position": {"latitude": latitude, "longitude": longitude, "accuracy_m": CAMERA_ACCURACY_M},
        "confidence": number(result, "score"),
        "direction": None if direction is None else f"{direction:.0f} degrees",
    }
    return event("anpr-reads", "plate_read", f"{camera}/{time}/{index}", supplier, time, None, data)
