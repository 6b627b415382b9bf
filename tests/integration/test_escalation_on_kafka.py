"""A task that nobody acts on gets louder, on time and once, whatever happens to clocks and workers.

The broker's clock is the test's: hours of waiting take seconds.
"""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from harness import (
    INSIDE,
    OUTSIDE,
    Pipeline,
    changed_policy,
    custody,
    order,
    quick,
    report,
    running,
    tag_fix,
    task_update,
)
from stepped_clock import BrokerClock, kafka_by, needs_libfaketime

from schemas.tasks import Alert, ArrestTask, TaskState
from streams.settings import Settings

TOLD = {"escalation", "lapsed", "deadline_missed"}
SOON = timedelta(seconds=5)
"""What an alarm may be late by here: two looks at the heap and a busy machine."""
BYSTANDERS = [f"B{number}" for number in range(12)]
"""Of every partition some, so that each worker reads what tells it the broker's time."""


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> BrokerClock:
    needs_libfaketime()
    return BrokerClock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def kafka(clock: BrokerClock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Instead of the session's: one whose clock these tests drive."""
    with kafka_by(clock, tmp_path_factory.mktemp("kafka")) as servers:
        yield servers


class Drive:
    """A pipeline and its broker's clock."""

    def __init__(self, pipeline: Pipeline, clock: BrokerClock, subjects: list[str]) -> None:
        self.pipeline, self.clock, self.subjects = pipeline, clock, subjects

    def breached(self) -> None:
        """Every subject has entered the zone."""
        everybody = [*self.subjects, *BYSTANDERS]
        self.pipeline.publish("orders", *(order(name, tag=f"tag-{name}") for name in everybody))
        self.fixes(INSIDE, self.subjects)
        self.pipeline.until(
            lambda: all(self.pipeline.outputs.tasks_of(name) for name in self.subjects), "a task for each"
        )

    def fixes(self, where: tuple[float, float], subjects: list[str]) -> None:
        now = self.clock.now()
        self.pipeline.publish("sightings", *(tag_fix(f"tag-{name}", now, where) for name in subjects))

    def to(self, at: datetime) -> None:
        """It is `at` at the broker; the traffic of others goes on."""
        self.clock.step(at - self.clock.now())
        self.pipeline.until(self.stepped, "the broker's clock has made the step")
        self.fixes(OUTSIDE, BYSTANDERS)

    def stepped(self) -> bool:
        """A plate read that nobody reads in these tests tells the broker's time."""
        [lies] = self.pipeline.publish("anpr-reads", b"{}")
        return abs(lies.timestamp / 1000 - self.clock.now().timestamp()) < 2

    def task(self, subject: str = "S1") -> ArrestTask:
        return self.pipeline.outputs.tasks_of(subject)[-1]

    def told(self, subject: str = "S1") -> list[Alert]:
        """Of the arrest task, each once, in the order of sending."""
        first = [repeats[0] for repeats in self.pipeline.outputs.alerts_by_id().values()]
        return [alert for alert in first if alert.kind in TOLD and alert.subject_id == subject]

    def hears(self, count: int, subject: str = "S1") -> list[Alert]:
        """What has been told by now; fails if it is not exactly so much."""
        self.pipeline.until(lambda: len(self.told(subject)) >= count, f"{subject}: {count} steps told")
        self.pipeline.drained()
        assert len(self.told(subject)) == count, [(alert.kind, alert.to) for alert in self.told(subject)]
        return self.told(subject)

    def acts(self, action: str, **more: str) -> ArrestTask:
        before = self.task()
        event = task_update(before, action, **more)
        event["time"] = event["recordedtime"] = self.clock.now().isoformat()
        self.pipeline.publish("task-updates", event)
        self.pipeline.until(lambda: self.task().revision > before.revision, f"{action} is applied")
        return self.task()


def test_the_life_of_a_task_from_breach_to_arrest(pipeline: Pipeline, clock: BrokerClock) -> None:
    pipeline.worker()
    drive = Drive(pipeline, clock, ["S1"])
    drive.breached()
    task = drive.task()
    since = task.opened_at
    assert task.grade == "immediate"

    steps = [(120, "controller"), (300, "supervisor"), (600, "duty_inspector"), (900, "neighbouring_force")]
    for number, (after_s, to) in enumerate(steps, 1):
        due = since + timedelta(seconds=after_s)
        assert drive.task().next_escalation_at == due
        drive.to(due + timedelta(seconds=0.5))
        heard = drive.hears(number + (after_s == 900))
        alert = next(alert for alert in heard if alert.to == to)
        assert due <= alert.at <= due + SOON
        assert drive.task().escalated_to == to
    assert {(alert.kind, alert.to) for alert in heard if alert.at >= due} == {
        ("deadline_missed", "supervisor"),
        ("escalation", "neighbouring_force"),
    }
    drive.to(since + timedelta(seconds=1201))
    again = [alert for alert in drive.hears(6) if alert.at >= since + timedelta(seconds=1200)]
    assert [alert.to for alert in again] == ["neighbouring_force"], "the last step is told again and again"

    acknowledged = drive.acts("acknowledge")
    assert acknowledged.state is TaskState.ACKNOWLEDGED
    drive.to(acknowledged.updated_at + timedelta(seconds=290))
    drive.hears(6)
    drive.to(acknowledged.updated_at + timedelta(seconds=301))
    assert "lapsed" in {alert.kind for alert in drive.hears(7)}
    assert drive.task().state is TaskState.OPEN
    drive.to(acknowledged.updated_at + timedelta(seconds=300 + 121))
    newest = max(drive.hears(8), key=lambda alert: alert.at)
    assert (newest.kind, newest.to) == ("escalation", "controller"), "a new round begins at its first step"

    drive.acts("assign", assignee="Car 7")
    drive.acts("en_route")
    attempted = drive.acts("attempted", reason="nobody at the address")
    assert attempted.state is TaskState.ATTEMPTED
    drive.to(attempted.updated_at + timedelta(hours=1))
    drive.hears(8)
    arrested_at = clock.now()
    pipeline.publish("custody-events", custody("S1", "arrested", arrested_at))
    pipeline.until(lambda: drive.task().state is TaskState.ARRESTED, "arrested")
    refused = drive.acts("note", reason="in a cell")
    assert refused.state is TaskState.ARRESTED
    drive.to(arrested_at + timedelta(hours=20))
    drive.acts("close", role="supervisor", outcome="charged")
    drive.to(arrested_at + timedelta(days=3))
    drive.hears(8)
    closed = drive.task()
    assert (closed.state, closed.outcome) == (TaskState.CLOSED, "charged")
    assert len(pipeline.outputs.tasks_of("S1")) == 1
    pipeline.processes[0].stop()


def test_a_worker_killed_in_the_middle_of_a_wait(pipeline: Pipeline, clock: BrokerClock) -> None:
    """The other takes its subjects over: each step once, and on time. So when the first comes back."""
    subjects = [f"S{number}" for number in range(1, 9)]
    killed, other = pipeline.worker("worker-1"), pipeline.worker("worker-2")
    pipeline.ready(workers=2)
    drive = Drive(pipeline, clock, subjects)
    drive.breached()
    pipeline.drained()
    drive.fixes(OUTSIDE, BYSTANDERS)
    pipeline.drained()
    partitions = {record.key.decode(): record.partition for record in pipeline.outputs.records["subject-events"]}
    everywhere = set(partitions.values())
    assert {partitions[name] for name in subjects} == everywhere == {partitions[name] for name in BYSTANDERS}

    def all_told(after_s: float, to: str) -> None:
        first = min(drive.task(name).opened_at for name in subjects)
        last = max(drive.task(name).opened_at for name in subjects)
        assert last - first < timedelta(seconds=60)
        drive.to(last + timedelta(seconds=after_s + 0.5))
        for number, name in enumerate(subjects):
            pipeline.until(
                lambda name=name: any(alert.to == to for alert in drive.told(name)),  # type: ignore[misc]
                f"{name}, number {number}: {to}",
            )
        pipeline.drained()
        for name in subjects:
            due = drive.task(name).opened_at + timedelta(seconds=after_s)
            [alert] = [alert for alert in drive.told(name) if alert.to == to]
            assert due <= alert.at <= due + SOON + (last - first)

    killed.kill()
    pipeline.ready(workers=1)
    all_told(120, "controller")
    pipeline.worker("worker-1")
    pipeline.ready(workers=2)
    all_told(300, "supervisor")
    other.stop()
    pipeline.ready(workers=1)
    all_told(600, "duty_inspector")
    for name in subjects:
        told = sorted(drive.told(name), key=lambda alert: alert.at)
        assert [alert.to for alert in told] == ["controller", "supervisor", "duty_inspector"]
    wakes = Counter(
        record.key for record in pipeline.outputs.records["subject-events"] if b'"deadline_due"' in record.value
    )
    assert max(wakes.values()) <= 6, "one worker wakes a subject, not both"


@pytest.fixture
def in_seconds(pipeline_settings: Settings, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline whose gravest tasks are told to the controllers after ten seconds instead of two minutes."""
    file = changed_policy(tmp_path, "controller = 120,", "controller = 10,")
    with running(quick(pipeline_settings, policy_file=file), tmp_path / "logs") as started:
        yield started


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(hours=1)], ids=["back", "forward"])
def test_a_step_of_the_brokers_clock_makes_nobody_wait_longer(
    in_seconds: Pipeline, clock: BrokerClock, step: timedelta
) -> None:
    """The clock of the log steps while a task waits: ten seconds are ten seconds."""
    in_seconds.worker()
    drive = Drive(in_seconds, clock, ["S1"])
    drive.breached()
    began = time.monotonic()
    task = drive.task()
    clock.step(step)
    in_seconds.until(drive.stepped, "the broker's clock has made the step")
    in_seconds.until(lambda: drive.told(), "the controllers are told")
    waited = time.monotonic() - began
    [alert] = drive.told()[:1]
    due = task.opened_at + timedelta(seconds=10)
    assert alert.at >= due
    assert waited <= 10 + SOON.total_seconds()
    if step < timedelta(0):
        assert alert.at <= due + SOON, "by the row's own time, which does not go back"
        in_seconds.publish("breach-reports", report("O-S1", clock.now()))
        in_seconds.until(lambda: drive.task().breach_count == 2, "what comes after the step is judged")
