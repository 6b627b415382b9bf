"""Whose a tag or a plate is, and when: what the orders say, and evidence that was somebody else's after all."""

import hashlib
from datetime import datetime

from schemas.orders import NEVER, IdentifierKind, IdentifierRecord, OrderData, Role
from streams.core.breaches import withdraw
from streams.core.draft import Draft
from streams.core.plates import canonical
from streams.core.records import NOT_THEIRS, KeptOrder, Observation, Records
from streams.core.sightings import see
from streams.core.state import SubjectState
from streams.core.stretches import settle_all

Named = dict[tuple[str, str, str], IdentifierRecord]
"""(kind, value, order) -> what the order says of it."""
_KINDS = {"tag": IdentifierKind.TAG, "plate": IdentifierKind.PLATE}


def identifier_key(record: IdentifierRecord) -> bytes:
    """The record's key in `identifiers`: a hash, since what names a protected person must not stand in a key."""
    named = "\x1f".join((record.kind, record.value, record.subject_id, record.order_id, record.role))
    return hashlib.sha256(named.encode()).hexdigest().encode()


def identifiers(state: SubjectState, records: Records) -> Named:
    """What the orders say about who is named by what: the newest version that names it counts.

    An identifier that a later version no longer names ends when that version takes effect.
    """
    found: Named = {}
    for ref in state.orders.values():
        for version in sorted(ref.versions, key=lambda v: v.version):
            kept = records.order(ref.order_id, version.version)
            for key, record in found.items():
                if key[2] == ref.order_id and record.kind not in (IdentifierKind.SUBJECT, IdentifierKind.ORDER):
                    closed = min(record.valid_to or version.effective_from, version.effective_from)
                    found[key] = record.model_copy(update={"valid_to": closed})
            for record in _named_by(state.subject_id, kept):
                found[(record.kind, record.value, record.order_id)] = record
    return found


def in_index(records: Records, state: SubjectState, named: Named, *, task_open: bool) -> Named:
    """Of what the orders name, what the index holds.

    A vehicle is looked for only where a term is about places, or while a task is open: of anybody else the cameras'
    reads concern nobody.
    """
    if task_open:
        return named
    of_places = {
        ref.order_id
        for ref in state.orders.values()
        if any(records.order(ref.order_id, version.version).is_about_places for version in ref.versions)
    }
    return {
        key: record
        for key, record in named.items()
        if record.kind is not IdentifierKind.PLATE or record.order_id in of_places
    }


def changed(before: Named, after: Named) -> list[IdentifierRecord]:
    """What the index must be told so that it holds `after`."""
    gone = [never(record) for key, record in before.items() if key not in after]
    return gone + [record for key, record in after.items() if before.get(key) != record]


def never(record: IdentifierRecord) -> IdentifierRecord:
    """The same identifier, naming nobody any more."""
    return record.model_copy(update={"valid_from": None, "valid_to": NEVER})


def by_incident(subject_id: str, task_id: str, incident: str) -> IdentifierRecord:
    """The number by which a dispatch system knows a task of the subject's."""
    return IdentifierRecord(
        kind=IdentifierKind.INCIDENT, value=incident, subject_id=subject_id, role=Role.SUBJECT, order_id=task_id
    )


def _named_by(subject_id: str, kept: KeptOrder) -> list[IdentifierRecord]:
    """Every identifier that one order version states, with the subject and the order as identifiers too.

    Asked at each fix of a tag: made once for an order version.
    """
    if subject_id not in kept.named:
        kept.named[subject_id] = _stated(subject_id, kept.data)
    return kept.named[subject_id]


def _stated(subject_id: str, data: OrderData) -> list[IdentifierRecord]:
    themselves = [
        IdentifierRecord(kind=kind, value=value, subject_id=subject_id, role=Role.SUBJECT, order_id=data.order_id)
        for kind, value in (
            (IdentifierKind.SUBJECT, data.respondent.subject_id),
            (IdentifierKind.ORDER, data.order_id),
        )
    ]
    stated = [
        IdentifierRecord(
            kind=stated.kind,
            value=stated.value,
            subject_id=subject_id,
            role=stated.role,
            person_id=stated.person_id,
            order_id=data.order_id,
            valid_from=stated.valid_from,
            valid_to=stated.valid_to,
        )
        for stated in data.identifiers
    ]
    return themselves + stated


def is_somebody_elses(named: Named, track: str, at: datetime) -> bool:
    """Do the orders say that this tag or plate was not the subject's at `at`? Of what they never named: no."""
    kind, _, value = track.partition(":")
    if kind not in _KINDS:
        return False
    records = [r for r in named.values() if r.kind == _KINDS[kind] and r.role is Role.SUBJECT and _is(r, value)]
    return bool(records) and not any(
        (r.valid_from is None or r.valid_from <= at) and (r.valid_to is None or at < r.valid_to) for r in records
    )


def _is(record: IdentifierRecord, value: str) -> bool:
    return value == (canonical(record.value) if record.kind is IdentifierKind.PLATE else record.value)


def mark(records: Records, named: Named) -> list[Observation]:
    """Let the evidence of tags and plates count while they are the subject's, and only then; what changed."""
    changed = []
    for kept in list(records.all()):
        theirs = not is_somebody_elses(named, kept.track, kept.at)
        if theirs and kept.nature == NOT_THEIRS:
            changed.append(kept.model_copy(update={"nature": None}))
        elif not theirs and kept.nature is None and kept.match != "look-alike":
            changed.append(kept.model_copy(update={"nature": NOT_THEIRS}))
    for observation in changed:
        records.remove(observation)
        records.add(observation)
    return changed


def reattribute(draft: Draft, named: Named) -> bool:
    """An order changed whose a tag or plate is: mark the evidence; True if any of it must be judged again."""
    changed = mark(draft.records, named)
    tracks = sorted({observation.track for observation in changed})
    for track in tracks:
        draft.audit(
            "identity_corrected", f"the orders now say otherwise whose {track.split(':')[0]} it was, and when"
        )
        settle_all(draft.state, draft.records, track, draft.policy)
        forget_track(draft, track, "the orders now say that it was not the subject's at that time")
    for observation in changed:
        unsee(draft, observation)
    return bool(changed)


def forget_track(draft: Draft, track: str, why: str) -> None:
    """Withdraw what rested on a device of which no evidence counts any more."""
    if any(o.track == track and o.nature != NOT_THEIRS for o in draft.records.all()):
        return
    for fact in [fact for fact in draft.state.breaches if fact.track == track]:
        withdraw(draft, fact, why)
    for key in [key for key in draft.state.tracks if key.endswith(f"|{track}")]:
        del draft.state.tracks[key]


def unsee(draft: Draft, gone: Observation) -> None:
    """Where evidence that no longer counts was the last position known, the one before it is again."""
    state = draft.state
    if state.last_seen is None or state.last_seen.event_id != gone.id:
        return
    state.last_seen = None
    accepted = [(device.accepted.at, device.accepted.id) for device in state.devices.values() if device.accepted]
    newest = draft.records.find(max(accepted)[1]) if accepted else None
    if newest is not None:
        see(draft, newest)
