"""`breachwatch publish TOPIC FILE`: publish events from JSON lines, after checking every one."""

import sys
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import typer

from streams.cli import load_settings
from streams.errors import BreachwatchError


def command(
    topic: Annotated[str, typer.Argument(help="An inbound topic, such as orders or breach-reports.")],
    file: Annotated[str, typer.Argument(help="JSON lines, one event each; - for standard input.")],
    validate: Annotated[bool, typer.Option(help="Check every line before anything is sent.")] = True,
    check: Annotated[bool, typer.Option("--check", help="Only check; send nothing.")] = False,
) -> None:
    """Publish the events of FILE to TOPIC; nothing is sent unless every line is valid."""
    from schemas.inbound import TOPIC_EVENTS

    lines = _lines(file)
    if topic not in TOPIC_EVENTS:
        raise BreachwatchError(f"{topic} is not an inbound topic; those are: {', '.join(TOPIC_EVENTS)}")
    keyed = checked(topic, lines) if validate or check else [(None, line) for _, line in lines]
    if check:
        typer.echo(f"{len(keyed)} events are valid; nothing was sent")
        return
    from streams.kafka.admin import bootstrap
    from streams.kafka.sending import Outgoing, send_all
    from streams.kafka.topics import full_name

    settings = load_settings()
    full = full_name(settings, topic)
    placed = send_all(bootstrap(settings), [Outgoing(full, key, line) for key, line in keyed], _progress(len(keyed)))
    offsets: dict[int, list[int]] = defaultdict(list)
    for sent in placed:
        offsets[sent.partition].append(sent.offset)
    typer.echo(f"{len(placed)} events acknowledged on {full}")
    for partition in sorted(offsets):
        typer.echo(f"  partition {partition}: offsets {min(offsets[partition])} to {max(offsets[partition])}")


def _lines(file: str) -> list[tuple[int, bytes]]:
    """(line number, line) of every line that is not blank."""
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise BreachwatchError(f"{file}: {error.strerror}") from None
    return [(number, line) for number, line in enumerate(raw.split(b"\n"), 1) if line.strip()]


def checked(topic: str, lines: list[tuple[int, bytes]]) -> list[tuple[bytes | None, bytes]]:
    """(key, line) of every line; raises BreachwatchError naming each line that is not an event of the topic."""
    from schemas.inbound import BadMessageError, decode
    from streams.core.keys import message_key

    good: list[tuple[bytes | None, bytes]] = []
    wrong: list[str] = []
    for number, line in lines:
        try:
            good.append((message_key(decode(topic, line)), line))
        except BadMessageError as error:
            wrong.append(f"line {number}: {error.reason}: {error.detail}")
    if wrong:
        shown = "\n".join(wrong[:20]) + (f"\nand {len(wrong) - 20} more" if len(wrong) > 20 else "")
        raise BreachwatchError(f"nothing was sent; {len(wrong)} of {len(lines)} lines are not valid:\n{shown}")
    return good


def _progress(total: int):  # type: ignore[no-untyped-def]
    def show(done: int) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\r{done}/{total} acknowledged", err=True, nl=done == total)

    return show
