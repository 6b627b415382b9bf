"""A real pipeline under test: workers and gates as processes, events in, and what came out.

Nothing here sleeps as a means of synchronisation: every wait is for a condition, with a deadline, and a wait that
fails shows what did come out and the end of each process's log.
"""

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from schemas.tasks import ArrestTask
from streams.chaos import process as chaos
from streams.chaos.outcome import READ_TOPICS, Fact, Outcome
from streams.cli import main
from streams.core import policy
from streams.kafka import lag
from streams.kafka.client import KafkaRequestError, connect
from streams.kafka.cluster import Cluster
from streams.kafka.topics import INGESTED, full_name
from streams.settings import PREFIX, Settings

T = TypeVar("T")

WITHIN_S = 60.0
"""How long a condition may take to hold: far above what it takes, so that a slow machine does not fail a test."""
_LOG_TAIL_LINES = 40


# -- processes ---------------------------------------------------------------------------------------------


class Process(chaos.Process):
    """A process that a test waits for, and whose log it shows."""

    @property
    def name(self) -> str:
        return " ".join(self.command)

    @property
    def pid(self) -> int:
        assert self._popen is not None
        return self._popen.pid

    def wait(self, timeout_s: float = WITHIN_S) -> int:
        """Its exit code."""
        assert self._popen is not None
        return self._popen.wait(timeout_s)

    def stop(self) -> None:
        """SIGTERM; it must end in order."""
        self.signal(signal.SIGTERM)
        assert self.wait() == 0, f"{self.name} ended with {self.exit_code}\n{self.tail()}"

    def kill(self) -> None:
        """kill -9, as a machine that loses power."""
        self.signal(signal.SIGKILL)
        assert self.wait() == -signal.SIGKILL

    def tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"--- {self.name}, exit code {self.exit_code}:", *lines[-_LOG_TAIL_LINES:]])


Run = Callable[..., tuple[int, str, str]]


def runner(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """`breachwatch` with these words: exit code, standard output, standard error."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in settings.as_variables().items():
        monkeypatch.setenv(name, value)

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        out, err = capsysbinary.readouterr()
        return int(ended.value.code or 0), out.decode(), err.decode()

    return call


# -- what came out -----------------------------------------------------------------------------------------


class Outputs(Outcome):
    """All that the pipeline has written to its topics so far; `read` takes in what is new."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = {full_name(settings, name): name for name in READ_TOPICS}
        super().__init__()
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.bootstrap_servers,
            group_id=None,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        self._consumer.assign([tp for name in self._names for tp in _partitions(self._consumer, name)])

    def read(self, wait_ms: int = 100) -> None:
        for batch in self._consumer.poll(timeout_ms=wait_ms, max_records=5000).values():
            for record in batch:
                self.add(self._names[record.topic], record)

    def close(self) -> None:
        self._consumer.close()


def eventually(condition: Callable[[], object], what: str, within_s: float = WITHIN_S) -> None:
    """Return when the condition holds; fails with what was waited for when it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within_s:g} s: {what}")
        time.sleep(0.1)


# -- the pipeline ------------------------------------------------------------------------------------------


class Pipeline:
    """The topics of `settings`, the processes that run on them, and what came out."""

    def __init__(self, settings: Settings, logs: Path) -> None:
        assert settings.bootstrap_servers is not None
        self.settings = settings
        self.processes: list[Process] = []
        self._servers = settings.bootstrap_servers
        self._logs = logs
        self._groups = (f"{settings.topic_prefix}breachwatch", f"{settings.topic_prefix}breachwatch-gate")
        logs.mkdir(parents=True, exist_ok=True)
        self.outputs = Outputs(settings)
        self._producer = producer(self._servers)

    def worker(self, name: str = "worker-1", settings: Settings | None = None) -> Process:
        """A started worker; a process of that name that has ended is replaced."""
        return self._start(settings, "worker", "--name", name)

    def gate(self, settings: Settings | None = None) -> Process:
        """A started gate."""
        return self._start(settings, "gate")

    def run(self, *command: str, settings: Settings | None = None) -> Process:
        """Any other process of the pipeline, started."""
        return self._start(settings, *command)

    def _start(self, settings: Settings | None, *command: str) -> Process:
        self.processes = [process for process in self.processes if process.command != command]
        log = self._logs / f"{'-'.join(command).replace('---name', '')}.log"
        process = Process(settings or self.settings, log, *command)
        self.processes.append(process)
        return process.start()

    def ready(self, workers: int = 1, gates: int = 0) -> None:
        """Return when the groups have exactly so many members, each with partitions."""
        wanted = {group: count for group, count in zip(self._groups, (workers, gates), strict=True) if count}
        self.until(lambda: self._members(wanted) == wanted, f"{workers} workers and {gates} gates with partitions")

    def _members(self, groups: Iterable[str]) -> dict[str, int]:
        try:
            with connect(Cluster(self._servers)) as admin:
                described = admin.describe_groups(list(groups))
        except KafkaRequestError:  # a new broker has no group coordinator before the first group asks for one
            return {}
        return {
            name: len([member for member in group["members"] if _is_assigned(member)])
            if group["group_state"] == "Stable"
            else 0
            for name, group in described.items()
        }

    def publish(
        self, topic: str, *events: Mapping[str, Any] | bytes | None, key: bytes | None = None, **where: Any
    ) -> list[Any]:
        """Send events, or raw values, and wait until each is acknowledged; returns where each lies."""
        sends = [self.send(topic, event, key, **where) for event in events]
        return [send.get(30) for send in sends]

    def send(
        self, topic: str, event: Mapping[str, Any] | bytes | None, key: bytes | None = None, **where: Any
    ) -> Any:
        """Send without waiting, `where` by `partition` and with `headers` if told; a future of where it lies."""
        value = orjson.dumps(event) if isinstance(event, Mapping) else event
        return self._producer.send(full_name(self.settings, topic), key=key, value=value, **where)

    def until(self, condition: Callable[[], T], what: str | Callable[[], str], within_s: float = WITHIN_S) -> T:
        """Read what comes out until `condition` gives something true, and return that."""
        deadline = time.monotonic() + within_s
        while not (found := condition()):
            ended = [process.name for process in self.processes if process.exit_code not in (None, 0, -9)]
            if ended or time.monotonic() > deadline:
                why = f"{', '.join(ended)} ended" if ended else f"not within {within_s:g} s"
                wanted = what if isinstance(what, str) else what()
                pytest.fail(f"{why}: {wanted}\n{self.outputs.summary()}\n{self.logs()}")
            self.outputs.read()
        return found

    def until_facts(self, expected: set[Fact], *subjects: str, within_s: float = WITHIN_S) -> None:
        """Return when the breaches on the tasks (of these subjects, if any are named) are exactly these."""

        def missing() -> str:
            found = self.outputs.facts(*subjects)
            return f"missing: {sorted(map(str, expected - found))}\nnot due: {sorted(map(str, found - expected))}"

        self.until(lambda: self.outputs.facts(*subjects) == expected, missing, within_s)

    def drained(self, within_s: float = WITHIN_S, *, past_the_gate: bool = True) -> None:
        """Return when all that was published has been read and committed, and its outputs are read here.

        What is committed has its effects in the log. A held event that has just become resolvable is outside of
        this: wait for its effect first. The gate commits a read once it need not remember it any more.
        """

        def left() -> str:
            with connect(Cluster(self._servers)) as admin:
                found = {
                    f"{tp.topic}/{tp.partition}": count
                    for group, names in self._stages(past_the_gate)
                    for tp, count in lag.uncommitted(
                        admin, group, lag.ends(admin, [full_name(self.settings, name) for name in names])
                    ).items()
                }
            return f"everything published is committed; still left: {found}"

        self.until(lambda: self._all_committed(past_the_gate), left, within_s)
        self.caught_up()

    def caught_up(self) -> None:
        """Return when everything that the topics hold now is in `outputs`."""
        with connect(Cluster(self._servers)) as admin:
            ends = lag.ends(admin, [full_name(self.settings, name) for name in READ_TOPICS])
        self.until(lambda: self._has_read(ends), "the outputs are read to their end")

    def uncommitted(self, topic: str) -> int:
        """Messages of a topic that the workers have not committed."""
        return self._lag(self._groups[0], [topic])

    def _all_committed(self, past_the_gate: bool) -> bool:
        # In the order of the flow: what an earlier stage has committed lies in the topics of the next.
        return all(self._lag(group, names) == 0 for group, names in self._stages(past_the_gate))

    def _stages(self, past_the_gate: bool) -> list[tuple[str, list[str]]]:
        gated = past_the_gate and any(process.command == ("gate",) for process in self.processes)
        stages = [(self._groups[1], ["anpr-reads"])] if gated else []
        return [*stages, (self._groups[0], list(INGESTED)), (self._groups[0], ["subject-events"])]

    def _lag(self, group: str, names: list[str]) -> int:
        with connect(Cluster(self._servers)) as admin:
            until = lag.ends(admin, [full_name(self.settings, name) for name in names])
            return sum(lag.uncommitted(admin, group, until).values())

    def _has_read(self, ends: Mapping[Any, int]) -> bool:
        return all(self.outputs._consumer.position(tp) >= end for tp, end in ends.items())

    def logs(self) -> str:
        return "\n".join(process.tail() for process in self.processes)

    def close(self) -> None:
        for process in self.processes:
            process.end()
        self._producer.close(timeout=5)
        self.outputs.close()


@contextmanager
def running(settings: Settings, logs: Path) -> Any:
    """A pipeline for the length of a block; pytest shows its logs where a test fails."""
    pipeline = Pipeline(settings, logs)
    try:
        yield pipeline
    finally:
        pipeline.close()
        print(pipeline.logs())


def quick(settings: Settings, **changes: Any) -> Settings:
    """Settings under which a process that died is missed after 6 s, the least that a broker allows."""
    return settings.model_copy(update={"session_timeout_s": 6.0, "gate_lookback_s": 3.0, **changes})


def changed_policy(directory: Path, old: str, new: str) -> Path:
    """The policy that is shipped, with one text in place of another, in a file of its own."""
    shipped = Path(policy.__file__).with_name("policy.toml").read_text("utf-8")
    changed = shipped.replace(old, new)
    assert changed != shipped
    file = directory / "policy.toml"
    file.write_text(changed, "utf-8")
    return file


def producer(servers: str) -> Any:
    """A kafka-python producer that takes the largest message of ours."""
    return KafkaProducer(bootstrap_servers=servers, acks="all", max_request_size=3_000_000)


def _partitions(consumer: Any, topic: str) -> list[Any]:
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]


def _is_assigned(member: Mapping[str, Any]) -> bool:
    assignment = member["member_assignment"]
    return bool(assignment and assignment["assigned_partitions"])


# -- events ------------------------------------------------------------------------------------------------

INSIDE = (51.501, -0.1)
"""111 m from the centre of the usual zone, whose radius is 500 m."""
OUTSIDE = (51.52, -0.1)
_numbers = itertools.count(1)

Event = dict[str, Any]


def ago(seconds: float = 0) -> datetime:
    """So long before now, to the millisecond, which every encoding keeps."""
    at = datetime.now(UTC) - timedelta(seconds=seconds)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def event(kind: str, at: datetime | None = None, /, *, exercise: bool = False, **data: Any) -> Event:
    """The JSON object of an event that happened at `at`, now if not told."""
    at = at or ago()
    return {
        "id": f"e{next(_numbers)}",
        "source": f"test/{kind}",
        "type": kind,
        "time": at.isoformat(),
        "recordedtime": at.isoformat(),
        "exercise": exercise,
        "data": {name: value for name, value in data.items() if value is not None},
    }


def place(at: tuple[float, float], accuracy_m: float = 10.0) -> dict[str, float]:
    return {"latitude": at[0], "longitude": at[1], "accuracy_m": accuracy_m}


def order(
    subject: str, *, plate: str | None = None, tag: str | None = None, exercise: bool = False, **data: Any
) -> Event:
    """A served full order `O-<subject>` on a subject: T1 the zone around INSIDE, T2 no contact with `P-<subject>`."""
    made, person = ago(30 * 86400), f"P-{subject}"
    body = {
        "order_id": f"O-{subject}",
        "version": 1,
        "kind": "spo_full",
        "court": "Test Magistrates",
        "made_at": made.isoformat(),
        "respondent": {"subject_id": subject, "name": f"Respondent {subject}"},
        "service": {"served_at": made.isoformat(), "method": "personal", "reference": f"proof-{subject}"},
        "protected_persons": [{"person_id": person}],
        "terms": [
            {
                "term_id": "T1",
                "kind": "exclusion_zone",
                "protects": [person],
                "area": {"type": "Circle", "centre": {"latitude": 51.5, "longitude": -0.1}, "radius_m": 500.0},
            },
            {"term_id": "T2", "kind": "no_contact", "protects": [person]},
        ],
        "identifiers": [{"kind": k, "value": v} for k, v in (("plate", plate), ("tag", tag)) if v],
        "owning_force": "Test Force",
        "risk": "high",
        # The duty to notify is another test's: here it would fall due at a time that no test chooses.
        "notifies_elsewhere": True,
    }
    return event("order", made, exercise=exercise, **body | data)


def tag_fix(tag: str, at: datetime | None = None, where: tuple[float, float] = INSIDE, **more: Any) -> Event:
    return event("tag_fix", at, device_id=tag, position=place(where), **more)


def plate_read(plate: str, at: datetime | None = None, where: tuple[float, float] = INSIDE, **more: Any) -> Event:
    return event("plate_read", at, vrm=plate, camera_id="CAM-1", position=place(where), **more)


def report(order_id: str | None = None, at: datetime | None = None, **more: Any) -> Event:
    """A report of contact by text message."""
    data = {"nature": "contact", "channel": "text", "reported_by": "protected_person"}
    return event("breach_report", at, order_id=order_id, **data | more)


def officer_sighting(
    subject: str, at: datetime | None = None, where: tuple[float, float] = INSIDE, **more: Any
) -> Event:
    return event("officer_sighting", at, subject_id=subject, position=place(where), officer="PC 1", **more)


def custody(subject: str, state: str, at: datetime | None = None, **more: Any) -> Event:
    return event("custody_event", at, subject_id=subject, state=state, **more)


def task_update(task: ArrestTask, action: str, **more: Any) -> Event:
    data = {"actor": "controller-7", "role": "controller", **more}
    return event("task_update", task_id=task.task_id, subject_id=task.subject_id, action=action, **data)
