"""Judging evidence against orders: which observation breached which term, and how certain that is.

A visit (to a zone, out of a curfew, too near to a person) is one breach; a report is one breach for each term
that it fits. What is decided here are facts: they depend on the evidence and the orders, not on arrival order.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.base import Position
from schemas.orders import Buffer, Curfew, Distance, ExclusionZone, Term
from schemas.tasks import Certainty
from streams.core.clocks import in_curfew
from streams.core.force import InForce, held_at, in_force
from streams.core.policy import Policy
from streams.core.records import NOT_THEIRS, Observation, Records
from streams.core.state import Fix, SubjectState
from streams.core.visits import Track, Visit, advance, is_silence, open_visit
from streams.core.zones import Placement, bounds_of, distance_m, is_surely_within, placed, within

UNSPECIFIED = "unspecified"
_CERTAINTY = {"tag": Certainty.CONFIRMED, "officer": Certainty.CONFIRMED, "face": Certainty.CONFIRMED}

PLACED_TERMS = ExclusionZone | Buffer | Distance | Curfew
"""Terms that positions are judged against."""

# What a report must be about to fit a term plainly.
_NATURES: dict[str, set[str]] = {
    "no_contact": {"contact", "approach"},
    "distance": {"approach"},
    "exclusion_zone": {"entered_zone"},
    "no_social_media": {"social_media"},
    "no_surveillance": {"surveillance"},
    "residence": {"not_at_residence"},
}


@dataclass(frozen=True, order=True)
class Lineage:
    """A term through all versions of its order: what a visit is a visit to."""

    order_id: str
    term_id: str


@dataclass(frozen=True)
class ReportedBreach:
    """A report that fits a term, or no term plainly (`term_id` None)."""

    held: InForce
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


def fix_of(observation: Observation, policy: Policy) -> Fix:
    """The observation as a fix to compare the next with; it must have a position."""
    assert observation.position is not None
    return Fix(
        at=observation.at,
        id=observation.id,
        position=observation.position,
        accuracy_m=accuracy_m(observation, policy),
    )


def is_jump(a: Fix, b: Fix, policy: Policy) -> bool:
    """Do two fixes of one device contradict each other? After a silence nothing is known of the journey."""
    silent = is_silence(min(a.at, b.at), max(a.at, b.at), policy.visits)
    return not silent and _is_too_fast(a, b, policy, at_least_s=1.0)


def is_too_far(a: Fix, b: Fix, policy: Policy) -> bool:
    """Could nobody have been at both? The clocks of two cameras, or of two sources, may differ."""
    return _is_too_fast(a, b, policy, at_least_s=policy.evidence.clock_slack_s)


def _is_too_fast(a: Fix, b: Fix, policy: Policy, at_least_s: float) -> bool:
    """Could nobody have travelled from one to the other? Both error circles are given the benefit."""
    seconds = max(abs((b.at - a.at).total_seconds()), at_least_s)
    reach_m = seconds * policy.evidence.max_speed_mps + a.accuracy_m + b.accuracy_m
    return not is_surely_within(reach_m, a.position, b.position) and distance_m(a.position, b.position) > reach_m


def is_filtered(track: str) -> bool:
    """A tag's jumps are kept and not matched; a plate's are flagged as a clone, an officer is believed."""
    return track.startswith("tag:")


def plausible(run: Iterable[Observation], policy: Policy) -> Iterator[Observation]:
    """Those of one device's observations, in time order, that somebody can have travelled.

    A jump waits: the next fix either refutes it (and agrees with the one before) or confirms it.
    """
    accepted: Fix | None = None
    pending: Observation | None = None
    for observation in run:
        fix = fix_of(observation, policy)
        if accepted is None or not is_filtered(observation.track) or not is_jump(accepted, fix, policy):
            pending = None
        elif pending is not None and not is_jump(fix_of(pending, policy), fix, policy):
            yield pending
            pending = None
        else:
            pending = observation
            continue
        accepted = fix
        yield observation


def lineages(state: SubjectState, records: Records, order_id: str | None = None) -> list[Lineage]:
    """Every placed term of the subject's orders, in any version; of one order where it is named."""
    found: set[Lineage] = set()
    for ref in state.orders.values():
        if order_id is not None and ref.order_id != order_id:
            continue
        for version in ref.versions:
            kept = records.order(ref.order_id, version.version)
            found.update(
                Lineage(ref.order_id, term.term_id) for term in kept.data.terms if isinstance(term, PLACED_TERMS)
            )
    return sorted(found)


def lineages_near(
    state: SubjectState, records: Records, observation: Observation, previous: Fix | None, policy: Policy
) -> list[Lineage]:
    """Of `lineages` those that the next observation of a device may change something in: the zones that its way there
    comes near, those that it is in, and all terms that are no zones. To the others it is one more fix outside.
    """
    assert observation.position is not None
    way = [observation.position] if previous is None else [previous.position, observation.position]
    movement = bounds_of(way).widened(accuracy_m(observation, policy))
    device = f"|{observation.track}"
    inside = {Lineage(*key.removesuffix(device).split("|")) for key in state.tracks if key.endswith(device)}
    found: set[Lineage] = set()
    for ref in state.orders.values():
        for version in ref.versions:
            kept = records.order(ref.order_id, version.version)
            found.update(Lineage(ref.order_id, term_id) for term_id in kept.may_concern(movement))
            found.update(one for one in inside if one.order_id == ref.order_id and one.term_id in kept.terms)
    return sorted(found)


def term_at(
    state: SubjectState, records: Records, lineage: Lineage, at: datetime, position: Position | None
) -> tuple[InForce, Term] | None:
    """The term and its order as they were in force then; None if they were not."""
    held = held_at(state, records, state.orders[lineage.order_id], at)
    term = held.kept.terms.get(lineage.term_id) if held else None
    if held is None or term is None or not held.term_in_force(term, at, position):
        return None
    return held, term


def place(
    state: SubjectState,
    records: Records,
    lineage: Lineage,
    observation: Observation,
    policy: Policy,
    previous: Fix | None = None,
) -> Placement | None:
    """Where the observation lies: IN is what the term forbids; None if no such term was in force then."""
    position = observation.position
    found = term_at(state, records, lineage, observation.at, position)
    if found is None or position is None:
        return None
    held, term = found
    accuracy = accuracy_m(observation, policy)
    if isinstance(term, Distance):
        return _near_person(state, term, observation.at, position, accuracy, policy)
    if isinstance(term, Curfew):
        if not in_curfew(observation.at, term.start, term.until, list(term.days)):
            return None
        home = placed(held.kept.zone(term), position.latitude, position.longitude, accuracy)
        return {Placement.IN: Placement.OUT, Placement.OUT: Placement.IN}.get(home, home)
    if not isinstance(term, ExclusionZone | Buffer):
        return None
    zone = held.kept.zone(term)
    placement = placed(zone, position.latitude, position.longitude, accuracy)
    if (
        placement is Placement.OUT
        and isinstance(term, ExclusionZone)
        and previous is not None
        and observation.track.startswith("tag:")
        and not is_silence(previous.at, observation.at, policy.visits)
        and zone.crosses(previous.position, position)
        and zone.place(previous.position, previous.accuracy_m) is Placement.OUT
    ):
        return Placement.CROSSED
    return placement


def nearest_partner(state: SubjectState, person_id: str, at: datetime, policy: Policy) -> Fix | None:
    """The protected person's fix nearest in time, within the policy's window."""
    window = timedelta(seconds=policy.evidence.partner_window_s)
    fixes = [fix for fix in state.partners.get(person_id, []) if abs(fix.at - at) <= window]
    return min(fixes, key=lambda fix: (abs(fix.at - at), fix.id), default=None)


def _near_person(
    state: SubjectState, term: Distance, at: datetime, position: Position, accuracy: float, policy: Policy
) -> Placement:
    """Both error circles count; several protected persons: the nearest decides."""
    found = set()
    for person_id in term.protects:
        partner = nearest_partner(state, person_id, at, policy)
        if partner is not None:
            apart_m = distance_m(position, partner.position)
            found.add(within(apart_m, term.metres, accuracy + partner.accuracy_m))
    for placement in (Placement.IN, Placement.STRADDLING, Placement.OUT):
        if placement in found:
            return placement
    return Placement.UNKNOWN


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
        and observation.nature not in ("unadjudicated", "rejected", NOT_THEIRS)
    )


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
    for observation in plausible(observations, policy):
        placement = place(state, records, lineage, observation, policy, previous)
        before = previous.at if previous else None
        step = advance(track, before, observation.at, observation.id, placement, policy.visits)
        visits += [visit for visit in (step.ended, step.crossed) if visit is not None]
        track, previous = step.track, fix_of(observation, policy)
    still = open_visit(track)
    return ([*visits, still] if still else visits), track


def judge_report(state: SubjectState, records: Records, report: Observation) -> list[ReportedBreach]:
    """The terms that a report fits, under each order in force at its time.

    Where it fits no term plainly, the order itself is named and a person decides. A carve-out flags a possible
    excuse and never drops the report.
    """
    found: list[ReportedBreach] = []
    for held in in_force(state, records, report.at):
        if report.order_id is not None and report.order_id != held.ref.order_id:
            continue
        fitting = [
            ReportedBreach(held, term.term_id, term.kind, list(term.protects), excuses(term, report.excuse))
            for term in held.data.terms
            if held.term_in_force(term, report.at, report.position) and _fits(term, report)
        ]
        unclear = ["term unclear: a person must decide which term, if any, this breaches"]
        protects = [report.protects] if report.protects else []
        found += fitting or [ReportedBreach(held, None, UNSPECIFIED, protects, unclear)]
    return found


def _fits(term: Term, report: Observation) -> bool:
    """Contact through others, and with protected children and family, is contact."""
    named = report.protects is None or not term.protects or report.protects in term.protects
    return named and report.nature in _NATURES.get(term.kind, set())


def excuses(term: Term, claimed: str | None) -> list[str]:
    """The flags of what the term allows, and of what is claimed; neither ever drops an event."""
    allowed = {carve_out.kind for carve_out in term.carve_outs}
    flags = []
    if claimed is not None:
        stands = "which the order allows" if claimed in allowed else "which the order does not mention"
        flags.append(f"possible excuse claimed: {claimed.replace('_', ' ')}, {stands}; check it, do not drop it")
    elif allowed:
        flags.append(f"the term has an exception ({', '.join(sorted(allowed))}): check that it does not apply")
    return flags
