"""A snapshot file of orders, compared with the orders that workers have; what differs is told and put on the record.

Known is what stands in the rows of the workers' tables and the records beside them, in their changelogs. Not what
lies in `orders`: that topic keeps 30 days where orders last for years, and an order that lies there and was set aside
as unusable is one that nobody acts on.
"""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from schemas.inbound import BadMessageError, decode
from schemas.orders import Order
from schemas.tasks import Alert, AuditEntry
from streams.adapters.orders_csv import Line, lines, load_map
from streams.core.clocks import london_day
from streams.core.effects import cause_id
from streams.core.reconcile import (
    Difference,
    Known,
    Reconciled,
    Stated,
    What,
    known_orders,
    stated_by_event,
    stated_by_row,
)
from streams.core.records import Records
from streams.core.resolve import is_exercise
from streams.core.rows import load
from streams.errors import BreachwatchError
from streams.kafka.admin import cluster_of
from streams.kafka.client import connect
from streams.kafka.lag import ends, uncommitted
from streams.kafka.reading import newest_values, read_all
from streams.kafka.sending import Outgoing
from streams.kafka.topics import full_name, topic_specs
from streams.outbound import outbound
from streams.settings import Settings
from streams.tables import stamp

SNAPSHOT = "order_snapshot"
"""On the record, in the place of an event's type."""
_LOOK_EVERY_S = 0.2


# -- the file ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Snapshot:
    """What a file says."""

    stated: list[Stated]
    unread: list[Line]
    """Lines that are no order that can be compared, with what is wrong with each."""
    sha256: str
    """Of the file, hex."""

    @property
    def name(self) -> str:
        """On the record, in the place of an event's id."""
        return f"snapshot#{self.sha256}"

    @property
    def lines(self) -> int:
        return len(self.stated) + len(self.unread)

    @property
    def unread_ids(self) -> frozenset[str]:
        return frozenset(line.order_id for line in self.unread if line.order_id is not None)


def read_snapshot(file: Path, columns: Path | None, now: datetime) -> Snapshot:
    """The orders of an export, CSV by a map of its columns, or without one of JSON lines, an `order` event each.

    Raises BreachwatchError where the file or the map as a whole cannot be read.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise BreachwatchError(f"{file}: cannot be read: {error.strerror}") from None
    read = list(_events(raw) if columns is None else _rows(file, columns, now))
    return Snapshot(
        [each for each in read if isinstance(each, Stated)],
        [each for each in read if isinstance(each, Line)],
        hashlib.sha256(raw).hexdigest(),
    )


def _rows(file: Path, columns: Path, now: datetime) -> Iterator[Stated | Line]:
    for line in lines(file, load_map(columns), now, whole=False):
        event = None if line.value is None else decode("orders", line.value)
        yield stated_by_row(event, line.stated) if isinstance(event, Order) else line


def _events(raw: bytes) -> Iterator[Stated | Line]:
    for number, value in enumerate(raw.split(b"\n"), 1):
        if not value.strip():
            continue
        try:
            event = decode("orders", value)
        except BadMessageError as error:
            yield Line(number, None, f"{error.reason}: {error.detail}", _order_id(value))
            continue
        if not isinstance(event, Order):
            yield Line(number, None, "a snapshot states orders, one `order` event a line, and nothing else")
        elif event.exercise:
            yield Line(number, None, "an exercise: a snapshot states what courts have made", event.data.order_id)
        else:
            yield stated_by_event(event)


def _order_id(value: bytes) -> str | None:
    """The order that a line which is no event names, if it does."""
    try:
        named = orjson.loads(value)["data"]["order_id"]
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    return named if isinstance(named, str) else None


# -- what is known -------------------------------------------------------------------------------------------------


def taken_in(settings: Settings, within_s: float) -> None:
    """Return when workers have taken in all that lies in `orders` now.

    Raises BreachwatchError when they have not within so many seconds: what waits there would look as if it were
    missing.
    """
    deadline = time.monotonic() + within_s
    with connect(cluster_of(settings)) as client:
        # In the order of the flow: what is committed in the one has its events in the other.
        for name in ("orders", "subject-events"):
            until = ends(client, [full_name(settings, name)])
            while left := uncommitted(client, f"{settings.topic_prefix}breachwatch", until):
                if time.monotonic() > deadline:
                    raise BreachwatchError(
                        f"nothing was compared: workers have not taken in {sum(left.values()):,} messages of {name} "
                        f"within {within_s:g} s, and their orders would look as if they were missing: see "
                        "`breachwatch doctor`, or wait longer with --wait"
                    )
                time.sleep(_LOOK_EVERY_S)


def known(settings: Settings, at: datetime) -> Iterator[Known]:
    """Every order that workers know of, exercises apart, as it stands at a moment.

    One whose row cannot be read is not among them: no worker can act on it (`breachwatch verify` names the row).
    Raises BreachwatchError where the changelogs cannot be read, or hold rows of a newer version than this one's.
    """
    cluster = cluster_of(settings)
    subjects, records = (full_name(settings, f"breachwatch-{name}-changelog") for name in ("subjects", "records"))
    for number in range(topic_specs(settings)[0].partitions):
        rows, _ = newest_values(read_all(cluster, subjects, partition=number), later=stamp)
        # After the rows: an order is in the records before a row refers to it. Evidence, which is most, is not kept.
        texts, _ = newest_values(each for each in read_all(cluster, records, partition=number) if b"|o|" in each.key)
        beside: dict[str, dict[bytes, bytes]] = {}
        for key, value in texts.items():
            beside.setdefault(key.decode().split("|", 1)[0], {})[key] = value
        for key, row in rows.items():
            subject = key.decode()
            if is_exercise(subject):
                continue
            try:
                state = load(row, subject)
            except ValidationError:
                continue
            yield from known_orders(state, Records(subject, beside.get(subject, {}), set()), at)


# -- what is told --------------------------------------------------------------------------------------------------

_SEVERITIES = {What.MISSING: "critical", What.DIFFERS: "high", What.EXTRA: "medium"}
_TEXTS = {
    What.MISSING: (
        "order {order} is in force by the snapshot of {day}, and not here: {details}. No breach of it is seen until "
        "it is published"
    ),
    What.DIFFERS: (
        "order {order} is not as the snapshot of {day} states it: {details}. What is known here stands until a new "
        "version is published: ask the court or records system which is right"
    ),
    What.EXTRA: (
        "order {order} is in force here, and not in the snapshot of {day}: ask whether a court has ended it. It "
        "stays in force until an order_ended event says so"
    ),
}
_WORDS = {What.MISSING: "missing here", What.DIFFERS: "different", What.EXTRA: "in force here alone"}
_HOW_TO_SEE = "see `breachwatch orders reconcile FILE --dry-run`"


def alerts(found: Reconciled, snapshot: Snapshot, at: datetime, now: datetime, *, every: bool) -> list[Alert]:
    """What people must see. The same differences on one London day of `at` have the same ids, however often.

    Where there are so many that the snapshot is doubtful, one alert says that in place of each, unless `every`.
    """
    day = london_day(at)
    doubtful = [] if every else found.doubtful()
    told = [_of_order(each, day, now) for each in found.differences if each.what not in doubtful]
    if doubtful:
        counts = ", ".join(f"{len(found.of(what))} orders {_WORDS[what]}" for what in doubtful)
        text = (
            f"the snapshot of {day}, of {found.stated} orders, and the {found.in_force_here} in force here are far "
            f"apart: {counts}. Either the file is not whole, or more is wrong here than single orders: "
            f"{_HOW_TO_SEE}; with --all each is told"
        )
        cause = (day, snapshot.sha256, *doubtful)
        severity = "critical" if What.MISSING in doubtful else "high"
        told.append(_alert("order_snapshot_doubtful", severity, text, now, cause))
    if snapshot.unread:
        text = (
            f"{len(snapshot.unread)} of {snapshot.lines} lines of the snapshot of {day} cannot be read, and their "
            f"orders were not compared: {_HOW_TO_SEE}"
        )
        told.append(_alert("order_snapshot_unread", "high", text, now, (day, snapshot.sha256)))
    return told


def _of_order(each: Difference, day: str, now: datetime) -> Alert:
    text = _TEXTS[each.what].format(order=each.order_id, day=day, details=", ".join(each.details))
    cause = (day, each.order_id, *each.details)
    return _alert(
        each.what,
        _SEVERITIES[each.what],
        text,
        now,
        cause,
        order_id=each.order_id,
        subject_id=each.subject_id,
        forces=[] if each.force is None else [each.force],
    )


def _alert(kind: str, severity: str, text: str, now: datetime, cause: tuple[str, ...], **more: Any) -> Alert:
    stated = {"kind": str(kind), "severity": severity, "at": now, "text": text, **more}
    return Alert.model_validate({"alert_id": cause_id("alert", kind, *cause), **stated})


def audits(snapshot: Snapshot, told: list[Alert]) -> list[AuditEntry]:
    """One for each alert, repeated under the same id with it."""
    return [
        AuditEntry(
            audit_id=cause_id("audit", alert.alert_id),
            at=alert.at,
            subject_id=alert.subject_id or "-",
            event_id=snapshot.name,
            event_type=SNAPSHOT,
            decision=alert.kind,
            reasons=[alert.text],
            order_versions=[],
            policy_version="-",
            topic="-",
            partition=0,
            offset=0,
        )
        for alert in told
    ]


def messages(settings: Settings, told: list[Alert], entries: list[AuditEntry]) -> list[Outgoing]:
    """Alerts and audit entries as they are sent."""
    sent = [
        *(("alerts", outbound("alerts", each)) for each in told),
        *(("audit", outbound("audit", each)) for each in entries),
    ]
    return [Outgoing(full_name(settings, topic), key, value, tuple(headers)) for topic, (key, value, headers) in sent]


def ran(found: Reconciled, snapshot: Snapshot, at: datetime, source: str | None) -> str:
    """What was compared and what came of it, for the record."""
    return (
        f"a snapshot of {snapshot.lines} lines, {len(snapshot.unread)} not read, SHA-256 {snapshot.sha256}, as of "
        f"{at:%Y-%m-%d %H:%M:%S}Z, with the orders of {source or 'every source'}: {summary(found)}"
    )


def summary(found: Reconciled) -> str:
    """One line of counts."""
    counts = ", ".join(f"{len(found.of(what))} {_WORDS[what]}" for what in What)
    unknown = f" ({found.of_unknown_source} of no known source, not expected)" if found.of_unknown_source else ""
    return (
        f"{found.stated} orders in the snapshot, {found.in_force_by_it} in force by it; {found.in_force_here} in "
        f"force here{unknown}: {counts}"
    )


def report(found: Reconciled, snapshot: Snapshot) -> list[str]:
    """A line for each difference and each line that cannot be read, then the counts."""
    return [
        *(f"order {each.order_id}: {_WORDS[each.what]}{_because(each)}" for each in found.differences),
        *(f"line {line.number}: NOT READ: {line.said}" for line in snapshot.unread),
        summary(found),
    ]


def _because(each: Difference) -> str:
    return f": {', '.join(each.details)}" if each.details else ""


def as_object(found: Reconciled, snapshot: Snapshot, told: list[Alert], at: datetime) -> dict[str, Any]:
    """The report for programs; `told` are the alerts."""
    return {
        "sha256": snapshot.sha256,
        "as_of": at,
        "stated": found.stated,
        "in_force_by_snapshot": found.in_force_by_it,
        "in_force_here": found.in_force_here,
        "of_unknown_source": found.of_unknown_source,
        "missing": [{"order_id": d.order_id, "why": d.details} for d in found.of(What.MISSING)],
        "differing": [{"order_id": d.order_id, "fields": d.details} for d in found.of(What.DIFFERS)],
        "extra": [{"order_id": d.order_id} for d in found.of(What.EXTRA)],
        "unread": [{"line": line.number, "why": line.said} for line in snapshot.unread],
        "doubtful": found.doubtful(),
        "alerts": [{"alert_id": alert.alert_id, "kind": alert.kind} for alert in told],
    }
