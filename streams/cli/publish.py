"""`breachwatch publish TOPIC FILE`: publish events from JSON lines, after checking every one."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from streams.cli import load_settings
from streams.errors import BreachwatchError

MAX_SHOWN = 20

Line = tuple[int, bytes]
"""A line's number, from 1, and its bytes without the line's end."""


def command(
    topic: Annotated[str, typer.Argument(help="An inbound topic, such as orders or breach-reports.")],
    file: Annotated[str, typer.Argument(help="JSON lines, one event each; - for standard input.")],
    validate: Annotated[
        bool, typer.Option(help="Check every line before anything is sent; without, bytes go as they are.")
    ] = True,
    check: Annotated[bool, typer.Option("--check", help="Only check; send nothing.")] = False,
) -> None:
    """Publish the events of FILE to TOPIC; nothing is sent unless every line is valid."""
    must_take(topic, raw=not validate and not check)
    settings = load_settings()
    lines = _lines(file)
    keyed = checked(topic, lines, settings.max_message_bytes) if validate or check else unchecked(topic, lines)
    if check:
        typer.echo(f"{len(keyed)} events are valid; nothing was sent")
        return
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import Outgoing, send_all
    from streams.kafka.topics import full_name

    full = full_name(settings, topic)
    with _progress(len(keyed)) as show:
        placed = send_all(cluster_of(settings), [Outgoing(full, key, line) for key, line in keyed], show)
    offsets: dict[int, list[int]] = defaultdict(list)
    for sent in placed:
        offsets[sent.partition].append(sent.offset)
    typer.echo(f"{len(placed)} events acknowledged on {full}")
    for partition in sorted(offsets):
        typer.echo(f"  partition {partition}: offsets {min(offsets[partition])} to {max(offsets[partition])}")


def must_take(topic: str, *, raw: bool) -> None:
    """Raise BreachwatchError unless people may publish to `topic`.

    `raw` bytes may go to an internal topic too, but not to a compacted one: Kafka takes nothing without a key there.
    """
    from schemas.inbound import TOPIC_EVENTS
    from streams.kafka.topics import BY_NAME

    internal = {name: topic for name, topic in BY_NAME.items() if topic.direction == "internal"}
    if topic in TOPIC_EVENTS or (raw and topic in internal and "compact" not in internal[topic].cleanup):
        return
    if raw and topic in internal:
        raise BreachwatchError(f"{topic} is compacted: it takes nothing without a key, and a line has none")
    raise BreachwatchError(f"{topic} is not an inbound topic; those are: {', '.join(TOPIC_EVENTS)}")


def _lines(file: str) -> list[Line]:
    """Every line that is not blank."""
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise BreachwatchError(f"{file}: {error.strerror}") from None
    return [(number, line) for number, line in enumerate(raw.split(b"\n"), 1) if line.strip()]


def checked(topic: str, lines: list[Line], max_bytes: int | None = None) -> list[tuple[bytes | None, bytes]]:
    """(key, line) of every line; raises BreachwatchError naming each line that is not an event of the topic.

    `max_bytes` is the size above which the pipeline would set a message aside.
    """
    from schemas.inbound import BadMessageError, decode
    from streams.core.keys import message_key

    good: list[tuple[bytes | None, bytes]] = []
    wrong: list[str] = []
    for number, line in lines:
        try:
            good.append((message_key(decode(topic, line, max_bytes)), line))
        except BadMessageError as error:
            wrong.append(f"line {number}: {error.reason}: {error.detail}")
    _refuse(wrong, len(lines), "valid")
    return good


def unchecked(topic: str, lines: list[Line]) -> list[tuple[bytes | None, bytes]]:
    """(key, line) of every line, as it is; raises BreachwatchError naming each that is larger than `topic` takes.

    The broker measures the batch, a few bytes more than the value: it has the last word on what is just below.
    The key is the subject's where the topic is one of ours, whose partitions are the subjects', and None elsewhere.
    """
    from streams.kafka.topics import BY_NAME

    most, ours = BY_NAME[topic].max_message_bytes, BY_NAME[topic].direction == "internal"
    large = [(number, len(line)) for number, line in lines if len(line) > most]
    wrong = [f"line {number}: {size} bytes; {topic} takes at most {most}" for number, size in large]
    _refuse(wrong, len(lines), "of a size that can be sent")
    return [(_subject_of(line) if ours else None, line) for _, line in lines]


def _subject_of(line: bytes) -> bytes | None:
    import orjson

    try:
        subject = orjson.loads(line)["subject_id"]
    except (ValueError, TypeError, KeyError):
        return None
    return subject.encode() if isinstance(subject, str) else None


def _refuse(wrong: list[str], total: int, what: str) -> None:
    if wrong:
        more = len(wrong) - MAX_SHOWN
        shown = "\n".join(wrong[:MAX_SHOWN]) + (f"\nand {more} more" if more > 0 else "")
        raise BreachwatchError(f"nothing was sent; {len(wrong)} of {total} lines are not {what}:\n{shown}")


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while a person watches; nothing where it is a file or a pipe."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("acknowledged", total=total)
        yield lambda done: bar.update(task, completed=done)
