"""Breaches on the subject's row: opening, correcting and withdrawing facts, and the task they stand on."""

from schemas.base import Position
from schemas.tasks import EvidenceRef, TaskChange, TaskState
from streams.core.draft import Draft
from streams.core.effects import cause_id
from streams.core.force import version_at
from streams.core.judge import Lineage, ReportedBreach, excuses, judge_report, visit_certainty
from streams.core.jurisdiction import force_flag, jurisdiction_flag
from streams.core.kinds import KINDS
from streams.core.records import Observation
from streams.core.safeguarding import notify
from streams.core.state import MAX_WITHDRAWN, BreachFact, TaskRow, Waiting, remove_breach, short_id
from streams.core.tasks import SYSTEM, change_state, forces_of, live_task, note, regrade, respond_within
from streams.core.transitions import SEARCHING
from streams.core.visits import Visit

RETROSPECTIVE = "retrospective: found in retained reads, which were searched after the order was known"
CHECK_THE_IMAGE = "look at the image before acting: a plate shows a vehicle, not its driver"


def reference(observation: Observation) -> EvidenceRef:
    return EvidenceRef(
        event_id=observation.id,
        type=observation.type,
        time=observation.at,
        topic=observation.topic,
        partition=observation.partition,
        offset=observation.offset,
        sha256=observation.sha256,
    )


def visit_breach_id(draft: Draft, lineage: Lineage, visit: Visit) -> str:
    return cause_id("breach", draft.state.subject_id, lineage.order_id, lineage.term_id, visit.opened_by)


def version_of_visit(draft: Draft, lineage: Lineage, visit: Visit, shown_by: Observation) -> int:
    """The order version that had the term when the visit began.

    Of a crossing that began at a fix before the term was in force, the one at the fix that showed it.
    """
    state = draft.state
    for at in (visit.began, shown_by.at):
        version = version_at(state, state.orders[lineage.order_id], at)
        if version is not None:
            order = draft.records.order(lineage.order_id, version.version)
            if lineage.term_id in order.terms:
                return version.version
    raise AssertionError("a visit is shown by a fix while its term was in force")


def open_visit_breach(draft: Draft, lineage: Lineage, device: str, visit: Visit, shown_by: Observation) -> None:
    """A visit is a breach of the term as it stood when the visit began."""
    version = version_of_visit(draft, lineage, visit, shown_by)
    term = draft.records.order(lineage.order_id, version).terms[lineage.term_id]
    flags = [RETROSPECTIVE] if shown_by.search_id is not None else []
    flags += [CHECK_THE_IMAGE] if device.startswith("plate:") else []
    flags += excuses(term, None)
    if (
        not visit.certain
        and visit.ended is not None
        and visit.opened_by == shown_by.id
        and visit.ended == shown_by.at
    ):
        flags.append("no fix lies inside: the straight line between two fixes crosses the zone")
    _add(
        draft,
        BreachFact(
            breach_id=visit_breach_id(draft, lineage, visit),
            order_id=lineage.order_id,
            order_version=version,
            term_id=lineage.term_id,
            term_kind=term.kind,
            protects=list(term.protects),
            certainty=visit_certainty(device, visit),
            track=device,
            began_at=visit.began,
            ended_at=visit.ended,
            opened_by=reference(shown_by),
            flaps=visit.flaps,
            flags=flags,
        ),
        shown_by.position,
        shown_by.force,
    )


def fact_of_visit(draft: Draft, lineage: Lineage, device: str, visit: Visit) -> BreachFact | None:
    """The fact of a visit: by its cause, or the open one where late evidence has moved what opened it."""
    state = draft.state
    breach_id = visit_breach_id(draft, lineage, visit)
    same = [
        f for f in state.breaches if (f.order_id, f.term_id, f.track) == (lineage.order_id, lineage.term_id, device)
    ]
    return next((f for f in same if f.breach_id == breach_id), None) or next(
        (f for f in same if f.ended_at is None or f.provisional_end), None
    )


def judge_report_breaches(draft: Draft, report: Observation) -> bool:
    """Make the report's facts equal to what it fits now; True if it fits anything."""
    state = draft.state
    wanted = judge_report(state, draft.records, report)
    old = {f.breach_id: f for f in state.breaches if f.track == "report" and f.opened_by.event_id == report.id}
    for found in wanted:
        breach_id = cause_id("breach", state.subject_id, found.held.ref.order_id, found.term_id or "-", report.id)
        fact = old.pop(breach_id, None)
        if fact is None:
            _add(draft, _reported(breach_id, found, report), report.position, report.force)
        elif fact.order_version != found.held.data.version:
            fact.order_version = found.held.data.version
            draft.audit("breach_corrected", "judged on the order version that was in force at its time")
            draft.touch(fact, TaskChange.CORRECTION)
    for fact in old.values():
        withdraw(draft, fact, "the order as it now stands was not breached by what was reported")
    return bool(wanted)


def _reported(breach_id: str, found: ReportedBreach, report: Observation) -> BreachFact:
    return BreachFact(
        breach_id=breach_id,
        order_id=found.held.ref.order_id,
        order_version=found.held.data.version,
        term_id=found.term_id,
        term_kind=found.term_kind,
        protects=found.protects,
        certainty="reported",
        track="report",
        began_at=report.at,
        ended_at=report.at,
        opened_by=reference(report),
        flags=found.flags,
    )


def add_fact(draft: Draft, fact: BreachFact) -> None:
    """A breach that no observation here shows: what was to be done was not, or its evidence has left."""
    _add(draft, fact, None, None)


def _add(draft: Draft, fact: BreachFact, position: Position | None, force: str | None) -> None:
    state, policy, now = draft.state, draft.policy, draft.now
    if short_id(fact.breach_id) in state.dropped:
        draft.quietly("known_breach", "a breach that has left the row was shown again; it is counted already")
        return
    age_s = (now - (fact.ended_at or draft.event.time)).total_seconds()
    fact.stale = age_s > policy.limits.stale_after_s
    if force is not None:
        fact.forces.append(force)
    row = KINDS[draft.records.order(fact.order_id, fact.order_version).data.kind]
    flags = [
        jurisdiction_flag(position, row.jurisdiction) if position is not None else None,
        force_flag(force) if force is not None else None,
    ]
    fact.flags += [flag for flag in flags if flag is not None]
    earlier = [f for f in state.breaches if f.opened_by.event_id != fact.opened_by.event_id]
    if earlier:
        fact.flags.append("pattern: not the first breach; a new risk assessment is due")
    state.breaches.append(fact)
    task = _task_for(draft, fact)
    fact.task_id = task.task_id
    task.breach_count += 1
    opened = task.breach_count == 1 and task.revision == 0
    if task.state is TaskState.WITHDRAWAL_RECOMMENDED:
        change_state(draft, task, "stand_again", "a breach stands again: no withdrawal", SYSTEM)
    rose = regrade(draft, task)
    what = f"{fact.term_kind.replace('_', ' ')} of order {fact.order_id}: {fact.certainty}"
    note(task, now, f"breach: {what}", SYSTEM, draft.event.event_id)
    draft.audit(
        "breach",
        f"term {fact.term_id or 'not stated'} ({fact.term_kind}) was in force and was breached: {fact.certainty}",
        *fact.flags,
        orders=[f"{fact.order_id}/{fact.order_version}"],
    )
    if earlier:
        draft.audit("pattern", f"{len(earlier)} earlier breaches are on record: a new risk assessment is due")
    first = "new task: " if opened else "task upgraded: " if rose else "further breach: "
    again = short_id(fact.breach_id) in state.withdrawn
    if again:
        first = "a breach stands again: "
    alert_breach(draft, fact, "breach", first + what, again=again)
    draft.touch(task, TaskChange.OPENED if opened else TaskChange.BREACH)
    notify(draft, "breach", f"a breach of {fact.term_kind.replace('_', ' ')}: {fact.certainty}", fact.protects)


def _task_for(draft: Draft, fact: BreachFact) -> TaskRow:
    state, now = draft.state, draft.now
    task = live_task(state)
    if task is not None:
        return task
    for ended in reversed(state.tasks):
        if ended.arrested_at is not None and fact.began_at <= ended.arrested_at:
            return ended  # it happened before the arrest: a further ground, not a new reason to find them
    grade = draft.policy.grades[-1]
    task = TaskRow(
        task_id=cause_id("task", state.subject_id, fact.breach_id),
        state=TaskState.OPEN,
        opened_at=now,
        updated_at=now,
        deadline=now + respond_within(state, grade, draft.policy),
        grade=grade.name,
        waiting=Waiting(since=now),
        last_seen_sent_at=now,
        traceparent=draft.routing.traceparent,
    )
    note(task, now, "opened", SYSTEM, draft.event.event_id)
    state.tasks.append(task)
    return task


def withdraw(draft: Draft, fact: BreachFact, why: str) -> None:
    """A breach no longer stands. The task stays: withdrawing it is for a person to decide."""
    state = draft.state
    remove_breach(state, fact)
    state.withdrawn = [*state.withdrawn, short_id(fact.breach_id)][-MAX_WITHDRAWN:]
    draft.audit("breach_withdrawn", why, orders=[f"{fact.order_id}/{fact.order_version}"])
    task = draft.task(fact.task_id)
    if task is None:
        return
    task.breach_count -= 1
    note(task, draft.now, f"breach of order {fact.order_id} no longer stands: {why}", SYSTEM, draft.event.event_id)
    draft.touch(task, TaskChange.CORRECTION)
    rest = ""
    if task.breach_count <= 0 and task.state in SEARCHING:
        change_state(draft, task, "recommend_withdrawal", f"withdrawal recommended: {why}", SYSTEM)
        rest = "; withdrawal of the task is recommended, and waits for a person's decision"
    notify(draft, "correction", f"a breach of {fact.term_kind.replace('_', ' ')} no longer stands", fact.protects)
    draft.alert(
        "correction",
        "medium",
        f"a breach no longer stands: {why}{rest}",
        task_id=task.task_id,
        breach_id=fact.breach_id,
        cause=(fact.breach_id, draft.event.event_id),
        to="controller",
        forces=forces_of(task, state, draft.records),
    )


def alert_breach(draft: Draft, fact: BreachFact, kind: str, text: str, *, again: bool = False) -> None:
    """`again`: it was raised, and taken back since; under the same id a reader would take it for a repeat."""
    task = draft.task(fact.task_id)
    assert task is not None
    highest = task.grade == draft.policy.grades[0].name
    draft.alert(
        kind,
        "critical" if highest else "high",
        text,
        task_id=task.task_id,
        breach_id=fact.breach_id,
        cause=(fact.breach_id, draft.event.event_id) if again else (fact.breach_id,),
        to="controller",
        forces=forces_of(task, draft.state, draft.records),
    )
