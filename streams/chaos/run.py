"""A run: processes that are started again when they end, a world that is published, faults that come and heal."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError

from streams.chaos.clock import LIBRARY, SteppedClock
from streams.chaos.faults import GUEST, SESSION_S, WORKERS, Breaker, Brokers, brokers, impossible
from streams.chaos.judge import Came, against, against_its_log, against_the_truth, came, expected_facts
from streams.chaos.outcome import READ_TOPICS, Outcome
from streams.chaos.process import BREACHWATCH, Kept
from streams.chaos.publisher import Publisher
from streams.chaos.schedule import KILLS, OF_BROKERS, Planned, schedule
from streams.errors import BreachwatchError
from streams.kafka import admin
from streams.kafka.admin import cluster_of
from streams.kafka.client import connect
from streams.kafka.lag import committed, ends, left_for_workers, uncommitted
from streams.kafka.reading import read_all
from streams.kafka.topics import full_name
from streams.rebuild import differences
from streams.settings import Settings
from streams.simulator import Noise, SimulatedEvent, SimulatedWorld, WorldConfig, simulate
from streams.verify import verify
from streams.watchdog import EXIT_CODE

UNFLUSHED = 120
"""Python's exit code where its last words could not be written, as on a full disk."""
_LEAVES_WITHIN_S = 30.0
_QUIET_WITHIN_S = 600.0
_ENDS_WITHIN_S = 60.0
_TICK_S = 0.05
# A process that cannot start (two of three brokers are gone) is tried again after this.
_RESTART_S = 1.0

Say = Callable[[str], None]


@dataclass
class Report:
    """What a run did and found. It passed when `wrong` is empty."""

    seed: int
    messages: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    ended_by_themselves: Counter[int] = field(default_factory=Counter)
    """Exit code -> how often a process of ours ended with it without being told to."""
    send_errors: Counter[str] = field(default_factory=Counter)
    """What publishers were told, by kind; they sent these again."""
    subject_events: int = 0
    alerts: int = 0
    alert_repeats: int = 0
    tasks: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return sum(self.faults[fault] for fault in KILLS)

    @property
    def failovers(self) -> int:
        return sum(self.faults[fault] for fault in OF_BROKERS)


class Run:
    """One world through one pipeline, with the faults of a schedule."""

    def __init__(
        self,
        brokers: Brokers,
        prefix: str,
        directory: Path,
        report: Report,
        say: Say,
        worker: tuple[str, ...] = (BREACHWATCH, "worker", "--name"),
    ) -> None:
        """`worker` starts one, with its name added; another program is for planting a fault of our own."""
        self._report, self._say = report, say
        self.settings = Settings(
            bootstrap_servers=brokers.kafka.bootstrap_servers,
            topic_prefix=prefix,
            replication=3,
            data_dir=directory / prefix,
            session_timeout_s=SESSION_S,
            gate_lookback_s=3.0,
        )
        self.settings.data_dir.mkdir(parents=True)
        behind = self.settings.model_copy(update={"bootstrap_servers": brokers.kafka.door_servers})
        clock = SteppedClock(self.settings.data_dir / "clock") if LIBRARY.exists() else None
        environment = {} if clock is None else clock.variables()
        logs = self.settings.data_dir
        self._processes = {
            name: Kept(behind, logs / f"{name}.log", name, program=worker, environment=environment)
            for name in (*WORKERS, GUEST)
        }
        self._processes["gate"] = Kept(behind, logs / "gate.log", "gate", environment=environment)
        self._breaker = Breaker(self.settings, brokers, self._processes, clock, report.seed)

    # -- the world --------------------------------------------------------------------------------------------

    def play(self, world: SimulatedWorld, seconds: float, faults: Iterable[Planned]) -> Outcome:
        """Publish the world over so many seconds while the faults come; what has come out when all is still."""
        admin.apply(admin.plan(self.settings))
        self._publisher = Publisher(self.settings, self._report.send_errors)
        try:
            for name in (*WORKERS, "gate"):
                self._processes[name].start()
            before = sum(at < world.config.start for at in world.sent_at)
            self._publisher.publish(world.events[:before])
            self._settle("the orders from before are read")
            self._break(world.events[before:], seconds, sorted(faults, key=lambda planned: planned.at_s))
            self._settle("everything is read and committed")
            self._wait_for_ends(world)
            self._settle("that is read and committed, too")
            for process in self._processes.values():
                if process.running:
                    process.leave()
            self._until(lambda: not any(p.running for p in self._processes.values()), "all leave", _LEAVES_WITHIN_S)
            self._report.wrong += [*self._not_in_topics(world), *self._disagreements()]
            return self._outcome()
        finally:
            for process in self._processes.values():
                process.signal(signal.SIGCONT)
                process.end()
            self._publisher.close()

    def _wait_for_ends(self, world: SimulatedWorld) -> None:
        """Until no task has a visit open that is over: a wake-up ends it, which is sent when all else is read.

        One that stays open is found by the judge.
        """
        over = {fact._replace(ended=None) for fact in expected_facts(world) if fact.ended is not None}
        deadline = time.monotonic() + _ENDS_WITHIN_S
        while time.monotonic() < deadline:
            outcome = Outcome()
            with suppress(BreachwatchError, KafkaError):
                for record in self._read("arrest-tasks"):
                    outcome.add("arrest-tasks", record)
                if not over & outcome.facts():
                    return
            self._tick()

    def _not_in_topics(self, world: SimulatedWorld) -> list[str]:
        """Events that a broker acknowledged to the publisher, and that are in no topic."""
        sent = Counter((event.topic, event.encoded()) for event in world.events)
        names = sorted({topic for topic, _ in sent})
        kept = Counter((name, record.value) for name in names for record in self._read(name))
        return [
            f"acknowledged {n} times, but not in {topic}: {str(value)[:80]}"
            for (topic, value), n in (sent - kept).items()
        ]

    def _break(self, events: list[SimulatedEvent], seconds: float, faults: list[Planned]) -> None:
        """Publish the events evenly over the time, and let the faults come."""
        began, sent = time.monotonic(), 0
        while sent < len(events) or faults or not self._breaker.healed:
            passed = time.monotonic() - began
            due = len(events) if passed >= seconds else int(len(events) * passed / max(seconds, _TICK_S))
            self._publisher.publish(events[sent:due])
            sent = max(sent, due)
            while faults and faults[0].at_s <= passed:
                planned = faults.pop(0)
                self._report.faults[planned.fault] += 1
                self._say(f"{planned.at_s:6.1f} s  {planned.fault}")
                self._breaker.do(planned)
            self._tick()

    # -- processes --------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Heal what is due, start again what has ended, and wait a moment."""
        self._breaker.heal()
        now = time.monotonic()
        for name, process in self._processes.items():
            if process.running:
                if process.leaving_since is not None and now > process.leaving_since + _LEAVES_WITHIN_S:
                    self._report.wrong.append(f"{name} did not leave within {_LEAVES_WITHIN_S:g} s of SIGTERM")
                    process.end()
                continue
            if not process.wanted:
                self._left(process)
                continue
            if now < process.again_at:
                continue
            code = process.exit_code
            if code not in (None, -signal.SIGKILL) and process.again_at == 0.0:
                assert code is not None
                self._report.ended_by_themselves[code] += 1
                process.again_at = now + _RESTART_S
                continue
            process.again_at = 0.0
            process.start()
        self._publisher.look()
        time.sleep(_TICK_S)

    def _left(self, process: Kept) -> None:
        """It has been told to leave, and has ended: in order, or before it could listen, or by another fault."""
        code = process.exit_code
        if process.leaving_since is not None and code not in (None, 0, -signal.SIGTERM, -signal.SIGKILL):
            assert code is not None
            self._report.ended_by_themselves[code] += 1
        process.leaving_since = None

    def _until(self, condition: Callable[[], bool], what: str, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                raise BreachwatchError(
                    f"not within {within_s:g} s: {what}; {self._publisher.left} events are not sent, not committed: "
                    f"{self._lag()}; logs in {self.settings.data_dir}"
                )
            self._tick()

    # -- the end ----------------------------------------------------------------------------------------------

    def _settle(self, what: str) -> None:
        self._until(lambda: not self._publisher.left and self._lag() == {}, what, _QUIET_WITHIN_S)

    def _lag(self) -> dict[str, int] | None:
        """Messages that no group has committed yet, by partition; None while nobody can say."""
        try:
            with connect(cluster_of(self.settings)) as client:
                feed = ends(client, [full_name(self.settings, "anpr-reads")])
                left = uncommitted(client, f"{self.settings.topic_prefix}breachwatch-gate", feed)
                left |= left_for_workers(client, self.settings)
        except (BreachwatchError, KafkaError):
            return None
        return {f"{tp.topic}/{tp.partition}": count for tp, count in left.items()}

    def _read(self, name: str) -> Iterable[Any]:
        return read_all(cluster_of(self.settings), full_name(self.settings, name))

    def _disagreements(self) -> list[str]:
        """Where the topics do not agree with each other, or a local store does not with its changelog."""
        wrong = verify(self.settings).wrong
        for name in (*WORKERS, GUEST):
            wrong += [f"{name}: {text}" for text in differences(self.settings, name)[1]]
        return wrong

    def _outcome(self) -> Outcome:
        outcome = Outcome()
        events = full_name(self.settings, "subject-events")
        with connect(cluster_of(self.settings)) as client:
            # A wake-up that was sent on leaving has had no effect yet.
            done = committed(client, f"{self.settings.topic_prefix}breachwatch", events)
        for name in READ_TOPICS:
            for record in self._read(name):
                if name != "subject-events" or record.offset < done[record.partition]:
                    outcome.add(name, record)
        return outcome


def make_world(seed: int, minutes: float) -> SimulatedWorld:
    """A world with all kinds of noise, of some thousand messages a minute of the run."""
    noise = Noise.level("low").model_copy(update={"duplicates": 0.1, "disorder_minutes": 3.0, "bad_messages": 20})
    config = WorldConfig(
        end=datetime.now(UTC),
        seed=seed,
        hours=9,
        orders=max(16, round(40 * minutes)),
        visits=2.0,
        plate_visits=1.5,
        report_rate=1.0,
        arrest_share=0.4,
        new_order_share=0.2,
        reads_per_second=0.01 * max(1.0, minutes),
        noise=noise,
    )
    return simulate(config)


def chaos(seed: int, minutes: float, every_s: float, directory: Path, say: Say) -> Report:
    """One world twice through a cluster of three: undisturbed, and with faults for so many minutes."""
    report, world = Report(seed), make_world(seed, minutes)
    report.messages = len(world.events)
    with brokers(directory / "kafka") as three:
        say(f"seed {seed}: {len(world.events)} messages; undisturbed first")
        calm: Came = came(Run(three, "calm-", directory, Report(seed), say).play(world, 0.0, []))
        report.wrong += against_the_truth(calm, world)
        say(f"now with faults, for {minutes:g} min")
        began = time.monotonic()
        run = Run(three, "chaos-", directory, report, say)
        outcome = run.play(world, minutes * 60, schedule(seed, minutes * 60, every_s, impossible()))
        report.seconds = time.monotonic() - began
    report.wrong += judged(report, outcome, calm, world, run.settings.policy_file)
    return report


def judged(
    report: Report, outcome: Outcome, calm: Came, world: SimulatedWorld, policy_file: Path | None
) -> list[str]:
    """What is wrong with what came out of a disturbed run; its figures go into the report."""
    report.subject_events = len(outcome.records["subject-events"])
    report.alerts, report.tasks = len(outcome.alerts_by_id()), len(outcome.final_tasks())
    report.alert_repeats = len(outcome.alerts()) - report.alerts
    disturbed = came(outcome)
    wrong = [
        *against(disturbed, calm, "the undisturbed run"),
        *against_the_truth(disturbed, world),
        *against_its_log(outcome, policy_file),
    ]
    unexplained = {
        code: times for code, times in report.ended_by_themselves.items() if code not in (1, EXIT_CODE, UNFLUSHED)
    }
    if unexplained:
        wrong.append(f"processes ended by themselves with exit codes {unexplained}")
    return wrong
