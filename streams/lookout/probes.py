"""What the canary sends: which subject stands for which partition, whose turn it is, and the events. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import orjson
from aiokafka.partitioner import DefaultPartitioner

from schemas.base import format_time
from streams.core.canary import SOURCE, SUBJECTS
from streams.core.resolve import world_id

Way = Literal["sightings", "anpr"]
"""By which a probe comes: straight, or through the gate."""
TOPICS: dict[Way, str] = {"sightings": "sightings", "anpr": "anpr-reads"}
ORDER_VERSION = 1
"""Raise it with any change to the order below: workers keep the first content of a version."""
_MADE = "2026-11-01T00:00:00Z"
# In the sea off Norfolk. A fix in the middle is wholly inside, whatever its error.
_CENTRE = {"latitude": 53.1, "longitude": 1.3}
_RADIUS_M = 500.0
_ACCURACY_M = 10.0
# Fixes of one device at one moment would be one fix.
_APART = timedelta(milliseconds=10)

_partition_of = DefaultPartitioner()


class Probed(NamedTuple):
    """The canary's subject on one partition of `subject-events`."""

    partition: int
    number: int
    """Of those that were tried, the first that is there: the same for ever, whoever looks."""

    @property
    def name(self) -> str:
        """The subject's id, as its order states it; of its tag and order too."""
        return f"{SUBJECTS}{self.number}"

    @property
    def plate(self) -> str:
        """Longer than any real one; of one length, so that none is another with a character lost."""
        return f"CANARY{self.number:06d}"


class Turn(NamedTuple):
    """Whose turn it is, and the inbound partition that the probe goes by."""

    subject: int
    inbound: int


def partition_of(subject_id: str, partitions: int) -> int:
    """Where ingest puts a subject's events: aiokafka's own partitioner, which Faust uses too."""
    return int(_partition_of(subject_id.encode(), list(range(partitions)), []))


def subjects(partitions: int) -> list[Probed]:
    """One on each partition of `subject-events`, by partition."""
    found: dict[int, Probed] = {}
    number = 0
    while len(found) < partitions:
        here = partition_of(world_id(f"{SUBJECTS}{number}", exercise=True), partitions)
        found.setdefault(here, Probed(here, number))
        number += 1
    return [found[partition] for partition in range(partitions)]


def turn(number: int, partitions: int) -> Turn:
    """The probe of that number, from 0: each subject in turn, each time by the next inbound partition."""
    return Turn(number % partitions, (number + number // partitions) % partitions)


def order(probed: Probed) -> bytes:
    """The subject's order, which has no end. It is the same event each time: sent again it changes nothing."""
    name = probed.name
    data = {
        "order_id": name,
        "version": ORDER_VERSION,
        "kind": "restraining",
        "court": "none: a synthetic order",
        "made_at": _MADE,
        "respondent": {"subject_id": name},
        "protected_persons": [{"person_id": f"{name}/nobody"}],
        "terms": [
            {
                "term_id": "zone",
                "kind": "exclusion_zone",
                "area": {"type": "Circle", "centre": _CENTRE, "radius_m": _RADIUS_M},
            }
        ],
        "identifiers": [{"kind": "tag", "value": name}, {"kind": "plate", "value": probed.plate}],
        "owning_force": "none: a synthetic order",
        "risk": "standard",
    }
    return _event("order", f"order-{probed.number}-{ORDER_VERSION}", _MADE, _MADE, data)


def sightings(probed: Probed, way: Way, name: str, now: datetime, count: int) -> list[tuple[str, bytes]]:
    """`count` sightings in the zone, the last of them at `now`: event id (`source#id`) and message of each.

    `name` is part of their ids, and new for each probe.
    """
    position = _CENTRE | {"accuracy_m": _ACCURACY_M}
    kind, data = (
        ("tag_fix", {"device_id": probed.name, "position": position})
        if way == "sightings"
        else ("plate_read", {"vrm": probed.plate, "camera_id": SOURCE, "position": position})
    )
    found = []
    for number in range(1, count + 1):
        event_id, at = f"{name}-{number}", now - (count - number) * _APART
        found.append((f"{SOURCE}#{event_id}", _event(kind, event_id, format_time(at), format_time(now), data)))
    return found


def _event(kind: str, event_id: str, at: str, recorded: str, data: Mapping[str, object]) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": SOURCE,
            "type": kind,
            "time": at,
            "recordedtime": recorded,
            "exercise": True,
            "data": data,
        }
    )
