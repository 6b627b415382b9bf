"""A snapshot of the orders that there are, compared with the orders that are known here.

A missing order is a silent death: nothing that happens breaches an order that nobody knows. What an order states is
compared only as far as the snapshot states it too, and a difference names fields, never what they hold.

A different order ends nothing and changes nothing: what is known stays in force until an event says otherwise.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from math import inf
from typing import Any

from pydantic import BaseModel

from schemas.orders import ExclusionZone, IdentifierKind, NoContact, Order, OrderData, OtherTerm, Role, Service
from streams.core.force import effective_from, lapse, version_at
from streams.core.on_orders import supersede, version_ref
from streams.core.plates import canonical
from streams.core.records import Records
from streams.core.state import OrderRef, SubjectState

# Up to twenty a person reads each. Beyond that, where a fifth of all orders differ the snapshot is more likely wrong
# than they are; and of hundreds nobody reads each, whatever is wrong.
FEW = 20
DOUBTFUL_SHARE = 0.2
MANY = 100


class What(StrEnum):
    """How an order may differ; also the kind of the alert."""

    MISSING = "order_missing"
    """In force by the snapshot, and not here."""
    DIFFERS = "order_differs"
    """In both, and not the same."""
    EXTRA = "order_extra"
    """In force here, and not in the snapshot."""


@dataclass(frozen=True)
class Stated:
    """An order as one line of a snapshot states it."""

    event: Order
    fields: frozenset[str]
    """Of COMPARED those that the line says something of."""

    @property
    def order_id(self) -> str:
        return self.event.data.order_id

    @property
    def version(self) -> int | None:
        """None where the line does not say which."""
        return self.event.data.version if "version" in self.fields else None


@dataclass(frozen=True)
class Known:
    """An order as one subject's row has it, at the moment of the snapshot."""

    order_id: str
    subject_id: str
    versions: tuple[int, ...]
    in_force: int | None
    """The version that is."""
    why_not: str
    """In words, where none is."""
    sources: frozenset[str | None]
    """Of its versions; None of one that was loaded before rows kept it."""
    services: Mapping[int, Service]
    """Of each version the earliest proof."""
    text: Callable[[int], OrderData | None]
    """What a version says; None where the records have lost it."""

    @property
    def lost(self) -> bool:
        """In force by its row, and nobody can say what it forbids."""
        return self.in_force is not None and self.text(self.in_force) is None


@dataclass(frozen=True, order=True)
class Difference:
    order_id: str
    what: What
    details: tuple[str, ...] = ()
    """Why it is missing, or the fields that differ."""
    subject_id: str | None = None
    """Under whom it is known here, where it is."""
    force: str | None = None
    """Whose it is."""


@dataclass
class Reconciled:
    """What was compared, and what differs, by order id."""

    stated: int = 0
    """Orders in the snapshot."""
    in_force_by_it: int = 0
    in_force_here: int = 0
    judged: int = 0
    """Of those here the orders of which one that the snapshot does not have is extra: all, or those of one source."""
    of_unknown_source: int = 0
    """Orders in force here that are not judged so because their row does not say whose they are."""
    compared: int = 0
    """Orders in force here that the snapshot has too."""
    differences: list[Difference] = field(default_factory=list)

    def of(self, what: What) -> list[Difference]:
        return [each for each in self.differences if each.what is what]

    def doubtful(self) -> list[What]:
        """The kinds of which there are so many that more is wrong than single orders: the snapshot, or all of this.

        One without any order in it is wrong, whatever is in force here.
        """
        totals = {What.MISSING: self.in_force_by_it, What.DIFFERS: self.compared, What.EXTRA: self.judged}
        return [
            what
            for what, total in totals.items()
            if (count := len(self.of(what)))
            and (not self.stated or count > min(MANY, max(FEW, DOUBTFUL_SHARE * total)))
        ]


# -- what is known, and what is stated -----------------------------------------------------------------------------


def known_orders(state: SubjectState, records: Records, at: datetime) -> Iterator[Known]:
    """The orders of a row at a moment; none of a subject who turned out to be another: there they are again."""
    if state.merged_into is not None:
        return

    for ref in state.orders.values():
        if not ref.versions:  # something was said of an order that itself has not come
            continue
        version = version_at(state, ref, at)
        why = lapse(state, ref, at)
        yield Known(
            order_id=ref.order_id,
            subject_id=state.subject_id,
            versions=tuple(sorted(each.version for each in ref.versions)),
            in_force=None if version is None else version.version,
            why_not=f"known here, where it {why}" if why else "",
            sources=frozenset(each.source for each in ref.versions),
            services=ref.services,
            text=partial(_text, records, ref.order_id),
        )


def _text(records: Records, order_id: str, version: int) -> OrderData | None:
    try:
        return records.order(order_id, version).data
    except KeyError:
        return None


def in_force_by(snapshot: Iterable[Stated], at: datetime) -> set[str]:
    """Ids of the orders that would be in force if the snapshot were all that is known."""
    rows: dict[str, SubjectState] = {}
    texts: dict[tuple[str, str, int], OrderData] = {}
    # Of two lines on one version the first counts: the one by which it is in force for longer.
    for line in sorted(snapshot, key=_how_long):
        data = line.event.data
        subject = data.respondent.subject_id
        row = rows.setdefault(subject, SubjectState(subject_id=subject))
        ref = row.orders.setdefault(data.order_id, OrderRef(order_id=data.order_id))
        ref.versions.append(version_ref(line.event, at))
        texts.setdefault((subject, data.order_id, data.version), data)
    found = set()
    for subject, row in rows.items():
        supersede(row, partial(_stated_text, texts, subject))
        found |= {ref.order_id for ref in row.orders.values() if version_at(row, ref, at) is not None}
    return found


def _how_long(line: Stated) -> tuple[datetime, float, str]:
    data = line.event.data
    lasts = -inf if data.expires_at is None else -data.expires_at.timestamp()
    return effective_from(data), lasts, data.replaces or ""


def _stated_text(
    texts: Mapping[tuple[str, str, int], OrderData], subject: str, order_id: str, version: int
) -> OrderData:
    return texts[(subject, order_id, version)]


# -- what is compared ----------------------------------------------------------------------------------------------


def _words(text: str | None) -> str | None:
    """Spacing and capitals are the typist's."""
    return None if text is None else " ".join(text.split()).casefold()


def _all(models: Iterable[BaseModel]) -> list[str]:
    """In whatever order they are listed."""
    return sorted(model.model_dump_json() for model in models)


def _identifiers(data: OrderData) -> list[str]:
    spelt = [
        each.model_copy(update={"value": canonical(each.value)}) if each.kind is IdentifierKind.PLATE else each
        for each in data.identifiers
    ]
    return _all(spelt)


def _values(kind: IdentifierKind) -> Callable[[OrderData], Any]:
    spell = canonical if kind is IdentifierKind.PLATE else str
    return lambda data: {
        spell(each.value) for each in data.identifiers if each.kind is kind and each.role is Role.SUBJECT
    }


FIELDS: dict[str, Callable[[OrderData], Any]] = {
    "subject": lambda data: data.respondent.subject_id,
    "name": lambda data: _words(data.respondent.name),
    "date_of_birth": lambda data: data.respondent.date_of_birth,
    "kind": lambda data: data.kind,
    "court": lambda data: _words(data.court),
    "applicant": lambda data: _words(data.applicant),
    "made_at": lambda data: data.made_at,
    "effective_from": effective_from,
    "expires_at": lambda data: data.expires_at,
    "present_in_court": lambda data: data.present_in_court,
    "without_notice": lambda data: data.without_notice,
    "power_of_arrest_attached": lambda data: data.power_of_arrest_attached,
    "notifies_elsewhere": lambda data: data.notifies_elsewhere,
    "effective_on_end_of": lambda data: data.effective_on_end_of,
    "replaces": lambda data: data.replaces,
    "protected_persons": lambda data: _all(data.protected_persons),
    "terms": lambda data: _all(data.terms),
    "identifiers": _identifiers,
    "owning_force": lambda data: _words(data.owning_force),
    "risk": lambda data: data.risk,
    "markers": lambda data: set(data.markers),
    "certified_copy": lambda data: _words(data.certified_copy),
    # As much of persons, terms and identifiers as a row of an export has a column for.
    "protected_ids": lambda data: {person.person_id for person in data.protected_persons},
    "zones": lambda data: _all(term.area for term in data.terms if isinstance(term, ExclusionZone)),
    "no_contact": lambda data: any(isinstance(term, NoContact) for term in data.terms),
    "other_terms": lambda data: sorted(_words(term.text) or "" for term in data.terms if isinstance(term, OtherTerm)),
    "plates": _values(IdentifierKind.PLATE),
    "tags": _values(IdentifierKind.TAG),
    "phones": _values(IdentifierKind.PHONE),
}
"""Field -> what of an order is compared: the same in two orders that agree on the field."""
COMPARED = frozenset(FIELDS) | {"version", "service"}
"""All fields; those two are not compared as the others are, see `differing`."""

_OF_COLUMNS = {
    "subject": "subject",
    "name": "name",
    "born": "date_of_birth",
    "version": "version",
    "kind": "kind",
    "court": "court",
    "made": "made_at",
    "expires": "expires_at",
    "until_further_order": "expires_at",
    "served": "service",
    "in_court": "present_in_court",
    "protects": "protected_ids",
    "zone": "zones",
    "no_contact": "no_contact",
    "term": "other_terms",
    "plate": "plates",
    "tag": "tags",
    "phone": "phones",
    "force": "owning_force",
    "risk": "risk",
    "marker": "markers",
    "certified_copy": "certified_copy",
}


def stated_by_row(event: Order, columns: Iterable[str]) -> Stated:
    """What a row of an export states: `columns` are the names of its map that it has something for."""
    return Stated(event, frozenset(_OF_COLUMNS[name] for name in columns if name in _OF_COLUMNS))


def stated_by_event(event: Order) -> Stated:
    """What an event of ours states: what it has, and its end, since one without is in force until further order."""
    had = event.data.model_fields_set | event.data.respondent.model_fields_set | {"subject", "expires_at"}
    return Stated(event, COMPARED & had)


def differing(line: Stated, known: Known, ignored: frozenset[str] = frozenset()) -> set[str]:
    """Names of the fields that the line states otherwise than they are known.

    Of two versions only that they are two; versions that are held both, in force and to come, are each right.
    """
    if line.version not in (None, known.in_force, known.versions[-1]):
        return {"version"} - ignored
    version = line.version or known.in_force or known.versions[-1]
    data = known.text(version)
    if data is None:
        return {"version"} - ignored
    stated = line.event.data
    found = {name for name in line.fields & FIELDS.keys() if FIELDS[name](stated) != FIELDS[name](data)}
    if "service" in line.fields and stated.service is not None:
        # Of several proofs the earliest counts: a later one is no news.
        proof = known.services.get(version)
        if proof is None or proof.served_at > stated.service.served_at:
            found.add("service")
    return found - ignored


# -- the comparison ------------------------------------------------------------------------------------------------


def reconcile(
    snapshot: Iterable[Stated],
    known: Iterable[Known],
    at: datetime,
    *,
    source: str | None = None,
    unread: frozenset[str] = frozenset(),
    ignored: frozenset[str] = frozenset(),
) -> Reconciled:
    """What the snapshot has and is not in force here at `at`, what is in force here alone, and what differs.

    Only orders of `source`, or of one below it, are expected in the snapshot; None: all are. `unread` are ids of
    lines that cannot be read: they are in the snapshot, and not compared. `ignored` are fields not to compare.
    `known` is read once.
    """
    lines: dict[str, list[Stated]] = {}
    for line in snapshot:
        lines.setdefault(line.order_id, []).append(line)
    due = in_force_by((line for each in lines.values() for line in each), at)
    found = Reconciled(stated=len(lines), in_force_by_it=len(due))
    held: dict[str, list[Known]] = {}
    for each in known:
        if each.order_id in lines:
            held.setdefault(each.order_id, []).append(each)
        if each.in_force is None:
            continue
        found.in_force_here += 1
        if not _is_of(each, source):
            found.of_unknown_source += each.order_id not in lines and None in each.sources
            continue
        found.judged += 1
        if each.order_id not in lines and each.order_id not in unread:
            found.differences.append(_difference(each, What.EXTRA))
    for order_id, stated in lines.items():
        here = held.pop(order_id, [])
        found.compared += any(each.in_force is not None for each in here)
        found.differences += _of_one(stated, here, order_id in due, ignored)
    found.differences.sort(key=lambda each: (list(What).index(each.what), each.order_id))
    return found


def _is_of(known: Known, source: str | None) -> bool:
    """Has the source, or one below it, stated a version of the order?"""
    return source is None or any(each == source or each.startswith(f"{source}/") for each in known.sources if each)


def _of_one(stated: list[Stated], here: list[Known], due: bool, ignored: frozenset[str]) -> Iterator[Difference]:
    """How one order differs: its lines, and the rows that have it (one, but for an order that named two people)."""
    live = [each for each in here if each.in_force is not None and not each.lost]
    newest = max(line.version or 0 for line in stated)
    behind = [each for each in live if newest > each.versions[-1]]
    if due and len(behind) == len(live):
        whys = sorted({_why_missing(each) for each in here}) or ["not known here"]
        subject = here[0].subject_id if here else None
        forces = sorted(line.event.data.owning_force for line in stated if "owning_force" in line.fields)
        yield Difference(stated[0].order_id, What.MISSING, tuple(whys), subject, next(iter(forces), None))
        return
    for each in live:
        fields = set().union(
            *(
                differing(line, each, ignored)
                for line in stated
                if line.version in (None, newest, each.in_force, each.versions[-1])
            )
        )
        if fields:
            yield _difference(each, What.DIFFERS, *sorted(fields))


def _why_missing(known: Known) -> str:
    if known.lost:
        return "known here, but what it says is lost: see `breachwatch verify`"
    return known.why_not or f"known here only as version {known.versions[-1]}"


def _difference(known: Known, what: What, *details: str) -> Difference:
    data = known.text(known.in_force or known.versions[-1])
    force = None if data is None else data.owning_force
    return Difference(known.order_id, what, details, known.subject_id, force)
