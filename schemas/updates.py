"""What dashboards and dispatch systems do with a task, and the answer that each of them gets."""

from typing import Annotated, Literal, get_args

from pydantic import ConfigDict, Field, model_validator

from schemas.base import Case, Event, Identity, Instant, Model, Output, SubjectId, Text, one_of_these
from schemas.tasks import Outcome

Role = Literal["controller", "supervisor", "duty_inspector", "officer", "dispatch"]
"""In what role somebody acts; `dispatch` is a force's own dispatch system."""
Action = Literal[
    "acknowledge",
    "assign",
    "en_route",
    "attempted",
    "arrested",
    "close",
    "withdraw",
    "keep",
    "link",
    "note",
    "note_wishes",
    "told",
]


_NO_LINK = {"action": {"enum": [action for action in get_args(Action) if action != "link"]}}


class TaskUpdateData(Model):
    """Names the task by `task_id` and `subject_id`, or by the `incident` number that was linked to it.

    `link` names it by all three.
    """

    model_config = ConfigDict(
        json_schema_extra=one_of_these(
            Case({"task_id", "subject_id", "incident"}),
            Case({"task_id", "subject_id"}, _NO_LINK),
            Case({"incident"}, _NO_LINK),
        )
    )

    task_id: Identity | None = None
    """Of an arrest task, or of a safeguarding task."""
    subject_id: SubjectId | None = None
    incident: Identity | None = None
    """The dispatch system's number, with what makes it unique among forces; `link` puts it on the task."""
    action: Action
    actor: Text
    role: Role
    revision: Annotated[int, Field(ge=1)] | None = None
    """Of the task as whoever acts saw it: where a person has moved it since, the update is refused, and no task is
    closed or withdrawn on which news has come since. An arrest is a fact and applies all the same; None: it applies
    to the task as it then is."""
    assignee: Text | None = None
    outcome: Outcome | None = None
    person_id: Identity | None = None
    """Of `told`: the protected person who was told."""
    reason: Annotated[str, Field(min_length=1, max_length=1000)] | None = None

    @model_validator(mode="after")
    def _names_a_task(self) -> "TaskUpdateData":
        if (self.task_id is None or self.subject_id is None) and self.incident is None:
            raise ValueError("say which task: task_id and subject_id, or the incident number linked to it")
        if self.action == "link" and (self.task_id is None or self.subject_id is None or self.incident is None):
            raise ValueError("linking needs task_id, subject_id and incident")
        return self


class TaskUpdate(Event):
    """Somebody acts on a task at `time`. Topic `task-updates`."""

    type: Literal["task_update"]
    data: TaskUpdateData


class TaskAnswer(Output):
    """What became of an update. Topic `task-answers`, append-only, keyed by `task_id`.

    `event_id` is the update's `source#id`; a repeat of an answer has the same content.
    """

    event_id: str
    task_id: str | None
    subject_id: str
    action: Action
    actor: str
    accepted: bool
    reason: str | None
    """Why it was refused, and what would be accepted; None if it was accepted."""
    state: str | None
    """Of the task now; None if there is no such task."""
    at: Instant
    exercise: bool = False
