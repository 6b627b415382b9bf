"""The life of an arrest task: who may move it where, and the snapshot that dashboards get."""

from datetime import datetime, timedelta

from schemas.orders import OrderData
from schemas.tasks import ArrestTask, Breach, HistoryEntry, TaskState, TaskUpdateData
from streams.core.clocks import age_on
from streams.core.force import ground
from streams.core.kinds import KINDS
from streams.core.policy import Policy
from streams.core.priority import prioritise
from streams.core.records import Records
from streams.core.state import MAX_HISTORY, BreachFact, SubjectState, TaskRow

LIVE = {TaskState.OPEN, TaskState.ACKNOWLEDGED, TaskState.ASSIGNED, TaskState.EN_ROUTE}

TRANSITIONS: dict[str, tuple[set[TaskState], TaskState]] = {
    "acknowledge": ({TaskState.OPEN}, TaskState.ACKNOWLEDGED),
    "assign": (
        {TaskState.OPEN, TaskState.ACKNOWLEDGED, TaskState.ASSIGNED, TaskState.EN_ROUTE},
        TaskState.ASSIGNED,
    ),
    "en_route": ({TaskState.ACKNOWLEDGED, TaskState.ASSIGNED}, TaskState.EN_ROUTE),
    "arrested": (LIVE, TaskState.ARRESTED),
    "close": (LIVE | {TaskState.ARRESTED}, TaskState.CLOSED),
}
"""Action -> the states it may start from, and the state it leads to."""


def refusal(task: TaskRow | None, update: TaskUpdateData, *, high_risk: bool) -> str | None:
    """Why this update cannot be applied; None if it can.

    Nobody closes with less than an outcome, nor a high risk without a supervisor; a protected person's wishes
    are noted on a task in any state, and move it nowhere.
    """
    if task is None:
        return "this subject has no task of that id"
    if update.action == "note_wishes":
        return None if update.reason else "say what the wishes are, in `reason`"
    allowed, _ = TRANSITIONS[update.action]
    if task.state not in allowed:
        return f"a task that is {task.state} cannot be moved by '{update.action}'"
    if update.action == "close" and not update.outcome:
        return "closing needs an outcome"
    if update.action == "close" and high_risk and update.role != "supervisor":
        return "the risk is high or not assessed: closing needs a supervisor"
    if update.action == "assign" and not update.assignee:
        return "assigning needs an assignee"
    return None


def is_high_risk(task: TaskRow, state: SubjectState, records: Records) -> bool:
    """Assessed as high, or not assessed: unknown risk fails high."""
    orders = _orders_of(breaches_of(state, task), records)
    return not orders or any(order.risk in (None, "high") for order in orders)


def note(task: TaskRow, at: datetime, what: str, by: str, event_id: str) -> None:
    """Add to the task's history; the oldest entries but the first leave when it is long."""
    task.history.append(HistoryEntry(at=at, what=what, by=by, event_id=event_id))
    if len(task.history) > MAX_HISTORY:
        del task.history[1]


def live_task(state: SubjectState) -> TaskRow | None:
    """The subject's one open task."""
    return next((task for task in state.tasks if task.state in LIVE), None)


def breaches_of(state: SubjectState, task: TaskRow) -> list[BreachFact]:
    return [fact for fact in state.breaches if fact.task_id == task.task_id]


def regrade(task: TaskRow, state: SubjectState, records: Records, policy: Policy, now: datetime) -> bool:
    """Grade and deadline from the facts; both only ever tighten. True if the grade rose."""
    facts = breaches_of(state, task)
    score = prioritise(facts, _orders_of(facts, records), task.breach_count, policy).score
    names = [grade.name for grade in policy.grades]
    grade = policy.grade_for(score)
    rose = task.grade not in names or names.index(grade.name) < names.index(task.grade)
    if rose:
        task.grade = grade.name
        task.deadline = min(task.deadline, now + timedelta(seconds=grade.respond_within_s))
    return rose


def _orders_of(facts: list[BreachFact], records: Records) -> list[OrderData]:
    versions = sorted({(fact.order_id, fact.order_version) for fact in facts})
    return [records.order(order_id, version).data for order_id, version in versions]


def snapshot(task: TaskRow, state: SubjectState, records: Records, policy: Policy) -> ArrestTask:
    """The task as dashboards get it."""
    facts = sorted(breaches_of(state, task), key=lambda fact: (fact.began_at, fact.breach_id))
    orders = _orders_of(facts, records)
    breaches = [_breach(fact, state, records) for fact in facts]
    forces = list(dict.fromkeys([*(o.owning_force for o in orders), *(f for fact in facts for f in fact.forces)]))
    name = next((order.respondent.name for order in reversed(orders) if order.respondent.name), None)
    return ArrestTask(
        task_id=task.task_id,
        revision=task.revision,
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
        owning_force=orders[-1].owning_force if orders else "unknown",
        forces=forces,
        warnings=sorted({marker.value for order in orders for marker in order.markers}),
        court_deadline=task.court_deadline,
        flags=_flags(state, facts, orders, records),
        assigned_to=task.assigned_to,
        outcome=task.outcome,
        exercise=state.exercise,
        policy_version=policy.version,
        history=list(task.history),
        traceparent=task.traceparent,
    )


def _flags(state: SubjectState, facts: list[BreachFact], orders: list[OrderData], records: Records) -> list[str]:
    flags = {flag for fact in facts for flag in fact.flags}
    if not facts:
        flags.add("withdrawal recommended: no breach stands any more")
    for fact in facts:
        found = ground(records, state.orders[fact.order_id], fact.order_version, fact.term_id, fact.began_at)
        if found.serve_now:
            flags.add("serve now: an order breached here has no proof of service")
    for order in orders:
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
