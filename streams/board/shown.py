"""What the board answers: the models of its OpenAPI document."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from schemas.base import Instant
from schemas.safeguarding import SafeguardingTask
from schemas.tasks import Alert, ArrestTask
from streams.board.model import TaskSummary

TASK_EXAMPLE: dict[str, Any] = {
    "task_id": "0b5c1a7e-2f0b-5c7e-9a55-3c1d6f0e8a11",
    "revision": 4,
    "change": "breach",
    "subject_id": "SUBJ-2026-0417",
    "subject_name": "Simon Sample",
    "state": "acknowledged",
    "grade": "immediate",
    "score": 120,
    "opened_at": "2026-11-25T08:30:00.120Z",
    "updated_at": "2026-11-25T08:33:41Z",
    "deadline": "2026-11-25T08:45:00.120Z",
    "breached": [{"term_kind": "exclusion_zone", "certainty": "vehicle"}],
    "breach_count": 1,
    "breached_at": "2026-11-25T08:29:58Z",
    "last_breach_at": "2026-11-25T08:29:58Z",
    "last_seen": {
        "time": "2026-11-25T08:29:58Z",
        "position": {"latitude": 52.631, "longitude": 1.2935, "accuracy_m": 30.0},
        "place": "near Norwich, England",
        "source": "plate_read",
        "event_id": "anpr/norfolk#88121",
        "recorded_at": "2026-11-25T08:30:00Z",
    },
    "owning_force": "Norfolk Constabulary",
    "forces": ["Norfolk Constabulary"],
    "warnings": ["weapons"],
    "flags": ["look at the image before acting: a plate shows a vehicle, not its driver"],
    "assigned_to": None,
    "acknowledged_by": "op-7",
    "acknowledged_at": "2026-11-25T08:31:02Z",
    "arrested_at": None,
    "court_deadline": None,
    "escalated_to": None,
    "next_escalation_at": None,
    "incidents": ["NC/2026/117"],
    "outcome": None,
    "merged_into": None,
    "exercise": False,
}
"""Of a TaskSummary; put into the OpenAPI document as it is, since FastAPI leaves out what is null."""


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Refused",
                    "status": 409,
                    "detail": "the task is acknowledged already by op-7",
                    "update_id": "0f7c2a9e-5f7b-4a57-9a52-0a3f0a0f6f55",
                    "state": "acknowledged",
                }
            ]
        }
    )

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    update_id: str | None = None
    """Of an update that was refused."""
    state: str | None = None
    """Of its task now."""


class Me(BaseModel):
    """Whoever asks, as the token says."""

    name: str
    role: Literal["viewer", "controller", "supervisor", "duty_inspector"]
    forces: list[str] | None
    """Whose tasks they see; null: everybody's."""
    may_act: bool
    sees_protected: bool
    expires_at: Instant
    grades: list[str]
    """Of the policy, gravest first."""


class Freshness(BaseModel):
    """How old what is shown may be."""

    data_age_s: float | None
    """Since all that the topics held was taken in; null: not yet. Show data as stale from ten seconds."""
    unreadable: int
    """Tasks of which the newest cannot be read here: they are missing or old. Above 0 somebody must be told."""
    position: str
    """Send it as `Last-Event-ID` when opening the stream: nothing is missed in between."""


class TaskPage(Freshness):
    """A part of the list of tasks, the most urgent first."""

    tasks: list[TaskSummary]
    total: int
    """That the list has in all."""
    next: str | None
    """The `cursor` of the part that follows; null: this was the last."""


class Explanation(BaseModel):
    """Why a task is as it is, in words."""

    heading: str
    points: list[str]
    """What each rule of the policy gave."""
    grounds: list[list[str]]
    """Of each breach: when, why, under which order and power, on which messages of the log."""
    alternatives: list[str]
    """What would have changed it."""


class PossibleAction(BaseModel):
    """What this person may do with the task as it is; the core may still refuse it, with a reason."""

    action: str
    needs: list[str]
    """Fields of the update that it needs beside `action` and `revision`."""


class TaskInFull(Freshness):
    """One task with everything but its order's terms and its map, which are resources of their own."""

    task: ArrestTask
    """For viewers without whom a breach concerns, and without the words of notes."""
    explanation: Explanation
    actions: list[PossibleAction]
    safeguarding: list[SafeguardingTask] | None
    """Of the subject, newest last; null where the role does not see them."""
    alerts: list[Alert]
    """On the task, newest last, of those that the board has."""


class SafeguardingList(Freshness):
    """Safeguarding tasks, the nearest deadline first."""

    tasks: list[SafeguardingTask]


class AlertList(Freshness):
    """Alerts, the newest first."""

    alerts: list[Alert]
