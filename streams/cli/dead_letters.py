"""`breachwatch dead-letters`: see what could not be used and why, mend it, and send it again."""

import heapq
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli import load_settings
from streams.errors import BreachwatchError

if TYPE_CHECKING:
    from schemas.internal import DeadLetterHeaders
    from streams.kafka.sending import Outgoing
    from streams.settings import Settings

app = typer.Typer(no_args_is_help=True)

Place = Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="As `dead-letters list` shows it.")]


@app.command("list")
def list_letters(
    reason: Annotated[str | None, typer.Option(help="Only those of this reason.")] = None,
    source: Annotated[str | None, typer.Option(help="Only those of this source of events.")] = None,
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
            stated = (None, None) if headers is None else (headers.reason, headers.source)
            if reason in (None, stated[0]) and source in (None, stated[1]):
                total += 1 if headers is None else headers.count
                yield message

    newest = heapq.nlargest(limit, wanted(), key=lambda message: (message.timestamp, message.offset))
    for message in newest:
        typer.echo(orjson.dumps(as_object(message)) if as_json else as_text(message))
    if not as_json:
        typer.echo(f"{total} dead letters" + (f", {len(newest)} shown" if total > len(newest) else ""))


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
    """Send a dead letter, mended or as it was, to the topic that it came from.

    A letter that stands for many sends again what of its source lies between its offsets and is an event now.
    """
    from schemas.cloud_events import carried
    from schemas.inbound import TOPIC_EVENTS, BadMessageError
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import send_all

    settings = load_settings()
    message = _letter(settings, place)
    headers = headers_of(message)
    if headers.topic not in TOPIC_EVENTS:
        raise BreachwatchError(
            f"this letter came from {headers.topic}: what came in a supplier's own format is taken again by "
            "`breachwatch adapters again`"
            if headers.topic.startswith("raw-")
            else f"this letter came from {headers.topic}, which only this pipeline writes"
        )
    if headers.last_offset is not None:
        _replay_many(settings, message, headers)
        return
    value = message.value if value_file is None else _mended(value_file)
    # What is mended is written whole, also where the original had its attributes in headers.
    its_own = carried(message.headers) if value_file is None else []
    key, how = None, "as it was" if value_file is None else "mended"
    try:
        key = _key_of(settings, headers.topic, value, its_own)
    except BadMessageError as error:
        if not force:
            raise BreachwatchError(f"not sent, it would come back: {error.reason}: {error.detail}") from None
        how += f", forced although {error.reason}"
    _audit(settings, message, "dead_letter_replayed", how)
    sent = send_all(cluster_of(settings), [_outgoing(settings, headers, _origin(headers), key, value, its_own)])[0]
    typer.echo(f"sent to {headers.topic}/{sent.partition}/{sent.offset} in place of {_origin(headers)}")


def _replay_many(settings: "Settings", message: Any, headers: "DeadLetterHeaders") -> None:
    from schemas.cloud_events import carried, structured
    from schemas.inbound import BadMessageError
    from streams.dead_letters import MANY
    from streams.kafka.admin import cluster_of
    from streams.kafka.reading import read_all
    from streams.kafka.sending import send_all
    from streams.kafka.topics import full_name
    from streams.source_status import source_of

    assert headers.last_offset is not None
    topic, good, bad = headers.topic, [], 0
    kept = read_all(
        cluster_of(settings), full_name(settings, topic), partition=headers.partition, start=headers.offset
    )
    for original in kept:
        if original.offset > headers.last_offset:
            break
        its_own = carried(original.headers)
        if headers.source not in (MANY, source_of(structured(original.value, its_own))):
            continue
        try:
            key = _key_of(settings, topic, original.value, its_own)
        except BadMessageError:
            bad += 1
        else:
            origin = f"{topic}/{original.partition}/{original.offset}"
            good.append(_outgoing(settings, headers, origin, key, original.value, its_own))
    if not good:
        raise BreachwatchError(f"nothing was sent: of what is still kept, {bad:,} messages would come back")
    _audit(settings, message, "dead_letter_replayed", f"{len(good)} messages as they were")
    send_all(cluster_of(settings), good)
    typer.echo(f"{len(good):,} messages sent to {topic}; {bad:,} would come back and were not sent")


def _key_of(settings: "Settings", topic: str, value: bytes | None, its_own: Any) -> bytes | None:
    """Raises BadMessageError where it is no event now either."""
    from schemas.cloud_events import structured
    from schemas.inbound import decode
    from streams.core.keys import message_key

    return message_key(decode(topic, structured(value, its_own), settings.max_message_bytes))


def _outgoing(
    settings: "Settings", headers: "DeadLetterHeaders", origin: str, key: bytes | None, value: bytes | None, own: Any
) -> "Outgoing":
    from streams.kafka.sending import Outgoing
    from streams.kafka.topics import full_name

    mark = ("bw-replay-of", origin.encode())
    return Outgoing(full_name(settings, headers.topic), key, value, (*own, mark))


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
    from streams.cli.user import on_record
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import send_all

    about, place = _origin(headers_of(message)), ("dead-letters", message.partition, message.offset)
    send_all(cluster_of(settings), [on_record(settings, decision, why, about, "dead_letter", place)])
