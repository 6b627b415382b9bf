"""`breachwatch tail TOPIC`: watch a topic, for people or as JSON lines."""

import base64
import re
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from streams.cli import load_settings
from streams.errors import BreachwatchError

POLL_MS = 200
# What a sender wrote must not move the cursor or colour of a controller's terminal; tab and line end may stay.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def command(
    topic: Annotated[str, typer.Argument(help="Any topic of the pipeline, without prefix.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Start with what is there.")] = False,
    until_idle: Annotated[
        float | None, typer.Option(min=0.1, help="End after so many seconds without a message.")
    ] = None,
    most: Annotated[int | None, typer.Option("--max", min=1, help="End after so many messages.")] = None,
    show_payload: Annotated[bool, typer.Option(help="Of dead letters: the original bytes too.")] = False,
) -> None:
    """Print the messages of TOPIC as they come; ends cleanly on Ctrl-C."""
    import orjson

    from streams.kafka.admin import cluster_of
    from streams.kafka.reading import opened
    from streams.kafka.topics import BY_NAME, full_name

    if topic not in BY_NAME:
        raise BreachwatchError(f"there is no topic {topic}; there are: {', '.join(BY_NAME)}")
    settings = load_settings()
    printed = 0
    try:
        with opened(cluster_of(settings), full_name(settings, topic), POLL_MS) as (consumer, partitions):
            (consumer.seek_to_beginning if from_beginning else consumer.seek_to_end)(*partitions)
            quiet_since = time.monotonic()
            while until_idle is None or time.monotonic() - quiet_since < until_idle:
                batch = [message for messages in consumer.poll(timeout_ms=POLL_MS).values() for message in messages]
                for message in sorted(batch, key=lambda m: (m.timestamp, m.partition, m.offset)):
                    if as_json:
                        hide = topic == "dead-letters" and not show_payload
                        typer.echo(orjson.dumps(as_object(message, hide_value=hide)))
                    else:
                        typer.echo(as_text(topic, message, datetime.now(UTC)))
                    printed += 1
                    if printed == most:
                        return
                if batch:
                    quiet_since = time.monotonic()
    except KeyboardInterrupt:
        return


def as_object(message: Any, *, hide_value: bool = False) -> dict[str, Any]:
    """topic, partition, offset, timestamp, key, headers; value as JSON, or as base64 where it is not JSON.

    `value` is None for a null value and for the JSON text null; `hide_value` leaves both forms out.
    """
    import orjson

    found: dict[str, Any] = {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "timestamp": _stamp(message).isoformat().replace("+00:00", "Z"),
        "key": None if message.key is None else message.key.decode("utf-8", "replace"),
        "headers": {name: (value or b"").decode("utf-8", "replace") for name, value in message.headers or ()},
    }
    if hide_value:
        return found
    try:
        value = None if message.value is None else orjson.loads(message.value)
        orjson.dumps(value)  # orjson reads 1024 levels of nesting, and writes 254
        found["value"] = value
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        found["value_base64"] = base64.b64encode(message.value).decode()
    return found


def _stamp(message: Any) -> datetime:
    return datetime.fromtimestamp(message.timestamp / 1000, tz=UTC)


def as_text(topic: str, message: Any, now: datetime) -> str:
    """One message of `topic` (without prefix) for people, without control characters; a dead letter without its
    payload."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _text(topic, message, now))


def _text(topic: str, message: Any, now: datetime) -> str:
    from schemas.tasks import Alert, ArrestTask, AuditEntry

    stamp = f"{_stamp(message):%H:%M:%S}"
    if topic == "dead-letters":
        return f"{stamp} {message.partition}:{message.offset} {_letter_text(message)}"
    try:
        if topic == "arrest-tasks":
            return task_text(ArrestTask.read(message.value), now)
        if topic == "alerts":
            alert = Alert.read(message.value)
            who = f" [{alert.subject_id}]" if alert.subject_id else ""
            return f"{stamp} {alert.severity.upper():8} {alert.kind}{who}: {alert.text}"
        if topic == "audit":
            entry = AuditEntry.read(message.value)
            return f"{stamp} {entry.subject_id} {entry.decision} ({entry.event_type}): {'; '.join(entry.reasons)}"
    except ValueError:
        pass  # shown as it is: another version may have written it
    text = "(null)" if message.value is None else message.value.decode("utf-8", "replace")
    return f"{stamp} {message.partition}:{message.offset} {text[:2000]}"


def _letter_text(message: Any) -> str:
    """A dead letter by its headers alone, or the mark of one."""
    from streams.core.waiting_letters import read_letter, read_mark

    mark = read_mark(message.headers)
    if mark is not None:
        return f"{mark.handled} by {mark.by}: the letter {(message.key or b'').decode('utf-8', 'replace')}"
    letter = read_letter(message.headers)
    if letter is None:
        return "(its headers are not readable)"
    return f"{letter.reason} ({letter.topic}/{letter.partition}/{letter.offset}): {letter.detail}"


def task_text(task: Any, now: datetime) -> str:
    """A task as a controller reads it: what, how sure, by when, where last."""
    exercise = "EXERCISE " if task.exercise else ""
    lines = [
        f"{exercise}{task.grade.upper()} ({task.priority.score}) {task.state}: "
        f"{task.subject_name or task.subject_id} [{task.subject_id}], act by {task.deadline:%d %b %H:%M:%S}Z",
        f"  task {task.task_id}, revision {task.revision}, {task.owning_force}"
        + (f", with {task.assigned_to}" if task.assigned_to else ""),
    ]
    lines += [f"  - {b.certainty}: {b.reason} ({b.began_at:%d %b %H:%M}Z)" for b in task.breaches[-5:]]
    if task.breach_count > 5:
        lines.append(f"  ({task.breach_count} breaches in all)")
    if task.last_seen is not None:
        minutes = max(0, int((now - task.last_seen.time).total_seconds() // 60))
        lines.append(f"  last seen {minutes} min ago {task.last_seen.place or ''} ({task.last_seen.source})")
    lines += [f"  WARNING: {warning.replace('_', ' ')}" for warning in task.warnings]
    lines += [f"  ! {flag}" for flag in task.flags]
    return "\n".join(lines)
