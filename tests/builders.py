"""Events for tests, and a subject driven through the core as the assess agent drives it.

Events are built as JSON and validated, so a test cannot use one that the wire would refuse.
"""

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import orjson
from pyproj import Geod

from schemas.base import Event, Position, format_time
from schemas.custody import CustodyEvent
from schemas.erasure import ErasePerson, EraseSubject, LiftHold, PlaceHold, digest
from schemas.inbound import type_name
from schemas.internal import DeadlineDue, Routing, SubjectEvent
from schemas.orders import (
    IdentifierRecord,
    Order,
    OrderEnded,
    OrderServed,
    OrderStayed,
    RequirementMet,
    Role,
)
from schemas.reports import BreachReport, Retraction
from schemas.safeguarding import SafeguardingTask
from schemas.sightings import Adjudication, FaceMatch, OfficerSighting, PlateRead, TagFix
from schemas.tasks import Alert, ArrestTask, AuditEntry
from schemas.updates import TaskAnswer, TaskUpdate
from streams.core.assess import decide
from streams.core.effects import Effects
from streams.core.policy import Policy, load_policy
from streams.core.records import Records
from streams.core.rows import dump, load
from streams.core.state import ROW_LIMIT_BYTES, BreachFact, SubjectState, TaskRow
from streams.core.transitions import LIVE

NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
MADE = NOW - timedelta(days=30)
HOME = (53.8000, -1.5500)
"""Centre of the usual zone: latitude, longitude (Leeds)."""
POLICY = load_policy()
SUBJECT = "S1"
_GEOD = Geod(ellps="WGS84")
_numbers = itertools.count(1)

E = TypeVar("E", bound=Event)


def policy_with(policy: Policy = POLICY, **sections: Mapping[str, Any]) -> Policy:
    """The policy with some values of its sections changed: ``policy_with(visits={"enter_fixes": 3})``."""
    body = policy.model_dump()
    for section, values in sections.items():
        body[section] |= values
    return Policy.model_validate(body)


def after(seconds: float = 0, start: datetime = NOW) -> datetime:
    return start + timedelta(seconds=seconds)


def away(east_m: float = 0, north_m: float = 0, origin: tuple[float, float] = HOME) -> dict[str, float]:
    """A position so many metres east and north of an origin."""
    lon, lat, _ = _GEOD.fwd(origin[1], origin[0], 90, east_m)
    lon, lat, _ = _GEOD.fwd(lon, lat, 0, north_m)
    return {"latitude": lat, "longitude": lon}


def position(east_m: float = 0, north_m: float = 0, accuracy_m: float | None = None) -> Position:
    return Position(**away(east_m, north_m), accuracy_m=accuracy_m)


def circle(radius_m: float = 200, east_m: float = 0, north_m: float = 0) -> dict[str, Any]:
    return {"type": "Circle", "centre": away(east_m, north_m), "radius_m": radius_m}


def square(half_m: float = 200, east_m: float = 0, north_m: float = 0) -> dict[str, Any]:
    """A GeoJSON square, its ring counter-clockwise."""
    corners = [(-half_m, -half_m), (half_m, -half_m), (half_m, half_m), (-half_m, half_m), (-half_m, -half_m)]
    places = [away(east_m + x, north_m + y) for x, y in corners]
    return {"type": "Polygon", "coordinates": [[[p["longitude"], p["latitude"]] for p in places]]}


def zone(term_id: str = "t-zone", area: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"term_id": term_id, "kind": "exclusion_zone", "area": area or circle(), "protects": ["P1"], **more}


def no_contact(term_id: str = "t-contact", **more: Any) -> dict[str, Any]:
    return {"term_id": term_id, "kind": "no_contact", "protects": ["P1"], **more}


def wire(kind: str, data: Mapping[str, Any], at: datetime, **envelope: Any) -> dict[str, Any]:
    """The JSON object of an event."""
    return {
        "specversion": "1.0",
        "id": envelope.pop("id", None) or f"e{next(_numbers)}",
        "source": "test/source",
        "type": kind,
        "time": format_time(at),
        "recordedtime": format_time(at),
        "schemaversion": 1,
        "data": {key: value for key, value in data.items() if value is not None},
        **envelope,
    }


def _times(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, Mapping):
        return {key: _times(item) for key, item in value.items()}
    return [_times(item) for item in value] if isinstance(value, list | tuple) else value


def event(model: type[E], data: Mapping[str, Any], at: datetime, **envelope: Any) -> E:
    """An event of this class, by way of the wire."""
    kind = type_name(model)
    return model.model_validate_json(orjson.dumps(_times(wire(kind, data, at, **envelope))))


def order(
    order_id: str = "O1",
    version: int = 1,
    *,
    terms: Sequence[Mapping[str, Any]] | None = None,
    kind: str = "spo_full",
    made_at: datetime = MADE,
    served: bool = True,
    at: datetime | None = None,
    id: str | None = None,  # noqa: A002 - the envelope's own name
    exercise: bool = False,
    **more: Any,
) -> Order:
    """A version of an order on the subject: a 200 m circle around HOME and no contact, unless told otherwise.

    Served when it was made, unless `served` is False. `at` is the event's own time.
    """
    data = {
        "order_id": order_id,
        "version": version,
        "kind": kind,
        "court": "Leeds Magistrates",
        "made_at": made_at,
        "respondent": {"subject_id": SUBJECT, "name": "Robin Example"},
        "service": {"served_at": made_at, "method": "personal", "reference": "ps-1"} if served else None,
        "protected_persons": [{"person_id": "P1"}, {"person_id": "P2", "relation": "child"}],
        "terms": [zone(), no_contact()] if terms is None else list(terms),
        "owning_force": "West Yorkshire Police",
        "risk": "medium",
        **more,
    }
    return event(Order, data, at or made_at, id=id, exercise=exercise)


def order_served(order_id: str = "O1", version: int = 1, at: datetime = NOW, **more: Any) -> OrderServed:
    service = {"served_at": at, "method": "personal", "reference": "ps-2", **more}
    data = {"order_id": order_id, "version": version, "subject_id": SUBJECT, "service": service}
    return event(OrderServed, data, at)


def order_ended(order_id: str = "O1", at: datetime = NOW, how: str = "discharged") -> OrderEnded:
    return event(OrderEnded, {"order_id": order_id, "subject_id": SUBJECT, "how": how, "reference": "case 1"}, at)


def order_stayed(order_id: str = "O1", at: datetime = NOW, until: datetime | None = None) -> OrderStayed:
    data = {"order_id": order_id, "subject_id": SUBJECT, "until": until, "reference": "case 2"}
    return event(OrderStayed, data, at)


def requirement_met(term_id: str | None, at: datetime, order_id: str = "O1") -> RequirementMet:
    return event(RequirementMet, {"order_id": order_id, "subject_id": SUBJECT, "term_id": term_id}, at)


def fix(
    at: datetime,
    where: Mapping[str, float] | None = None,
    *,
    accuracy_m: float | None = 10,
    device: str = "tag-1",
    id: str | None = None,  # noqa: A002
    no_position: bool = False,
    **more: Any,
) -> TagFix:
    """A tag's fix, at HOME unless told otherwise."""
    place = dict(where or away())
    if accuracy_m is not None:
        place.setdefault("accuracy_m", accuracy_m)
    return event(TagFix, {"device_id": device, "position": None if no_position else place, **more}, at, id=id)


def read(
    at: datetime,
    where: Mapping[str, float] | None = None,
    *,
    vrm: str = "BD15 DLO",
    id: str | None = None,  # noqa: A002
    **more: Any,
) -> PlateRead:
    data = {"vrm": vrm, "camera_id": "cam-1", "position": dict(where or away()), "confidence": 0.9, **more}
    return event(PlateRead, data, at, id=id)


def seen(at: datetime, where: Mapping[str, float] | None = None, **more: Any) -> OfficerSighting:
    data = {"subject_id": SUBJECT, "position": dict(where or away()), "officer": "PC 1", **more}
    return event(OfficerSighting, data, at)


def face(
    at: datetime,
    where: Mapping[str, float] | None = None,
    *,
    adjudication: str | None = None,
    id: str | None = None,  # noqa: A002
) -> FaceMatch:
    data = {
        "watchlist_ref": "wl-1",
        "camera_id": "cam-2",
        "position": dict(where or away()),
        "score": 0.9,
        "adjudication": adjudication,
    }
    return event(FaceMatch, data, at, id=id)


def adjudicated(event_id: str, at: datetime, outcome: str = "confirmed") -> Adjudication:
    data = {"event_id": event_id, "watchlist_ref": "wl-1", "outcome": outcome, "adjudicator": "DC 2"}
    return event(Adjudication, data, at)


def report(
    at: datetime,
    nature: str = "contact",
    *,
    id: str | None = None,  # noqa: A002
    **more: Any,
) -> BreachReport:
    named = {} if {"order_id", "identifiers"} & more.keys() else {"subject_id": SUBJECT}
    return event(BreachReport, {"nature": nature, "reported_by": "protected_person", **named, **more}, at, id=id)


def retraction(*ids: str, at: datetime = NOW, reason: str = "sent in error", **more: Any) -> Retraction:
    return event(Retraction, {"retracts": list(ids), "subject_id": SUBJECT, "reason": reason, **more}, at)


def custody(state: str, at: datetime, **more: Any) -> CustodyEvent:
    return event(CustodyEvent, {"subject_id": SUBJECT, "state": state, **more}, at)


def update(task_id: str | None, action: str, at: datetime, role: str = "controller", **more: Any) -> TaskUpdate:
    data = {"task_id": task_id, "subject_id": SUBJECT, "action": action, "actor": "op-1", "role": role, **more}
    return event(TaskUpdate, data, at)


def wake(at: datetime) -> DeadlineDue:
    return event(DeadlineDue, {}, at)


def erase(at: datetime, **more: Any) -> EraseSubject:
    return event(EraseSubject, more, at)


def erase_person(person_id: str, at: datetime, **more: Any) -> ErasePerson:
    return event(ErasePerson, {"person": digest(person_id), **more}, at)


def place_hold(at: datetime, reference: str = "H1") -> PlaceHold:
    return event(PlaceHold, {"reference": reference, "by": "DI 3", "reason": "trial in March"}, at)


def lift_hold(at: datetime, reference: str = "H1") -> LiftHold:
    return event(LiftHold, {"reference": reference, "by": "DI 3", "reason": "acquitted"}, at)


class Subject:
    """One subject's row and records, as assess would hold them, and everything that was sent.

    Each event is decided on the row as it was last written, after a round trip through JSON. Its append time
    is `now` where it is told, else never before the event's own time and never before the last one.
    """

    def __init__(
        self, *events: Event, policy: Policy = POLICY, subject_id: str = SUBJECT, now: datetime | None = None
    ) -> None:
        self.policy = policy
        self.subject_id = subject_id
        self.exercise = subject_id.startswith("exercise/")
        self.table: dict[bytes, bytes] = {}
        self.row: bytes | None = None
        self.offset = -1
        self.committed = 0
        self.now = now or MADE
        self.effects: list[Effects] = []
        self.decided: list[tuple[SubjectEvent, datetime, int, int]] = []
        """What was decided on: the record, its append time and offset, and what was committed then."""
        self.max_row_bytes = 0
        self.feed(*events)

    def feed(
        self,
        *events: Event,
        now: datetime | None = None,
        role: Role = Role.SUBJECT,
        match: str = "direct",
        person_id: str | None = None,
        commits: bool = True,
    ) -> Effects:
        """Apply events in this order; the effects of the last one."""
        last = Effects()
        for each in events:
            self.offset += 1
            if commits:  # the usual case: everything before is committed when the next event comes
                self.committed = self.offset
            last = self._decide(each, now or max(self.now, each.time), role, match, person_id)
        return last

    def replay(
        self, again: Event, *, offset: int | None = None, committed: int | None = None, now: datetime | None = None
    ) -> Effects:
        """The process ended after the row was written, before the commit: the record is read once more."""
        self.offset = self.offset if offset is None else offset
        self.committed = self.offset if committed is None else committed
        return self._decide(again, now or self.now, Role.SUBJECT, "direct", None)

    def _decide(self, each: Event, now: datetime, role: Role, match: str, person_id: str | None) -> Effects:
        self.now = max(self.now, now)
        routing = Routing(
            topic="sightings",
            partition=0,
            offset=self.offset,
            appended_at=now,
            sha256=hashlib.sha256(each.event_id.encode()).hexdigest(),
            role=role,
            match=match,
            person_id=person_id,
        )
        incoming = SubjectEvent(subject_id=self.subject_id, routing=routing, event=each)
        self.decided.append((incoming, now, self.offset, self.committed))
        state = self.state
        records = Records(self.subject_id, self.table, set(state.hours))
        effects = decide(state, records, incoming, self.policy, now, self.offset, self.committed)
        if effects.gone:
            self.row = None
            self.effects.append(effects)
            return effects
        self.row = dump(state)
        self.max_row_bytes = max(self.max_row_bytes, len(self.row))
        assert len(self.row) <= ROW_LIMIT_BYTES, f"a row of {len(self.row)} bytes"
        live = [task.task_id for task in state.tasks if task.state in LIVE]
        assert len(live) <= 1, "two live tasks"
        self.effects.append(effects)
        return effects

    @property
    def state(self) -> SubjectState:
        """The row, as assess would read it."""
        return load(self.row, self.subject_id)

    @property
    def records(self) -> Records:
        return Records(self.subject_id, self.table, set(self.state.hours))

    @property
    def alerts(self) -> list[Alert]:
        return [alert for effects in self.effects for alert in effects.alerts]

    @property
    def audits(self) -> list[AuditEntry]:
        return [audit for effects in self.effects for audit in effects.audits]

    @property
    def answers(self) -> list[TaskAnswer]:
        return [answer for effects in self.effects for answer in effects.answers]

    @property
    def safeguarding(self) -> dict[str, SafeguardingTask]:
        """The newest snapshot of each, as a compacted topic would hold it."""
        return {task.safeguarding_id: task for effects in self.effects for task in effects.safeguarding}

    @property
    def identifiers(self) -> list[IdentifierRecord]:
        return [record for effects in self.effects for record in effects.identifiers]

    @property
    def tasks(self) -> dict[str, ArrestTask]:
        """The newest snapshot of each task, as a compacted topic would hold it."""
        return {task.task_id: task for effects in self.effects for task in effects.tasks}

    @property
    def task(self) -> ArrestTask:
        """The one task that there is."""
        (task,) = self.tasks.values()
        return task

    @property
    def breaches(self) -> list[BreachFact]:
        """Facts that stand, by time."""
        return sorted(self.state.breaches, key=lambda fact: (fact.began_at, fact.order_id, fact.term_id or ""))

    @property
    def breach(self) -> BreachFact:
        """The one fact that there is."""
        (fact,) = self.breaches
        return fact

    @property
    def live(self) -> TaskRow | None:
        return next((task for task in self.state.tasks if task.state in LIVE), None)

    def kinds(self) -> list[str]:
        """Kinds of the alerts that were sent, in their order."""
        return [alert.kind for alert in self.alerts]

    def decisions(self) -> list[str]:
        return [audit.decision for audit in self.audits]

    def facts(self) -> list[tuple[Any, ...]]:
        """What the breaches are, without what depends on arrival."""
        return facts(self.state.breaches)


def facts(breaches: Iterable[BreachFact]) -> list[tuple[Any, ...]]:
    return sorted(
        (f.order_id, f.order_version, f.term_id or "", f.track, str(f.certainty), f.began_at, f.ended_at or "open")
        for f in breaches
    )
