"""Orders, the fixes of their subjects' tags, and reports, for the bench: invented."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from random import Random

import orjson

from schemas.base import format_time

_TOWN = (52.6, 1.3)
_SPREAD = 0.2
_ZONE_NORTH = 0.027
"""Degrees from home to the middle of the zone: 3 km."""
# Of a subject's fixes, those within a zone: a breach for one subject in ten.
_INSIDE_SHARE = 0.002


def subject_name(number: int) -> str:
    return f"SUBJ-{number:06}"


def tag(number: int) -> str:
    return f"TAG-{number:06}"


def event(kind: str, name: str, at: datetime, source: str, data: Mapping[str, object], **more: object) -> bytes:
    """The JSON of an event that was recorded as it happened."""
    time = format_time(at)
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": name,
            "source": source,
            "type": kind,
            "time": time,
            "recordedtime": time,
            **more,
            "data": data,
        }
    )


def home(number: int) -> tuple[float, float]:
    """Where the subject lives: latitude, longitude."""
    random = Random(number)  # noqa: S311 - invented places, nothing secret
    return _TOWN[0] + random.uniform(-_SPREAD, _SPREAD), _TOWN[1] + random.uniform(-_SPREAD, _SPREAD)


def order(number: int, made: datetime) -> bytes:
    """A served order with a circle to keep out of, 3 km from home, no contact, and a tag."""
    latitude, longitude = home(number)
    person = f"PERSON-{number:06}"
    circle = {
        "term_id": "zone-0",
        "kind": "exclusion_zone",
        "protects": [person],
        "area": {
            "type": "Circle",
            "centre": {"latitude": latitude + _ZONE_NORTH, "longitude": longitude},
            "radius_m": 500.0,
        },
    }
    return event(
        "order",
        f"order-{number}",
        made,
        "courts/norwich",
        {
            "order_id": f"ORDER-{number:06}",
            "version": 1,
            "kind": "spo_full",
            "court": "Norwich Magistrates",
            "made_at": format_time(made),
            "respondent": {"subject_id": subject_name(number), "name": f"Respondent {number}"},
            "service": {"served_at": format_time(made), "method": "personal", "reference": f"proof {number}"},
            "protected_persons": [{"person_id": person}],
            "terms": [circle, {"term_id": "contact", "kind": "no_contact", "protects": [person]}],
            "identifiers": [{"kind": "tag", "value": tag(number)}],
            "owning_force": "Norfolk",
            "risk": "high",
            "notifies_elsewhere": True,
        },
    )


def fix(number: int, count: int, at: datetime, random: Random) -> bytes:
    """The `count`th fix of a subject's tag, mostly near home."""
    latitude, longitude = home(number)
    north = _ZONE_NORTH if random.random() < _INSIDE_SHARE else 0.0
    position = {
        "latitude": round(latitude + north + random.gauss(0, 0.001), 6),
        "longitude": round(longitude + random.gauss(0, 0.001), 6),
        "accuracy_m": round(random.uniform(5, 30), 1),
    }
    data = {"device_id": tag(number), "position": position, "satellites": random.randrange(5, 14)}
    return event("tag_fix", f"fix-{number}-{count}", at, "tags/supplier", data)


def report(number: int, name: str, at: datetime) -> bytes:
    """A report of a text message to the person whom the subject's order protects."""
    data = {
        "order_id": f"ORDER-{number:06}",
        "nature": "contact",
        "channel": "text",
        "reported_by": "protected_person",
    }
    return event("breach_report", name, at, "calls/norfolk", data)


def fixes(subjects: int, count: int, end: datetime, seed: int) -> Iterator[tuple[int, bytes]]:
    """Subject and fix, `count` of them by time: one of each subject a minute, until `end`."""
    random = Random(seed)  # noqa: S311 - invented places, nothing secret
    rounds = -(-count // subjects)
    for done in range(count):
        minute, number = divmod(done, subjects)
        at = end - timedelta(minutes=rounds - minute) + timedelta(seconds=60 * number / subjects)
        yield number, fix(number, minute, at, random)
