"""What people type when they enter an order or a report by hand: times, places, and the event around them."""

import uuid
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from streams.errors import BreachwatchError

LONDON = ZoneInfo("Europe/London")
SOURCE = "breachwatch/by-hand"


def moment(text: str, option: str) -> datetime:
    """A time as written on paper, `2026-11-25 03:10` in Europe/London, or with an offset; in UTC.

    Raises BreachwatchError for a local time that the clocks skipped, or had twice: say the offset then.
    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BreachwatchError(f"{option}: {text!r} is not a time such as 2026-11-25 03:10") from None
    if at.tzinfo is not None:
        return at.astimezone(UTC)
    first, second = at.replace(tzinfo=LONDON, fold=0), at.replace(tzinfo=LONDON, fold=1)
    if first.utcoffset() != second.utcoffset():
        gone = first.astimezone(UTC).astimezone(LONDON).replace(tzinfo=None) != at
        what = "does not exist: the clocks went forward" if gone else "was twice: the clocks went back"
        raise BreachwatchError(f"{option}: {text} {what}; write it with its offset, as in {text}+00:00")
    return first.astimezone(UTC)


def place(text: str, option: str, numbers: int) -> list[float]:
    """`LAT,LON` or `LAT,LON,METRES` as numbers; raises BreachwatchError for anything else."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != numbers:
        shape = "LAT,LON, such as 53.8,-1.55" if numbers == 2 else "LAT,LON,METRES, such as 53.8,-1.55,200"
        raise BreachwatchError(f"{option}: {text!r} is not {shape}")
    return found


def by_hand(kind: str, data: dict[str, Any], at: datetime, *, exercise: bool) -> dict[str, Any]:
    """The JSON object of an event that a person enters now."""
    from schemas.base import format_time

    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": SOURCE,
        "type": kind,
        "time": format_time(at),
        "recordedtime": format_time(datetime.now(UTC)),
        "schemaversion": 1,
        "exercise": exercise,
        "data": {name: value for name, value in data.items() if value not in (None, [])},
    }


def publish(topic: str, body: dict[str, Any], *, dry_run: bool) -> str:
    """Check the event and send it; where it went, in words. Raises BreachwatchError naming what is wrong."""
    import orjson

    from schemas.inbound import BadMessageError, decode
    from streams.cli import load_settings
    from streams.core.keys import message_key
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import Outgoing, send_all
    from streams.kafka.topics import full_name

    value = orjson.dumps(body)
    try:
        event = decode(topic, value)
    except BadMessageError as error:
        raise BreachwatchError(f"nothing was sent: {error.detail}") from None
    if dry_run:
        return orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
    settings = load_settings()
    (sent,) = send_all(cluster_of(settings), [Outgoing(full_name(settings, topic), message_key(event), value)])
    return f"sent to {topic}, partition {sent.partition}, offset {sent.offset}; event {body['id']}"
