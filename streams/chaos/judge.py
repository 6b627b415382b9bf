"""What must be the same whatever broke on the way.

An alert's id comes from the event that opened its breach, and which of several that was may depend on arrival. So a
broken run is held to its own log, read once by the core alone, exactly and by id; and to the truth and to an
undisturbed run by facts.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import orjson

from schemas.internal import SubjectEvent
from schemas.tasks import Alert, ArrestTask
from streams.chaos.outcome import Fact, Outcome
from streams.core.policy import load_policy
from streams.core.reread import Reread
from streams.simulator import SimulatedWorld

# Messages that only we write, and plate reads: which of those pass the gate depends on when an order of the same
# moment becomes known there.
_NOT_COMPARED = ("deadline_due", "plate_read", "moved_evidence", "moved_matter")


class Came(NamedTuple):
    """What came out of a whole run, as far as it may not differ from another run of the same world.

    Ids may: a breach is named by the event that opened it, and of the fixes of one visit any may arrive first. So
    may the task that a breach stands on, where an arrest and a breach overtake each other. And while hours of world
    time are published within seconds, what falls due by the clock differs from run to run.
    """

    facts: set[Fact]
    alerted: set[Fact]
    """The breaches that an alert was raised for."""
    counted: dict[str, int]
    """Subject -> the breaches that their tasks count."""
    read: set[str]
    """The ids of the events that went on to subjects, or are held."""
    dead_letters: set[tuple[str, str, bytes]]
    unreadable: Counter[str]
    """Alerts that a message without a subject raised, by kind; of the reports that were held, any number."""


def came(outcome: Outcome) -> Came:
    alerts = [repeats[0] for repeats in outcome.alerts_by_id().values()]
    alerted = {alert.breach_id for alert in alerts if alert.kind == "breach"}
    counted: Counter[str] = Counter()
    for task in outcome.final_tasks():
        counted[task.subject_id] += task.breach_count
    went_on = [orjson.loads(r.value)["event"] for r in outcome.records["subject-events"]]
    held = [orjson.loads(r.value)["event"] for r in outcome.records["unresolved"] if r.value is not None]
    return Came(
        outcome.facts(),
        {fact for breach_id, fact in outcome.facts_by_id().items() if breach_id in alerted},
        dict(counted),
        {f"{event['source']}#{event['id']}" for event in (*went_on, *held) if event["type"] not in _NOT_COMPARED},
        {(letter.headers.topic, letter.headers.reason, letter.value) for letter in outcome.dead_letters()},
        Counter(alert.kind for alert in alerts if alert.subject_id is None and alert.kind != "unknown_subject"),
    )


def expected_facts(world: SimulatedWorld) -> set[Fact]:
    """The breaches of a world's own truth, which is computed without the core."""
    return {
        Fact(b.subject_id, b.order_id, b.term_id, b.certainty, b.began_at, b.ended_at) for b in world.truth.breaches
    }


def true_dead_letters(world: SimulatedWorld) -> set[tuple[str, str, bytes]]:
    """Topic, reason and bytes of what a world holds that is no event."""
    return {(event.topic, str(reason), event.encoded() or b"") for event, reason in world.bad}


def read_once(outcome: Outcome, policy_file: Path | None) -> tuple[dict[str, Alert], dict[str, ArrestTask]]:
    """The alerts and tasks that `subject-events` brings about when the core alone reads it once, in order."""
    reread = Reread(load_policy(policy_file))
    alerts: dict[str, Alert] = {}
    tasks: dict[str, ArrestTask] = {}
    for record in sorted(outcome.records["subject-events"], key=lambda record: (record.partition, record.offset)):
        now = datetime.fromtimestamp(record.timestamp / 1000, tz=UTC)
        effects = reread.feed(SubjectEvent.read(record.value), now, record.offset)
        for alert in effects.alerts:
            alerts.setdefault(alert.alert_id, alert)
        tasks |= {task.task_id: task for task in effects.tasks}
    return alerts, tasks


def against_its_log(outcome: Outcome, policy_file: Path | None) -> list[str]:
    """In what the outcome differs from its own log, read once; an alert that repeats must repeat as it was."""
    wrong = []
    alerts, tasks = read_once(outcome, policy_file)
    by_id = outcome.alerts_by_id()
    for alert_id, repeats in by_id.items():
        if len({alert.model_copy(update={"at": repeats[0].at}).model_dump_json() for alert in repeats}) > 1:
            wrong.append(f"alert {alert_id} ({repeats[0].kind}) was sent with different contents under one id")
    came_of_subjects = {alert_id: sent[0] for alert_id, sent in by_id.items() if sent[0].subject_id is not None}
    wrong += _differences("alert", came_of_subjects, alerts)
    sent_tasks = {task.task_id: _as_sent_again(task) for task in outcome.final_tasks()}
    wrong += _differences("task", sent_tasks, {task_id: _as_sent_again(task) for task_id, task in tasks.items()})
    return wrong


def _as_sent_again(task: ArrestTask) -> ArrestTask:
    """After a crash a task is sent as it stands then: a newer position may be on it."""
    return task.model_copy(update={"last_seen": None})


def _differences(what: str, found: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    wrong = []
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            wrong.append(f"{what} {name} is missing: its log brings it about")
        elif name not in wanted:
            wrong.append(f"{what} {name} came out, and its log does not bring it about")
        elif found[name] != wanted[name]:
            wrong.append(f"{what} {name} is not what its log makes of it")
    return wrong


def against(mine: Came, other: Came, who: str) -> list[str]:
    """In what two runs of one world differ, by facts; `who` names the other."""
    wrong = []
    mine = mine._replace(facts=as_open(mine.facts, other.facts), alerted=as_open(mine.alerted, other.alerted))
    for name, here, there in zip(Came._fields, mine, other, strict=True):
        if here == there:
            continue
        if isinstance(here, set) and isinstance(there, set):
            lost, more = there - here, here - there
            wrong.append(f"{name}: {len(lost)} lost, {len(more)} too many against {who}: {_few(lost)} {_few(more)}")
        else:
            wrong.append(f"{name}: {here} against {there} of {who}")
    return wrong


def as_open(mine: set[Fact], other: set[Fact]) -> set[Fact]:
    """Mine, with those visits open that the other leaves open.

    What nobody saw the end of ends by silence, of a tag after minutes: a long run comes to that, a short one not.
    """
    left_open = {fact for fact in other if fact.ended is None}
    return {still if (still := fact._replace(ended=None)) in left_open else fact for fact in mine}


def _few(found: set[object]) -> str:
    shown = sorted(map(str, found))[:3]
    return "; ".join(shown) + (" ..." if len(found) > len(shown) else "")


def against_the_truth(mine: Came, world: SimulatedWorld) -> list[str]:
    """In what a run differs from what the world's own truth says."""
    facts = expected_facts(world)
    counted = Counter(breach.subject_id for breach in world.truth.breaches)
    wanted = mine._replace(facts=facts, alerted=facts, counted=dict(counted), dead_letters=true_dead_letters(world))
    return against(mine, wanted, "the truth")
