"""Orders in force: which version of which order, and which of its terms, held at a moment.

Orders are bitemporal. An event is judged on the version in force at its own time, whenever either of them
became known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from schemas.base import Position
from schemas.orders import OrderData, Term
from streams.core.kinds import CHECK_THE_POWER, KINDS, LACKING, NO_CONFIRMED_POWER, Needs
from streams.core.records import KeptOrder, Records
from streams.core.state import OrderRef, SubjectState, VersionRef
from streams.core.zones import Placement


@dataclass(frozen=True)
class InForce:
    """An order version that was in force."""

    ref: OrderRef
    kept: KeptOrder

    @property
    def data(self) -> OrderData:
        return self.kept.data

    @property
    def name(self) -> str:
        """`order/version`, as audit entries cite it."""
        return f"{self.ref.order_id}/{self.data.version}"

    def term_in_force(self, term: Term, at: datetime, position: Position | None) -> bool:
        """A term has its own period (SPA 2019 s3(3)) and, if it says so, its own locality (s2(4)).

        Near the edge of a locality the term holds: in doubt a person decides.
        """
        if term.valid_from is not None and at < term.valid_from:
            return False
        if term.valid_to is not None and at >= term.valid_to:
            return False
        if term.locality is not None and position is not None:
            locality = self.kept.locality(term)
            return locality.place(position, position.accuracy_m or 0.0) is not Placement.OUT
        return True


def effective_from(order: OrderData) -> datetime:
    """From when the version binds: "made" is not always "in force"."""
    return order.effective_from or order.made_at


def begins(state: SubjectState, version: VersionRef) -> datetime | None:
    """When a version takes effect; None while it waits for another order to end."""
    if version.waits_for is None:
        return version.effective_from
    other = state.orders.get(version.waits_for)
    if other is None:
        return version.effective_from
    ends = [end for end in (other.ended_at, other.superseded_at) if end is not None]
    last = max(other.versions, key=lambda v: v.version, default=None)
    if last is not None and last.expires_at is not None:
        ends.append(last.expires_at)
    return max(version.effective_from, min(ends)) if ends else None


def version_at(state: SubjectState, ref: OrderRef, at: datetime) -> VersionRef | None:
    """The version in force at `at`, by effect and not by arrival; None before the first, after the end, and
    while a court has stayed the order."""
    begun = [v for v in ref.versions if (start := begins(state, v)) is not None and start <= at]
    if not begun:
        return None
    version = max(begun, key=lambda v: v.version)
    ends = (version.expires_at, ref.ended_at, ref.superseded_at)
    if any(end is not None and at >= end for end in ends) or is_stayed(ref, at):
        return None
    return version


def is_stayed(ref: OrderRef, at: datetime) -> bool:
    """Has a court stayed the order? The end of a stay may be stated by a later message on the same stay."""
    untils: dict[datetime, datetime | None] = {}
    for stay in ref.stays:
        stated = [until for until in (untils.get(stay.begins), stay.until) if until is not None]
        untils[stay.begins] = min(stated, default=None)
    return any(begins <= at and (until is None or at < until) for begins, until in untils.items())


def held_at(state: SubjectState, records: Records, ref: OrderRef, at: datetime) -> InForce | None:
    version = version_at(state, ref, at)
    return None if version is None else InForce(ref, records.order(ref.order_id, version.version))


def in_force(state: SubjectState, records: Records, at: datetime) -> Iterator[InForce]:
    """Each order in force on the subject at `at`."""
    for ref in state.orders.values():
        held = held_at(state, records, ref, at)
        if held is not None:
            yield held


class Lapse(StrEnum):
    """Why an order that is known is not in force at a moment."""

    WAITS = "waits for an earlier order to end"
    NOT_BEGUN = "has not taken effect"
    STAYED = "is stayed by the court"
    ENDED = "was ended by the court"
    SUPERSEDED = "ended when the main application was determined"
    EXPIRED = "has expired"


def lapse(state: SubjectState, ref: OrderRef, at: datetime) -> Lapse | None:
    """Why the order is not in force at `at`; None where it is, or where no version of it is known."""
    if not ref.versions or version_at(state, ref, at) is not None:
        return None
    starts = [start for version in ref.versions if (start := begins(state, version)) is not None]
    if not starts:
        return Lapse.WAITS
    if at < min(starts):
        return Lapse.NOT_BEGUN
    if is_stayed(ref, at):
        return Lapse.STAYED
    if ref.ended_at is not None and at >= ref.ended_at:
        return Lapse.ENDED
    if ref.superseded_at is not None and at >= ref.superseded_at:
        return Lapse.SUPERSEDED
    return Lapse.EXPIRED


def over_since(state: SubjectState, ref: OrderRef, at: datetime) -> datetime | None:
    """Since when the order binds nobody any more, as known at `at`; None while it does, may yet, or is known only by
    what was said about it."""
    if version_at(state, ref, at) is not None:
        return None
    newest = max(ref.versions, key=lambda v: v.version, default=None)
    expires = None if newest is None else newest.expires_at
    ends = (ref.ended_at, ref.superseded_at, expires)
    return min((end for end in ends if end is not None and end <= at), default=None)


_OF_AN_EVENT = {
    Lapse.WAITS: "order {} waits for an earlier order to end",
    Lapse.NOT_BEGUN: (
        "order {} had not taken effect: intelligence, not a breach of it; the conduct may still be stalking"
    ),
    Lapse.STAYED: "order {} was stayed by the court",
    Lapse.ENDED: "order {} had been ended by the court",
    Lapse.SUPERSEDED: "interim order {} had ended when the main application was determined",
    Lapse.EXPIRED: "order {} had expired",
}


def why_not(state: SubjectState, at: datetime) -> list[str]:
    """For each order of the subject that was not in force at `at`, why an event of then is no breach of it."""
    found = ((ref, lapse(state, ref, at)) for ref in state.orders.values())
    return [_OF_AN_EVENT[why].format(ref.order_id) for ref, why in found if why is not None]


@dataclass(frozen=True)
class Ground:
    """What an order gives a constable at a moment: the words, the proof behind them, and whether confirmed."""

    power: str
    confirmed: bool
    proof: str | None
    serve_now: bool = False
    """Notice of the order is what the power lacks."""


def ground(records: Records, ref: OrderRef, version: int, term_id: str | None, at: datetime) -> Ground:
    """The power of arrest for a breach of a term at `at`, and what is lacking for it.

    Notice of an earlier version is notice of a term that stands unchanged since then; a term that a later
    version tightened needs notice of that version (DAA 2021 s45(9)).
    """
    row = KINDS[records.order(ref.order_id, version).data.kind]
    order = records.order(ref.order_id, version).data
    run = _versions_with_same_term(ref, records, version, term_id)
    services = [ref.services[v.version] for v in run if v.version in ref.services]
    served = min((s for s in services if s.served_at <= at), key=lambda s: s.served_at, default=None)
    in_court = any(v.in_court for v in run)
    notice = served is not None or in_court
    secret = all(v.without_notice for v in run)
    confirmed = {
        Needs.SERVICE: notice,
        Needs.AWARENESS: notice or not secret,
        Needs.POWER_ATTACHED: order.power_of_arrest_attached and notice,
        Needs.NOTHING: notice or not secret,
    }[row.needs]
    proof = None
    if served is not None:
        proof = f"{served.method} service at {served.served_at:%Y-%m-%d %H:%M}Z" + (
            f", {served.reference}" if served.reference else ""
        )
    elif in_court:
        proof = "present in court"
    if confirmed:
        return Ground((CHECK_THE_POWER if row.check else "") + row.power, not row.check, proof)
    lacking = LACKING[Needs.AWARENESS if row.needs is Needs.NOTHING else row.needs]
    return Ground(NO_CONFIRMED_POWER.format(lacking=lacking), False, proof, serve_now=not notice)


def _versions_with_same_term(ref: OrderRef, records: Records, version: int, term_id: str | None) -> list[VersionRef]:
    """The unbroken run of versions up to `version` in which the term reads the same."""
    run: list[VersionRef] = []
    wording = records.order(ref.order_id, version).terms.get(term_id or "")
    for candidate in sorted(ref.versions, key=lambda v: -v.version):
        if candidate.version > version:
            continue
        if term_id is not None and records.order(ref.order_id, candidate.version).terms.get(term_id) != wording:
            break
        run.append(candidate)
    return run
