"""`breachwatch dead-letters`: see what could not be used and why, mend it, and send it again, or dismiss it."""

import heapq
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from streams.cli import load_settings
from streams.errors import BreachwatchError

if TYPE_CHECKING:
    from schemas.internal import DeadLetterHandled, DeadLetterHeaders
    from streams.core.waiting_letters import Place as LetterPlace
    from streams.kafka.sending import Outgoing
    from streams.settings import Settings

app = typer.Typer(no_args_is_help=True)

Place = Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="As `dead-letters list` shows it.")]


@app.command("list")
def list_letters(
    reason: Annotated[str | None, typer.Option(help="Only those of this reason.")] = None,
    source: Annotated[str | None, typer.Option(help="Only those of this source of events.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were replayed or dismissed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List dead letters that wait for somebody, newest first, without their payload."""
    import orjson

    from streams.core.waiting_letters import WaitingLetters, read_letter, read_mark

    settings = load_settings()
    # Read twice: a mark lies behind its letter, and the letters with their bytes may be more than the memory holds.
    known = WaitingLetters()
    for message in _messages(settings):
        known.take(message.key, message.headers, _place(message), message.timestamp / 1000)
    total = 0

    def wanted() -> Iterator[tuple[Any, "DeadLetterHandled | None"]]:
        nonlocal total
        for message in _messages(settings):
            if read_mark(message.headers) is not None:
                continue
            headers = read_letter(message.headers)
            mark = known.handled(message.key, message.headers, _place(message))
            stated = (None, None) if headers is None else (headers.reason, headers.source)
            if reason in (None, stated[0]) and source in (None, stated[1]) and (everything or mark is None):
                total += 1 if headers is None else headers.count
                yield message, mark

    newest = heapq.nlargest(limit, wanted(), key=lambda found: (found[0].timestamp, found[0].offset))
    for message, mark in newest:
        typer.echo(orjson.dumps(as_object(message, mark)) if as_json else as_text(message, mark))
    if not as_json:
        typer.echo(f"{total} dead letters" + (f", {len(newest)} shown" if total > len(newest) else ""))


def as_object(message: Any, mark: "DeadLetterHandled | None" = None) -> dict[str, Any]:
    """place, bytes, and the DeadLetterHeaders; of one whose headers are not readable only place and bytes.

    Of one that was handled also `handled`, `handled_by` and `handled_at`.
    """
    from streams.core.waiting_letters import read_letter

    headers = read_letter(message.headers)
    stated = {} if headers is None else headers.model_dump(mode="json")
    done = {} if mark is None else mark.model_dump(mode="json", include={"handled", "by", "at"})
    return {
        "place": str(_place(message)),
        "bytes": len(message.value or b""),
        **stated,
        **{name if name == "handled" else f"handled_{name}": value for name, value in done.items()},
    }


def as_text(message: Any, mark: "DeadLetterHandled | None" = None) -> str:
    """Two lines for people: where, when, why and from where, and who handled it; then the detail."""
    from streams.core.waiting_letters import read_letter

    headers, size = read_letter(message.headers), len(message.value or b"")
    done = "" if mark is None else f", {mark.handled} by {mark.by} at {mark.at:%Y-%m-%d %H:%M:%S}Z"
    if headers is None:
        return f"{_place(message)}  its headers are not readable, {size} bytes{done}"
    return (
        f"{_place(message)}  {headers.appended_at:%Y-%m-%d %H:%M:%S}Z  {headers.reason}  "
        f"from {_origin(headers)}, {size} bytes{done}\n    {headers.detail}"
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
    [message] = _letters(settings, [place])
    _record(settings, [message], "payload_viewed", why)
    sys.stdout.buffer.write(message.value or b"")
    sys.stdout.buffer.write(b"\n")


@app.command()
def replay(
    place: Place,
    value_file: Annotated[Path | None, typer.Option(help="The mended message; without it, the original.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Send it even if it is still not valid.")] = False,
) -> None:
    """Send a dead letter, mended or as it was, to the topic that it came from; then it waits no more.

    A letter that stands for many sends again what of its source lies between its offsets and is an event now; it
    waits on where something was not sent.
    """
    from schemas.cloud_events import carried
    from schemas.inbound import TOPIC_EVENTS, BadMessageError
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import send_all

    settings = load_settings()
    [message] = _letters(settings, [place])
    headers = headers_of(message)
    if headers.topic not in TOPIC_EVENTS:
        raise BreachwatchError(
            f"this letter came from {headers.topic}: what came in a supplier's own format is taken again by "
            "`breachwatch adapters again`; then dismiss it"
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
    _record(settings, [message], "dead_letter_replayed", how)
    sent = send_all(cluster_of(settings), [_outgoing(settings, headers, _origin(headers), key, value, its_own)])[0]
    _mark(settings, [message], "replayed")
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
    _record(settings, [message], "dead_letter_replayed", f"{len(good)} messages as they were")
    send_all(cluster_of(settings), good)
    if not bad:
        _mark(settings, [message], "replayed")
    waits = "; the letter waits on, until it is dismissed" if bad else ""
    typer.echo(f"{len(good):,} messages sent to {topic}; {bad:,} would come back and were not sent{waits}")


@app.command()
def dismiss(
    places: Annotated[list[str], typer.Argument(metavar="PARTITION:OFFSET...", help="As `dead-letters list` shows.")],
    reason: Annotated[str, typer.Option(help="Why nobody need send it again; it is audited.")],
) -> None:
    """Say that a dead letter need not be sent again: it waits no more. Its bytes stay until their retention ends."""
    if not reason.strip():
        raise BreachwatchError("say with --reason why it need not be sent again")
    settings = load_settings()
    messages = _letters(settings, places)
    _record(settings, messages, "dead_letter_dismissed", reason)
    _mark(settings, messages, "dismissed")
    typer.echo(f"{len(messages)} dead letters dismissed")


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


def headers_of(message: Any) -> "DeadLetterHeaders":
    """The DeadLetterHeaders of a message of `dead-letters`; raises BreachwatchError where they are unreadable."""
    from streams.core.waiting_letters import read_letter

    headers = read_letter(message.headers)
    if headers is None:
        raise BreachwatchError(f"dead letter {_place(message)} has no readable headers: another program wrote it")
    return headers


def _place(message: Any) -> "LetterPlace":
    from streams.core.waiting_letters import Place as LetterPlace

    return LetterPlace(message.partition, message.offset)


def _origin(headers: "DeadLetterHeaders") -> str:
    return f"{headers.topic}/{headers.partition}/{headers.offset}"


def _messages(settings: "Settings") -> Iterator[Any]:
    """Letters, and marks of letters."""
    from streams.kafka.admin import cluster_of
    from streams.kafka.reading import read_all
    from streams.kafka.topics import full_name

    return read_all(cluster_of(settings), full_name(settings, "dead-letters"))


def _letters(settings: "Settings", places: Iterable[str]) -> list[Any]:
    """Those that lie there, each once. Raises BreachwatchError where there is none."""
    from streams.core.waiting_letters import read_mark

    wanted = dict.fromkeys(places)
    found = {
        place: message
        for message in _messages(settings)
        if (place := str(_place(message))) in wanted and read_mark(message.headers) is None
    }
    for place in wanted:
        if place not in found:
            raise BreachwatchError(f"there is no dead letter {place}: see `breachwatch dead-letters list`")
    return [found[place] for place in wanted]


def _record(settings: "Settings", messages: Iterable[Any], decision: str, why: str) -> None:
    """Audit it, before it is done."""
    from streams.cli.user import on_record
    from streams.core.waiting_letters import read_letter
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import send_all

    entries = []
    for message in messages:
        headers, place = read_letter(message.headers), ("dead-letters", message.partition, message.offset)
        about = "/".join(map(str, place)) if headers is None else _origin(headers)
        entries.append(on_record(settings, decision, why, about, "dead_letter", place))
    send_all(cluster_of(settings), entries)


def _mark(settings: "Settings", messages: Iterable[Any], how: Literal["replayed", "dismissed"]) -> None:
    """Nobody need do anything with these any more."""
    from schemas.internal import DeadLetterHandled
    from streams.cli.user import user
    from streams.core.waiting_letters import name_of, read_letter
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import Outgoing, send_all
    from streams.kafka.topics import full_name

    marks = []
    for message in messages:
        headers = read_letter(message.headers)
        mark = DeadLetterHandled(
            handled=how,
            by=user(),
            at=datetime.now(UTC),
            last_offset=None if headers is None else headers.last_offset,
        )
        key = name_of(message.key, headers, _place(message))
        marks.append(Outgoing(full_name(settings, "dead-letters"), key, b"", tuple(mark.to_kafka())))
    send_all(cluster_of(settings), marks)
