"""Which fault comes when: a list made from a seed, so that a run can be had again."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    """What can be done to a pipeline that runs."""

    KILL_WORKER = "kill_worker"
    """SIGKILL; it comes back with its local store."""
    LOSE_STORE = "lose_store"
    """SIGKILL, and the machine comes back without its disk."""
    CORRUPT_STORE = "corrupt_store"
    """SIGKILL, and the local store comes back with bytes of its files changed."""
    STALE_STORE = "stale_store"
    """SIGKILL, and some seconds later again, with the local store as it was the first time."""
    FULL_DISK = "full_disk"
    """Nothing can be written to a worker's files."""
    STEP_CLOCK = "step_clock"
    """The time of day of workers and gate is an hour off, forth or back."""
    STOP_WORKER = "stop_worker"
    """SIGTERM; it must leave in order."""
    FREEZE_WORKER = "freeze_worker"
    """SIGSTOP for longer than the session, then SIGCONT."""
    JOIN_WORKER = "join_worker"
    """One more comes, and leaves again."""
    KILL_GATE = "kill_gate"
    CUT_CONNECTION = "cut_connection"
    """Workers and gate reach one broker no more, and everybody else does."""
    SLOW_CONNECTION = "slow_connection"
    """What passes between them and one broker takes a quarter of a second longer."""
    KILL_BROKER = "kill_broker"
    """SIGKILL of one node."""
    KILL_LEADER = "kill_leader"
    """SIGKILL of the node that leads a partition of `subject-events`."""
    KILL_MAJORITY = "kill_majority"
    """Two of three nodes at once: nothing can be acknowledged until one is back."""


OF_BROKERS = frozenset({Fault.KILL_BROKER, Fault.KILL_LEADER, Fault.KILL_MAJORITY})
KILLS = frozenset({Fault.KILL_WORKER, Fault.LOSE_STORE, Fault.CORRUPT_STORE, Fault.STALE_STORE, Fault.KILL_GATE})
"""`kill -9` of a process of ours."""
# How often each comes, relative to the others. Kills are what happens most, and cost least time.
_WEIGHTS = {
    Fault.KILL_WORKER: 10,
    Fault.LOSE_STORE: 2,
    Fault.CORRUPT_STORE: 2,
    Fault.STALE_STORE: 2,
    Fault.FULL_DISK: 1,
    Fault.STEP_CLOCK: 2,
    Fault.STOP_WORKER: 2,
    Fault.FREEZE_WORKER: 1,
    Fault.JOIN_WORKER: 1,
    Fault.KILL_GATE: 4,
    Fault.CUT_CONNECTION: 2,
    Fault.SLOW_CONNECTION: 1,
    Fault.KILL_BROKER: 2,
    Fault.KILL_LEADER: 2,
    Fault.KILL_MAJORITY: 1,
}


@dataclass(frozen=True)
class Planned:
    """A fault at `at_s` seconds from the start, which heals after `lasts_s` where it is one that lasts."""

    at_s: float
    fault: Fault
    lasts_s: float
    pick: float
    """From 0 to 1: which of the processes or nodes it meets."""


def schedule(seed: int, seconds: float, every_s: float, without: frozenset[Fault] = frozenset()) -> list[Planned]:
    """Faults over so many seconds, `every_s` apart on average; one fault of the brokers at a time.

    The first of each kind comes before the second of any, as far as the time allows; none of `without` comes.
    """
    random = Random(f"chaos/{seed}")  # noqa: S311 - reproducible by intent, nothing secret
    planned: list[Planned] = []
    kinds = [fault for fault in Fault if fault not in without]
    weights = [_WEIGHTS[fault] for fault in kinds]
    fresh = random.sample(kinds, len(kinds))
    at, brokers_free = 0.0, 0.0
    while (at := at + random.uniform(0.5, 1.5) * every_s) < seconds:
        fault = fresh.pop() if fresh else random.choices(kinds, weights)[0]
        lasts = random.uniform(3.0, 8.0)
        if fault in OF_BROKERS:
            if at < brokers_free:
                fault = Fault.KILL_WORKER
            else:
                # The time that a node takes to come back, and the others to take note.
                brokers_free = at + lasts + 15.0
        planned.append(Planned(at, fault, lasts, random.random()))
    return planned
