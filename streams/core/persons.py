"""Erasure of a protected person: they are taken out of a subject's row and out of its orders that are over.

The subject's own matter stays: which event breached which term of which order. What says whom the order protected
goes: name, address, safe contact, devices, the zones and words of the terms that protect them alone, what was noted
by hand. In their place stands `ERASED`, so that what refers to them still refers to somebody.

An order that binds cannot protect somebody unknown, so it refuses. The way is the court's: an end, or a version that
no longer names them; older versions that do are then past, and may be erased. There is no way round it: DPA 2018 s47
asks for erasure where processing would infringe, and to protect them as a court ordered does not. For legal review.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from schemas.erasure import ErasePerson, digest
from schemas.orders import (
    Buffer,
    ExclusionZone,
    IdentifierRecord,
    OrderData,
    OtherTerm,
    ProtectedPerson,
    Role,
    Term,
)
from streams.core import holds, safeguarding
from streams.core.draft import Draft
from streams.core.erasure import still_judged, tombstones
from streams.core.force import begins, over_since, version_at
from streams.core.identity import identifier_key, identifiers, never
from streams.core.policy import Policy
from streams.core.records import Records
from streams.core.state import FINAL, OrderRef, SafeguardingRow, SubjectState, TaskRow
from streams.core.tasks import SYSTEM, breaches_of

ERASED = "erased"
"""The id of every protected person who has been erased, and all that is said of what they were protected by."""
Theirs = Callable[[str], bool]
"""Is it the person's id?"""


def who(person: str) -> Theirs:
    """By the digest of the id."""
    return lambda person_id: digest(person_id) == person


def refusals(state: SubjectState, records: Records, theirs: Theirs, policy: Policy, now: datetime) -> list[str]:
    """Why the person is not erased from this row, each with the way out."""
    found = holds.described(state)
    if state.merged_into is not None:
        # History: an order that stands went on to the other's row, and that one refuses by itself.
        return found
    orders = (_refusal(state, records, ref, theirs, policy, now) for ref in state.orders.values())
    found += [why for why in orders if why is not None]
    found += [
        f"arrest task {task.task_id} is {task.state}: close it first, see `breachwatch tasks close`"
        for task in state.tasks
        if task.state not in FINAL and _is_about(state, task, theirs)
    ]
    return found + [
        f"safeguarding task {row.safeguarding_id} is {row.state}: close it first, see `breachwatch tasks close`"
        for row in state.safeguarding
        if row.state in safeguarding.LIVE and _concerns(row, state, records, theirs)
    ]


def _refusal(
    state: SubjectState, records: Records, ref: OrderRef, theirs: Theirs, policy: Policy, now: datetime
) -> str | None:
    """Why the order must go on naming them; None where it does not name them, or need not."""
    if state.merged_into is not None:
        return None
    named = [v.version for v in ref.versions if names(records.order(ref.order_id, v.version).data, theirs)]
    if not named:
        return None
    since = _past_since(state, ref, max(named), now)
    if since is not None:
        return still_judged(ref.order_id, since, policy, now)
    return (
        f"order {ref.order_id} protects them and is in force, or may yet be: only a court's end of it, or a version "
        "that no longer names them, takes that away"
    )


def _past_since(state: SubjectState, ref: OrderRef, newest: int, now: datetime) -> datetime | None:
    """Since when no version up to `newest` binds; None while one does, or may yet."""
    current = version_at(state, ref, now)
    if current is None:
        return over_since(state, ref, now)
    later = [begins(state, version) for version in ref.versions if version.version > newest]
    began = [at for at in later if at is not None and at <= now]
    return min(began) if current.version > newest and began else None


def names(data: OrderData, theirs: Theirs) -> bool:
    """Also by a device alone: an order need not list whose it is."""
    return any(theirs(person.person_id) for person in data.protected_persons) or any(
        stated.person_id is not None and theirs(stated.person_id) for stated in data.identifiers
    )


def _is_about(state: SubjectState, task: TaskRow, theirs: Theirs) -> bool:
    return any(theirs(person) for fact in breaches_of(state, task) for person in fact.protects)


def _concerns(row: SafeguardingRow, state: SubjectState, records: Records, theirs: Theirs) -> bool:
    """Is the safeguarding task about them, by name or because it is about everybody whom an order protects?"""
    about = [*row.people, *row.told, *(p.person_id for p in safeguarding.reachable(row, state, records))]
    return any(theirs(person) for person in about)


def erase_person(draft: Draft, event: ErasePerson) -> None:
    """The first step: what the row holds of them, and who is named by their devices. Or the reasons why not."""
    state, records, theirs = draft.state, draft.records, who(event.data.person)
    why = refusals(state, records, theirs, draft.policy, draft.now)
    if why:
        draft.audit("erasure_refused", *why)
        return
    gone = [record for record in identifiers(state, records).values() if _is_theirs(record, theirs)]
    draft.effects.identifiers += [never(record) for record in gone]
    beside = event.data.beside
    _tasks(state, draft, theirs, beside.tasks)
    safe = [row for row in state.safeguarding if _concerns(row, state, records, theirs)]
    state.safeguarding = [row for row in state.safeguarding if row not in safe]
    state.partners = {person: fixes for person, fixes in state.partners.items() if not theirs(person)}
    # What the row still has is sent again without them, or is not about them any more.
    kept = {task.task_id for task in state.tasks} | {row.safeguarding_id for row in state.safeguarding}
    draft.effects.tombstones += tombstones(
        beside.model_copy(
            update={
                "tasks": [task for task in beside.tasks if task not in kept],
                "safeguarding": [task for task in beside.safeguarding if task not in kept],
            }
        ),
        identifiers=[*(identifier_key(record).decode() for record in gone), *beside.identifiers],
        tasks=[],
        safeguarding=[row.safeguarding_id for row in safe],
    )
    person = event.data.person
    if person not in state.leaving:
        what = f"a protected person, SHA-256 {person}, by command"
        state.leaving[person] = draft.audit_when_done("person_erased", what)


def _is_theirs(record: IdentifierRecord, theirs: Theirs) -> bool:
    return record.person_id is not None and theirs(record.person_id)


def _tasks(state: SubjectState, draft: Draft, theirs: Theirs, named: list[str]) -> None:
    """What a person wrote on a task may be about them; what we wrote is not.

    `named`: tasks whose newest message names them. Facts of a task that is over leave the row before it does, and
    then nothing here says that it was about them.
    """
    for task in state.tasks:
        if task.task_id in named or _is_about(state, task, theirs):
            task.history = [
                entry if entry.by == SYSTEM else entry.model_copy(update={"what": ERASED}) for entry in task.history
            ]
            draft.touch(task)
    for fact in state.breaches:
        fact.protects = _ids(fact.protects, theirs)


def _ids(people: list[str], theirs: Theirs) -> list[str]:
    return list(dict.fromkeys(ERASED if theirs(person) else person for person in people))


def is_over(state: SubjectState, committed: int) -> bool:
    """Is the first step committed, with all that came before?"""
    return bool(state.leaving) and state.applied < committed


def finish(draft: Draft) -> None:
    """The second step: the orders and the evidence beside the row.

    Not together with the first: if a crash took the row and left the orders, it would not be known any more by what
    they were named. Every version is written again, also one that does not name them: an earlier attempt may not have
    come as far as the changelog.
    """
    state, records = draft.state, draft.records
    records.expire(draft.now - timedelta(seconds=draft.policy.limits.horizon_s))
    for person, done in state.leaving.items():
        theirs = who(person)
        for ref in state.orders.values():
            if _refusal(state, records, ref, theirs, draft.policy, draft.now) is None:
                for version in ref.versions:
                    records.put_order(without(records.order(ref.order_id, version.version).data, theirs))
        for kept in list(records.all()):
            if kept.protects is not None and (theirs(kept.protects) or kept.protects == ERASED):
                records.remove(kept)
                records.add(kept.model_copy(update={"protects": ERASED}))
        draft.effects.audits.append(done)
    state.leaving = {}
    draft.effects.purge = True


def without(data: OrderData, theirs: Theirs) -> OrderData:
    """The order version without the person; what is neither them nor theirs alone is as it was."""
    if not names(data, theirs):
        return data
    people = [
        ProtectedPerson(person_id=ERASED, relation=person.relation) if theirs(person.person_id) else person
        for person in data.protected_persons
    ]
    alone = all(person.person_id == ERASED for person in people)
    return data.model_copy(
        update={
            # Of some kinds of order the applicant is the person to be protected.
            "applicant": None,
            "protected_persons": people,
            "terms": [_term(term, theirs, alone=alone) for term in data.terms],
            "identifiers": [
                stated
                for stated in data.identifiers
                if stated.role is Role.SUBJECT
                or not (alone if stated.person_id is None else theirs(stated.person_id) or stated.person_id == ERASED)
            ],
        }
    )


def _term(term: Term, theirs: Theirs, *, alone: bool) -> Term:
    """A term that protects them: without its words, and without its area unless it protects others too."""
    protects = _ids(term.protects, theirs)
    if ERASED not in protects and not (alone and not protects):
        return term
    bare = {
        "protects": protects,
        "text": None,
        "carve_outs": [carve_out.model_copy(update={"text": None}) for carve_out in term.carve_outs],
    }
    if isinstance(term, OtherTerm):
        return term.model_copy(update=bare | {"text": ERASED})
    if isinstance(term, ExclusionZone | Buffer) and set(protects) <= {ERASED}:
        return OtherTerm(
            kind="other",
            term_id=term.term_id,
            text=ERASED,
            valid_from=term.valid_from,
            valid_to=term.valid_to,
            protects=protects,
        )
    return term.model_copy(update=bare)
