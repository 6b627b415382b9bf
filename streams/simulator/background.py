"""Plate reads of cars on no order: nearly all that cameras see. Plain dicts, since there can be millions."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from schemas.base import format_time
from streams.simulator import names
from streams.simulator.people import CITIES
from streams.simulator.sites import offset

_CAMERAS = 500
_CARS = 50_000


def background_reads(
    rng: Random, plates: names.Plates, run: str, start: datetime, end: datetime, per_second: float
) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """When each read is sent, and the read, in the order of sending; `per_second` is a mean rate."""
    expected = per_second * (end - start).total_seconds()
    if expected < 1:
        return
    cars = list(_cars(rng, plates, min(_CARS, 10 + int(expected / 3))))
    cameras = list(_cameras(rng))
    at, number = start, 0
    while True:
        at += timedelta(seconds=rng.expovariate(per_second))
        if at >= end:
            return
        number += 1
        camera_id, latitude, longitude = cameras[int(rng.random() * _CAMERAS)]
        time = format_time(at)
        yield (
            at,
            {
                "specversion": "1.0",
                "id": f"{run}-read{number:08}",
                "source": "anpr/nas",
                "time": time,
                "recordedtime": time,
                "schemaversion": 1,
                "type": "plate_read",
                "data": {
                    "vrm": cars[int(rng.random() * len(cars))],
                    "camera_id": camera_id,
                    "position": {"latitude": latitude, "longitude": longitude},
                    "confidence": 0.97,
                    "lane": 1,
                },
            },
        )


def _cars(rng: Random, plates: names.Plates, count: int) -> Iterator[str]:
    while count:
        vrm = names.plate(rng)
        if plates.is_far(vrm):
            count -= 1
            yield vrm


def _cameras(rng: Random) -> Iterator[tuple[str, float, float]]:
    for number in range(_CAMERAS):
        town, lat, lon, _ = rng.choice(CITIES)
        place = offset((lat, lon), rng.uniform(0, 360), rng.uniform(0, 20_000))
        yield f"CAM-{town.upper()}-{number:04}", *place
