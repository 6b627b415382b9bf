"""What people do with tasks, by way of the board."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from fastapi import Path as InPath

from schemas.updates import TaskAnswer
from streams.board.people import Person
from streams.board.requests import NOT_YOURS, PREFIX, Here, TaskId, Who, json_answer, problems
from streams.board.service import Board
from streams.board.updates import UpdateBody, UpdateResult, update_event, update_id_of
from streams.problems import ProblemError

routes = APIRouter(prefix=PREFIX, tags=["updates"])

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="The same one for the same deed: it is done once.",
    ),
]
_UPDATED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Accepted",
        "links": {
            "result": {
                "operationId": "update_result",
                "parameters": {"update_id": "$response.body#/update_id"},
                "description": "What became of it, for an hour",
            }
        },
    },
    202: {
        "model": UpdateResult,
        "description": "No answer yet; Location says where to ask for it. Another board, or one that has just begun, "
        "says 404 there until it has the answer",
    },
    **problems(
        on_403="Your role may not move tasks",
        on_404=NOT_YOURS,
        on_413="An update has some hundred bytes",
        on_409="Refused, and why: in `detail`, for people; or the Idempotency-Key was used for something else",
    ),
}


@routes.post(
    "/tasks/{task_id}/updates",
    operation_id="update_task",
    response_model=UpdateResult,
    responses=_UPDATED,
)
async def update_task(
    task_id: TaskId, body: UpdateBody, who: Who, board: Here, idempotency_key: Key = None
) -> Response:
    """Acknowledge, assign, move, close or note; answered once breachwatch has decided on it."""
    board.must_act(who, task_id)
    kept = board.task(who, task_id)
    task = kept.summary
    return await _update(board, who, task_id, task.subject_id, task.exercise, body, idempotency_key)


@routes.post(
    "/safeguarding/{task_id}/updates",
    operation_id="update_safeguarding",
    response_model=UpdateResult,
    responses=_UPDATED,
)
async def update_safeguarding(
    task_id: TaskId, body: UpdateBody, who: Who, board: Here, idempotency_key: Key = None
) -> Response:
    """Acknowledge, assign, say that somebody was told, close; answered once breachwatch has decided on it."""
    board.must_act(who, task_id)
    task = board.safeguarding(who, task_id).task
    return await _update(board, who, task_id, task.subject_id, task.exercise, body, idempotency_key)


async def _update(
    board: Board, who: Person, task_id: str, subject_id: str, exercise: bool, body: UpdateBody, key: str | None
) -> Response:
    update_id = update_id_of(who, task_id, key)
    event = update_event(who, task_id, subject_id, exercise, body, update_id, datetime.now(UTC))
    answer = await board.sending.update(event, who)
    if answer is None:
        response = json_answer(UpdateResult(update_id=update_id, status="pending", task_id=task_id), 202)
        response.headers["Location"] = f"/api/v1/updates/{update_id}"
        return response
    return await _answered(board, update_id, answer)


async def _answered(board: Board, update_id: str, answer: TaskAnswer) -> Response:
    if not answer.accepted:
        raise ProblemError(409, "Refused", answer.reason or "", update_id=update_id, state=answer.state)
    task_id = answer.task_id or ""
    revision = await board.revision_with(task_id, answer.event_id)
    return json_answer(
        UpdateResult(update_id=update_id, status="accepted", task_id=task_id, state=answer.state, revision=revision)
    )


@routes.get(
    "/updates/{update_id}",
    operation_id="update_result",
    response_model=UpdateResult,
    responses=problems(on_404="You made no such update in the last hour", on_409="Refused, and why"),
)
async def update_result(
    update_id: Annotated[str, InPath(max_length=36, pattern=r"^[0-9a-f-]{36}$")], who: Who, board: Here
) -> Response:
    """What became of an update of mine."""
    answer = board.sending.answer(update_id)
    if answer is not None and answer.actor == who.name:
        return await _answered(board, update_id, answer)
    if answer is None and (task_id := board.sending.asked_by(update_id, who.name)) is not None:
        return json_answer(UpdateResult(update_id=update_id, status="pending", task_id=task_id))
    raise ProblemError(404, "No such update", "you made no update of that id in the last hour")
