"""One example of each inbound event, as a sender writes it: invented people and places.

Together they are a short story, in which what the pipeline sends is made too: the examples of the published contract.
"""

from typing import Any

from schemas.inbound import TOPIC_EVENTS, type_name


def _event(kind: str, name: str, source: str, time: str, recorded: str, /, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": name,
        "source": source,
        "type": kind,
        "time": f"2026-11-25T{time}Z",
        "recordedtime": f"2026-11-25T{recorded}Z",
        "data": data,
    }


_NEAR_HOME = {"latitude": 52.631, "longitude": 1.2935, "accuracy_m": 8.0}
_ORDER = {"order_id": "SPO-2026-0093", "subject_id": "SUBJ-2026-0417"}

STORY: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "orders",
        _event(
            "order",
            "order-93-1",
            "courts/norwich",
            "08:00:00",
            "08:05:00",
            order_id="SPO-2026-0093",
            version=1,
            kind="spo_full",
            court="Norwich Magistrates' Court",
            made_at="2026-11-25T08:00:00Z",
            expires_at="2028-11-25T08:00:00Z",
            present_in_court=True,
            respondent={"subject_id": "SUBJ-2026-0417", "name": "Robin Example"},
            protected_persons=[
                {"person_id": "PP-1", "safe_contact": {"means": ["through_advocate"], "held_at": "advocate file 7"}}
            ],
            terms=[
                {
                    "term_id": "T1",
                    "kind": "exclusion_zone",
                    "protects": ["PP-1"],
                    "area": {
                        "type": "Circle",
                        "centre": {"latitude": 52.631, "longitude": 1.293},
                        "radius_m": 300.0,
                    },
                },
                {"term_id": "T2", "kind": "no_contact", "protects": ["PP-1"]},
            ],
            identifiers=[{"kind": "plate", "value": "BD15 DLO"}, {"kind": "tag", "value": "TAG-004711"}],
            owning_force="Norfolk Constabulary",
            risk="high",
            markers=["weapons"],
        ),
    ),
    (
        "orders",
        _event(
            "order_served",
            "served-93-1",
            "courts/norwich",
            "08:10:00",
            "08:20:00",
            **_ORDER,
            version=1,
            service={"served_at": "2026-11-25T08:10:00Z", "method": "personal", "reference": "proof 88"},
        ),
    ),
    (
        "orders",
        _event("requirement_met", "notified-93", "police/records", "09:00:00", "09:01:00", **_ORDER),
    ),
    (
        "sightings",
        _event(
            "tag_fix",
            "fix-88121",
            "tags/supplier",
            "09:30:00",
            "09:30:02",
            device_id="TAG-004711",
            position=_NEAR_HOME,
        ),
    ),
    (
        "breach-reports",
        _event(
            "breach_report",
            "2026-11-25-0007",
            "calls/norfolk",
            "09:31:00",
            "09:33:10",
            nature="contact",
            order_id="SPO-2026-0093",
            channel="text",
            reported_by="protected_person",
        ),
    ),
    (
        "anpr-reads",
        _event(
            "plate_read",
            "read-5-10007",
            "anpr/norfolk",
            "09:35:00",
            "09:35:01",
            vrm="BD15 DLO",
            camera_id="CAM-17-N",
            position=_NEAR_HOME,
            confidence=0.94,
            force="Norfolk Constabulary",
        ),
    ),
    (
        "sightings",
        _event(
            "officer_sighting",
            "seen-3",
            "police/mobile",
            "09:36:00",
            "09:37:00",
            subject_id="SUBJ-2026-0417",
            position=_NEAR_HOME,
            officer="PC 1234",
        ),
    ),
    (
        "sightings",
        _event(
            "face_match",
            "face-9",
            "lfr/van-2",
            "09:38:00",
            "09:38:01",
            watchlist_ref="WL-88",
            camera_id="LFR-2",
            position=_NEAR_HOME,
            score=0.71,
        ),
    ),
    (
        "sightings",
        _event(
            "adjudication",
            "verdict-9",
            "lfr/van-2",
            "09:39:00",
            "09:39:05",
            event_id="face-9",
            watchlist_ref="WL-88",
            outcome="rejected",
            adjudicator="PC 4321",
        ),
    ),
    (
        "custody-events",
        _event(
            "custody_event",
            "custody-1",
            "custody/norwich",
            "10:00:00",
            "10:02:00",
            subject_id="SUBJ-2026-0417",
            state="arrested",
            custody_ref="NW/2026/5531",
        ),
    ),
    (
        "task-updates",
        _event(
            "task_update",
            "update-1",
            "dispatch/norfolk",
            "10:05:00",
            "10:05:00",
            task_id="ddbd089f-d88a-5be9-84b6-6dbd1da2e705",
            subject_id="SUBJ-2026-0417",
            incident="NC-20261125-101",
            action="link",
            actor="op-1",
            role="dispatch",
        ),
    ),
    (
        "source-heartbeats",
        _event(
            "source_heartbeat",
            "beat-12",
            "tags/supplier",
            "10:10:00",
            "10:10:00",
            sequence=12,
            next_due="2026-11-25T10:11:00Z",
        ),
    ),
    (
        "orders",
        _event(
            "order_stayed",
            "stay-1",
            "courts/norwich",
            "11:00:00",
            "11:05:00",
            **_ORDER,
            reference="appeal 14",
            until="2026-12-01T00:00:00Z",
        ),
    ),
    (
        "orders",
        _event(
            "identity_corrected",
            "merge-1",
            "police/records",
            "11:10:00",
            "11:11:00",
            how="merged",
            subject_id="SUBJ-2026-0999",
            other_subject_id="SUBJ-2026-0417",
            reason="one person under two references",
        ),
    ),
    (
        "sightings",
        _event(
            "retraction",
            "back-1",
            "police/mobile",
            "11:20:00",
            "11:21:00",
            retracts=["seen-3"],
            subject_id="SUBJ-2026-0417",
            reason="it was somebody else",
        ),
    ),
    (
        "orders",
        _event(
            "order_ended",
            "end-1",
            "courts/norwich",
            "12:00:00",
            "12:05:00",
            **_ORDER,
            how="discharged",
            reference="order of 25 November",
        ),
    ),
    (
        "sightings-backfill",
        _event(
            "retro_search",
            "search-1-began",
            "breachwatch/rescan",
            "12:10:00",
            "12:10:00",
            search_id="5f0c2c0a-search",
            phase="began",
            subject_id="SUBJ-2026-0417",
            order_ids=["SPO-2026-0093"],
            since="2026-11-25T08:00:00Z",
            authority="RIPA 7/2026",
            reason="the order was known late",
        ),
    ),
)
"""(topic, event), in the order of arrival."""


def inbound() -> dict[str, dict[str, Any]]:
    """Name of the event's `type` -> its example; every type has one."""
    found = {event["type"]: event for _, event in STORY}
    assert found.keys() == {type_name(model) for models in TOPIC_EVENTS.values() for model in models}
    return found
