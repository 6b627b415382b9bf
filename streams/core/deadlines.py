"""What falls due without an event: requirements that nobody reports as met, silent tags, tasks left alone.

Deadlines are derived from the row and the orders, not stored: a worker asks for the next one, sends a
`deadline_due` event when it has come, and the rules here then apply whatever is due by the log's time. A
wake-up that comes twice, or early, changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from schemas.orders import Attend, OrderData, SignOn, Surrender
from schemas.tasks import Certainty, EvidenceRef
from streams.core import canary, escalation, sources
from streams.core.breaches import add_fact
from streams.core.clocks import LONDON, end_of_day, local, london_day, notify_by, weekday
from streams.core.cross_checks import IN_CUSTODY
from streams.core.draft import Draft
from streams.core.effects import cause_id
from streams.core.force import InForce, begins, held_at
from streams.core.judge import Lineage
from streams.core.kinds import KINDS, NotifyFrom
from streams.core.policy import Policy
from streams.core.records import Records
from streams.core.safeguarding import notify
from streams.core.sightings import track_key
from streams.core.state import BreachFact, OrderRef, SubjectState, TaskRow
from streams.core.tasks import live_task

NOTIFY = "notify"
# What was asked on a day is forgotten after this, four times the horizon within which a late record corrects it.
_REMEMBERED = timedelta(days=28)
IN_A_CELL = "recorded as in custody when it fell due: ask custody whether it could be done at all"
_SIGN_ON_LOOK_BACK_DAYS = 3
"""A worker that was down for a weekend still finds the days that passed without a record."""


@dataclass(frozen=True)
class Requirement:
    """One thing to be done by a moment under an order: its name within the order, its term and when."""

    name: str
    term_id: str | None
    term_kind: str
    opens: datetime
    due: datetime
    protects: tuple[str, ...] = ()


def requirements(
    state: SubjectState, records: Records, ref: OrderRef, now: datetime, policy: Policy
) -> list[Requirement]:
    """What the order in force asks for, near `now`."""
    held = held_at(state, records, ref, now)
    if held is None:
        return []
    grace = timedelta(seconds=policy.limits.requirement_grace_s)
    found = [*_notify(state, records, held)]
    for term in held.data.terms:
        if not held.term_in_force(term, now, None):
            continue
        protects = tuple(term.protects)
        if isinstance(term, Attend):
            found += [
                Requirement(
                    f"{term.term_id}/{london_day(session)}",
                    term.term_id,
                    term.kind,
                    session - timedelta(hours=12),
                    end_of_day(session.astimezone(LONDON).date()),
                    protects,
                )
                for session in term.sessions
            ]
        elif isinstance(term, SignOn):
            found += _sign_on(held, term, now, grace)
        elif isinstance(term, Surrender):
            start = held.data.made_at
            found.append(Requirement(term.term_id, term.term_id, term.kind, start, term.due + grace, protects))
    return found


def _notify(state: SubjectState, records: Records, held: InForce) -> Iterator[Requirement]:
    """Name and address within three days (SPA 2019 s9; DAA 2021 s41: of making).

    Not where a full order replaces an interim, nor while the subject notifies under another Act or order; when
    that other duty ends, the clock starts again.
    """
    ref, data = held.ref, held.data
    row = KINDS[data.kind]
    if row.notify is None or data.replaces is not None or data.notifies_elsewhere:
        return
    if row.notify is NotifyFrom.MADE:
        start: datetime | None = data.made_at
    else:
        proofs = [service.served_at for service in ref.services.values() if service.method != "told"]
        proofs += [v.effective_from for v in ref.versions if v.in_court]
        start = min(proofs, default=None)
    duty_ended = _other_duty_ended(state, records, ref, data)
    if start is not None:
        start = max(start, duty_ended) if duty_ended else start
        yield Requirement(NOTIFY, None, NOTIFY, start, notify_by(start))


def _other_duty_ended(state: SubjectState, records: Records, ref: OrderRef, data: OrderData) -> datetime | None:
    """When the version took effect that no longer has the subject notify elsewhere."""
    ended = None
    for version in sorted(ref.versions, key=lambda v: -v.version):
        if version.version > data.version:
            continue
        if records.order(ref.order_id, version.version).data.notifies_elsewhere:
            return ended
        ended = begins(state, version)
    return None


def _sign_on(held: InForce, term: SignOn, now: datetime, grace: timedelta) -> Iterator[Requirement]:
    today = now.astimezone(LONDON).date()
    start = term.valid_from or max(v.effective_from for v in held.ref.versions if v.version == held.data.version)
    for offset in range(-_SIGN_ON_LOOK_BACK_DAYS, 8):
        day: date = today + timedelta(days=offset)
        due = local(day, term.by)
        if weekday(day) in term.days and due > start:
            yield Requirement(
                f"{term.term_id}/{day.isoformat()}",
                term.term_id,
                term.kind,
                end_of_day(day - timedelta(days=1)),
                due + grace,
                tuple(term.protects),
            )


def requirement_at(
    state: SubjectState, records: Records, ref: OrderRef, term_id: str | None, at: datetime, policy: Policy
) -> str | None:
    """The name of the requirement that something done at `at` meets."""
    for asked in requirements(state, records, ref, at, policy):
        if asked.term_id == term_id and asked.opens <= at <= asked.due:
            return asked.name
    return None


def _open_requirements(
    state: SubjectState, records: Records, now: datetime, policy: Policy
) -> Iterator[tuple[OrderRef, Requirement]]:
    """Not those that fell due before the order was known here: their records are elsewhere."""
    for ref in state.orders.values():
        known_at = min((version.known_at for version in ref.versions), default=now)
        for asked in requirements(state, records, ref, now, policy):
            if asked.due > known_at and asked.name not in ref.met and asked.name not in ref.missed:
                yield ref, asked


def next_due(state: SubjectState, records: Records, policy: Policy) -> datetime | None:
    """When this row next wants to be woken; None: never, as things stand."""
    now = state.now
    if now is None or state.merged_into is not None:
        return None
    if canary.is_canary(state.subject_id):
        return canary.due(state)
    dues = [asked.due for _, asked in _open_requirements(state, records, now, policy)]
    dues += [due for _, due in _silences(state, records, policy)]
    dues += [when for _, when in _silent_visits(state, policy)]
    task = live_task(state)
    dues += escalation.dues(state, policy)
    dues += _hours_to_list(state)
    dues += sources.dues(state, policy)
    if task is not None and (moved := _last_seen_due(state, task, policy)) is not None:
        dues.append(moved)
    return min(dues, default=None)


def _last_seen_due(state: SubjectState, task: TaskRow, policy: Policy) -> datetime | None:
    """A newer position than the task was last sent with is sent when the minute is over, even if none follows."""
    sent = task.last_seen_sent_at
    if state.last_seen is None or sent is None or state.last_seen.recorded_at <= sent:
        return None
    return sent + timedelta(seconds=policy.limits.last_seen_interval_s)


def _silent_visits(state: SubjectState, policy: Policy) -> Iterator[tuple[BreachFact, datetime]]:
    """Visits that no fix has ended; a silence does."""
    for fact in state.breaches:
        device = state.devices.get(fact.track)
        if fact.ended_at is None and device is not None and device.newest is not None:
            yield fact, device.newest[0] + timedelta(seconds=policy.visits.gap_s)


def _silences(state: SubjectState, records: Records, policy: Policy) -> Iterator[tuple[str, datetime]]:
    """Tags that have reported and stopped, while an order is in force: no data is not compliance."""
    assert state.now is not None
    if not any(held_at(state, records, ref, state.now) for ref in state.orders.values()):
        return
    for track, device in state.devices.items():
        newest = device.newest
        if track.startswith("tag:") and newest is not None and device.silence_told != newest[0]:
            yield track, newest[0] + timedelta(seconds=policy.evidence.silence_s)


def due(draft: Draft) -> None:
    """Apply everything that is due by now."""
    state, records, policy, now = draft.state, draft.records, draft.policy, draft.now
    if state.merged_into is not None or canary.is_canary(state.subject_id):
        return
    for ref, asked in list(_open_requirements(state, records, now, policy)):
        if asked.due <= now:
            ref.missed.append(asked.name)
            _omission(draft, ref, asked)
    for ref in state.orders.values():
        _forget(ref, {asked.name for asked in requirements(state, records, ref, now, policy)}, now)
    for track, when in list(_silences(state, records, policy)):
        if when <= now:
            device = state.devices[track]
            assert device.newest is not None
            device.silence_told = device.newest[0]
            since = f"{device.newest[0]:%Y-%m-%d %H:%M}Z"
            draft.audit("tag_silent", f"no fix since {since}: no data is not compliance")
            draft.alert(
                "tag_silent",
                "high",
                f"{track.replace(':', ' ')} is silent since {since}",
                cause=(track, device.newest[0].isoformat()),
            )
            notify(draft, "tag_failed", f"the subject's tag is silent since {since}")
    for fact, silent_from in list(_silent_visits(state, policy)):
        visit = state.tracks.get(track_key(Lineage(fact.order_id, fact.term_id or ""), fact.track))
        if silent_from < now and visit is not None and visit.last_in is not None:
            # The automaton keeps its memory: a fix that was sent in time may still arrive and go on with it.
            fact.ended_at, fact.provisional_end = visit.last_in, True
            draft.audit("visit_ended", f"term {fact.term_id}: ended by silence", orders=[fact.order_id])
            draft.touch(fact)
    task = live_task(state)
    if task is not None and (moved := _last_seen_due(state, task, policy)) is not None and moved <= now:
        task.last_seen_sent_at = now
        draft.touch(task)
    escalation.due(draft)
    sources.due(draft)
    for held in state.held_back.values():
        if (held.hour + 1) * 3600 <= now.timestamp():
            draft.list_held_back(held)


def _hours_to_list(state: SubjectState) -> Iterator[datetime]:
    """The ends of the hours in which low alerts were held back, that nobody has counted yet."""
    for held in state.held_back.values():
        if held.count and not held.listed:
            yield datetime.fromtimestamp((held.hour + 1) * 3600, tz=UTC)


def _forget(ref: OrderRef, asked: set[str], now: datetime) -> None:
    """Drop what was done or missed on days long past and is no longer asked: a daily sign-on goes on for years."""
    oldest = london_day(now - _REMEMBERED)

    def is_kept(name: str) -> bool:
        _, dated, day = name.rpartition("/")
        return name in asked or not dated or day >= oldest

    ref.met = {name: at for name, at in ref.met.items() if is_kept(name)}
    ref.missed = [name for name in ref.missed if is_kept(name)]


def _omission(draft: Draft, ref: OrderRef, asked: Requirement) -> None:
    """The absence of an event. A continuing failure to notify is one matter (SPA 2019 s11), not one a day."""
    state = draft.state
    held = held_at(state, draft.records, ref, draft.now)
    assert held is not None
    event = draft.event
    add_fact(
        draft,
        BreachFact(
            breach_id=cause_id("breach", state.subject_id, ref.order_id, "omission", asked.name),
            order_id=ref.order_id,
            order_version=held.data.version,
            term_id=asked.term_id,
            term_kind=asked.term_kind,
            protects=list(asked.protects),
            certainty=Certainty.POSSIBLE,
            track=f"omission:{asked.name}",
            began_at=asked.due,
            ended_at=None,
            opened_by=EvidenceRef(
                event_id=event.event_id,
                type=draft.event_type,
                time=asked.due,
                topic=draft.routing.topic,
                partition=draft.routing.partition,
                offset=draft.routing.offset,
                sha256=draft.routing.sha256,
            ),
            flags=[
                "no record that it was done: ask the agency before acting, its records may be late",
                *([IN_A_CELL] if state.custody in IN_CUSTODY else []),
            ],
        ),
    )
