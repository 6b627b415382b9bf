"""The life of an arrest task: who may move it where, and the snapshot that dashboards get."""

from datetime import datetime, timedelta

from schemas.orders import OrderData
from schemas.tasks import ArrestTask, Breach, HistoryEntry, TaskState, TaskUpdateData
from streams.core.force import is_served
from streams.core.kinds import KINDS, NO_CONFIRMED_POWER
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


def refusal(task: TaskRow | None, update: TaskUpdateData) -> str | None:
    """Why this update cannot be applied; None if it can."""
    if task is None:
        return "this subject has no task of that id"
    allowed, _ = TRANSITIONS[update.action]
    if task.state not in allowed:
        return f"a task that is {task.state} cannot be moved by '{update.action}'"
    if update.action == "close" and not update.outcome:
        return "closing needs an outcome"
    if update.action == "assign" and not update.assignee:
        return "assigning needs an assignee"
    return None


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
    flags = sorted({flag for fact in facts for flag in fact.flags})
    if not facts:
        flags.append("withdrawal recommended: no breach stands any more")
    if any(not is_served(state.orders[fact.order_id], fact.began_at) for fact in facts):
        flags.append("serve now: an order breached here has no proof of service")
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
        breaches=[_breach(fact, state, records) for fact in facts],
        breach_count=task.breach_count,
        last_seen=state.last_seen,
        owning_force=orders[-1].owning_force if orders else "unknown",
        flags=flags,
        assigned_to=task.assigned_to,
        outcome=task.outcome,
        exercise=state.exercise,
        policy_version=policy.version,
        history=list(task.history),
        traceparent=task.traceparent,
    )


def _breach(fact: BreachFact, state: SubjectState, records: Records) -> Breach:
    order = records.order(fact.order_id, fact.order_version).data
    kind = KINDS[order.kind]
    served = is_served(state.orders[fact.order_id], fact.began_at)
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
        reason=_reason(fact, kind.title),
        power=kind.power if served or kind.needs != "service" else NO_CONFIRMED_POWER,
        evidence=[fact.opened_by],
        evidence_count=fact.evidence_count,
        flags=fact.flags,
    )


_SHOWN_BY = {
    "tag": "a tag fix placed the subject",
    "plate": "a camera read the plate of a vehicle linked to the subject (not necessarily driven by them)",
    "officer": "an officer saw the subject",
    "face": "a face match confirmed by a person placed the subject",
}


def _reason(fact: BreachFact, title: str) -> str:
    under = f"{title} {fact.order_id} version {fact.order_version}"
    if fact.term_id is None:
        return f"a breach of {under} was reported; which term it breaches is for a person to decide"
    if fact.track == "report":
        return f"reported: {fact.term_kind.replace('_', ' ')}, term {fact.term_id} of {under}"
    shown = _SHOWN_BY[fact.track.split(":", 1)[0]]
    where = "possibly inside" if fact.certainty == "possible" else "inside"
    return f"{shown} {where} the {fact.term_kind.replace('_', ' ')}, term {fact.term_id} of {under}"
