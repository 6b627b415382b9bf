"""`breachwatch tasks`: see and move tasks from a terminal, through the same topics as any dashboard."""

import getpass
import time
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from streams.cli import load_settings
from streams.errors import BreachwatchError

if TYPE_CHECKING:
    from schemas.base import Output
    from schemas.safeguarding import SafeguardingTask
    from schemas.tasks import ArrestTask
    from schemas.updates import TaskUpdate
    from streams.cli.task_lists import Board
    from streams.kafka.cluster import Cluster
    from streams.settings import Settings

M = TypeVar("M", bound="Output")

app = typer.Typer(no_args_is_help=True)
NO_ANSWER = 2
"""Exit code where an update is in the log and nobody has answered it in time."""
_SOURCE = "breachwatch/cli"

Task = Annotated[str, typer.Argument(metavar="TASK", help="The task's id, or enough of its beginning.")]
Actor = Annotated[str | None, typer.Option(envvar="BREACHWATCH_ACTOR", help="Who acts; your login name if not said.")]
Role = Annotated[
    str, typer.Option(envvar="BREACHWATCH_ROLE", help="controller, supervisor, duty_inspector or officer.")
]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for the answer.")]
Reason = Annotated[str | None, typer.Option(help="Why, in a sentence.")]


@app.command("list")
def list_tasks(
    everything: Annotated[bool, typer.Option("--all", help="Ended tasks too.")] = False,
    force: Annotated[str | None, typer.Option(help="Only those that this force must know of.")] = None,
    exercise: Annotated[bool, typer.Option("--exercise", help="Exercise traffic, and only that.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List open tasks, the most urgent first; safeguarding tasks after them."""
    from streams.cli.task_lists import task_list, urgent_first
    from streams.core.policy import load_policy
    from streams.core.transitions import LIVE

    settings = load_settings()
    policy = load_policy(settings.policy_file)
    board = _board(settings)
    shown = board.only(exercise=exercise, force=force)
    if as_json:
        for task in urgent_first((t for t in shown.tasks.values() if everything or t.state in LIVE), policy):
            typer.echo(task.model_dump_json())
        for reach in shown.safeguarding.values():
            typer.echo(reach.model_dump_json())
        return
    for line in task_list(shown, policy, datetime.now(UTC), ended=everything):
        typer.echo(line)
    others = sum(1 for task in board.tasks.values() if task.exercise != exercise and task.state in LIVE)
    if others:
        what = "live tasks are not shown: leave --exercise away" if exercise else "exercise tasks are not shown"
        typer.echo(f"({others} {what})")


@app.command()
def show(task: Task) -> None:
    """Show one task in full: warnings, grounds, powers, deadlines, safeguarding and history."""
    from streams.cli.task_lists import task_in_full

    board = _board(load_settings())
    found = _arrest(board, task)
    beside = [s for s in board.safeguarding.values() if s.subject_id == found.subject_id]
    for line in task_in_full(found, beside, datetime.now(UTC)):
        typer.echo(line)


@app.command()
def handover(
    since: Annotated[str, typer.Option(help="How long the shift was: 12h, 90m, 2d.")] = "12h",
    force: Annotated[str | None, typer.Option(help="Only what this force must know of.")] = None,
    exercise: Annotated[bool, typer.Option("--exercise", help="Exercise traffic, and only that.")] = False,
) -> None:
    """Print the list for the shift that takes over."""
    from streams.cli.task_lists import handover as lines_of
    from streams.cli.task_lists import shift
    from streams.core.policy import load_policy

    settings = load_settings()
    now = datetime.now(UTC)
    try:
        began = now - shift(since)
    except ValueError as error:
        raise BreachwatchError(f"--since: {error}") from None
    board = _board(settings, since=began).only(exercise=exercise, force=force)
    for line in lines_of(board, load_policy(settings.policy_file), began, now):
        typer.echo(line)


@app.command()
def ack(task: Task, role: Role, actor: Actor = None, wait: Wait = 10.0) -> None:
    """Acknowledge a task: somebody has seen it, and it stops getting louder for a while."""
    _act(task, "acknowledge", role, actor, wait)


@app.command()
def assign(
    task: Task,
    to: Annotated[str, typer.Argument(metavar="UNIT", help="Who goes; of a safeguarding task, who speaks to them.")],
    role: Role,
    actor: Actor = None,
    wait: Wait = 10.0,
) -> None:
    """Assign a task to a unit."""
    _act(task, "assign", role, actor, wait, assignee=to)


@app.command("en-route")
def en_route(task: Task, role: Role, actor: Actor = None, wait: Wait = 10.0) -> None:
    """The unit is on its way."""
    _act(task, "en_route", role, actor, wait)


@app.command()
def attempted(
    task: Task,
    reason: Annotated[str, typer.Option(help="What was found.")],
    role: Role,
    actor: Actor = None,
    wait: Wait = 10.0,
) -> None:
    """Somebody went and did not find the subject; the search goes on."""
    _act(task, "attempted", role, actor, wait, reason=reason)


@app.command()
def arrested(task: Task, role: Role, actor: Actor = None, wait: Wait = 10.0) -> None:
    """The subject is arrested."""
    _act(task, "arrested", role, actor, wait)


@app.command()
def close(
    task: Task,
    role: Role,
    outcome: Annotated[str | None, typer.Option(help="How it ended: charged, no_trace, wrong_person ...")] = None,
    reason: Reason = None,
    actor: Actor = None,
    wait: Wait = 10.0,
) -> None:
    """Close a task with its outcome; a high or unknown risk needs a supervisor."""
    _act(task, "close", role, actor, wait, outcome=outcome, reason=reason)


@app.command()
def withdraw(
    task: Task, reason: Annotated[str, typer.Option(help="Why.")], role: Role, actor: Actor = None, wait: Wait = 10.0
) -> None:
    """Confirm a withdrawal that is recommended."""
    _act(task, "withdraw", role, actor, wait, reason=reason)


@app.command()
def keep(
    task: Task, reason: Annotated[str, typer.Option(help="Why.")], role: Role, actor: Actor = None, wait: Wait = 10.0
) -> None:
    """Refuse a withdrawal that is recommended: the task goes on as it was."""
    _act(task, "keep", role, actor, wait, reason=reason)


@app.command()
def link(
    task: Task,
    incident: Annotated[str, typer.Argument(help="The dispatch system's number, with what makes it unique.")],
    role: Role,
    actor: Actor = None,
    wait: Wait = 10.0,
) -> None:
    """Put the number of the force's own incident on a task; updates may then name that number."""
    _act(task, "link", role, actor, wait, incident=incident)


@app.command()
def note(
    task: Task,
    text: Annotated[str, typer.Argument(help="What to record.")],
    role: Role,
    actor: Actor = None,
    wait: Wait = 10.0,
    wishes: Annotated[
        bool,
        typer.Option("--wishes", help="It is what the protected person wishes: recorded, never a reason to close."),
    ] = False,
) -> None:
    """Record a note, or the protected person's wishes, in a task's history."""
    _act(task, "note_wishes" if wishes else "note", role, actor, wait, reason=text)


@app.command()
def told(
    task: Task,
    person: Annotated[str, typer.Argument(help="The protected person's reference.")],
    what: Annotated[str, typer.Option(help="What they were told.")],
    role: Role,
    actor: Actor = None,
    wait: Wait = 10.0,
) -> None:
    """Record on a safeguarding task that a protected person was told."""
    _act(task, "told", role, actor, wait, person_id=person, reason=what)


def _act(task: str, action: str, role: str, actor: str | None, wait: float, **fields: Any) -> None:
    settings = load_settings()
    board = _board(settings)
    found = _any(board, task)
    event = update_of(found, action, role, actor or getpass.getuser(), **fields)
    _send_and_wait(settings, event, wait)


def update_of(
    task: "ArrestTask | SafeguardingTask",
    action: str,
    role: str,
    actor: str,
    now: datetime | None = None,
    **fields: Any,
) -> "TaskUpdate":
    """The update of a task; raises BreachwatchError naming what is not valid."""
    from pydantic import ValidationError

    from schemas.base import EXERCISE
    from schemas.tasks import ArrestTask
    from schemas.updates import TaskUpdate

    at = now or datetime.now(UTC)
    data = {
        "task_id": task.task_id if isinstance(task, ArrestTask) else task.safeguarding_id,
        "subject_id": task.subject_id.removeprefix(EXERCISE),
        "action": action,
        "actor": actor,
        "role": role,
        **{name: value for name, value in fields.items() if value is not None},
    }
    try:
        return TaskUpdate.model_validate(
            {
                "id": str(uuid.uuid4()),
                "source": _SOURCE,
                "time": at,
                "recordedtime": at,
                "exercise": task.exercise,
                "type": "task_update",
                "data": data,
            },
            strict=False,
        )
    except ValidationError as error:
        wrong = "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in error.errors())
        raise BreachwatchError(f"nothing was sent: {wrong}") from None


def _send_and_wait(settings: "Settings", event: "TaskUpdate", wait: float) -> None:
    from schemas.updates import TaskAnswer
    from streams.core.keys import message_key
    from streams.kafka.admin import cluster_of
    from streams.kafka.reading import opened
    from streams.kafka.sending import Outgoing, send_all
    from streams.kafka.topics import full_name

    cluster = cluster_of(settings)
    value = event.model_dump_json(exclude_none=True).encode()
    with opened(cluster, full_name(settings, "task-answers"), 100) as (consumer, partitions):
        # Placed before the update is sent, so that its answer cannot be before it.
        consumer.seek_to_end(*partitions)
        for partition in partitions:
            consumer.position(partition)
        send_all(cluster, [Outgoing(full_name(settings, "task-updates"), message_key(event), value)])
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            for batch in consumer.poll(timeout_ms=200).values():
                for message in batch:
                    answer = TaskAnswer.read(message.value)
                    if answer.event_id == event.event_id:
                        _say(answer)
                        return
    typer.echo(
        f"no answer within {wait:g} s: the update is in the log and will be applied; is a worker running "
        "(`breachwatch doctor`)?",
        err=True,
    )
    raise typer.Exit(NO_ANSWER)


def _say(answer: Any) -> None:
    if answer.accepted:
        typer.echo(f"accepted: task {answer.task_id} is {answer.state.replace('_', ' ')}")
        return
    typer.echo(f"refused: {answer.reason}", err=True)
    raise typer.Exit(1)


def _board(settings: "Settings", since: datetime | None = None) -> "Board":
    """Everything that the topics hold, the canary apart; alerts and what was held back only where a time is named."""
    from schemas.safeguarding import SafeguardingTask
    from schemas.tasks import Alert, ArrestTask, AuditEntry
    from streams.cli.task_lists import Board
    from streams.core.canary import is_canary
    from streams.kafka.admin import cluster_of

    cluster = cluster_of(settings)
    board = Board()
    for task in _models("arrest-tasks", ArrestTask, _newest(settings, cluster, "arrest-tasks")):
        if not is_canary(task.subject_id):
            board.tasks[task.task_id] = task
    for reach in _models("safeguarding-tasks", SafeguardingTask, _newest(settings, cluster, "safeguarding-tasks")):
        board.safeguarding[reach.safeguarding_id] = reach
    if since is not None:
        for alert in _models("alerts", Alert, _values(settings, cluster, "alerts")):
            board.alerts[alert.alert_id] = alert
        suppressed = (value for value in _values(settings, cluster, "audit") if b'"suppressed"' in value)
        held_back = {e.audit_id: e for e in _models("audit", AuditEntry, suppressed)}
        board.suppressed = [entry for entry in held_back.values() if entry.decision == "suppressed"]
    return board


def _values(settings: "Settings", cluster: "Cluster", name: str) -> "Iterator[bytes]":
    """All that is in a topic."""
    from streams.kafka.reading import read_all
    from streams.kafka.topics import full_name

    return (message.value for message in read_all(cluster, full_name(settings, name)) if message.value)


def _newest(settings: "Settings", cluster: "Cluster", name: str) -> "Iterable[bytes]":
    """Of each key of a compacted topic what stands."""
    from streams.kafka.reading import newest_values, read_all
    from streams.kafka.topics import full_name

    return newest_values(read_all(cluster, full_name(settings, name)))[0].values()


def _models(name: str, model: "type[M]", values: "Iterable[bytes]") -> "Iterator[M]":
    """What the values of a topic say."""
    from pydantic import ValidationError

    for value in values:
        try:
            yield model.read(value)
        except ValidationError:
            raise BreachwatchError(
                f"{name} holds what this version cannot read: was it written by a newer one?"
            ) from None


def _arrest(board: "Board", name: str) -> "ArrestTask":
    from schemas.tasks import ArrestTask

    found = _any(board, name)
    if not isinstance(found, ArrestTask):
        same = [task for task in board.tasks.values() if task.subject_id == found.subject_id]
        if not same:
            raise BreachwatchError(f"{name} is a safeguarding task without an arrest task: see `tasks list --all`")
        return same[-1]
    return found


def _any(board: "Board", name: str) -> "ArrestTask | SafeguardingTask":
    """The task of that id, of an id that begins so, or with that incident number; or what to do."""
    from streams.cli.task_lists import named

    by_incident = [task for task in board.tasks.values() if name in task.incidents]
    if by_incident:
        return max(by_incident, key=lambda task: task.opened_at)
    everything: dict[str, ArrestTask | SafeguardingTask] = {**board.tasks, **board.safeguarding}
    ids = named(everything, name)
    if len(ids) == 1 or name in everything:
        return everything[name if name in everything else ids[0]]
    if not ids:
        raise BreachwatchError(f"no task or incident {name}: see `breachwatch tasks list --all`")
    raise BreachwatchError(f"{len(ids)} tasks begin with {name}: {', '.join(ids[:5])}; say more of the id")
