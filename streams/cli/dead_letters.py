"""`breachwatch dead-letters`: see what could not be used and why, mend it, and send it again."""

import getpass
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli import load_settings
from streams.errors import BreachwatchError

if TYPE_CHECKING:
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
    found = [(message, headers_of(message)) for message in _letters(settings)]
    found = [(message, headers) for message, headers in found if reason is None or headers.reason == reason]
    found.sort(key=lambda pair: pair[0].timestamp, reverse=True)
    for message, headers in found[:limit]:
        place = f"{message.partition}:{message.offset}"
        if as_json:
            body = {"place": place, "bytes": len(message.value or b""), **headers.model_dump(mode="json")}
            typer.echo(orjson.dumps(body).decode())
        else:
            origin = f"{headers.topic}/{headers.partition}/{headers.offset}"
            size = len(message.value or b"")
            typer.echo(
                f"{place}  {headers.appended_at:%Y-%m-%d %H:%M:%S}Z  {headers.reason}  from {origin}, {size} bytes"
            )
            typer.echo(f"    {headers.detail}")
    if not as_json:
        typer.echo(f"{len(found)} dead letters" + (f", {limit} shown" if len(found) > limit else ""))


@app.command()
def show(
    place: Place,
    why: Annotated[str, typer.Option("--reason-for-access", help="Why you must see it; it is audited.")],
) -> None:
    """Print a dead letter's original bytes; who looked, and why, is audited first."""
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
    from schemas.inbound import TOPIC_EVENTS, BadMessageError, decode
    from streams.core.keys import message_key
    from streams.kafka.admin import bootstrap
    from streams.kafka.sending import Outgoing, send_all
    from streams.kafka.topics import full_name

    settings = load_settings()
    message = _letter(settings, place)
    headers = headers_of(message)
    if headers.topic not in TOPIC_EVENTS:
        raise BreachwatchError(f"this letter came from {headers.topic}, which only this pipeline writes")
    value = message.value if value_file is None else value_file.read_bytes().strip()
    key = None
    try:
        key = message_key(decode(headers.topic, value))
    except BadMessageError as error:
        if not force:
            raise BreachwatchError(f"not sent, it would come back: {error.reason}: {error.detail}") from None
    origin = f"{headers.topic}/{headers.partition}/{headers.offset}"
    _audit(settings, message, "dead_letter_replayed", "mended" if value_file else "as it was")
    outgoing = Outgoing(full_name(settings, headers.topic), key, value, (("bw-replay-of", origin.encode()),))
    sent = send_all(bootstrap(settings), [outgoing])[0]
    typer.echo(f"sent to {headers.topic}/{sent.partition}/{sent.offset} in place of {origin}")


def headers_of(message: Any) -> Any:
    """The DeadLetterHeaders of a message of `dead-letters`."""
    from schemas.internal import DeadLetterHeaders

    try:
        return DeadLetterHeaders.from_kafka(message.headers)
    except ValueError as error:
        place = f"{message.partition}:{message.offset}"
        raise BreachwatchError(f"dead letter {place} has no readable headers: {type(error).__name__}") from None


def _letters(settings: "Settings") -> list[Any]:
    from streams.kafka.admin import bootstrap
    from streams.kafka.reading import read_all
    from streams.kafka.topics import full_name

    return list(read_all(bootstrap(settings), full_name(settings, "dead-letters")))


def _letter(settings: "Settings", place: str) -> Any:
    for message in _letters(settings):
        if f"{message.partition}:{message.offset}" == place:
            return message
    raise BreachwatchError(f"there is no dead letter {place}: see `breachwatch dead-letters list`")


def _audit(settings: "Settings", message: Any, decision: str, why: str) -> None:
    from schemas.tasks import AuditEntry
    from streams.kafka.admin import bootstrap
    from streams.kafka.sending import Outgoing, send_all
    from streams.kafka.topics import full_name

    headers = headers_of(message)
    entry = AuditEntry(
        audit_id=str(uuid.uuid4()),
        at=datetime.now(UTC),
        subject_id="-",
        event_id=f"{headers.topic}/{headers.partition}/{headers.offset}",
        event_type="dead_letter",
        decision=decision,
        reasons=[f"by {getpass.getuser()}: {why}"],
        order_versions=[],
        policy_version="-",
        topic="dead-letters",
        partition=message.partition,
        offset=message.offset,
    )
    send_all(bootstrap(settings), [Outgoing(full_name(settings, "audit"), b"-", entry.model_dump_json().encode())])
