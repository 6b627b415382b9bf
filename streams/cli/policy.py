"""`breachwatch policy`: check a policy, and show what another one would have decided."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.errors import BreachwatchError

if TYPE_CHECKING:
    from schemas.tasks import ArrestTask
    from streams.core.policy import Policy

app = typer.Typer(no_args_is_help=True)


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A policy in TOML.")]) -> None:
    """Say whether a policy is sound; a worker refuses one that is not, and keeps to the one it has."""
    from streams.core.policy import load_policy

    policy = load_policy(file)
    grades = ", ".join(f"{g.name} from {g.at_least} points within {g.respond_within_s:g} s" for g in policy.grades)
    typer.echo(f"{file}: version {policy.version}, sound; grades: {grades}")


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The policy now in use.")],
    new: Annotated[Path, typer.Argument(help="The policy to compare.")],
    events: Annotated[
        Path, typer.Option(help='JSON lines of {"topic": ..., "value": {event}}, as `breachwatch simulate` writes.')
    ],
) -> None:
    """Decide the same events under both policies, and print each task that comes out differently."""
    from streams.core.policy import load_policy

    before, after = rehearse(load_policy(old), events), rehearse(load_policy(new), events)
    changes = 0
    for task_id in sorted(before.keys() | after.keys()):
        was, now = before.get(task_id), after.get(task_id)
        if was != now:
            changes += 1
            typer.echo(f"{task_id}: {was or 'no task'} -> {now or 'no task'}")
    typer.echo(f"{changes} of {len(before.keys() | after.keys())} tasks differ")


def rehearse(policy: "Policy", events: Path) -> dict[str, str]:
    """Task id -> what a controller would see of it, after all events of the file."""
    import orjson

    from schemas.inbound import TOPIC_EVENTS, BadMessageError, decode
    from streams.core.rehearsal import Rehearsal, arrival

    rehearsal = Rehearsal(policy)
    for number, line in enumerate(events.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = orjson.loads(line)
            topic, value = entry["topic"], orjson.dumps(entry["value"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise BreachwatchError(f"{events} line {number}: not an object with `topic` and `value`") from error
        if topic not in TOPIC_EVENTS:
            raise BreachwatchError(f"{events} line {number}: {topic} is not an inbound topic")
        try:
            event = decode(topic, value)
        except BadMessageError as error:
            typer.echo(f"{events} line {number}: left out: {error}", err=True)
            continue
        rehearsal.apply(topic, event, arrival(event))
    return {task_id: _outcome(task) for task_id, task in rehearsal.tasks.items()}


def _outcome(task: "ArrestTask") -> str:
    points = f"{task.grade} at {task.priority.score} points"
    return f"{points}, {task.breach_count} breaches, by {task.deadline:%d %b %H:%M}Z"
