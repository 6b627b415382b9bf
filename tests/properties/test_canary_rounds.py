"""The canary on any number of partitions, and its rows after any time: one subject on each, and nothing piles up."""

from itertools import product

from aiokafka.partitioner import DefaultPartitioner
from builders import NOW, POLICY, Subject, after, wake
from hypothesis import given
from hypothesis import strategies as st

from schemas.inbound import decode
from schemas.tasks import ArrestTask
from streams.core.index import IdentifierIndex
from streams.core.reread import Reread
from streams.core.resolve import resolve, world_id
from streams.lookout.probes import Probed, order, sightings, subjects, turn

PROBED = Probed(partition=0, number=7)


@given(st.integers(min_value=1, max_value=300))
def test_each_partition_has_one_subject_that_ingest_puts_there(partitions: int) -> None:
    """By the key that ingest sends with, and the partitioner that its producer has."""
    place = DefaultPartitioner()
    found = subjects(partitions)
    assert found == subjects(partitions)
    assert [probed.partition for probed in found] == list(range(partitions))
    for probed in found:
        [target] = resolve(decode("orders", order(probed)), IdentifierIndex())
        assert place(target.subject_id.encode(), list(range(partitions)), []) == probed.partition


@given(st.integers(min_value=1, max_value=48), st.integers(min_value=0, max_value=10**6))
def test_subjects_and_inbound_partitions_all_take_turns_together(partitions: int, first: int) -> None:
    rounds = [turn(first + number, partitions) for number in range(partitions)]
    assert sorted(who for who, _ in rounds) == list(range(partitions))
    # A round that begins in the middle of another passes one inbound partition twice.
    assert len({inbound for _, inbound in rounds}) >= partitions - 1
    if partitions <= 8:
        everything = {turn(first + number, partitions) for number in range(partitions**2)}
        assert everything == set(product(range(partitions), repeat=2))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 20, 240, 599, 600, 601, 4000]),
            st.sampled_from(["sightings", "anpr"]),
            st.booleans(),
            st.integers(min_value=0, max_value=300),
        ),
        max_size=60,
    )
)
def test_whenever_probes_come_each_is_a_task_and_the_topic_has_one_at_most(
    probes: list[tuple[int, str, bool, int]],
) -> None:
    """After pauses, by either way, woken in time or not, and late by up to five minutes."""
    subject = Subject(subject_id=world_id(PROBED.name, exercise=True), now=NOW)
    subject.feed(decode("orders", order(PROBED)), now=NOW)
    at, topic, newest = 0, dict[str, ArrestTask](), dict[str, int]()

    def sent() -> None:
        effects = subject.effects[-1]
        assert [*effects.alerts, *effects.audits, *effects.safeguarding, *effects.suppressed] == []
        gone = {key for _, key in effects.tombstones}
        assert not gone & {task.task_id for task in effects.tasks}
        for task_id in gone:
            del topic[task_id]
        topic.update({task.task_id: task for task in effects.tasks})
        assert len(topic) <= 1
        assert topic.keys() == {task.task_id for task in subject.state.tasks}

    for number, (pause, way, woken, late) in enumerate(probes):
        at += pause
        due = subject.state.wake_at
        if woken and due is not None and due <= after(at):
            subject.feed(wake(due), now=due)
            sent()
        [(event_id, value)] = sightings(PROBED, way, f"p{number}", after(at - late), 1)  # type: ignore[arg-type]
        match = "tag" if way == "sightings" else "plate"
        subject.feed(decode("sightings", value), now=after(at), match=match)
        sent()
        if newest.get(way) != at - late:  # what one device reports of one moment is one probe
            assert event_id in {e.event_id for t in topic.values() for b in t.breaches for e in b.evidence}
        newest[way] = at - late
        # Ten minutes of probes that are late by up to five, and the order.
        assert len(subject.table) <= 20
    assert subject.max_row_bytes < 40_000
    reread = Reread(POLICY)
    for incoming, now, offset, _ in subject.decided:
        reread.feed(incoming, now, offset)
    assert (reread.rows[subject.subject_id], reread.records[subject.subject_id]) == (subject.row, subject.table)
