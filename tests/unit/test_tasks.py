"""An arrest task: its history, custody, and what each revision is about."""

import pytest
from builders import NOW, Subject, after, custody, fix, order, order_ended, order_served, report, update
from test_transitions import S, in_state, moved

from schemas.tasks import TaskChange
from streams.core.state import MAX_HISTORY


def test_a_long_history_keeps_its_first_and_its_newest_entries() -> None:
    subject = in_state(S.OPEN)
    for number in range(40):
        moved(subject, "note_wishes", reason=f"wish {number}")
    history = subject.task.history
    assert len(history) == MAX_HISTORY
    assert history[0].what == "opened"
    assert history[-1].what.endswith("wish 39")


def test_custody_ends_the_search_and_a_new_breach_opens_a_new_task() -> None:
    subject = in_state(S.OPEN)
    first = subject.task.task_id
    subject.feed(custody("detained", after(60)))
    assert subject.task.state is S.ARRESTED
    assert subject.live is None
    subject.feed(report(after(30)))  # it happened before the arrest: a further ground
    assert list(subject.tasks) == [first]
    assert subject.task.breach_count == 2
    subject.feed(report(after(3600)))
    assert len(subject.tasks) == 2
    assert subject.live is not None
    assert subject.live.task_id != first


def test_bail_ends_no_search() -> None:
    subject = in_state(S.OPEN)
    subject.feed(custody("bailed", after(60)), custody("escaped", after(120)))
    assert subject.task.state is S.OPEN


def test_an_arrest_from_before_the_breach_does_not_end_the_search() -> None:
    subject = in_state(S.OPEN)
    subject.feed(custody("detained", after(-60)))
    assert subject.task.state is S.OPEN
    assert subject.alerts[-1].kind == "verify_custody"


def test_older_custody_news_ends_the_search_for_what_was_before_it() -> None:
    subject = in_state(S.OPEN)
    subject.feed(custody("released", after(120), disposal="charged"), custody("detained", after(60)))
    assert subject.task.state is S.ARRESTED
    assert subject.state.custody == "released"


def test_each_revision_is_greater_than_the_last() -> None:
    subject = in_state(S.EN_ROUTE)
    revisions = [task.revision for effects in subject.effects for task in effects.tasks]
    assert revisions == sorted(set(revisions))


@pytest.mark.parametrize(("how", "disposal"), [("released", None), ("escaped", None), ("escaped", "charged")])
def test_out_of_custody_with_an_open_task_is_wanted_again(how: str, disposal: str | None) -> None:
    subject = in_state(S.ARRESTED)
    subject.feed(custody(how, after(7200), **({"disposal": disposal} if how == "released" else {})))
    task = subject.task
    assert (task.state, task.change) == (S.OPEN, TaskChange.WANTED_AGAIN)
    assert (task.assigned_to, task.court_deadline) == (None, None)
    assert task.deadline > after(7200)
    wanted = next(alert for alert in subject.alerts if alert.kind == "wanted_again")
    assert (wanted.severity, wanted.task_id) == ("critical", task.task_id)


@pytest.mark.parametrize(("how", "disposal"), [("bailed", None), ("released", "charged")])
def test_a_release_that_dealt_with_the_breach_leaves_the_task_to_be_closed(how: str, disposal: str | None) -> None:
    subject = in_state(S.ARRESTED)
    subject.feed(custody(how, after(7200), disposal=disposal))
    assert subject.task.state is S.ARRESTED
    assert "wanted_again" not in subject.kinds()
    moved(subject, "close")
    assert subject.task.state is S.CLOSED


def test_a_release_while_another_breach_is_open_is_told() -> None:
    subject = in_state(S.ARRESTED)
    subject.feed(report(after(3600)), custody("bailed", after(7200)))
    assert subject.live is not None
    assert subject.live.change is TaskChange.WANTED_AGAIN
    assert subject.kinds().count("wanted_again") == 1


def test_a_closed_task_is_not_opened_by_a_release() -> None:
    subject = in_state(S.CLOSED)
    subject.feed(custody("released", after(7200)))
    assert subject.task.state is S.CLOSED
    assert "wanted_again" not in subject.kinds()


def test_a_recall_says_which_power_there_is() -> None:
    subject = in_state(S.OPEN)
    subject.feed(custody("recalled", after(60)))
    assert any("unlawfully at large" in flag for flag in subject.task.flags)
    assert "recalled" in subject.kinds()


def test_each_revision_says_what_it_is_about() -> None:
    subject = Subject(order())
    changes = []
    for event in (
        fix(NOW),
        fix(after(120)),
        report(after(180)),
        order_served(at=after(200)),
        None,
        order_ended(at=after(-60)),
    ):
        given = event or update(subject.task.task_id, "acknowledge", after(240))
        changes += [task.change for task in subject.feed(given, now=max(subject.now, given.time)).tasks]
    assert changes == ["opened", "details", "breach", "details", "moved", "correction"]


def test_who_is_held_is_said_on_a_task_that_is_still_open() -> None:
    subject = Subject(order(), custody("detained", after(-60)))
    subject.feed(report(NOW))
    assert any("recorded as in custody" in flag for flag in subject.task.flags)
