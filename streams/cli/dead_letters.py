"""`breachwatch dead-letters`: see what could not be used and why, mend it, and send it again."""

import heapq
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli import load_settings
from streams.cli.user import user
from streams.errors import BreachwatchError

if TYPE_CHECKING:
    from schemas.internal import DeadLetterHeaders
    from streams.settings import Settings

app = typer.Typer(no_args_is_help=True)

Place = Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="As `dead-letters list` shows it.")]


@app.command("list")
def list_letters(
    reason: Annotated[str | None, typer.Option(help="Only those of this reason.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List dead letters, newest first, without their payload."""
    import orjson

    settings = load_settings()
    total = 0

    def wanted() -> Iterator[Any]:
        nonlocal total
        for message in _letters(settings):
            headers = read_headers(message)
            if reason is None or (headers is not None and headers.reason == reason):
                total += 1
                yield message

    newest = heapq.nlargest(limit, wanted(), key=lambda message: (message.timestamp, message.offset))
    for message in newest:
        typer.echo(orjson.dumps(as_object(message)) if as_json else as_text(message))
    if not as_json:
        typer.echo(f"{total} dead letters" + (f", {limit} shown" if total > limit else ""))


def as_object(message: Any) -> dict[str, Any]:
    """place, bytes, and the DeadLetterHeaders; of one whose headers are not readable only place and bytes."""
    headers = read_headers(message)
    stated = {} if headers is None else headers.model_dump(mode="json")
    return {"place": _place(message), "bytes": len(message.value or b""), **stated}


def as_text(message: Any) -> str:
    """Two lines for people: where, when, why and from where; then the detail."""
    headers, size = read_headers(message), len(message.value or b"")
    if headers is None:
        return f"{_place(message)}  its headers are not readable, {size} bytes"
    return (
        f"{_place(message)}  {headers.appended_at:%Y-%m-%d %H:%M:%S}Z  {headers.reason}  "
        f"from {_origin(headers)}, {size} bytes\n    {headers.detail}"
    )


@app.command()
def show(
    place: Place,
    why: Annotated[str, typer.Option("--reason-for-access", help="Why you must see it; it is audited.")],
) -> None:
    """Print a dead letter's original bytes; who looked, and why, is audited first."""
    if not why.strip():
        raise BreachwatchError("say with --reason-for-access why you must see it")
    settings = load_settings()
    message = _letter(settings, place)
    _audit(settings, message, "payload_viewed", why)
    sys.stdout.buffer.write(message.value or b"")
    sys.stdout.buffer.write(b"\n")


@app.command()
def replay(
    place: Place,
    value_file: Annotated[Path | None, typer.Option(help="The mended message; without it, the original.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Send it even if it is still not valid.")] = False,
) -> None:
    """Send a dead letter, mended or as it was, to the topic that it came from."""
    from schemas.cloud_events import carried, structured
    from schemas.inbound import TOPIC_EVENTS, BadMessageError, decode
    from streams.core.keys import message_key
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import Outgoing, send_all
    from streams.kafka.topics import full_name

    settings = load_settings()
    message = _letter(settings, place)
    headers = headers_of(message)
    if headers.topic not in TOPIC_EVENTS:
        raise BreachwatchError(f"this letter came from {headers.topic}, which only this pipeline writes")
    value = message.value if value_file is None else _mended(value_file)
    # What is mended is written whole, also where the original had its attributes in headers.
    its_own = carried(message.headers) if value_file is None else []
    key, how = None, "as it was" if value_file is None else "mended"
    try:
        key = message_key(decode(headers.topic, structured(value, its_own), settings.max_message_bytes))
    except BadMessageError as error:
        if not force:
            raise BreachwatchError(f"not sent, it would come back: {error.reason}: {error.detail}") from None
        how += f", forced although {error.reason}"
    origin = _origin(headers)
    _audit(settings, message, "dead_letter_replayed", how)
    mark = ("bw-replay-of", origin.encode())
    outgoing = Outgoing(full_name(settings, headers.topic), key, value, (*its_own, mark))
    sent = send_all(cluster_of(settings), [outgoing])[0]
    typer.echo(f"sent to {headers.topic}/{sent.partition}/{sent.offset} in place of {origin}")


def _mended(file: Path) -> bytes:
    try:
        return file.read_bytes().strip()
    except OSError as error:
        raise BreachwatchError(f"{file}: {error.strerror}") from None


def read_headers(message: Any) -> "DeadLetterHeaders | None":
    """The DeadLetterHeaders of a message of `dead-letters`; None where they are missing or unreadable."""
    from schemas.internal import DeadLetterHeaders

    try:
        # A header's value may be null in Kafka.
        return DeadLetterHeaders.from_kafka([(name, value or b"") for name, value in message.headers or ()])
    except ValueError:
        return None


def headers_of(message: Any) -> "DeadLetterHeaders":
    """The DeadLetterHeaders of a message of `dead-letters`; raises BreachwatchError where they are unreadable."""
    headers = read_headers(message)
    if headers is None:
        raise BreachwatchError(f"dead letter {_place(message)} has no readable headers: another program wrote it")
    return headers


def _place(message: Any) -> str:
    return f"{message.partition}:{message.offset}"


def _origin(headers: "DeadLetterHeaders") -> str:
    return f"{headers.topic}/{headers.partition}/{headers.offset}"


def _letters(settings: "Settings") -> Iterator[Any]:
    from streams.kafka.admin import cluster_of
    from streams.kafka.reading import read_all
    from streams.kafka.topics import full_name

    return read_all(cluster_of(settings), full_name(settings, "dead-letters"))


def _letter(settings: "Settings", place: str) -> Any:
    for message in _letters(settings):
        if _place(message) == place:
            return message
    raise BreachwatchError(f"there is no dead letter {place}: see `breachwatch dead-letters list`")


def _audit(settings: "Settings", message: Any, decision: str, why: str) -> None:
    from schemas.tasks import AuditEntry
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import Outgoing, send_all
    from streams.kafka.topics import full_name

    entry = AuditEntry(
        audit_id=str(uuid.uuid4()),
        at=datetime.now(UTC),
        subject_id="-",
        event_id=_origin(headers_of(message)),
        event_type="dead_letter",
        decision=decision,
        reasons=[f"by {user()}: {why}"],
        order_versions=[],
        policy_version="-",
        topic="dead-letters",
        partition=message.partition,
        offset=message.offset,
    )
    send_all(cluster_of(settings), [Outgoing(full_name(settings, "audit"), b"-", entry.model_dump_json().encode())])
