"""Who may move a task where, with which words it is refused otherwise, and that nothing corrupts its state."""

import pytest
from builders import NOW, Subject, after, custody, fix, order, order_ended, report, retraction, update

from schemas.base import Event
from schemas.tasks import TaskState
from streams.core.transitions import ANYBODY, LIVE, NOTES, ROOM, TRANSITIONS

S = TaskState
STEPS: dict[TaskState, list[str]] = {
    S.OPEN: [],
    S.ACKNOWLEDGED: ["acknowledge"],
    S.ASSIGNED: ["assign"],
    S.EN_ROUTE: ["assign", "en_route"],
    S.ATTEMPTED: ["assign", "attempted"],
    S.ARRESTED: ["arrested"],
    S.CLOSED: ["close"],
    S.WITHDRAWAL_RECOMMENDED: ["take back"],
    S.WITHDRAWN: ["take back", "withdraw"],
}
"""How to get a task into each state."""
SEARCH = [S.OPEN, S.ACKNOWLEDGED, S.ASSIGNED, S.EN_ROUTE, S.ATTEMPTED]
LEADS: dict[str, dict[TaskState, TaskState]] = {
    "acknowledge": {S.OPEN: S.ACKNOWLEDGED},
    "assign": dict.fromkeys(SEARCH, S.ASSIGNED),
    "en_route": dict.fromkeys((S.ACKNOWLEDGED, S.ASSIGNED, S.ATTEMPTED), S.EN_ROUTE),
    "attempted": dict.fromkeys((S.ACKNOWLEDGED, S.ASSIGNED, S.EN_ROUTE), S.ATTEMPTED),
    "arrested": dict.fromkeys((*SEARCH, S.WITHDRAWAL_RECOMMENDED), S.ARRESTED),
    "close": dict.fromkeys((*SEARCH, S.WITHDRAWAL_RECOMMENDED, S.ARRESTED), S.CLOSED),
    "withdraw": {S.WITHDRAWAL_RECOMMENDED: S.WITHDRAWN},
    "keep": {S.WITHDRAWAL_RECOMMENDED: S.OPEN},
}
FIELDS = {
    "assign": {"assignee": "unit 4"},
    "close": {"outcome": "charged"},
    "attempted": {"reason": "nobody in"},
    "withdraw": {"reason": "discharged this morning"},
    "keep": {"reason": "the discharge is not on the court's list"},
}


def moved(subject: Subject, action: str, role: str = "supervisor", **more: object) -> None:
    at = max(subject.now, after(60))
    if action == "take back":
        subject.feed(order_ended(at=after(-60)), now=at)
        return
    subject.feed(update(next(iter(subject.tasks)), action, at, role, **{**FIELDS.get(action, {}), **more}))


def in_state(state: TaskState, **data: object) -> Subject:
    subject = Subject(order(**data))  # type: ignore[arg-type]
    subject.feed(fix(NOW))
    for action in STEPS[state]:
        moved(subject, action)
    assert subject.task.state is state
    return subject


def test_the_table_is_the_one_that_dashboards_were_told() -> None:
    people = {action: move for action, move in TRANSITIONS.items() if move.roles & ANYBODY}
    assert {action: dict.fromkeys(move.starts, move.to or S.OPEN) for action, move in people.items()} == LEADS


def test_every_state_can_be_reached_and_only_the_final_ones_are_never_left() -> None:
    reached = {S.OPEN} | {move.to for move in TRANSITIONS.values() if move.to is not None}
    assert reached == set(S)
    left = set().union(*(move.starts for move in TRANSITIONS.values()))
    assert set(S) - left == {S.CLOSED, S.WITHDRAWN, S.MERGED}


@pytest.mark.parametrize("action", sorted(LEADS))
@pytest.mark.parametrize("state", list(STEPS))
def test_each_move_from_each_state(state: TaskState, action: str) -> None:
    subject = in_state(state)
    revision, history = subject.task.revision, len(subject.task.history)
    moved(subject, action)
    answer = subject.answers[-1]
    assert (answer.event_id, answer.action, answer.state) == (
        subject.state.known and list(subject.state.known)[-1],
        action,
        subject.task.state,
    )
    if state in LEADS[action]:
        assert subject.task.state is LEADS[action][state]
        assert subject.task.history[-1].what.startswith(action.replace("_", " "))
        assert subject.task.history[-1].by == "op-1 (supervisor)"
        assert (answer.accepted, answer.reason) == (True, None)
    else:
        assert (subject.task.state, subject.task.revision, len(subject.task.history)) == (state, revision, history)
        assert not answer.accepted
        assert answer.reason is not None
        assert f"is {state}" in answer.reason


@pytest.mark.parametrize("action", sorted(LEADS))
@pytest.mark.parametrize("role", sorted(ANYBODY))
def test_each_move_by_each_role(action: str, role: str) -> None:
    start = S.WITHDRAWAL_RECOMMENDED if action in ("withdraw", "keep") else S.ACKNOWLEDGED
    start = S.OPEN if action == "acknowledge" else start
    subject = in_state(start, risk="standard")
    moved(subject, action, role)
    allowed = role in TRANSITIONS[action].roles
    assert subject.answers[-1].accepted is allowed
    if not allowed:
        assert f"not for {role}" in (subject.answers[-1].reason or "")
        assert subject.task.state is start


@pytest.mark.parametrize(
    ("action", "role", "fields", "says"),
    [
        ("close", "supervisor", {"outcome": None}, "closing needs an outcome"),
        ("close", "controller", {}, "closing needs a supervisor"),
        ("assign", "controller", {"assignee": None}, "assigning needs an assignee"),
        ("note_wishes", "controller", {}, "say what the wishes are"),
        ("note", "controller", {}, "'note' needs a reason"),
        ("told", "controller", {"person_id": "P1", "reason": "x"}, "'told' is not for an arrest task"),
    ],
)
def test_what_is_lacking_is_said(action: str, role: str, fields: dict[str, object], says: str) -> None:
    subject = in_state(S.OPEN, risk="high")
    moved(subject, action, role, **fields)
    assert subject.task.state is S.OPEN
    assert says in (subject.answers[-1].reason or "")


@pytest.mark.parametrize(
    ("risk", "by_controller"), [("standard", True), ("medium", True), ("high", False), (None, False)]
)
def test_a_high_or_unknown_risk_is_closed_by_a_supervisor(risk: str | None, by_controller: bool) -> None:
    subject = in_state(S.OPEN, risk=risk)
    moved(subject, "close", "controller")
    assert (subject.task.state is S.CLOSED) is by_controller
    moved(subject, "close", "supervisor")
    assert subject.task.state is S.CLOSED
    assert subject.task.outcome == "charged"


@pytest.mark.parametrize(
    ("risk", "assigned", "by_controller"),
    [("standard", False, True), ("standard", True, False), ("high", False, False), (None, False, False)],
)
def test_a_withdrawal_is_confirmed_by_a_supervisor_while_a_unit_is_out_or_the_risk_is_high(
    risk: str | None, assigned: bool, by_controller: bool
) -> None:
    subject = in_state(S.ASSIGNED if assigned else S.OPEN, risk=risk)
    moved(subject, "take back")
    assert subject.task.state is S.WITHDRAWAL_RECOMMENDED
    moved(subject, "withdraw", "controller")
    assert (subject.task.state is S.WITHDRAWN) is by_controller
    if not by_controller:
        assert "withdrawing needs a supervisor" in (subject.answers[-1].reason or "")
        assert subject.live is not None, "nobody has called off the car"


def test_a_withdrawal_that_is_not_confirmed_leaves_the_task_where_it_was() -> None:
    subject = in_state(S.EN_ROUTE)
    moved(subject, "take back")
    moved(subject, "keep", reason="the discharge is not on the court's list")
    assert subject.task.state is S.EN_ROUTE
    assert subject.task.assigned_to == "unit 4"


def test_a_breach_that_stands_again_ends_the_recommendation() -> None:
    subject = in_state(S.EN_ROUTE)
    ended = order_ended(at=after(-60))
    subject.feed(ended, now=after(120))
    assert subject.task.state is S.WITHDRAWAL_RECOMMENDED
    subject.feed(retraction(ended.id, at=after(180)))
    assert subject.task.state is S.EN_ROUTE
    assert subject.task.breach_count == 1


def test_an_unknown_task_is_refused() -> None:
    subject = in_state(S.OPEN)
    subject.feed(update("no-such-task", "close", after(60), "supervisor", outcome="no_trace"))
    answer = subject.answers[-1]
    assert "no task of that id" in (answer.reason or "")
    assert (answer.task_id, answer.state) == ("no-such-task", None)
    assert subject.task.state is S.OPEN


@pytest.mark.parametrize("state", list(STEPS))
def test_wishes_are_noted_in_any_state_and_move_nothing(state: TaskState) -> None:
    subject = in_state(state)
    grade = subject.task.grade
    moved(subject, "note_wishes", "officer", reason="does not want an arrest")
    assert (subject.task.state, subject.task.grade) == (state, grade)
    assert "does not want an arrest" in subject.task.history[-1].what
    assert "note_wishes" in NOTES


def test_the_same_update_twice_moves_once_and_is_answered_twice() -> None:
    subject = in_state(S.OPEN)
    sent = update(subject.task.task_id, "acknowledge", after(60))
    subject.feed(sent, sent)
    assert [entry.what for entry in subject.task.history].count("acknowledge") == 1
    assert [answer.accepted for answer in subject.answers] == [True, False]
    assert "applied or refused before" in (subject.answers[-1].reason or "")
    assert subject.answers[-1].state == "acknowledged"


def test_of_two_controllers_who_acknowledge_one_is_told_who_has_it() -> None:
    subject = in_state(S.OPEN)
    subject.feed(update(subject.task.task_id, "acknowledge", after(60)))
    subject.feed(update(subject.task.task_id, "acknowledge", after(61)))
    assert "acknowledged already by op-1" in (subject.answers[-1].reason or "")


def test_an_older_move_does_not_undo_a_newer_one() -> None:
    subject = in_state(S.OPEN)
    task_id = subject.task.task_id
    subject.feed(update(task_id, "assign", after(300), assignee="unit 7"))
    subject.feed(update(task_id, "assign", after(200), assignee="unit 1"))
    assert subject.task.assigned_to == "unit 7"
    assert "it comes too late" in (subject.answers[-1].reason or "")
    subject.feed(update(task_id, "arrested", after(250)))
    assert subject.task.state is S.ARRESTED, "an arrest is a fact, whenever it becomes known"


def test_an_older_acknowledgement_does_not_reopen_a_closed_task() -> None:
    subject = in_state(S.CLOSED)
    subject.feed(update(subject.task.task_id, "acknowledge", after(10)))
    assert subject.task.state is S.CLOSED
    assert not subject.answers[-1].accepted


def test_an_incident_number_stands_for_the_task_it_was_linked_to() -> None:
    subject = in_state(S.OPEN)
    task_id = subject.task.task_id
    subject.feed(update(task_id, "link", after(60), "dispatch", incident="WYP/2026/123"))
    assert subject.task.incidents == ["WYP/2026/123"]
    assert [(r.kind, r.value) for r in subject.identifiers][-1] == ("incident", "WYP/2026/123")
    by_number = {"subject_id": None, "incident": "WYP/2026/123"}
    subject.feed(update(None, "assign", after(70), "dispatch", assignee="unit 2", **by_number))
    assert (subject.task.state, subject.task.assigned_to) == (S.ASSIGNED, "unit 2")
    subject.feed(update(None, "close", after(80), "dispatch", outcome="no_trace", **by_number))
    assert subject.task.state is S.ASSIGNED, "closing a dispatch system's incident closes no task"
    assert "not for dispatch" in (subject.answers[-1].reason or "")


def test_roles_of_the_room_are_a_part_of_everybody() -> None:
    assert ROOM < ANYBODY
    assert S.WITHDRAWAL_RECOMMENDED in LIVE


def test_custody_moves_a_task_from_a_recommended_withdrawal_too() -> None:
    subject = in_state(S.WITHDRAWAL_RECOMMENDED)
    subject.feed(custody("detained", after(900)))
    assert subject.task.state is S.ARRESTED


def test_of_two_who_decided_on_the_same_revision_the_second_is_told_and_notes_move_nothing() -> None:
    subject = in_state(S.ACKNOWLEDGED)
    seen = subject.task.revision
    moved(subject, "note", reason="she asked for a call back")
    moved(subject, "assign", assignee="Car 7", revision=seen)
    assert (subject.task.assigned_to, subject.answers[-1].accepted) == ("Car 7", True)
    moved(subject, "assign", assignee="Car 8", revision=seen)
    assert subject.task.assigned_to == "Car 7"
    assert "decided on revision 2, and somebody moved the task in revision 4" in (subject.answers[-1].reason or "")
    moved(subject, "assign", assignee="Car 8", revision=subject.task.revision)
    assert subject.task.assigned_to == "Car 8"


@pytest.mark.parametrize(
    ("state", "news"),
    [(S.ACKNOWLEDGED, report(after(90))), (S.ARRESTED, custody("released", after(90)))],
    ids=["a further breach", "out of custody"],
)
def test_a_task_is_not_closed_over_news_that_whoever_closes_it_has_not_seen(state: TaskState, news: Event) -> None:
    subject = in_state(state)
    seen = subject.task.revision
    subject.feed(news)
    moved(subject, "close", revision=seen)
    assert subject.task.state is not S.CLOSED
    assert f"revision {seen + 1} brought news" in (subject.answers[-1].reason or "")
    moved(subject, "assign", revision=seen)
    assert subject.answers[-1].accepted, "what sends somebody is right whatever came"
    moved(subject, "close", revision=subject.task.revision)
    assert subject.task.state is S.CLOSED


def test_an_arrest_is_a_fact_whatever_was_seen_of_the_task() -> None:
    subject = in_state(S.ASSIGNED)
    moved(subject, "arrested", revision=1)
    assert subject.task.state is S.ARRESTED


def test_a_task_says_when_a_person_first_acted_on_it_and_when_the_arrest_was() -> None:
    subject = in_state(S.OPEN)
    assert (subject.task.acknowledged_at, subject.task.arrested_at) == (None, None)
    moved(subject, "acknowledge")
    first = subject.task.acknowledged_at
    moved(subject, "assign")
    subject.feed(custody("arrested", after(300)))
    assert (first, subject.task.acknowledged_at, subject.task.arrested_at) == (after(60), first, after(300))
