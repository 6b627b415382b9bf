"""The draft of one decision: the row being changed, the event, and the effects as they gather."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from schemas.base import Event
from schemas.internal import DeadlineDue, Routing, SubjectEvent
from schemas.orders import OrderData
from schemas.tasks import Alert, AuditEntry, TaskChange
from streams.core.chain import link
from streams.core.effects import Effects, cause_id
from streams.core.policy import Policy
from streams.core.records import Records
from streams.core.state import (
    MAX_HELD_BACK,
    MAX_TOLD,
    BreachFact,
    HeldBack,
    SafeguardingRow,
    SubjectState,
    TaskRow,
    short_id,
)

Severity = Literal["critical", "high", "medium", "low"]
Addressee = Literal["controller", "supervisor", "duty_inspector", "neighbouring_force", "safeguarding"]


def newest_orders(state: SubjectState, records: Records) -> list[OrderData]:
    """The newest version of each order of the subject that is here."""
    newest = [(ref.order_id, max(v.version for v in ref.versions)) for ref in state.orders.values() if ref.versions]
    return [records.order(order_id, version).data for order_id, version in newest]


class Draft:
    """What every rule works on. `now` is the log's time, kept monotone in the row: a broker's stepped clock
    cannot make a replay decide differently. A wake-up says how far the row's time has come at least, measured
    without the broker's clock: a step back must not keep a task waiting."""

    def __init__(
        self,
        state: SubjectState,
        records: Records,
        incoming: SubjectEvent,
        policy: Policy,
        appended_at: datetime,
        offset: int,
    ) -> None:
        self.state = state
        self.records = records
        self.routing: Routing = incoming.routing
        self.event: Event = incoming.event
        self.policy = policy
        self.offset = offset
        told = [self.event.time] if isinstance(self.event, DeadlineDue) else []
        self.now = max(appended_at, state.now or appended_at, *told)
        self.effects = Effects()
        self.touched: dict[str, TaskChange] = {}
        """Arrest tasks to send again, and the gravest that has changed on each; safeguarding tasks too."""

    @property
    def event_type(self) -> str:
        return str(getattr(self.event, "type"))  # noqa: B009 - each subclass declares its own literal

    def touch(self, owner: BreachFact | TaskRow | SafeguardingRow, change: TaskChange = TaskChange.DETAILS) -> None:
        """The task changed, or one of its breaches did."""
        owner_id = owner.safeguarding_id if isinstance(owner, SafeguardingRow) else owner.task_id
        if owner_id is not None:
            gravest = list(TaskChange)
            self.touched[owner_id] = max(self.touched.get(owner_id, change), change, key=gravest.index)

    def task(self, task_id: str | None) -> TaskRow | None:
        return next((task for task in self.state.tasks if task.task_id == task_id), None)

    def audit(self, decision: str, *reasons: str, orders: Sequence[str] = ()) -> None:
        """One decision and why, in words; `orders` are the versions considered, as `order/version`."""
        entry = AuditEntry(
            audit_id=cause_id(
                "audit", self.state.subject_id, self.event.event_id, str(self.offset), str(len(self.effects.audits))
            ),
            at=self.now,
            subject_id=self.state.subject_id,
            event_id=self.event.event_id,
            event_type=self.event_type,
            decision=decision,
            reasons=list(reasons),
            order_versions=list(orders),
            policy_version=self.policy.version,
            topic=self.routing.topic,
            partition=self.routing.partition,
            offset=self.routing.offset,
            exercise=self.state.exercise,
        )
        self.effects.audits += link(self.state, entry)

    def audit_when_done(self, decision: str, *reasons: str) -> AuditEntry:
        """An entry to be sent once something is done that a later event completes. It has its place in the chain now:
        which event that is, a crash may change, and an entry that is sent twice must be the same."""
        self.audit(decision, *reasons)
        return self.effects.audits.pop()

    def quietly(self, decision: str, reason: str) -> None:
        """A negative decision: the first in an hour is audited, with how many alike the hour before had."""
        if (repeats := self._first_in_hour(decision, reason)) is not None:
            self.audit(decision, reason + (f"; {repeats} alike since the last such entry" if repeats else ""))

    def duplicate(self) -> None:
        self.effects.duplicate = True
        self.quietly("duplicate", "this event id was already applied; it changes nothing")

    def _first_in_hour(self, *what: str) -> int | None:
        """None if this was already said within the hour; else how often it was held back before."""
        hour = int(self.now.timestamp()) // 3600
        key = hashlib.sha256("\x1f".join(what).encode()).hexdigest()[:8]
        last_hour, held_back = self.state.quiet.get(key, (0, 0))
        if last_hour == hour:
            self.state.quiet[key] = (hour, held_back + 1)
            return None
        self.state.quiet[key] = (hour, 0)
        return held_back

    def alert(
        self,
        kind: str,
        severity: Severity,
        text: str,
        *,
        task_id: str | None = None,
        breach_id: str | None = None,
        cause: Sequence[str] = (),
        to: Addressee | None = None,
        forces: Sequence[str] = (),
        order_id: str | None = None,
        since: datetime | None = None,
    ) -> None:
        """Raise an alert; its id comes from `cause`, or from the event where none is given.

        Where no forces are named it is for those that own the subject's orders.
        """
        self.effects.alerts.append(
            Alert(
                alert_id=cause_id("alert", kind, self.state.subject_id, *(cause or (self.event.event_id,))),
                kind=kind,
                severity=severity,
                at=self.now,
                text=text,
                subject_id=self.state.subject_id,
                task_id=task_id,
                breach_id=breach_id,
                event_id=self.event.event_id,
                to=to,
                forces=list(forces) or self._owning_forces(),
                order_id=order_id,
                since=since,
                exercise=self.state.exercise,
                traceparent=self.routing.traceparent,
            )
        )

    def _owning_forces(self) -> list[str]:
        return list(dict.fromkeys(order.owning_force for order in newest_orders(self.state, self.records)))

    def alert_once(
        self, kind: str, severity: Severity, text: str, cause: Sequence[str], *, to: Addressee | None = None
    ) -> None:
        """For an incident that goes on: raised when it begins, whatever its severity; `cause` names the incident."""
        name = short_id("\x1f".join((kind, *cause)))
        if name not in self.state.told:
            self.state.told = [*self.state.told, name][-MAX_TOLD:]
            self.alert(kind, severity, text, cause=cause, to=to)

    def alert_once_an_hour(self, kind: str, severity: Literal["medium", "low"], text: str, about: str) -> None:
        """For what a device or a sender repeats, never for what is grave: at most one an hour about one thing.

        How many were held back is on the next one, and in the audit when the hour is over.
        """
        hour = int(self.now.timestamp()) // 3600
        key = short_id(f"{kind}\x1f{about}")
        held = self.state.held_back.get(key)
        if held is not None and held.hour == hour:
            held.count += 1
            self.effects.suppressed.append(kind)
            return
        more = ""
        if held is not None:
            self.list_held_back(held)
            more = f" ({held.count} more since the last such alert)" if held.count else ""
        self.state.held_back.pop(key, None)
        self.state.held_back[key] = HeldBack(kind=kind, about=about, hour=hour)
        while len(self.state.held_back) > MAX_HELD_BACK:
            self.list_held_back(self.state.held_back.pop(next(iter(self.state.held_back))))
        self.alert(kind, severity, text + more, cause=(about, f"{self.now:%Y-%m-%dT%H}"))

    def list_held_back(self, held: HeldBack) -> None:
        """Say in the audit, once, how many alerts of one kind were held back in its hour."""
        if held.count and not held.listed:
            held.listed = True
            began = datetime.fromtimestamp(held.hour * 3600, tz=UTC)
            self.audit(
                "suppressed",
                f"{held.count} alerts of kind {held.kind} about {held.about} since {began:%Y-%m-%d %H:%M}Z",
            )
