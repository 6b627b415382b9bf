"""The decision on one event for one subject: (state, event, policy, now) -> (new state, effects).

`decide` takes its draft of the state over and changes it; a caller that fails before the row is written must
read the row again. Nothing here knows Kafka, Faust or a clock.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from schemas.base import Event
from schemas.custody import CustodyEvent
from schemas.internal import SubjectEvent
from schemas.orders import (
    IdentifierKind,
    IdentifierRecord,
    Order,
    OrderData,
    OrderEnded,
    OrderServed,
    Role,
)
from schemas.reports import BreachReport, Retraction
from schemas.sightings import Adjudication, FaceMatch, OfficerSighting, PlateRead, TagFix
from schemas.tasks import Alert, AuditEntry, EvidenceRef, LastSeen, TaskState, TaskUpdate
from streams.core.effects import Effects, cause_id
from streams.core.force import effective_from, in_force, version_at, why_not
from streams.core.judge import (
    Lineage,
    is_zone_evidence,
    judge_report,
    lineages,
    place,
    stretch_around,
    visit_certainty,
    visits_in,
)
from streams.core.plates import canonical
from streams.core.policy import Policy
from streams.core.records import Observation, Records
from streams.core.state import (
    MAX_BREACHES,
    MAX_KNOWN_IDS,
    MAX_OUTBOX,
    MAX_QUIET,
    MAX_TASKS,
    BreachFact,
    OrderRef,
    OutboxEntry,
    SubjectState,
    TaskRow,
    VersionRef,
)
from streams.core.tasks import TRANSITIONS, breaches_of, live_task, note, refusal, regrade, snapshot
from streams.core.visits import Track, Visit, advance
from streams.core.zones import Placement

SYSTEM = "breachwatch"


def decide(
    state: SubjectState,
    records: Records,
    incoming: SubjectEvent,
    policy: Policy,
    appended_at: datetime,
    offset: int,
    committed: int,
) -> Effects:
    """Apply one `subject-events` record to its subject's row.

    `appended_at` and `offset` are the record's own; `committed` is the offset up to which the caller has
    committed, which empties the outbox.
    """
    return _Assessment(state, records, incoming, policy, appended_at, offset).run(committed)


class _Assessment:
    """One decision: the draft row, the event, and the effects as they gather."""

    def __init__(
        self,
        state: SubjectState,
        records: Records,
        incoming: SubjectEvent,
        policy: Policy,
        appended_at: datetime,
        offset: int,
    ) -> None:
        self.state = state
        self.records = records
        self.routing = incoming.routing
        self.event: Event = incoming.event
        self.policy = policy
        self.offset = offset
        # Kept monotone, so that a broker's stepped clock cannot make a replay decide differently.
        self.now = max(appended_at, state.now) if state.now else appended_at
        self.effects = Effects()
        self.touched: set[str] = set()

    # -- the frame around every decision ------------------------------------------------------------------

    def run(self, committed: int) -> Effects:
        state = self.state
        state.now = self.now
        state.outbox = [entry for entry in state.outbox if entry.offset >= committed]
        for entry in state.outbox:
            if entry.offset == self.offset and entry.event_id == self.event.event_id:
                return self._replay(entry)
        state.revision += 1
        if self._is_known():
            self._quietly("duplicate", "this event id was already applied; it changes nothing")
            self._rewrite_records()
        elif self.event.time > self.now + timedelta(seconds=self.policy.limits.future_tolerance_s):
            self._quarantine()
        else:
            self._apply()
        self._trim()
        for task in state.tasks:
            if task.task_id in self.touched:
                task.revision += 1
                task.updated_at = self.now
                self.effects.tasks.append(snapshot(task, state, self.records, self.policy))
        self._remember()
        state.hours = sorted(self.records.hours)
        return self.effects

    def _replay(self, entry: OutboxEntry) -> Effects:
        """The same effects again: the process ended after the row was written, before the commit."""
        self._rewrite_records()
        tasks = [t for t in self.state.tasks if t.task_id in entry.tasks]
        return Effects(
            identifiers=list(entry.identifiers),
            audits=list(entry.audits),
            alerts=list(entry.alerts),
            tasks=[snapshot(task, self.state, self.records, self.policy) for task in tasks],
        )

    def _rewrite_records(self) -> None:
        if isinstance(self.event, Order):
            self.records.put_order(self.event.data)
        else:
            self.records.rewrite(self.event.time)

    def _remember(self) -> None:
        if not self.effects:
            return
        self.state.outbox.append(
            OutboxEntry(
                offset=self.offset,
                event_id=self.event.event_id,
                alerts=self.effects.alerts,
                audits=self.effects.audits,
                identifiers=self.effects.identifiers,
                tasks=[task.task_id for task in self.effects.tasks],
            )
        )
        self.effects.commit_now = len(self.state.outbox) > MAX_OUTBOX

    def _is_known(self) -> bool:
        if self._observed() is not None:
            return False  # its record says, when it is added
        return self.event.event_id in self.state.known

    def _know(self) -> None:
        known = self.state.known
        known[self.event.event_id] = self.offset
        while len(known) > MAX_KNOWN_IDS:
            del known[next(iter(known))]

    def _quarantine(self) -> None:
        """A clock that runs ahead must not become "latest" (behaviour 45)."""
        hour = f"{self.now:%Y-%m-%dT%H}"
        self._audit("quarantined", "the event claims a time in the future: its sender's clock is wrong")
        self._alert(
            "clock_ahead",
            "low",
            f"{self.event.source} sends events from the future: check its clock; they are not acted on",
            cause=(self.event.source, hour),
        )

    def _apply(self) -> None:
        event = self.event
        observation = self._observed()
        if observation is not None:
            self._observe(observation)
            return
        self._know()
        if isinstance(event, Order):
            self._order(event)
        elif isinstance(event, OrderServed):
            self._served(event)
        elif isinstance(event, OrderEnded):
            self._ended(event)
        elif isinstance(event, CustodyEvent):
            self._custody(event)
        elif isinstance(event, TaskUpdate):
            self._task_update(event)
        elif isinstance(event, Adjudication):
            self._adjudication(event)
        elif isinstance(event, Retraction):
            self._retraction(event)
        elif isinstance(event, TagFix):
            self._device_state(event)
            self._quietly("no_position", "the fix has no usable position")
        else:
            self._audit("noted", f"a {event.type} has no effect on this subject")  # type: ignore[attr-defined]

    # -- orders ---------------------------------------------------------------------------------------------

    def _order(self, event: Order) -> None:
        order = event.data
        before = self._identifier_records()
        ref = self.state.orders.setdefault(order.order_id, OrderRef(order_id=order.order_id))
        if any(known.version == order.version for known in ref.versions):
            held = self.records.order(order.order_id, order.version).data
            if held != order:
                self._audit(
                    "refused", f"version {order.version} is held with other content; a change needs a new one"
                )
                self._alert(
                    "order_version_conflict",
                    "high",
                    f"order {order.order_id} version {order.version} arrived twice with different content: the first "
                    "is kept; ask the court or records system which is right and publish it as a new version",
                )
                return
        else:
            ref.versions.append(
                VersionRef(
                    version=order.version,
                    effective_from=effective_from(order),
                    expires_at=order.expires_at,
                    recorded_at=event.recordedtime,
                )
            )
        self.records.put_order(order)
        if order.service is not None:
            ref.services[order.version] = order.service
        ref.in_court = ref.in_court or order.present_in_court
        self._supersede()
        self._publish_identifiers(before)
        self._audit(
            "order_loaded",
            f"version {order.version} in force from {effective_from(order):%Y-%m-%d}"
            + (f" to {order.expires_at:%Y-%m-%d}" if order.expires_at else " until further order"),
            orders=[f"{order.order_id}/{order.version}"],
        )
        self._rejudge({order.order_id, *([order.replaces] if order.replaces else [])})

    def _supersede(self) -> None:
        """A full order ends the interim whose main application it determines (SPA 2019 s5)."""
        for ref in self.state.orders.values():
            for version in ref.versions:
                later = self.records.order(ref.order_id, version.version).data
                interim = self.state.orders.get(later.replaces or "")
                if interim is not None:
                    interim.superseded_at = effective_from(later)

    def _identifier_records(self) -> dict[tuple[str, str, str], IdentifierRecord]:
        """What the orders say about who is named by what: the newest version that names it counts."""
        found: dict[tuple[str, str, str], IdentifierRecord] = {}
        for ref in self.state.orders.values():
            for version in sorted(ref.versions, key=lambda v: v.version):
                order = self.records.order(ref.order_id, version.version).data
                for key, record in found.items():
                    if key[2] == ref.order_id and record.kind not in (
                        IdentifierKind.SUBJECT,
                        IdentifierKind.ORDER,
                    ):
                        closed = min(record.valid_to or version.effective_from, version.effective_from)
                        found[key] = record.model_copy(update={"valid_to": closed})
                for named in _named_by(order):
                    record = named.model_copy(update={"subject_id": self.state.subject_id})
                    found[(record.kind, record.value, record.order_id)] = record
        return found

    def _publish_identifiers(self, before: dict[tuple[str, str, str], IdentifierRecord]) -> None:
        after = self._identifier_records()
        self.effects.identifiers += [record for key, record in after.items() if before.get(key) != record]

    def _served(self, event: OrderServed) -> None:
        ref = self.state.orders.setdefault(event.data.order_id, OrderRef(order_id=event.data.order_id))
        ref.services[event.data.version] = event.data.service
        self._audit("service_recorded", f"version {event.data.version} served", orders=[event.data.order_id])
        for fact in self.state.breaches:
            if fact.order_id == event.data.order_id and fact.task_id:
                self.touched.add(fact.task_id)

    def _ended(self, event: OrderEnded) -> None:
        ref = self.state.orders.setdefault(event.data.order_id, OrderRef(order_id=event.data.order_id))
        ref.ended_at, ref.ended_by = event.time, event.data.reference
        self._audit("order_ended", f"{event.data.how} with effect from {event.time:%Y-%m-%d %H:%M}Z")
        self._rejudge({event.data.order_id})

    # -- evidence -------------------------------------------------------------------------------------------

    def _observed(self) -> Observation | None:
        """The event as evidence; None if it cannot show a breach."""
        event, routing = self.event, self.routing
        if routing.role is not Role.SUBJECT:
            return None
        fields: dict[str, object] = {}
        if isinstance(event, TagFix) and event.data.position is not None:
            fields = {"track": f"tag:{event.data.device_id}", "position": event.data.position}
        elif isinstance(event, PlateRead):
            fields = {"track": f"plate:{canonical(event.data.vrm)}", "position": event.data.position}
        elif isinstance(event, OfficerSighting):
            fields = {"track": "officer", "position": event.data.position}
        elif isinstance(event, FaceMatch):
            nature = {None: "unadjudicated", "confirmed": None, "rejected": "rejected"}[event.data.adjudication]
            fields = {"track": "face", "position": event.data.position, "nature": nature}
        elif isinstance(event, BreachReport):
            data = event.data
            fields = {
                "track": "report",
                "position": data.position,
                "nature": data.nature,
                "order_id": data.order_id,
                "protects": data.protected_person_id,
            }
        else:
            return None
        return Observation.model_validate(
            {
                "id": event.event_id,
                "type": event.type,
                "at": event.time,
                "match": routing.match,
                "topic": routing.topic,
                "partition": routing.partition,
                "offset": routing.offset,
                "sha256": routing.sha256,
                **fields,
            }
        )

    def _observe(self, observation: Observation) -> None:
        horizon = self.now - timedelta(seconds=self.policy.limits.horizon_s)
        if observation.at < horizon:
            self._beyond_horizon(observation)
            return
        if not self.records.add(observation):
            self._quietly("duplicate", "this event id was already applied; it changes nothing")
            self._rewrite_records()
            return
        self.records.expire(horizon)
        if isinstance(self.event, TagFix):
            self._device_state(self.event)
        if observation.track == "report":
            self._report(observation)
        elif observation.nature == "unadjudicated":
            self._ask_for_adjudication(observation)
        elif observation.position is not None and not observation.position.usable:
            self._quietly("no_position", "0,0 is what a receiver sends without a fix, not a place")
        elif observation.match == "look-alike":
            self._look_alike(observation)
        elif is_zone_evidence(observation):
            self._zone_evidence(observation)

    def _zone_evidence(self, observation: Observation) -> None:
        self._see(observation)
        newest = self.state.devices.get(observation.track)
        before = len(self.effects.audits), len(self.effects.alerts)
        if newest is None or (observation.at, observation.id) > newest:
            self.state.devices[observation.track] = (observation.at, observation.id)
            for lineage in sorted(lineages(self.state, self.records), key=str):
                self._advance(lineage, observation, newest[0] if newest else None)
        else:
            for lineage in sorted(lineages(self.state, self.records), key=str):
                self._late(lineage, observation)
        if (len(self.effects.audits), len(self.effects.alerts)) == before:
            for reason in why_not(self.state, observation.at):
                self._quietly("not_in_force", reason)
            self._quietly("no_breach", "no zone in force was entered or left by this sighting")

    def _advance(self, lineage: Lineage, observation: Observation, previous: datetime | None) -> None:
        """The usual case: later than all the device has sent, so one step of the automaton."""
        key = _track_key(lineage, observation.track)
        placement = place(self.state, self.records, lineage, observation, self.policy)
        track = self.state.tracks.get(key, Track())
        step = advance(track, previous, observation.at, observation.id, placement, self.policy.visits)
        if step.ended is not None:
            self._end_visit(lineage, observation.track, step.ended)
        if step.began is not None and step.upgraded:
            self._upgrade_visit(lineage, observation.track, step.began, observation)
        elif step.began is not None:
            self._open_visit(lineage, observation.track, step.began, observation)
        self._keep_track(key, step.track)

    def _keep_track(self, key: str, track: Track) -> None:
        if track == Track():
            self.state.tracks.pop(key, None)
        else:
            self.state.tracks[key] = track

    def _late(self, lineage: Lineage, observation: Observation) -> None:
        """A fix from between earlier ones: judge again the stretch that it can change."""
        stretch = stretch_around(self.state, self.records, lineage, observation, self.policy)
        visits, track = visits_in(self.state, self.records, lineage, stretch.observations, self.policy)
        if stretch.reaches_end:
            self._keep_track(_track_key(lineage, observation.track), track)
        elif visits and visits[-1].ended is None:
            visits[-1] = replace(visits[-1], ended=track.last_in)
        first, last = stretch.observations[0].at, stretch.observations[-1].at
        self._reconcile(lineage, observation.track, visits, first, last)

    def _rejudge(self, order_ids: set[str]) -> None:
        """Orders changed: judge everything retained against them again."""
        kept = list(self.records.all())
        for order_id in sorted(order_ids & self.state.orders.keys()):
            for lineage in sorted(lineages(self.state, self.records, order_id), key=str):
                for device in sorted({o.track for o in kept if is_zone_evidence(o)}):
                    run = [o for o in kept if o.track == device and is_zone_evidence(o)]
                    visits, track = visits_in(self.state, self.records, lineage, run, self.policy)
                    self._keep_track(_track_key(lineage, device), track)
                    self._reconcile(lineage, device, visits, run[0].at, run[-1].at)
        for observation in kept:
            if observation.track == "report":
                self._judge_report(observation)

    def _reconcile(self, lineage: Lineage, device: str, visits: list[Visit], first: datetime, last: datetime) -> None:
        """Make the facts of one stretch equal to the visits that it shows, keeping identities that overlap."""
        old = [
            fact
            for fact in self.state.breaches
            if (fact.order_id, fact.term_id, fact.track) == (lineage.order_id, lineage.term_id, device)
            and first <= fact.began_at <= last
        ]
        for visit in visits:
            match = next((fact for fact in old if _overlaps(fact, visit)), None)
            if match is None:
                opener = next(o for o in self.records.after(visit.began, last) if o.track == device)
                self._open_visit(lineage, device, visit, opener)
                continue
            old.remove(match)
            certainty = visit_certainty(device, visit)
            version = version_at(self.state.orders[lineage.order_id], visit.began)
            if version is not None and version.version != match.order_version:
                match.order_version = version.version
                self._audit("breach_corrected", "judged on the order version that was in force at its time")
                self._touch(match)
            if (match.began_at, match.ended_at, match.certainty) != (visit.began, visit.ended, certainty):
                match.began_at, match.ended_at, match.certainty = visit.began, visit.ended, certainty
                match.flaps = visit.flaps
                self._audit("breach_corrected", "late evidence changed when the visit began or ended")
                self._touch(match)
        for fact in old:
            self._withdraw(fact, "later evidence or a changed order no longer shows it")

    def _open_visit(self, lineage: Lineage, device: str, visit: Visit, shown_by: Observation) -> None:
        ref = self.state.orders[lineage.order_id]
        version = version_at(ref, visit.began)
        assert version is not None, "a visit begins while its order is in force"
        term = self.records.order(ref.order_id, version.version).terms[lineage.term_id]
        fact = BreachFact(
            breach_id=cause_id("breach", self.state.subject_id, lineage.order_id, lineage.term_id, visit.opened_by),
            order_id=lineage.order_id,
            order_version=version.version,
            term_id=lineage.term_id,
            term_kind=term.kind,
            protects=list(term.protects),
            certainty=visit_certainty(device, visit),
            track=device,
            began_at=visit.began,
            ended_at=visit.ended,
            opened_by=_reference(shown_by),
            flaps=visit.flaps,
            flags=["look at the image before acting: a plate shows a vehicle"] if device.startswith("plate:") else [],
        )
        self._add_breach(fact)

    def _fact_of(self, lineage: Lineage, device: str, visit: Visit) -> BreachFact | None:
        breach_id = cause_id("breach", self.state.subject_id, lineage.order_id, lineage.term_id, visit.opened_by)
        exact = next((fact for fact in self.state.breaches if fact.breach_id == breach_id), None)
        # A late fix may have moved the opening fix; the visit still has one open fact.
        return exact or next(
            (
                fact
                for fact in self.state.breaches
                if (fact.order_id, fact.term_id, fact.track) == (lineage.order_id, lineage.term_id, device)
                and fact.ended_at is None
            ),
            None,
        )

    def _end_visit(self, lineage: Lineage, device: str, visit: Visit) -> None:
        fact = self._fact_of(lineage, device, visit)
        if fact is not None:
            fact.ended_at, fact.flaps = visit.ended, visit.flaps
            self._audit("visit_ended", f"the visit to the zone of term {lineage.term_id} is over", [lineage.order_id])
            self._touch(fact)

    def _upgrade_visit(self, lineage: Lineage, device: str, visit: Visit, shown_by: Observation) -> None:
        fact = self._fact_of(lineage, device, visit)
        if fact is None:
            self._open_visit(lineage, device, visit, shown_by)
            return
        fact.began_at, fact.certainty = visit.began, visit_certainty(device, visit)
        self._breach_alert(fact, "breach_confirmed", f"confirmed: {fact.term_kind.replace('_', ' ')} breached")
        self._audit("breach_confirmed", "a fix wholly inside confirmed a possible visit", [lineage.order_id])
        self._touch(fact)

    def _report(self, observation: Observation) -> None:
        if not self._judge_report(observation):
            self._audit("no_order_in_force", *(why_not(self.state, observation.at) or ["no order is known"]))
            self._alert(
                "report_without_order",
                "high",
                "a breach was reported of a subject under no order in force at that time: a person must look at it, "
                "for the conduct may be an offence of its own",
            )

    def _judge_report(self, observation: Observation) -> bool:
        """Make the report's facts equal to what it fits now; True if it fits anything."""
        wanted = judge_report(self.state, self.records, observation)
        old = {
            fact.breach_id: fact
            for fact in self.state.breaches
            if fact.track == "report" and fact.opened_by.event_id == observation.id
        }
        for found in wanted:
            breach_id = cause_id(
                "breach", self.state.subject_id, found.order_id, found.term_id or "-", observation.id
            )
            fact = old.pop(breach_id, None)
            if fact is not None:
                if fact.order_version != found.order_version:
                    fact.order_version = found.order_version
                    self._audit("breach_corrected", "judged on the order version that was in force at its time")
                    self._touch(fact)
                continue
            self._add_breach(
                BreachFact(
                    breach_id=breach_id,
                    order_id=found.order_id,
                    order_version=found.order_version,
                    term_id=found.term_id,
                    term_kind=found.term_kind,
                    protects=found.protects,
                    certainty="reported",
                    track="report",
                    began_at=observation.at,
                    ended_at=observation.at,
                    opened_by=_reference(observation),
                    flags=found.flags,
                )
            )
        for fact in old.values():
            self._withdraw(fact, "the order as it now stands was not breached by what was reported")
        return bool(wanted)

    def _look_alike(self, observation: Observation) -> None:
        """Shown, never silently picked; passed on only near a zone or with a task open (behaviour 20)."""
        near = any(
            place(self.state, self.records, lineage, observation, self.policy) in (Placement.IN, Placement.STRADDLING)
            for lineage in lineages(self.state, self.records)
        )
        if not near and live_task(self.state) is None:
            self._quietly("look_alike", "a look-alike plate away from every zone, with no task open")
            return
        self._audit("look_alike", "a plate that could be the subject's was read: for a person to check")
        self._alert(
            "check_plate",
            "medium",
            f"camera read a plate that may be {observation.track.split(':', 1)[1]} misread: check the image",
        )

    def _ask_for_adjudication(self, observation: Observation) -> None:
        near = any(
            place(self.state, self.records, lineage, observation, self.policy) is not Placement.OUT
            for lineage in lineages(self.state, self.records)
        )
        self._audit("awaits_adjudication", "a face match counts only once a person has confirmed it")
        if near or live_task(self.state) is not None:
            self._alert("adjudicate", "high", "a face match that would matter waits for a person's adjudication")

    def _adjudication(self, event: Adjudication) -> None:
        match_id = f"{event.source}#{event.data.event_id}"
        observation = self.records.find(match_id)
        if observation is None or observation.nature != "unadjudicated":
            self._audit("no_match_to_adjudicate", "no face match of that id waits for adjudication")
            return
        self.records.remove(observation)
        self._audit("adjudicated", f"the face match was {event.data.outcome} by {event.data.adjudicator}")
        if event.data.outcome == "confirmed":
            confirmed = observation.model_copy(update={"nature": None})
            self.records.add(confirmed)
            self._zone_evidence(confirmed)

    def _device_state(self, event: TagFix) -> None:
        """Tamper and battery are alerts of their own, whatever the position says (behaviour 25)."""
        if event.data.tamper:
            self._audit("tamper", "the tag reports tampering; no data is not compliance")
            self._alert("tag_tamper", "high", f"tag {event.data.device_id} reports tampering")
        if event.data.battery_low:
            self._audit("battery_low", "the tag reports a low battery")
            self._alert("tag_battery", "low", f"tag {event.data.device_id} reports a low battery")

    def _beyond_horizon(self, observation: Observation) -> None:
        breach = any(
            place(self.state, self.records, lineage, observation, self.policy) is Placement.IN
            for lineage in (lineages(self.state, self.records) if observation.position else ())
        ) or (observation.track == "report" and any(in_force(self.state, self.records, observation.at)))
        self._audit("beyond_horizon", "older than the evidence that is kept: not judged with the rest")
        if breach:
            self._alert(
                "old_breach",
                "medium",
                "an event older than the retained evidence shows a breach: a person must look at it",
            )

    def _retraction(self, event: Retraction) -> None:
        for retracted in event.data.retracts:
            observation = self.records.find(f"{event.source}#{retracted}")
            if observation is None:
                self._audit("nothing_to_retract", "no retained event of that id and source")
                continue
            self.records.remove(observation)
            self._audit("retracted", f"the source took the event back: {event.data.reason}")
            for fact in [f for f in self.state.breaches if f.track == "report"]:
                if fact.opened_by.event_id == observation.id:
                    self._withdraw(fact, "its source retracted the report")
        self._rejudge(set(self.state.orders))

    # -- tasks ----------------------------------------------------------------------------------------------

    def _see(self, observation: Observation) -> None:
        """The subject's newest position; an open task is told at most once a minute."""
        seen = self.state.last_seen
        if observation.position is None or (seen is not None and observation.at <= seen.time):
            return
        self.state.last_seen = LastSeen(
            time=observation.at,
            position=observation.position,
            source=observation.type,
            event_id=observation.id,
            recorded_at=self.now,
        )
        task = live_task(self.state)
        if task is None:
            return
        interval = timedelta(seconds=self.policy.limits.last_seen_interval_s)
        if task.last_seen_sent_at is None or self.now - task.last_seen_sent_at >= interval:
            task.last_seen_sent_at = self.now
            self.touched.add(task.task_id)

    def _add_breach(self, fact: BreachFact) -> None:
        age = (self.now - (fact.ended_at or self.event.time)).total_seconds()
        fact.fresh = age <= self.policy.limits.fresh_s
        fact.stale = age > self.policy.limits.stale_after_s
        self.state.breaches.append(fact)
        task = self._task_for(fact)
        fact.task_id = task.task_id
        task.breach_count += 1
        opened = task.breach_count == 1 and task.revision == 0
        rose = regrade(task, self.state, self.records, self.policy, self.now)
        what = f"{fact.term_kind.replace('_', ' ')} of order {fact.order_id}: {fact.certainty}"
        note(task, self.now, f"breach: {what}", SYSTEM, self.event.event_id)
        self._audit(
            "breach",
            f"term {fact.term_id or 'not stated'} ({fact.term_kind}) was in force and was breached: {fact.certainty}",
            [f"{fact.order_id}/{fact.order_version}"],
        )
        text = ("new task: " if opened else "task upgraded: " if rose else "further breach: ") + what
        self._breach_alert(fact, "breach", text)
        self.touched.add(task.task_id)

    def _task_for(self, fact: BreachFact) -> TaskRow:
        task = live_task(self.state)
        if task is not None:
            return task
        for ended in reversed(self.state.tasks):
            if ended.arrested_at is not None and fact.began_at <= ended.arrested_at:
                return ended  # it happened before the arrest: a further ground, not a new reason to find them
        task = TaskRow(
            task_id=cause_id("task", self.state.subject_id, fact.breach_id),
            state=TaskState.OPEN,
            opened_at=self.now,
            updated_at=self.now,
            deadline=self.now + timedelta(seconds=self.policy.grades[-1].respond_within_s),
            grade=self.policy.grades[-1].name,
            last_seen_sent_at=self.now,
            traceparent=self.event.traceparent,
        )
        note(task, self.now, "opened", SYSTEM, self.event.event_id)
        self.state.tasks.append(task)
        return task

    def _touch(self, fact: BreachFact) -> None:
        if fact.task_id is not None:
            self.touched.add(fact.task_id)

    def _withdraw(self, fact: BreachFact, why: str) -> None:
        self.state.breaches.remove(fact)
        self._audit("breach_withdrawn", why, [f"{fact.order_id}/{fact.order_version}"])
        task = next((task for task in self.state.tasks if task.task_id == fact.task_id), None)
        if task is None:
            return
        task.breach_count -= 1
        note(
            task,
            self.now,
            f"breach of order {fact.order_id} no longer stands: {why}",
            SYSTEM,
            self.event.event_id,
        )
        self.touched.add(task.task_id)
        self._alert(
            "correction",
            "medium",
            f"a breach no longer stands: {why}"
            + ("" if breaches_of(self.state, task) else "; withdrawal of the task is recommended"),
            task_id=task.task_id,
            breach_id=fact.breach_id,
            cause=(fact.breach_id, self.event.event_id),
        )

    def _custody(self, event: CustodyEvent) -> None:
        self._audit("custody", f"custody state: {event.data.state}")
        task = live_task(self.state)
        if event.data.state == "arrested" and task is not None:
            self._move(task, TaskState.ARRESTED, "arrested", event.source)
            task.arrested_at = event.time

    def _task_update(self, event: TaskUpdate) -> None:
        update = event.data
        task = next((task for task in self.state.tasks if task.task_id == update.task_id), None)
        why = refusal(task, update)
        if why is not None or task is None:
            self._audit("update_refused", why or "")
            self._alert("update_refused", "low", f"update refused: {why}", task_id=update.task_id)
            return
        _, to = TRANSITIONS[update.action]
        if update.action == "assign":
            task.assigned_to = update.assignee
        if update.action == "arrested":
            task.arrested_at = event.time
        if update.action == "close":
            task.outcome = update.outcome
        self._move(task, to, update.action, f"{update.actor} ({update.role})")
        self._audit("task_moved", f"{update.action} by {update.role}")

    def _move(self, task: TaskRow, to: TaskState, what: str, by: str) -> None:
        task.state = to
        note(task, self.now, what, by, self.event.event_id)
        self.touched.add(task.task_id)

    def _trim(self) -> None:
        """Keep the row bounded: closed tasks leave oldest first, then breaches that no live task needs."""
        state = self.state
        while len(state.tasks) > MAX_TASKS:
            gone = next((t for t in state.tasks if t.state in (TaskState.CLOSED, TaskState.MERGED)), state.tasks[0])
            state.tasks.remove(gone)
            self.touched.discard(gone.task_id)
            state.breaches = [fact for fact in state.breaches if fact.task_id != gone.task_id]
        live = live_task(state)
        while len(state.breaches) > MAX_BREACHES:
            ended = [fact for fact in state.breaches if live is None or fact.task_id != live.task_id]
            state.breaches.remove(min(ended or state.breaches, key=lambda fact: fact.began_at))
        if len(state.quiet) > MAX_QUIET:
            hour = int(self.now.timestamp()) // 3600
            state.quiet = {key: seen for key, seen in state.quiet.items() if seen[0] == hour}

    # -- effects --------------------------------------------------------------------------------------------

    def _breach_alert(self, fact: BreachFact, kind: str, text: str) -> None:
        task = next(task for task in self.state.tasks if task.task_id == fact.task_id)
        highest = task.grade == self.policy.grades[0].name
        self._alert(
            kind,
            "critical" if highest else "high",
            text,
            task_id=task.task_id,
            breach_id=fact.breach_id,
            cause=(fact.breach_id,),
        )

    def _alert(
        self,
        kind: str,
        severity: str,
        text: str,
        *,
        task_id: str | None = None,
        breach_id: str | None = None,
        cause: tuple[str, ...] | None = None,
    ) -> None:
        self.effects.alerts.append(
            Alert.model_validate(
                {
                    "alert_id": cause_id("alert", kind, self.state.subject_id, *(cause or (self.event.event_id,))),
                    "kind": kind,
                    "severity": severity,
                    "at": self.now,
                    "text": text,
                    "subject_id": self.state.subject_id,
                    "task_id": task_id,
                    "breach_id": breach_id,
                    "event_id": self.event.event_id,
                    "exercise": self.state.exercise,
                    "traceparent": self.event.traceparent,
                }
            )
        )

    def _audit(self, decision: str, *reasons: str | list[str], orders: list[str] | None = None) -> None:
        words = [reason for reason in reasons if isinstance(reason, str)]
        versions = orders or next((reason for reason in reasons if isinstance(reason, list)), [])
        self.effects.audits.append(
            AuditEntry(
                audit_id=cause_id(
                    "audit",
                    self.state.subject_id,
                    self.event.event_id,
                    str(self.offset),
                    str(len(self.effects.audits)),
                ),
                at=self.now,
                subject_id=self.state.subject_id,
                event_id=self.event.event_id,
                event_type=self.event.type,  # type: ignore[attr-defined]
                decision=decision,
                reasons=words,
                order_versions=versions,
                policy_version=self.policy.version,
                topic=self.routing.topic,
                partition=self.routing.partition,
                offset=self.routing.offset,
                exercise=self.state.exercise,
            )
        )

    def _quietly(self, decision: str, reason: str) -> None:
        """A negative decision: the first in an hour is audited, with how many the hour before had."""
        hour = int(self.now.timestamp()) // 3600
        key = cause_id(decision, reason)[:8]
        last_hour, count = self.state.quiet.get(key, (0, 0))
        if last_hour == hour:
            self.state.quiet[key] = (hour, count + 1)
            return
        repeated = f"; {count} alike in the last hour that had any" if count else ""
        self.state.quiet[key] = (hour, 1)
        self._audit(decision, reason + repeated)


def _named_by(order: OrderData) -> list[IdentifierRecord]:
    """Every identifier that one order version states, with the subject and the order as identifiers too."""
    subject = order.respondent.subject_id

    def record(
        kind: IdentifierKind, value: str, role: Role, start: datetime | None, end: datetime | None
    ) -> IdentifierRecord:
        return IdentifierRecord(
            kind=kind,
            value=value,
            subject_id=subject,
            role=role,
            order_id=order.order_id,
            valid_from=start,
            valid_to=end,
        )

    return [
        record(IdentifierKind.SUBJECT, subject, Role.SUBJECT, None, None),
        record(IdentifierKind.ORDER, order.order_id, Role.SUBJECT, None, None),
        *(record(i.kind, i.value, i.role, i.valid_from, i.valid_to) for i in order.identifiers),
    ]


def _track_key(lineage: Lineage, device: str) -> str:
    return f"{lineage.order_id}|{lineage.term_id}|{device}"


def _overlaps(fact: BreachFact, visit: Visit) -> bool:
    return (visit.ended is None or fact.began_at <= visit.ended) and (
        fact.ended_at is None or visit.began <= fact.ended_at
    )


def _reference(observation: Observation) -> EvidenceRef:
    return EvidenceRef(
        event_id=observation.id,
        type=observation.type,
        time=observation.at,
        topic=observation.topic,
        partition=observation.partition,
        offset=observation.offset,
        sha256=observation.sha256,
    )
