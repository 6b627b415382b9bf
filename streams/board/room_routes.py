"""What else a control room asks: who I am, alerts, safeguarding, statistics."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from schemas.base import Instant
from streams.board import shown, trail
from streams.board.people import of_world
from streams.board.requests import MOST, PREFIX, Force, Here, Who, World, a_list, fresh_answer, problems
from streams.board.service import Board
from streams.board.statistics import Statistics, as_csv, statistics
from streams.core.safeguarding import LIVE as SAFEGUARDING_LIVE

routes = APIRouter(prefix=PREFIX, tags=["control room"])

_NO_SAFEGUARDING = "Your role does not see safeguarding"


@routes.get("/me", response_model=shown.Me, responses=problems())
async def me(request: Request, who: Who) -> shown.Me:
    """Who I am here, and what I may."""
    board: Board = request.app.state.board
    return shown.Me(
        name=who.name,
        role=who.role,
        forces=None if who.forces is None else sorted(who.forces),
        may_act=who.may_act,
        sees_protected=who.sees_protected,
        expires_at=datetime.fromtimestamp(who.expires_at, UTC),
        grades=[grade.name for grade in board.policy.grades],
    )


@routes.get("/alerts", response_model=shown.AlertList, responses=problems())
async def alerts(
    who: Who,
    board: Here,
    exercises: World = "none",
    limit: Annotated[int, Query(ge=1, le=MOST)] = 200,
) -> Response:
    """The newest alerts of my forces."""
    found = [
        kept
        for kept in board.model.alerts.values()
        if of_world(kept.alert.exercise, exercises) and who.sees(kept.forces, protected=kept.protected)
    ]
    board.listed(who, f"alerts, exercises: {exercises}")
    newest = sorted(found, key=lambda kept: kept.alert.at, reverse=True)[:limit]
    return fresh_answer(board, alerts=a_list(kept.raw for kept in newest))


@routes.get(
    "/safeguarding",
    response_model=shown.SafeguardingList,
    responses=problems(on_403=_NO_SAFEGUARDING),
)
async def safeguarding(
    who: Who,
    board: Here,
    ended: Annotated[bool, Query(description="Also those that are done.")] = False,
    exercises: World = "none",
) -> Response:
    """Safeguarding tasks of my forces, the nearest deadline first."""
    board.must_see_protected(who, trail.NOBODY, "safeguarding")
    found = [
        kept
        for kept in board.model.safeguarding.values()
        if who.sees(kept.forces)
        and of_world(kept.task.exercise, exercises)
        and (ended or kept.task.state in SAFEGUARDING_LIVE)
    ]
    board.listed(who, f"safeguarding tasks, exercises: {exercises}")
    nearest = sorted(found, key=lambda kept: (kept.task.deadline, kept.task.safeguarding_id))
    return fresh_answer(board, tasks=a_list(kept.raw for kept in nearest))


async def _statistics(
    who: Who,
    board: Here,
    since: Annotated[Instant | None, Query(description="Tasks opened from then on; else as far as it goes.")] = None,
    until: Annotated[Instant | None, Query(description="And before then; else now.")] = None,
    force: Force = None,
) -> Statistics:
    now = datetime.now(UTC)
    first = since or now - timedelta(days=board.settings.board_ended_days)
    theirs = [
        kept.summary
        for kept in board.model.tasks.values()
        if who.sees(kept.forces) and (force is None or force in kept.forces)
    ]
    grades = [grade.name for grade in board.policy.grades]
    board.listed(who, f"statistics, force: {force or 'all'}")
    return await run_in_threadpool(statistics, theirs, grades, first, until or now, now)


@routes.get("/statistics", response_model=Statistics, responses=problems())
async def statistics_json(found: Annotated[Statistics, Depends(_statistics)]) -> Statistics:
    """How long it took from breach to task, to acknowledgement and to arrest; what is overdue; who comes again."""
    return found


@routes.get(
    "/statistics.csv",
    response_class=Response,
    responses={200: {"description": "By grade and force", "content": {"text/csv": {}}}, **problems()},
)
async def statistics_csv(found: Annotated[Statistics, Depends(_statistics)]) -> Response:
    """The same times, by grade and force, for a spreadsheet."""
    heading = {"Content-Disposition": 'attachment; filename="breachwatch-statistics.csv"'}
    return Response(as_csv(found), headers=heading, media_type="text/csv; charset=utf-8")
