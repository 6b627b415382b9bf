"""A row as it is stored: read, also where an older version wrote it, and written within its bound.

Any change to the fields of a row raises `VERSION` and adds a step, if only one that changes nothing: an older worker
refuses what it does not know, since it would write the row without it. Workers are replaced one after the other: each
takes its own partitions up again (static membership), so no older worker meets a newer row, unless one is away for
longer than the session timeout. Then the older ends, with a reason, until it is replaced too; nothing is lost.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from streams.core.resolve import is_exercise
from streams.core.state import ROW_LIMIT_BYTES, SubjectState, drop, ended_tasks, least_needed
from streams.errors import BreachwatchError

VERSION = 4
"""Of the rows that are written."""
_UNSTATED = 1
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda row: row,  # 2: alerts may name an order and a time
    2: lambda row: row,  # 3: a source may have a row, and a version of an order its source
    3: lambda row: row,  # 4: a task knows when somebody first acted, and the revisions of the newest move and news
}
"""Version -> how a row's JSON object of it becomes one of the next; kept for ever, as the changelog keeps rows."""


class NewerRowError(BreachwatchError):
    """A newer worker wrote this row: nothing is applied to it, and nothing is lost."""


class Head(NamedTuple):
    """What recovery and alarms need of a row; times in seconds since 1970."""

    wake_at: float | None
    now: float
    applied: int


_HEAD = re.compile(
    rb'\{"subject_id":"(?:[^"\\]|\\.)*",(?:"exercise":true,)?"revision":\d+,'
    rb'(?:"wake_at":"(?P<wake_at>[^"]+)",)?"now":"(?P<now>[^"]+)","applied":(?P<applied>\d+)[,}]'
)


def head(row: bytes) -> Head:
    """Of a row as it is stored: by its first bytes: 2 us, where all of a row of 19 KB takes 30."""
    found = _HEAD.match(row)
    fields = _whole(row) if found is None else {k: v.decode() for k, v in found.groupdict().items() if v}
    wake_at, now = (
        None if fields.get(name) is None else datetime.fromisoformat(fields[name]).timestamp()
        for name in ("wake_at", "now")
    )
    return Head(wake_at, now or 0.0, int(fields.get("applied", -1)))


def _whole(row: bytes) -> dict[str, Any]:
    """All fields of a row whose first bytes are not as we write them; ValueError for what is no row."""
    fields = orjson.loads(row)
    if not isinstance(fields, dict) or not isinstance(fields.get("subject_id"), str):
        raise ValueError("not a row")
    return fields


def load(row: bytes | str | None, subject_id: str) -> SubjectState:
    """The row as it was written, by this version or an older one, or a new one where there is none.

    Raises NewerRowError for a row of a later version, and pydantic.ValidationError for what is no row.
    """
    if row is None:
        return SubjectState(subject_id=subject_id, exercise=is_exercise(subject_id))
    try:
        state = SubjectState.model_validate_json(row)
        if state.version == VERSION:
            return state
    except ValidationError:
        if _version(row) == VERSION:
            raise
    stored = orjson.loads(row)
    version = _version(row)
    if version > VERSION:
        raise NewerRowError(
            f"a row of version {version}, and this worker reads up to {VERSION}: a newer worker wrote it; start that"
        )
    while version < VERSION:
        stored = UPGRADES[version](stored)
        version += 1
    return SubjectState.model_validate_json(orjson.dumps(stored | {"version": VERSION}))


def _version(row: bytes | str) -> int:
    """The version that a row states; of what is no row, or states none that there can be, ours."""
    try:
        version = orjson.loads(row).get("version", _UNSTATED)
    except (ValueError, AttributeError):
        return VERSION
    return version if type(version) is int and version >= _UNSTATED else VERSION


def dump(state: SubjectState) -> bytes:
    """The row as it is written: fitted to its bound where it is too long."""
    state.version = VERSION
    row = state.model_dump_json(exclude_defaults=True).encode()
    if len(row) > ROW_LIMIT_BYTES:
        row = fit(state)
    assert len(row) <= ROW_LIMIT_BYTES, f"a row of {len(row)} bytes outgrew its bound"
    return row


def fit(state: SubjectState) -> bytes:
    """Give up what is needed least until the row fits: one thing after the other, as `_givings_up` lists them.

    Never a live task nor an order, nor its newest breach; all that goes is in the log.
    """
    row = b""
    for _ in _givings_up(state):
        row = state.model_dump_json(exclude_defaults=True).encode()
        if len(row) <= ROW_LIMIT_BYTES:
            break
    return row


def _givings_up(state: SubjectState) -> Iterator[None]:
    ended = ended_tasks(state)
    for task in ended:  # the history of ended tasks but its last entry
        task.history = task.history[-1:]
    yield
    over = {task.task_id for task in ended}
    while any(fact.task_id in over for fact in state.breaches):  # breaches of ended tasks, oldest first
        drop(state, least_needed(state))
        yield
    for task in [task for task in ended if task is not state.tasks[-1]]:  # ended tasks but the newest task
        state.tasks.remove(task)
        yield
    for row in state.safeguarding[:-1]:  # the safeguarding task before the newest: its history but the last entry
        row.history = row.history[-1:]
    state.held_back.clear()  # the log has the first alert of each; what was held back of this hour is not listed
    yield
    state.quiet.clear()  # counters of repeated negatives: one more entry in the hour
    yield
    for task in state.tasks:  # the live task's history but its first and its newest entries
        task.history = [*task.history[:1], *task.history[1:][-5:]]
    for row in state.safeguarding:
        row.history = [*row.history[:1], *row.history[1:][-3:]]
    yield
    while len(state.known) > 20:  # ids of old events: a repeat has the same effect ids
        del state.known[next(iter(state.known))]
        yield
    for fixes in state.partners.values():  # protected persons' older positions
        del fixes[:-10]
    yield
    in_zones = {key.rsplit("|", 1)[1] for key in state.tracks}
    for track in sorted(state.devices.keys() - in_zones, key=lambda t: str(state.devices[t].newest))[:-5]:
        del state.devices[track]  # devices outside every zone, the longest silent first
        yield
    while len(state.breaches) > 1:  # the live task's older breaches; its count goes on
        drop(state, least_needed(state))
        yield
    state.partners.clear()
    yield
