"""The story of the demonstration: what is published, in which order, and what each step should show."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

SUBJECT = "SUBJ-2026-0417"
ORDER = "SPO-2026-0093"
PLATE = "BD15DLO"
TAG = "TAG-004711"
# Made up: a square of streets in the middle of Norwich, and a car park a mile away.
_ZONE = [[1.2880, 52.6280], [1.2990, 52.6280], [1.2990, 52.6340], [1.2880, 52.6340], [1.2880, 52.6280]]
_INSIDE = {"latitude": 52.6310, "longitude": 1.2935, "accuracy_m": 8.0}
_OUTSIDE = {"latitude": 52.6420, "longitude": 1.3100, "accuracy_m": 8.0}
BACKGROUND_READS = 300


@dataclass(frozen=True)
class Step:
    """One step: what to say, what to publish as (topic, value) pairs, and what answers it.

    `names` is the order that must be known or the event that a task must mention for the answer to be there.
    """

    says: str
    messages: list[tuple[str, bytes]]
    answer: Literal["order", "task", "dead letter"]
    names: str = ""


def _event(kind: str, name: str, source: str, data: dict[str, Any], at: datetime | None = None) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "id": name,
        "source": source,
        "type": kind,
        "time": (at or now).isoformat(),
        "recordedtime": now.isoformat(),
        "data": data,
    }


def _step(says: str, topic: str, event: dict[str, Any], before: list[tuple[str, bytes]] | None = None) -> Step:
    """A step that a task answers; `before` is published ahead of its event."""
    messages = [*(before or []), (topic, json.dumps(event).encode())]
    return Step(says, messages, "task", f"{event['source']}#{event['id']}")


def _background() -> list[tuple[str, bytes]]:
    """Reads of plates on no order, which the gate counts and forgets."""
    rng = random.Random(7)  # noqa: S311 - plates of a story, nothing secret
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ"
    reads = []
    for number in range(BACKGROUND_READS):
        plate = "".join(rng.choices(letters, k=2)) + f"{rng.randrange(51, 75)}" + "".join(rng.choices(letters, k=3))
        data = {"vrm": plate, "camera_id": f"CAM-{number % 40}", "position": {"latitude": 52.64, "longitude": 1.31}}
        event = _event("plate_read", f"background-{number}", "anpr/nas", data)
        reads.append(("anpr-reads", json.dumps(event).encode()))
    return reads


def _order() -> dict[str, Any]:
    now = datetime.now(UTC)
    return _event(
        "order",
        "order-1",
        "courts/norwich",
        {
            "order_id": ORDER,
            "version": 1,
            "kind": "spo_full",
            "court": "Norwich Magistrates' Court",
            "applicant": "Norfolk Constabulary",
            "made_at": (now - timedelta(days=31)).isoformat(),
            "expires_at": (now + timedelta(days=900)).isoformat(),
            "service": {"served_at": (now - timedelta(days=30)).isoformat(), "method": "personal"},
            "respondent": {"subject_id": SUBJECT, "name": "Simon Sample"},
            "protected_persons": [{"person_id": "PP-1"}],
            "terms": [
                {"term_id": "T1", "kind": "exclusion_zone", "area": {"type": "Polygon", "coordinates": [_ZONE]}},
                {"term_id": "T2", "kind": "no_contact", "protects": ["PP-1"]},
            ],
            "identifiers": [{"kind": "plate", "value": PLATE}, {"kind": "tag", "value": TAG}],
            "owning_force": "Norfolk Constabulary",
            "risk": "high",
            "certified_copy": "NMC/2026/93",
        },
        now - timedelta(days=31),
    )


def steps() -> Iterator[Step]:
    """The steps, each made when it is its turn, so that its times are now."""
    yield Step(
        "A magistrates' court has made a Stalking Protection Order against Simon Sample: keep out of a zone in "
        "Norwich, and do not contact her. It was served on him in person last month.",
        [("orders", json.dumps(_order()).encode())],
        "order",
        ORDER,
    )
    yield _step(
        f"Among {BACKGROUND_READS} reads of other cars, a camera in the zone reads his plate, BD15 DLO, as BDI5 DLO.",
        "anpr-reads",
        _event("plate_read", "read-1", "anpr/nas", {"vrm": "BDI5 DLO", "camera_id": "CAM-7", "position": _INSIDE}),
        _background(),
    )
    broken = _event(
        "breach_report", "report-0", "calls/norfolk", {"nature": "contact", "order_id": ORDER, "reported_by": "staff"}
    )
    broken["time"] = broken["time"].partition("+")[0]
    yield Step(
        "A call-handling system sends a report whose time lacks its offset. Nobody can say when that was, so it is "
        "set aside with the reason; and because somebody may be waiting for help, people are told at once.",
        [("breach-reports", json.dumps(broken).encode())],
        "dead letter",
    )
    yield _step(
        "She calls the police: he has sent her a text message, which the order forbids.",
        "breach-reports",
        _event(
            "breach_report",
            "report-1",
            "calls/norfolk",
            {
                "nature": "contact",
                "order_id": ORDER,
                "protected_person_id": "PP-1",
                "channel": "text",
                "reported_by": "protected_person",
            },
        ),
    )
    yield _step(
        "The tag that he wears reports a position inside the zone: now it is certain that he himself is there.",
        "sightings",
        _event("tag_fix", "fix-1", "tags/supplier", {"device_id": TAG, "position": _INSIDE}),
    )
    yield _step(
        "The control room acknowledges the task on its dashboard ...",
        "task-updates",
        _update("update-1", "acknowledge"),
    )
    yield _step("... and assigns a car.", "task-updates", _update("update-2", "assign", assignee="Car NN12"))
    yield _step(
        "An officer sees him outside the zone: no new breach, but the task now says where he can be arrested.",
        "sightings",
        _event(
            "officer_sighting",
            "sighting-1",
            "force/norfolk",
            {"subject_id": SUBJECT, "position": _OUTSIDE, "officer": "PC 1234"},
        ),
    )
    yield _step(
        "Custody reports the arrest: the task is done.",
        "custody-events",
        _event("custody_event", "custody-1", "custody/norfolk", {"subject_id": SUBJECT, "state": "arrested"}),
    )


def _update(name: str, action: str, **extra: str) -> dict[str, Any]:
    """The task's id is filled in by the teller, who has seen the task."""
    data = {
        "task_id": "TASK",
        "subject_id": SUBJECT,
        "action": action,
        "actor": "demo",
        "role": "controller",
        **extra,
    }
    return _event("task_update", name, "dashboards/demo", data)
