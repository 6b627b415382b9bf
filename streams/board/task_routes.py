"""Arrest tasks: the list, one in full, its orders' terms and its map."""

from datetime import UTC, datetime
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from schemas.tasks import ArrestTask, TaskState
from streams.board import shown
from streams.board.actions import possible
from streams.board.listing import Wanted, page, wanted_by
from streams.board.map import TaskMap, task_map
from streams.board.people import for_viewers
from streams.board.records import TRACK_H
from streams.board.requests import (
    MOST,
    NOT_YOURS,
    PREFIX,
    Force,
    Here,
    TaskId,
    Who,
    Why,
    World,
    a_list,
    fresh_answer,
    freshness,
    problems,
)
from streams.board.terms import OrderTerms, chosen
from streams.board.terms import shown as order_shown
from streams.core import explanation
from streams.problems import ProblemError

routes = APIRouter(prefix=PREFIX, tags=["tasks"])


@routes.get("/tasks", response_model=shown.TaskPage, responses=problems(on_404="The cursor is none of ours"))
async def tasks(
    request: Request,
    who: Who,
    board: Here,
    state: Annotated[list[TaskState], Query(description="Any of these; none named: all that are not over.")] = [],  # noqa: B006
    grade: Annotated[list[str], Query(max_length=10, description="Any of these.")] = [],  # noqa: B006
    force: Force = None,
    assigned: Annotated[bool | None, Query(description="Whether somebody has been sent.")] = None,
    overdue: Annotated[bool, Query(description="Past the deadline, and nobody has the subject.")] = False,
    text: Annotated[str, Query(max_length=100, description="Part of an id, a name or an incident's number.")] = "",
    exercises: World = "none",
    limit: Annotated[int, Query(ge=1, le=MOST)] = 200,
    cursor: Annotated[str | None, Query(max_length=4000, description="`next` of the part before.")] = None,
) -> Response:
    """Arrest tasks, the most urgent first: by grade, then by deadline."""
    now = datetime.now(UTC)
    wanted = Wanted(frozenset(state), frozenset(grade), force, assigned, overdue, text, exercises)
    try:
        after = None if cursor is None else board.after(cursor)
        found = page(board.model.tasks.values(), wanted_by(who, wanted, now), board.policy, limit, after)
    except ValueError as error:
        raise ProblemError(404, "No such part of the list", str(error)) from None
    named = [f"{name}={value}" for name, value in request.query_params.multi_items() if name != "cursor"]
    board.listed(who, f"tasks, {', '.join(named) or 'all'}")
    return fresh_answer(
        board,
        tasks=a_list(kept.shown for kept in found.tasks),
        total=orjson.dumps(found.total),
        next=orjson.dumps(None if found.next is None else board.cursor(found.next)),
    )


@routes.get(
    "/tasks/{task_id}",
    response_model=shown.TaskInFull,
    responses=problems(on_404=NOT_YOURS),
)
async def task_in_full(task_id: TaskId, who: Who, board: Here, why: Why = None) -> shown.TaskInFull:
    """One task: its grounds with their evidence, its history, and why it is as it is. That you looked is audited."""
    kept = await board.looked_at(who, task_id, "the task", why)
    task = ArrestTask.read(kept.raw)
    if not who.sees_protected:
        task = for_viewers(task)
    beside = sorted(board.model.beside(kept.summary), key=lambda s: s.task.opened_at)
    return shown.TaskInFull(
        task=task,
        explanation=shown.Explanation(
            heading=explanation.heading(task),
            points=explanation.points(task),
            grounds=[explanation.ground(breach) for breach in task.breaches],
            alternatives=explanation.alternatives(task, board.policy),
        ),
        actions=[
            shown.PossibleAction(action=each.action, needs=list(each.needs))
            for each in possible(task.state, who.role)
        ],
        safeguarding=[each.task for each in beside if who.sees(each.forces)] if who.sees_protected else None,
        alerts=[
            each.alert
            for each in board.model.alerts.values()
            if each.alert.task_id == task_id and who.sees(each.forces, protected=each.protected)
        ],
        **freshness(board),
    )


@routes.get(
    "/tasks/{task_id}/orders",
    response_model=OrderTerms,
    responses=problems(on_403="Your role does not see terms", on_404=NOT_YOURS),
)
async def order_terms(task_id: TaskId, who: Who, board: Here, why: Why = None) -> OrderTerms:
    """The terms of the subject's orders: versions that breaches cite, and the newest. That you looked is audited."""
    board.must_see_protected(who, task_id, "terms of orders")
    kept = await board.looked_at(who, task_id, "the terms of the subject's orders", why)
    task = ArrestTask.read(kept.raw)
    breached = frozenset((b.order_id, b.order_version, b.term_id) for b in task.breaches)
    found = chosen(await board.records.orders(task.subject_id), frozenset((o, v) for o, v, _ in breached))
    return OrderTerms(orders=[order_shown(order, breached) for order in found])


@routes.get(
    "/tasks/{task_id}/map",
    response_model=TaskMap,
    responses=problems(on_403="Your role does not see zones", on_404=NOT_YOURS),
)
async def map_of_task(
    task_id: TaskId,
    who: Who,
    board: Here,
    why: Why = None,
    hours: Annotated[float, Query(gt=0, le=TRACK_H, description="How far back the track goes.")] = 6.0,
) -> TaskMap:
    """Zones, track and last position, as GeoJSON. That you looked is audited."""
    board.must_see_protected(who, task_id, "zones")
    kept = await board.looked_at(who, task_id, "the map", why)
    task = ArrestTask.read(kept.raw)
    cited = frozenset((breach.order_id, breach.order_version) for breach in task.breaches)
    evidence = frozenset(each.event_id for breach in task.breaches for each in breach.evidence)
    orders = chosen(await board.records.orders(task.subject_id), cited)
    track = await board.records.track(task.subject_id, hours)
    return await run_in_threadpool(task_map, orders, track, task.last_seen, evidence)
