"""The life of a task: who may move it where, with which words it is refused otherwise."""

import pytest
from builders import NOW, Subject, after, custody, fix, order, report, update

from schemas.tasks import TaskState
from streams.core.state import MAX_HISTORY
from streams.core.tasks import TRANSITIONS

S = TaskState
STEPS: dict[TaskState, list[str]] = {
    S.OPEN: [],
    S.ACKNOWLEDGED: ["acknowledge"],
    S.ASSIGNED: ["assign"],
    S.EN_ROUTE: ["assign", "en_route"],
    S.ARRESTED: ["arrested"],
    S.CLOSED: ["close"],
}
"""How to get a task into each state."""
LEADS: dict[str, dict[TaskState, TaskState]] = {
    "acknowledge": {S.OPEN: S.ACKNOWLEDGED},
    "assign": dict.fromkeys((S.OPEN, S.ACKNOWLEDGED, S.ASSIGNED, S.EN_ROUTE), S.ASSIGNED),
    "en_route": dict.fromkeys((S.ACKNOWLEDGED, S.ASSIGNED), S.EN_ROUTE),
    "arrested": dict.fromkeys((S.OPEN, S.ACKNOWLEDGED, S.ASSIGNED, S.EN_ROUTE), S.ARRESTED),
    "close": dict.fromkeys((S.OPEN, S.ACKNOWLEDGED, S.ASSIGNED, S.EN_ROUTE, S.ARRESTED), S.CLOSED),
}
FIELDS = {"assign": {"assignee": "unit 4"}, "close": {"outcome": "arrested and charged"}}


def moved(subject: Subject, action: str, role: str = "supervisor", **more: str) -> None:
    at = max(subject.now, after(60))
    subject.feed(update(subject.task.task_id, action, at, role, **{**FIELDS.get(action, {}), **more}))


def in_state(state: TaskState, **data: object) -> Subject:
    subject = Subject(order(**data))  # type: ignore[arg-type]
    subject.feed(fix(NOW))
    for action in STEPS[state]:
        moved(subject, action)
    assert subject.task.state is state
    return subject


def test_the_table_is_the_one_that_dashboards_were_told() -> None:
    assert {action: dict.fromkeys(starts, to) for action, (starts, to) in TRANSITIONS.items()} == LEADS


@pytest.mark.parametrize("action", sorted(LEADS))
@pytest.mark.parametrize("state", list(STEPS))
def test_each_move_from_each_state(state: TaskState, action: str) -> None:
    subject = in_state(state)
    revision, history = subject.task.revision, len(subject.task.history)
    moved(subject, action)
    if state in LEADS[action]:
        assert subject.task.state is LEADS[action][state]
        assert subject.task.history[-1].what == action
        assert subject.task.history[-1].by == "op-1 (supervisor)"
        assert "update_refused" not in subject.kinds()
    else:
        assert (subject.task.state, subject.task.revision, len(subject.task.history)) == (state, revision, history)
        assert subject.kinds()[-1] == "update_refused"
        assert f"a task that is {state} cannot be moved by '{action}'" in subject.alerts[-1].text


@pytest.mark.parametrize(
    ("action", "role", "fields", "says"),
    [
        ("close", "supervisor", {"outcome": None}, "closing needs an outcome"),
        ("close", "controller", {}, "closing needs a supervisor"),
        ("close", "officer", {}, "closing needs a supervisor"),
        ("assign", "controller", {"assignee": None}, "assigning needs an assignee"),
        ("note_wishes", "controller", {}, "say what the wishes are"),
    ],
)
def test_what_is_lacking_is_said(action: str, role: str, fields: dict[str, str], says: str) -> None:
    subject = in_state(S.OPEN, risk="high")
    moved(subject, action, role, **fields)
    assert subject.task.state is S.OPEN
    assert says in subject.alerts[-1].text


@pytest.mark.parametrize(
    ("risk", "by_controller"), [("standard", True), ("medium", True), ("high", False), (None, False)]
)
def test_a_high_or_unknown_risk_is_closed_by_a_supervisor(risk: str | None, by_controller: bool) -> None:
    subject = in_state(S.OPEN, risk=risk)
    moved(subject, "close", "controller")
    assert (subject.task.state is S.CLOSED) is by_controller
    moved(subject, "close", "supervisor")
    assert subject.task.state is S.CLOSED
    assert subject.task.outcome == "arrested and charged"


def test_an_unknown_task_is_refused() -> None:
    subject = in_state(S.OPEN)
    subject.feed(update("no-such-task", "close", after(60), "supervisor", outcome="x"))
    assert "no task of that id" in subject.alerts[-1].text
    assert subject.task.state is S.OPEN


@pytest.mark.parametrize("state", list(STEPS))
def test_wishes_are_noted_in_any_state_and_move_nothing(state: TaskState) -> None:
    subject = in_state(state)
    grade = subject.task.grade
    moved(subject, "note_wishes", "officer", reason="does not want an arrest")
    assert (subject.task.state, subject.task.grade) == (state, grade)
    assert "does not want an arrest" in subject.task.history[-1].what


def test_the_same_update_twice_moves_once() -> None:
    subject = in_state(S.OPEN)
    sent = update(subject.task.task_id, "acknowledge", after(60))
    subject.feed(sent, sent)
    assert [entry.what for entry in subject.task.history].count("acknowledge") == 1
    assert "update_refused" not in subject.kinds()


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
    subject.feed(custody("released", after(120)), custody("detained", after(60)))
    assert subject.task.state is S.ARRESTED
    assert subject.state.custody == "released"


def test_each_revision_is_greater_than_the_last() -> None:
    subject = in_state(S.EN_ROUTE)
    revisions = [task.revision for effects in subject.effects for task in effects.tasks]
    assert revisions == sorted(set(revisions))
