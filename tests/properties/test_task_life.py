"""Whatever happens to a task, with crashes and clocks that step: it is not lost, doubled or quietly closed."""

from datetime import datetime, timedelta

from builders import (
    MADE,
    NOW,
    POLICY,
    Subject,
    away,
    custody,
    fix,
    order,
    order_ended,
    order_served,
    report,
    retraction,
    update,
    wake,
)
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas.base import Event
from schemas.tasks import Alert, ArrestTask, TaskChange, TaskState
from schemas.updates import TaskUpdate
from streams.core.effects import Effects
from streams.core.transitions import ANYBODY, LIVE, SENIOR, TRANSITIONS, WAITING

PEOPLE_DO = [*(action for action, move in TRANSITIONS.items() if move.roles & ANYBODY), "note", "link"]
SECONDS = st.sampled_from([0, 1, 30, 59, 119, 300, 601, 900, 3_600, 7_200, 40_000])
EARLIER = st.sampled_from([0, 0, 0, 5, 400, 4_000])
OUTSIDE = away(east_m=4000)


class TaskLife(RuleBasedStateMachine):
    """One subject's row, driven as the log would drive it; `clock` is the broker's."""

    def __init__(self) -> None:
        super().__init__()
        self.subject = Subject()
        self.clock: datetime = NOW
        self.log: list[tuple[Event, datetime]] = []
        self.committed = 0
        self.snapshots: dict[str, ArrestTask] = {}
        self.alerts: dict[str, Alert] = {}
        self.answered: set[str] = set()
        self.updates: set[str] = set()

    # -- what happens ------------------------------------------------------------------------------------------

    def feed(self, event: Event) -> Effects:
        self.subject.committed = self.committed
        effects = self.subject.feed(event, now=self.clock, commits=False)
        self.log.append((event, self.clock))
        if isinstance(event, TaskUpdate):
            self.updates.add(event.event_id)
        self.check(effects, replayed=False)
        if effects.commit_now:
            self.committed = len(self.log)
        return effects

    @initialize(risk=st.sampled_from(["standard", "high", None]), offence=st.sampled_from(["spo_full", "dapn"]))
    def an_order(self, risk: str | None, offence: str) -> None:
        self.clock = MADE
        self.feed(order(risk=risk, kind=offence, notifies_elsewhere=True))
        self.clock = NOW

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: int) -> None:
        self.clock += timedelta(seconds=seconds)

    @rule(seconds=st.sampled_from([5, 600, 7_200]))
    def the_clock_steps_back(self, seconds: int) -> None:
        self.clock -= timedelta(seconds=seconds)

    @rule(inside=st.booleans(), earlier=EARLIER)
    def a_fix(self, inside: bool, earlier: int) -> None:
        self.feed(fix(self.clock - timedelta(seconds=earlier), None if inside else OUTSIDE))

    @rule(nature=st.sampled_from(["contact", "other"]), earlier=EARLIER)
    def a_report(self, nature: str, earlier: int) -> None:
        self.feed(report(self.clock - timedelta(seconds=earlier), nature))

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def a_source_takes_something_back(self, data: st.DataObject) -> None:
        event, _ = data.draw(st.sampled_from(self.log[-8:]))
        self.feed(retraction(event.id, at=self.clock))

    @rule(earlier=st.sampled_from([0, 600, 86_400]))
    def the_order_ends(self, earlier: int) -> None:
        self.feed(order_ended(at=self.clock - timedelta(seconds=earlier)))

    @rule()
    def it_is_served(self) -> None:
        self.feed(order_served(at=self.clock - timedelta(seconds=60)))

    @rule(
        state=st.sampled_from(["arrested", "detained", "bailed", "released", "recalled", "escaped"]), earlier=EARLIER
    )
    def custody_says(self, state: str, earlier: int) -> None:
        self.feed(custody(state, self.clock - timedelta(seconds=earlier)))

    @precondition(lambda self: self.snapshots)
    @rule(
        data=st.data(),
        action=st.sampled_from(PEOPLE_DO),
        role=st.sampled_from(sorted(ANYBODY)),
        whole=st.sampled_from([True, True, True, False]),
        earlier=EARLIER,
    )
    def somebody_acts(self, data: st.DataObject, action: str, role: str, whole: bool, earlier: int) -> None:
        task_id = data.draw(st.sampled_from([*self.snapshots, "no-such-task"]))
        fields = {"assignee": "unit 1", "reason": "because", "outcome": "no_trace", "incident": "WYP/1"}
        more = fields if whole or action == "link" else {}
        self.feed(update(task_id, action, self.clock - timedelta(seconds=earlier), role, **more))

    @rule(broker_keeps_time=st.booleans())
    def it_is_woken(self, broker_keeps_time: bool) -> None:
        """The worker has waited by its monotonic clock; the broker's may have been set back meanwhile."""
        due = self.subject.state.wake_at or self.clock
        if broker_keeps_time:
            self.clock = max(self.clock, due)
        self.feed(wake(due))

    @rule()
    def it_is_woken_for_nothing(self) -> None:
        self.feed(wake(self.clock))

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def something_comes_again(self, data: st.DataObject) -> None:
        event, _ = data.draw(st.sampled_from(self.log[-10:]))
        self.feed(event)

    @rule()
    def offsets_are_committed(self) -> None:
        self.committed = len(self.log)

    @rule()
    def the_worker_dies(self) -> None:
        """Another reads on from what was committed."""
        for offset in range(self.committed, len(self.log)):
            event, at = self.log[offset]
            self.check(self.subject.replay(event, offset=offset, committed=self.committed, now=at), replayed=True)
        self.subject.offset = len(self.log) - 1
        self.subject.committed = self.committed

    # -- what must hold ----------------------------------------------------------------------------------------

    def check(self, effects: Effects, *, replayed: bool) -> None:
        note(f"{[alert.kind for alert in effects.alerts]} {[(t.state, t.revision) for t in effects.tasks]}")
        known = {event.event_id for event, _ in self.log}
        for alert in effects.alerts:
            assert alert.event_id in known, "an alert without a cause"
            before = self.alerts.setdefault(alert.alert_id, alert)
            if alert.kind in REPEATED:
                assert (before.kind, before.text) == (alert.kind, alert.text)
                continue
            assert before == alert, "one id, two contents"
            assert replayed or before is alert, f"{alert.kind} was raised twice"
        for answer in effects.answers:
            assert answer.event_id in self.updates
            assert answer.accepted or answer.reason
            self.answered.add(answer.event_id)
        for task in effects.tasks:
            self.check_task(self.snapshots.get(task.task_id), task, replayed=replayed)
            self.snapshots[task.task_id] = task

    def check_task(self, before: ArrestTask | None, task: ArrestTask, *, replayed: bool) -> None:
        assert (task.outcome is not None) == (task.state is TaskState.CLOSED), "closed without an outcome"
        if before is None:
            assert (task.state, task.change) == (TaskState.OPEN, TaskChange.OPENED)
            return
        assert task.revision > before.revision or (replayed and task.revision == before.revision)
        if before.state in (TaskState.CLOSED, TaskState.WITHDRAWN):
            assert task.state is before.state, "a final state was left"
        if task.state is not before.state:
            assert any(
                before.state in move.starts and (move.to or task.state) is task.state for move in TRANSITIONS.values()
            ), f"no move leads from {before.state} to {task.state}"
        if task.change is not TaskChange.WANTED_AGAIN:
            assert task.deadline <= before.deadline, "a deadline moved later"
        names = [grade.name for grade in POLICY.grades]
        assert names.index(task.grade) <= names.index(before.grade), "a grade fell"
        same_wait = before.state in WAITING and task.state in WAITING and not replayed
        quiet = task.change not in (TaskChange.WANTED_AGAIN, TaskChange.ESCALATED)
        if same_wait and quiet and not self.last_was_a_person():
            assert before.next_escalation_at is not None
            assert task.next_escalation_at is not None
            assert task.next_escalation_at <= before.next_escalation_at, "a step moved later"

    def last_was_a_person(self) -> bool:
        """`keep` begins a new wait."""
        return isinstance(self.log[-1][0], TaskUpdate)

    @invariant()
    def no_task_is_lost_or_doubled(self) -> None:
        row = {task.task_id: task.state for task in self.subject.state.tasks}
        live = {task_id for task_id, task in self.snapshots.items() if task.state in LIVE}
        assert len(live) <= 1
        for task_id in live:
            assert row.get(task_id) is self.snapshots[task_id].state, "readers see another task than the row has"
        for task_id, state in row.items():
            assert self.snapshots[task_id].state is state

    @invariant()
    def every_update_is_answered(self) -> None:
        assert self.updates == self.answered

    @invariant()
    def a_task_that_waits_has_an_alarm(self) -> None:
        for task in self.snapshots.values():
            if task.state in WAITING:
                assert self.subject.state.wake_at is not None
                assert task.next_escalation_at is not None
                assert self.subject.state.wake_at <= task.next_escalation_at

    def escalations(self) -> int:
        return len([alert for alert in self.alerts.values() if alert.kind == "escalation"])

    def teardown(self) -> None:
        """Left alone, whoever waits is heard; and nobody with a unit out was withdrawn by less than a supervisor."""
        for task in list(self.snapshots.values()):
            if task.state in WAITING:
                assert task.next_escalation_at is not None
                steps = self.escalations()
                self.feed(wake(task.next_escalation_at))
                assert self.escalations() > steps, "nobody was told"
        for task in self.snapshots.values():
            if task.state is TaskState.CLOSED and self.subject.records.order("O1", 1).data.risk != "standard":
                closer = next(entry.by for entry in task.history if entry.what.startswith("close"))
                assert any(senior in closer for senior in SENIOR)


REPEATED = {"buffer_entered", "tag_silent"}
"""Raised again at re-judging, and where the last fix before a silence is taken back, under the same id."""

TestTaskLife = TaskLife.TestCase
TestTaskLife.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
