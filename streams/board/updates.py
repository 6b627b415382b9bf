"""Updates of tasks by way of the board: sent to `task-updates`, answered with what `task-answers` says of them."""

import asyncio
import uuid
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from cachetools import TTLCache
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.base import EXERCISE, Case, Identity, Text, one_of_these
from schemas.tasks import AuditEntry, Outcome
from schemas.updates import Action, TaskAnswer, TaskUpdate
from streams import metrics
from streams.board.follower import ANSWERS_KEPT_S
from streams.board.people import Person
from streams.core.keys import message_key
from streams.kafka.loop_producer import loop_producer
from streams.kafka.topics import full_name
from streams.outbound import outbound
from streams.problems import ProblemError, not_now
from streams.settings import Settings

SOURCE = "breachwatch/board"
_IDS = uuid.UUID("6a0f6f0e-5a0c-4c43-9a0b-0d9d4a3a52b1")
_REMEMBERED = 20_000


_NO_LINK = {"action": {"enum": [action for action in get_args(Action) if action != "link"]}}


def _described(schema: dict[str, Any]) -> None:
    one_of_these(Case(where=_NO_LINK), Case({"incident"}))(schema)
    schema["examples"] = [{"action": "assign", "revision": 3, "assignee": "Car NN12"}]


class UpdateBody(BaseModel):
    """What somebody does with a task. Which fields an action needs is said where they are missing: `assign` who goes,
    `close` an outcome, `attempted`, `withdraw`, `keep`, `note` and `note_wishes` a reason, `link` an incident, `told`
    whom and what."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_described)

    action: Action
    revision: Annotated[int, Field(ge=1, le=2**31)]
    """Of the task as they saw it. Where a person has moved it since, the update is refused: of two who decide at once
    one is told. Nor does it close or withdraw a task on which a breach has come since."""
    assignee: Text | None = None
    outcome: Outcome | None = None
    reason: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    incident: Identity | None = None
    person_id: Identity | None = None

    @model_validator(mode="after")
    def _says_what_to_link(self) -> Self:
        if self.action == "link" and self.incident is None:
            raise ValueError("linking needs the incident's number, in `incident`")
        return self


class UpdateResult(BaseModel):
    """What became of an update."""

    update_id: str
    status: Literal["accepted", "pending"]
    """`pending`: it is in the log and will be decided on; ask again at `/api/v1/updates/{update_id}`."""
    task_id: str
    state: str | None = None
    """Of the task now."""
    revision: int | None = None
    """That has it; None: not seen here yet."""


def update_event(
    person: Person, task_id: str, subject_id: str, exercise: bool, body: UpdateBody, update_id: str, now: datetime
) -> TaskUpdate:
    """The event that says so; raises ProblemError for what no update can say."""
    data = {
        "task_id": task_id,
        "subject_id": subject_id.removeprefix(EXERCISE),
        "actor": person.name,
        "role": person.role,
        **body.model_dump(exclude_none=True),
    }
    try:
        return TaskUpdate.model_validate(
            {
                "id": update_id,
                "source": SOURCE,
                "time": now,
                "recordedtime": now,
                "exercise": exercise,
                "type": "task_update",
                "data": data,
            },
            strict=False,
        )
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ProblemError(400, "Not a valid update", wrong) from None


def update_id_of(person: Person, task_id: str, key: str | None) -> str:
    """With an Idempotency-Key the same for the same request, for ever: the core applies an id once."""
    return str(uuid.uuid4() if key is None else uuid.uuid5(_IDS, "\x1f".join((person.name, task_id, key))))


class _Asked(NamedTuple):
    """An update that was sent: by whom, of which task, and what it says."""

    name: str
    task_id: str
    said: str


class Sending:
    """The board's one producer, the updates that wait for their answer, and the answers of the last hour."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._waiting: dict[str, asyncio.Future[TaskAnswer]] = {}
        self._answers: TTLCache[str, TaskAnswer] = TTLCache(_REMEMBERED, ANSWERS_KEPT_S)
        self._asked: TTLCache[str, _Asked] = TTLCache(_REMEMBERED, ANSWERS_KEPT_S)

    async def start(self) -> None:
        self._producer = loop_producer(self._settings)
        await self._producer.start()

    async def stop(self) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def record(self, entry: AuditEntry) -> None:
        """Put an entry on the audit trail; what it is about is shown only then. Raises ProblemError."""
        key, value, headers = outbound("audit", entry)
        await self._send("audit", key, value, headers)

    async def _send(self, topic: str, key: bytes, value: bytes, headers: Any = ()) -> None:
        assert self._producer is not None
        try:
            async with asyncio.timeout(self._settings.board_answer_timeout_s):
                await self._producer.send_and_wait(
                    full_name(self._settings, topic), value, key=key, headers=list(headers)
                )
        except (KafkaError, TimeoutError):
            metrics.BOARD_REFUSALS.labels("log").inc()
            raise not_now(
                "The log cannot be written", f"{topic} was not acknowledged in time: try again, it does no harm", 5
            ) from None
        metrics.MESSAGES_OUT.labels(topic).inc()

    def answered(self, answer: TaskAnswer) -> None:
        """An answer has come. Of several to one update the first is its answer: a repeat says that it is a repeat."""
        if not answer.event_id.startswith(f"{SOURCE}#"):
            return
        update_id = answer.event_id.removeprefix(f"{SOURCE}#")
        first = self._answers.setdefault(update_id, answer)
        waiting = self._waiting.pop(update_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(first)

    def answer(self, update_id: str) -> TaskAnswer | None:
        return self._answers.get(update_id)

    def asked_by(self, update_id: str, name: str) -> str | None:
        """The task of the update of that id, where this person sent it by way of this process."""
        asked = self._asked.get(update_id)
        return asked.task_id if asked is not None and asked.name == name else None

    async def update(self, event: TaskUpdate, person: Person) -> TaskAnswer | None:
        """Send an update and wait for its answer; None: none came in time. Raises ProblemError."""
        said = event.data.model_dump_json()
        before, known = self._asked.get(event.id), self._answers.get(event.id)
        other = before is not None and before.said != said
        if other or (known is not None and known.action != event.data.action):
            raise ProblemError(
                409, "Idempotency-Key used twice", "it was used for an update that says something else"
            )
        if known is not None:
            return known
        self._asked[event.id] = _Asked(person.name, event.data.task_id or "", said)
        waiting = self._waiting.setdefault(event.id, asyncio.get_running_loop().create_future())
        try:
            await self._send("task-updates", message_key(event), event.model_dump_json(exclude_none=True).encode())
        except ProblemError:
            self._waiting.pop(event.id, None)
            metrics.BOARD_UPDATES.labels(event.data.action, "unsent").inc()
            raise
        try:
            async with asyncio.timeout(self._settings.board_answer_timeout_s):
                answer = await asyncio.shield(waiting)
        except TimeoutError:
            self._waiting.pop(event.id, None)
            # Of two that wait for one answer, whoever gives up first takes it from the other.
            found = self._answers.get(event.id)
            if found is None:
                metrics.BOARD_UPDATES.labels(event.data.action, "unanswered").inc()
                return None
            answer = found
        metrics.BOARD_UPDATES.labels(event.data.action, "accepted" if answer.accepted else "refused").inc()
        return answer
