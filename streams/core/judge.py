"""Judging evidence against orders: which observation breached which term, and how certain that is.

A visit to a zone is one breach; a report is one breach for each term that it fits. What is decided here are
facts: they depend on the evidence and the orders, not on the order of arrival.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from schemas.orders import ExclusionZone, NoContact
from schemas.tasks import Certainty
from streams.core.force import InForce, in_force, version_at
from streams.core.policy import Policy
from streams.core.records import Observation, Records
from streams.core.state import SubjectState
from streams.core.visits import Track, Visit, advance, is_silence, open_visit
from streams.core.zones import Placement

UNSPECIFIED = "unspecified"
_CERTAINTY = {"tag": Certainty.CONFIRMED, "officer": Certainty.CONFIRMED, "face": Certainty.CONFIRMED}


@dataclass(frozen=True)
class Lineage:
    """A zone term through all versions of its order: what a visit is a visit to."""

    order_id: str
    term_id: str


@dataclass(frozen=True)
class ReportedBreach:
    """A report that fits a term, or no term plainly (`term_id` None)."""

    order_id: str
    order_version: int
    term_id: str | None
    term_kind: str
    protects: list[str]
    flags: list[str]


def accuracy_m(observation: Observation, policy: Policy) -> float:
    """The radius of the error circle, metres: the position's own, or the policy's for that source."""
    if observation.position is not None and observation.position.accuracy_m is not None:
        return observation.position.accuracy_m
    return {
        "tag_fix": policy.accuracy.tag_m,
        "officer_sighting": policy.accuracy.officer_m,
    }.get(observation.type, policy.accuracy.camera_m)


def lineages(state: SubjectState, records: Records, order_id: str | None = None) -> set[Lineage]:
    """Every zone term of the subject's orders, in any version; of one order where it is named."""
    found: set[Lineage] = set()
    for ref in state.orders.values():
        if order_id is not None and ref.order_id != order_id:
            continue
        for version in ref.versions:
            kept = records.order(ref.order_id, version.version)
            found.update(
                Lineage(ref.order_id, term.term_id) for term in kept.data.terms if isinstance(term, ExclusionZone)
            )
    return found


def place(
    state: SubjectState, records: Records, lineage: Lineage, observation: Observation, policy: Policy
) -> Placement | None:
    """Where the observation lies in the zone as it then was; None if no such term was in force then."""
    ref = state.orders[lineage.order_id]
    version = version_at(ref, observation.at)
    if version is None:
        return None
    held = InForce(ref, records.order(ref.order_id, version.version))
    term = held.kept.terms.get(lineage.term_id)
    if not isinstance(term, ExclusionZone) or observation.position is None:
        return None
    if not held.term_in_force(term, observation.at, observation.position):
        return None
    return held.kept.zone(term).place(observation.position, accuracy_m(observation, policy))


def visit_certainty(track: str, visit: Visit) -> Certainty:
    """How sure a visit is, by what showed it: a plate read shows a vehicle, not its driver."""
    if not visit.certain:
        return Certainty.POSSIBLE
    return _CERTAINTY.get(track.split(":", 1)[0], Certainty.VEHICLE)


def is_zone_evidence(observation: Observation) -> bool:
    """Can it show a visit? A look-alike plate and an unadjudicated match need a person first."""
    return (
        observation.type != "breach_report"
        and observation.position is not None
        and observation.position.usable
        and observation.match != "look-alike"
        and observation.nature != "unadjudicated"
    )


@dataclass(frozen=True)
class Stretch:
    """Consecutive observations of one device, from a moment when it was plainly outside."""

    observations: list[Observation]
    reaches_end: bool
    """It runs to the device's newest observation, so the automaton's track after it is the present one."""


def stretch_around(
    state: SubjectState, records: Records, lineage: Lineage, late: Observation, policy: Policy
) -> Stretch:
    """What a late observation can change.

    It begins and ends where the automaton is plainly outside whatever it remembered: at a silence, or after
    `leave_fixes` fixes wholly outside in a row.
    """
    rule = policy.visits

    def settled(run: Iterable[Observation]) -> Iterator[Observation]:
        outs, previous = 0, late.at
        for observation in run:
            if is_silence(min(previous, observation.at), max(previous, observation.at), rule):
                return
            yield observation
            placement = place(state, records, lineage, observation, policy)
            outs = outs + 1 if placement is Placement.OUT else 0
            if placement is None or outs >= rule.leave_fixes:
                return
            previous = observation.at

    def same_device(run: Iterable[Observation]) -> Iterator[Observation]:
        return (o for o in run if o.track == late.track and is_zone_evidence(o))

    moment, newest = (late.at, late.id), state.devices[late.track]
    earlier = settled(o for o in same_device(records.before(late.at)) if (o.at, o.id) < moment)
    later = settled(o for o in same_device(records.after(late.at, newest[0])) if (o.at, o.id) > moment)
    observations = [*reversed(list(earlier)), late, *later]
    last = observations[-1]
    return Stretch(observations, reaches_end=(last.at, last.id) >= newest)


def visits_in(
    state: SubjectState,
    records: Records,
    lineage: Lineage,
    observations: Iterable[Observation],
    policy: Policy,
) -> tuple[list[Visit], Track]:
    """The visits that consecutive observations of one device show, and the automaton's track after them."""
    track, previous = Track(), None
    visits: list[Visit] = []
    for observation in observations:
        placement = place(state, records, lineage, observation, policy)
        step = advance(track, previous, observation.at, observation.id, placement, policy.visits)
        if step.ended is not None:
            visits.append(step.ended)
        track, previous = step.track, observation.at
    still = open_visit(track)
    return ([*visits, still] if still else visits), track


def judge_report(state: SubjectState, records: Records, report: Observation) -> list[ReportedBreach]:
    """The terms that a report fits, under each order in force at its time.

    Where it fits no term plainly, the order itself is named and a person decides.
    """
    found: list[ReportedBreach] = []
    for held in in_force(state, records, report.at):
        if report.order_id is not None and report.order_id != held.ref.order_id:
            continue
        fitting = [
            ReportedBreach(held.ref.order_id, held.data.version, term.term_id, term.kind, list(term.protects), [])
            for term in held.data.terms
            if held.term_in_force(term, report.at, report.position) and _fits(term, report)
        ]
        found += fitting or [
            ReportedBreach(
                held.ref.order_id,
                held.data.version,
                None,
                UNSPECIFIED,
                [report.protects] if report.protects else [],
                ["term unclear: a person must decide which term, if any, this breaches"],
            )
        ]
    return found


def _fits(term: object, report: Observation) -> bool:
    if isinstance(term, NoContact):
        named = report.protects is None or not term.protects or report.protects in term.protects
        return report.nature in ("contact", "approach") and named
    return isinstance(term, ExclusionZone) and report.nature == "entered_zone"
