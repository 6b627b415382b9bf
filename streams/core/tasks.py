"""An arrest task on its row, and the snapshot of it that dashboards get."""

from datetime import datetime, timedelta

from schemas.orders import OrderData
from schemas.tasks import ArrestTask, Breach, HistoryEntry, TaskChange, TaskState
from streams.core.clocks import age_on
from streams.core.cross_checks import IN_CUSTODY
from streams.core.draft import Draft, newest_orders
from streams.core.force import ground
from streams.core.jurisdiction import is_rural
from streams.core.kinds import KINDS
from streams.core.ladder import begin, next_step, told, wait
from streams.core.policy import Grade, Policy
from streams.core.priority import prioritise
from streams.core.records import Records
from streams.core.state import MAX_HISTORY, MAX_NOTE, BreachFact, SafeguardingRow, SubjectState, TaskRow
from streams.core.transitions import BEGUN, LIVE, TRANSITIONS, WAITING

SYSTEM = "breachwatch"
UNKNOWN_FORCE = "unknown"
"""Whose a task is that no order says an owner of: nobody's, so that everybody must see it."""


def is_high_risk(task: TaskRow, state: SubjectState, records: Records) -> bool:
    """Assessed as high, or not assessed: unknown risk fails high. Of the orders breached, or if none is, of all."""
    orders = _orders_of(breaches_of(state, task), records) or newest_orders(state, records)
    return not orders or any(order.risk in (None, "high") for order in orders)


def forces_of(task: TaskRow, state: SubjectState, records: Records) -> list[str]:
    """Everybody who must know: the owning forces first, then those in whose areas the events were."""
    facts = sorted(breaches_of(state, task), key=lambda fact: (fact.began_at, fact.breach_id))
    orders = _orders_of(facts, records) or newest_orders(state, records)
    return list(dict.fromkeys([*(o.owning_force for o in orders), *(f for fact in facts for f in fact.forces)]))


def change_state(
    draft: Draft, task: TaskRow, action: str, what: str, by: str, *, since: datetime | None = None
) -> None:
    """Make one of the table's moves: it stops or starts the waiting that goes with the state.

    `since` is when the task began to wait, where that was before now.
    """
    move = TRANSITIONS[action]
    assert task.state in move.starts, f"{action} from {task.state}"
    was, task.state = task.state, move.to or task.before or TaskState.OPEN
    task.before = was if task.state is TaskState.WITHDRAWAL_RECOMMENDED else None
    waiting = task.waiting
    if action in ("recommend_withdrawal", "stand_again") and was in WAITING and task.state in WAITING:
        pass  # nobody has acted in between: what was due stays due
    elif task.state in WAITING:
        interrupted = waiting.lapses_at if task.state is TaskState.WITHDRAWAL_RECOMMENDED else None
        wait(waiting, since or draft.now)
        waiting.lapses_at = interrupted
    elif action == "stand_again" and waiting.lapses_at is not None:
        waiting.told = 0
    elif task.state in BEGUN:
        begin(task.waiting, task.state, draft.policy.grade(task.grade), draft.now)
    else:
        waiting.lapses_at = None
    note(task, draft.now, what, by, draft.event.event_id)
    draft.touch(task, TaskChange.MOVED)


def note(task: TaskRow | SafeguardingRow, at: datetime, what: str, by: str, event_id: str) -> None:
    """Add to the task's history; the oldest entries but the first leave when it is long. A long text is cut: the
    log has the whole of it."""
    what = what if len(what) <= MAX_NOTE else what[: MAX_NOTE - 1] + "\N{HORIZONTAL ELLIPSIS}"
    task.history.append(HistoryEntry(at=at, what=what, by=by, event_id=event_id))
    if len(task.history) > MAX_HISTORY:
        del task.history[1]


def live_task(state: SubjectState) -> TaskRow | None:
    """The subject's one open task."""
    return next((task for task in state.tasks if task.state in LIVE), None)


def breaches_of(state: SubjectState, task: TaskRow) -> list[BreachFact]:
    return [fact for fact in state.breaches if fact.task_id == task.task_id]


def regrade(draft: Draft, task: TaskRow) -> bool:
    """Grade and deadline from the facts; both only ever tighten. True if the grade rose."""
    state, policy, now = draft.state, draft.policy, draft.now
    facts = breaches_of(state, task)
    score = prioritise(facts, _orders_of(facts, draft.records), task.breach_count, policy).score
    names = [grade.name for grade in policy.grades]
    grade = policy.grade_for(score)
    rose = task.grade not in names or names.index(grade.name) < names.index(task.grade)
    if rose:
        task.grade = grade.name
        task.deadline = min(task.deadline, now + respond_within(state, grade, policy))
        if task.waiting.lapses_at is not None and task.state in BEGUN:
            sooner = now + timedelta(seconds=grade.lapse_after_s[task.state.value])  # type: ignore[index]
            task.waiting.lapses_at = min(task.waiting.lapses_at, sooner)
    return rose


def respond_within(state: SubjectState, grade: Grade, policy: Policy) -> timedelta:
    """The time to attendance: longer in the country, where the subject was last seen there."""
    seen = state.last_seen
    rural = seen is not None and is_rural(seen.position, policy.places.urban_population, policy.places.urban_within_m)
    return timedelta(seconds=grade.respond_within_rural_s if rural else grade.respond_within_s)


def _orders_of(facts: list[BreachFact], records: Records) -> list[OrderData]:
    versions = sorted({(fact.order_id, fact.order_version) for fact in facts})
    return [records.order(order_id, version).data for order_id, version in versions]


def snapshot(task: TaskRow, state: SubjectState, records: Records, policy: Policy) -> ArrestTask:
    """The task as dashboards get it."""
    facts = sorted(breaches_of(state, task), key=lambda fact: (fact.began_at, fact.breach_id))
    orders = _orders_of(facts, records)
    breaches = [_breach(fact, state, records) for fact in facts]
    ladder = policy.grade(task.grade)
    waits = task.state in WAITING
    name = next((order.respondent.name for order in reversed(orders) if order.respondent.name), None)
    return ArrestTask(
        task_id=task.task_id,
        revision=task.revision,
        change=task.change,
        subject_id=state.subject_id,
        subject_name=name,
        state=task.state,
        grade=task.grade,
        priority=prioritise(facts, orders, task.breach_count, policy),
        opened_at=task.opened_at,
        updated_at=task.updated_at,
        deadline=task.deadline,
        breaches=breaches,
        breach_count=task.breach_count,
        last_seen=state.last_seen,
        owning_force=orders[-1].owning_force if orders else UNKNOWN_FORCE,
        forces=forces_of(task, state, records),
        warnings=sorted({marker.value for order in orders for marker in order.markers}),
        court_deadline=task.court_deadline,
        flags=_flags(task, state, facts, orders, records),
        assigned_to=task.assigned_to,
        acknowledged_by=task.acknowledged_by,
        acknowledged_at=task.acknowledged_at,
        arrested_at=task.arrested_at,
        escalated_to=told(task.waiting, ladder) if waits else None,
        next_escalation_at=next_step(task.waiting, ladder)[0] if waits else None,
        incidents=list(task.incidents),
        merged_into=task.merged_into,
        outcome=task.outcome,
        exercise=state.exercise,
        policy_version=policy.version,
        history=list(task.history),
        traceparent=task.traceparent,
    )


def _flags(
    task: TaskRow, state: SubjectState, facts: list[BreachFact], orders: list[OrderData], records: Records
) -> list[str]:
    flags = {flag for fact in facts for flag in fact.flags}
    if not facts and task.breach_count <= 0:
        flags.add("withdrawal recommended: no breach stands any more")
    if task.state in LIVE and state.custody in IN_CUSTODY:
        flags.add("recorded as in custody: verify it, and arrest there if it is so")
    if task.state in LIVE and state.custody == "recalled":
        flags.add("recalled on licence: unlawfully at large, which is a power of arrest of its own (CJA 2003 s254)")
    for order_id in {fact.order_id for fact in facts}:
        ended_at = state.orders[order_id].ended_at
        if ended_at is not None:
            flags.add(f"order {order_id} was ended on {ended_at:%Y-%m-%d %H:%M}Z: what breached it before stands")
    for fact in facts:
        found = ground(records, state.orders[fact.order_id], fact.order_version, fact.term_id, fact.began_at)
        if found.serve_now:
            flags.add("serve now: an order breached here has no proof of service")
    for order in orders:
        if order.missing:
            flags.add(f"order {order.order_id} was entered by hand; not stated: {', '.join(order.missing)}")
        born = order.respondent.date_of_birth
        if born is not None and state.now is not None and age_on(born, state.now) < 18:
            flags.add("youth: the subject is under 18")
    return sorted(flags)


def _breach(fact: BreachFact, state: SubjectState, records: Records) -> Breach:
    order = records.order(fact.order_id, fact.order_version).data
    given = ground(records, state.orders[fact.order_id], fact.order_version, fact.term_id, fact.began_at)
    return Breach(
        breach_id=fact.breach_id,
        order_id=fact.order_id,
        order_version=fact.order_version,
        term_id=fact.term_id,
        term_kind=fact.term_kind,
        protects=fact.protects,
        certainty=fact.certainty,
        began_at=fact.began_at,
        ended_at=fact.ended_at,
        reason=_reason(fact, KINDS[order.kind].title),
        power=given.power,
        power_confirmed=given.confirmed,
        certified_copy=order.certified_copy,
        proof_of_service=given.proof,
        evidence=[fact.opened_by],
        flags=fact.flags,
    )


_SHOWN_BY = {
    "tag": "a tag fix placed the subject",
    "plate": "a camera read the plate of a vehicle linked to the subject (not necessarily driven by them)",
    "officer": "an officer saw the subject",
    "face": "a face match confirmed by a person placed the subject",
}
_WHERE = {
    "exclusion_zone": "inside the exclusion zone",
    "distance": "too near to a protected person",
    "curfew": "away from the curfew address during the curfew",
}


def _reason(fact: BreachFact, title: str) -> str:
    under = f"{title} {fact.order_id} version {fact.order_version}"
    kind = fact.term_kind.replace("_", " ")
    if fact.track.startswith("omission:"):
        return f"no record that what {under} requires was done in time: {kind} {fact.term_id or ''}".rstrip()
    if fact.term_id is None:
        return f"a breach of {under} was reported; which term it breaches is for a person to decide"
    if fact.track == "report":
        return f"somebody reports a breach of the {kind} term {fact.term_id} of {under}"
    shown = _SHOWN_BY[fact.track.split(":", 1)[0]]
    maybe = "possibly " if fact.certainty == "possible" else ""
    return f"{shown} {maybe}{_WHERE[fact.term_kind]}, term {fact.term_id} of {under}"
