"""The canary's rows: each probe is a task at once, nothing reaches people, and after ten minutes all is gone."""

from datetime import datetime, timedelta

import pytest
from builders import NOW, POLICY, Subject, after, policy_with, wake

from schemas.inbound import decode
from streams.core.canary import KEPT, is_canary
from streams.core.effects import Effects
from streams.core.policy import Policy
from streams.core.reread import Reread
from streams.core.resolve import world_id
from streams.lookout.probes import Probed, Way, order, sightings

PROBED = Probed(partition=0, number=7)
WAYS: tuple[Way, ...] = ("sightings", "anpr")


def canary(policy: Policy = POLICY) -> Subject:
    subject = Subject(policy=policy, subject_id=world_id(PROBED.name, exercise=True), now=NOW)
    subject.feed(decode("orders", order(PROBED)), now=NOW)
    return subject


def probe(subject: Subject, at: datetime, way: Way = "sightings", count: int = 1) -> tuple[str, Effects]:
    """The id of the event that should be on a task now, and what it brought about."""
    sent = sightings(PROBED, way, f"p{at:%H%M%S%f}-{way}", at, count)
    events = [decode("sightings", value) for _, value in sent]
    effects = subject.feed(*events, now=at, match="tag" if way == "sightings" else "plate")
    return sent[-1][0], effects


def evidence(effects: Effects) -> set[str]:
    return {e.event_id for task in effects.tasks for breach in task.breaches for e in breach.evidence}


def test_its_rows_are_of_the_exercise_world_alone() -> None:
    assert is_canary(world_id(PROBED.name, exercise=True))
    assert not is_canary(PROBED.name)
    assert not is_canary("exercise/S1")


@pytest.mark.parametrize("every_s", [1, 20, 240, 700])
def test_each_probe_by_either_way_is_on_a_task_at_once(every_s: int) -> None:
    subject = canary()
    for number in range(40):
        for way in WAYS:
            event_id, effects = probe(subject, after(number * every_s), way)
            assert event_id in evidence(effects), (number, way)


@pytest.mark.parametrize("fixes", [2, 3])
def test_where_a_visit_takes_several_fixes_a_probe_is_so_many(fixes: int) -> None:
    subject = canary(policy_with(visits={"enter_fixes": fixes}))
    for number in range(5):
        event_id, effects = probe(subject, after(20 * number), count=fixes)
        assert event_id in evidence(effects)


def test_nothing_of_it_reaches_people_or_the_audit() -> None:
    """Half an hour with nobody acting: a real task would have gone up its ladder, and the tag be silent."""
    subject = canary()
    for minute in range(30):
        probe(subject, after(60 * minute))
        if (due := subject.state.wake_at) is not None and due < after(60 * minute + 60):
            subject.feed(wake(due), now=due)
    sent = subject.effects
    assert [e for effects in sent for e in (*effects.alerts, *effects.audits, *effects.safeguarding)] == []
    assert {task.escalated_to for effects in sent for task in effects.tasks} == {None}
    assert subject.state.chain is None


def test_after_ten_minutes_its_task_leaves_the_topic_and_the_row_with_all_else() -> None:
    subject = canary()
    bare = len(subject.row or b"")
    _, effects = probe(subject, after(0))
    [task] = effects.tasks
    assert subject.state.wake_at == after(0) + KEPT
    early = subject.feed(wake(after(599)), now=after(599))
    assert not early, "no ladder, and nothing is old yet"
    effects = subject.feed(wake(after(600)), now=after(600))
    assert effects.tombstones == [("arrest-tasks", task.task_id)]
    assert (effects.tasks, subject.state.wake_at) == ([], None)
    assert list(subject.records.all()) == []
    assert [key for key in subject.table if b"|e|" in key] == []
    # What is left is the order, and the outbox of what was just sent.
    subject.committed = subject.offset + 1
    subject.feed(wake(after(601)), now=after(601))
    assert len(subject.row or b"") <= bare


def test_a_probe_after_a_pause_begins_with_a_task_of_its_own() -> None:
    """No wake-up came while the workers were away: what is old goes first, and the probe does not go with it."""
    subject = canary()
    _, first = probe(subject, after(0))
    event_id, effects = probe(subject, after(3000))
    assert effects.tombstones == [("arrest-tasks", first.tasks[0].task_id)]
    [task] = effects.tasks
    assert task.task_id != first.tasks[0].task_id
    assert (evidence(effects), task.breach_count) == ({event_id}, 1)


def test_a_probe_that_is_delivered_twice_is_one_breach() -> None:
    subject = canary()
    [(_, value)] = sightings(PROBED, "sightings", "twice", after(0), 1)
    event = decode("sightings", value)
    subject.feed(event, event, now=after(1))
    assert subject.task.breach_count == 1
    probe(subject, after(20))
    subject.feed(event, now=after(21))
    assert subject.task.breach_count == 2


def test_a_replay_takes_the_task_from_its_topic_again() -> None:
    """The process ended after the row was written, and before the commit."""
    subject = canary()
    probe(subject, after(0))
    subject.committed = subject.offset + 1
    effects = subject.feed(wake(after(600)), now=after(600), commits=False)
    again = subject.replay(wake(after(600)))
    assert again.tombstones == effects.tombstones != []


def test_its_order_sent_again_changes_nothing() -> None:
    subject = canary()
    before = subject.state
    effects = subject.feed(decode("orders", order(PROBED)), now=after(86_400))
    assert not effects
    assert subject.state.orders == before.orders


def test_its_log_read_again_makes_the_same_row() -> None:
    subject = canary()
    for number in range(20):
        probe(subject, after(45 * number), WAYS[number % 2])
    reread = Reread(POLICY)
    for incoming, now, offset, _ in subject.decided:
        reread.feed(incoming, now, offset)
    assert reread.rows[subject.subject_id] == subject.row
    assert reread.records[subject.subject_id] == subject.table


def test_hours_of_probes_leave_row_and_records_small() -> None:
    """By both ways every 20 s, as in development, where there are four partitions."""
    subject, most_keys = canary(), 0
    for number in range(int(timedelta(hours=2) / timedelta(seconds=20))):
        for way in WAYS:
            probe(subject, after(20 * number), way)
        most_keys = max(most_keys, len(subject.table))
    # 40 breaches are the most that any row keeps; a minute of evidence is one record.
    assert subject.max_row_bytes < 40_000
    assert most_keys <= 12
    alive = subject.tasks.keys() - {key for effects in subject.effects for _, key in effects.tombstones}
    assert len(alive) == 1
