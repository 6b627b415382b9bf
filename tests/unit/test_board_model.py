"""The board's read model: the newest revision of each task, whatever comes in whatever order, and no more."""

import random
from collections.abc import Sequence
from datetime import timedelta

import orjson
import pytest
from builders import NOW, Subject, after, custody, fix, order, report, update
from hypothesis import given
from hypothesis import strategies as st

from schemas.safeguarding import SafeguardingState
from schemas.tasks import ArrestTask
from streams.board.model import Change, Model
from streams.outbound import outbound

Message = tuple[tuple[str, int], int, bytes, bytes | None]
"""Place, offset, key and value."""


def story() -> list[Message]:
    """What two subjects' workers send, from a breach to an arrest and to a closed task."""
    found: list[Message] = []
    for number, subject_id in enumerate(("S1", "S2")):
        subject = Subject(order(f"O{number}"), subject_id=subject_id)
        subject.feed(report(NOW), fix(after(60)))
        for at, action in enumerate(("acknowledge", "arrested"), 1):
            subject.feed(update(subject.task.task_id, action, after(60 * (at + 1))))
        if number:
            subject.feed(update(subject.task.task_id, "close", after(400), "supervisor", outcome="charged"))
        for effects in subject.effects:
            sent = {
                "arrest-tasks": effects.tasks,
                "safeguarding-tasks": effects.safeguarding,
                "alerts": effects.alerts,
            }
            for topic, models in sent.items():
                found += [((topic, number), len(found) + n, *outbound(topic, m)[:2]) for n, m in enumerate(models)]
    return found


def messages(tasks: Sequence[ArrestTask]) -> list[Message]:
    return [(("arrest-tasks", 0), n, *outbound("arrest-tasks", task)[:2]) for n, task in enumerate(tasks)]


STORY = story()
TASKS = [message for message in STORY if message[0][0] == "arrest-tasks"]


def told(*messages: Message, most_alerts: int = 1000) -> Model:
    model = Model(most_alerts)
    for message in messages:
        model.apply(*message)
    return model


def picture(model: Model) -> tuple[object, ...]:
    """All that the model shows, but for where a message lies: a repeat lies elsewhere."""
    return (
        {task_id: kept.raw for task_id, kept in model.tasks.items()},
        {task_id: kept.raw for task_id, kept in model.safeguarding.items()},
        {alert_id: kept.raw for alert_id, kept in model.alerts.items()},
    )


def test_a_story_is_there_for_this_to_mean_anything() -> None:
    assert len({message[2] for message in TASKS}) == 2
    assert len(TASKS) > 6
    assert [kept.summary.state for kept in told(*STORY).tasks.values()] == ["arrested", "closed"]


@given(st.lists(st.sampled_from(TASKS), max_size=40), st.randoms(use_true_random=False))
def test_any_repetition_in_any_order_gives_the_same_tasks(more: Sequence[Message], shuffled: random.Random) -> None:
    every = [*TASKS, *more]
    shuffled.shuffle(every)
    assert picture(told(*every)) == picture(told(*TASKS))


@given(st.integers(0, len(STORY)), st.integers(0, len(STORY)), st.data())
def test_reading_a_part_of_the_log_again_changes_nothing(first: int, last: int, data: st.DataObject) -> None:
    """Also with a tombstone in it, as long as the log is read in its order."""
    gone = data.draw(st.sampled_from(TASKS))
    log = [*STORY, (gone[0], len(STORY), gone[2], None)]
    assert picture(told(*log[:last], *log[min(first, last) :])) == picture(told(*log))
    assert gone[2].decode() not in told(*log).tasks


@given(st.permutations(TASKS))
def test_a_revision_never_goes_back(shuffled: Sequence[Message]) -> None:
    model, seen = Model(10), dict[str, int]()
    for message in shuffled:
        model.apply(*message)
        for task_id, kept in model.tasks.items():
            assert kept.summary.revision >= seen.get(task_id, 0)
            seen[task_id] = kept.summary.revision


def test_a_change_says_whose_it_was_before() -> None:
    subject = Subject(order(owning_force="A"))
    subject.feed(report(NOW))
    first = subject.task
    second = first.model_copy(update={"revision": first.revision + 1, "owning_force": "B", "forces": ["B"]})
    model = Model(10)
    changes = [model.apply(*message) for message in messages([first, second, first])]
    opened, moved, again = changes
    assert isinstance(opened, Change)
    assert isinstance(moved, Change)
    assert (opened.before, opened.forces) == (None, {"A"})
    assert (moved.before, moved.forces) == ({"A"}, {"B"})
    assert again is None


def test_what_ended_is_forgotten_when_statistics_need_it_no_more_and_does_not_come_back() -> None:
    model = told(*STORY)
    model.forget(NOW + timedelta(days=1), NOW)
    assert [kept.summary.state for kept in model.tasks.values()] == ["arrested"], "nobody has closed that one"
    closed = TASKS[-1]
    assert model.apply(*closed) is None
    assert len(model.tasks) == 1


def test_alerts_are_forgotten_when_their_time_is_over() -> None:
    model = told(*STORY)
    last = max(kept.alert.at for kept in model.alerts.values())
    model.forget(NOW, last)
    assert {kept.alert.at for kept in model.alerts.values()} == {last}


def test_a_safeguarding_task_that_is_forgotten_goes_from_whoever_has_it_too() -> None:
    subject = Subject(order(protected_persons=[{"person_id": "P1"}]))
    subject.feed(report(NOW))
    reach = next(iter(subject.safeguarding.values()))
    ended = reach.model_copy(update={"revision": reach.revision + 1, "state": SafeguardingState.CLOSED})
    model = Model(10)
    model.forget(NOW + timedelta(days=1), NOW)
    first, last = (
        model.apply(("safeguarding-tasks", 0), n, *outbound("safeguarding-tasks", each)[:2])
        for n, each in enumerate((reach, ended))
    )
    assert isinstance(first, Change)
    assert isinstance(last, Change)
    assert (first.kind, last.kind, model.safeguarding) == ("safeguarding", "safeguarding_removed", {})


def test_alerts_are_kept_once_and_the_newest_of_them() -> None:
    alerts = [message for message in STORY if message[0][0] == "alerts"]
    model = told(*alerts, *alerts, most_alerts=2)
    assert len(alerts) > 2
    assert [kept.raw for kept in model.alerts.values()] != []
    assert len(model.alerts) == 2
    whole = told(*alerts, *alerts)
    assert list(whole.alerts) == [message[2].decode() for message in alerts]


def test_an_alert_is_for_its_forces_or_for_everybody() -> None:
    subject = Subject(order(owning_force="A"))
    subject.feed(report(NOW))
    alert = subject.alerts[0].model_copy(update={"alert_id": "a1"})
    nobodys = alert.model_copy(update={"subject_id": None, "forces": [], "alert_id": "a2"})
    model = Model(10)
    for number, each in enumerate((alert, nobodys)):
        model.apply(("alerts", 0), number, *outbound("alerts", each)[:2])
    assert model.alerts["a1"].forces == {"A"}
    assert model.alerts["a2"].forces == frozenset()


def test_what_a_newer_release_says_beside_hides_no_task() -> None:
    subject = Subject(order())
    subject.feed(report(NOW))
    task = subject.task.model_dump(mode="json") | {"of_a_release_to_come": 1}
    task["breaches"][0]["also_new"] = "x"
    model = Model(10)
    model.apply(("arrest-tasks", 0), 0, subject.task.task_id.encode(), orjson.dumps(task))
    assert list(model.tasks) == [subject.task.task_id]


def test_a_task_that_cannot_be_read_is_counted_until_it_can() -> None:
    subject = Subject(order())
    subject.feed(report(NOW))
    place, key = ("arrest-tasks", 0), subject.task.task_id.encode()
    newer = subject.task.model_copy(update={"revision": 9})
    model = Model(10)
    model.apply(place, 0, *outbound("arrest-tasks", subject.task)[:2])
    for number, (name, value) in enumerate([(key, b"{"), (b"another", outbound("arrest-tasks", newer).value)], 1):
        with pytest.raises(ValueError, match=r"JSON|another task's id"):
            model.apply(place, number, name, value)
    assert model.unreadable == {subject.task.task_id, "another"}
    model.apply(place, 3, *outbound("arrest-tasks", subject.task)[:2])
    assert len(model.unreadable) == 2, "a repeat of what was there before is not what could not be read"
    model.apply(place, 4, *outbound("arrest-tasks", newer)[:2])
    model.apply(place, 5, b"another", None)
    assert model.unreadable == set()


def test_the_summary_has_the_surest_of_each_kind_and_when_the_breach_that_opened_it_began() -> None:
    subject = Subject(order())
    subject.feed(report(after(-600)), fix(NOW))
    summary = told(*messages([subject.task])).tasks[subject.task.task_id].summary
    assert [(b.term_kind, b.certainty) for b in summary.breached] == [
        ("exclusion_zone", "confirmed"),
        ("no_contact", "reported"),
    ]
    assert summary.breached_at == after(-600)
    assert summary.last_breach_at == NOW
    assert summary.opened_at - summary.breached_at >= timedelta(0)


@pytest.mark.parametrize("subject_id", ["exercise/canary-7"])
def test_the_canarys_tasks_are_nobodys(subject_id: str) -> None:
    subject = Subject(order(), subject_id="S1")
    subject.feed(report(NOW), custody("arrested", after(60)))
    task = subject.task.model_copy(update={"subject_id": subject_id, "exercise": True})
    assert told(*messages([task])).tasks == {}
