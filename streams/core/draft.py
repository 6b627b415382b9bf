"""The draft of one decision: the row being changed, the event, and the effects as they gather."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from schemas.base import Event
from schemas.internal import Routing, SubjectEvent
from schemas.tasks import Alert, AuditEntry
from streams.core.chain import link
from streams.core.effects import Effects, cause_id
from streams.core.policy import Policy
from streams.core.records import Records
from streams.core.state import BreachFact, SubjectState, TaskRow

Severity = Literal["critical", "high", "medium", "low"]


class Draft:
    """What every rule works on. `now` is the log's time, kept monotone in the row: a broker's stepped clock
    cannot make a replay decide differently."""

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
        self.now = max(appended_at, state.now) if state.now else appended_at
        self.effects = Effects()
        self.touched: set[str] = set()
        """Tasks to send again."""

    @property
    def event_type(self) -> str:
        return str(getattr(self.event, "type"))  # noqa: B009 - each subclass declares its own literal

    def touch(self, owner: BreachFact | TaskRow) -> None:
        """The task changed, or one of its breaches did."""
        if owner.task_id is not None:
            self.touched.add(owner.task_id)

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

    def quietly(self, decision: str, reason: str) -> None:
        """A negative decision: the first in an hour is audited, with how many alike the hour before had."""
        if (repeats := self._first_in_hour(decision, reason)) is not None:
            self.audit(decision, reason + (f"; {repeats} alike since the last such entry" if repeats else ""))

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
    ) -> None:
        """Raise an alert; its id comes from `cause`, or from the event where none is given."""
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
                exercise=self.state.exercise,
                traceparent=self.routing.traceparent,
            )
        )

    def alert_once_an_hour(self, kind: str, severity: Severity, text: str, about: str) -> None:
        """For what a device or a sender repeats: at most one an hour, saying how many were held back."""
        held_back = self._first_in_hour("alert", kind, about)
        if held_back is not None:
            more = f" ({held_back} more since the last such alert)" if held_back else ""
            self.alert(kind, severity, text + more, cause=(about, f"{self.now:%Y-%m-%dT%H}"))
