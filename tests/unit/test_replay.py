"""A process that ended before its commit reads events again: nothing is decided twice, nothing is lost or doubled."""

from datetime import timedelta

import pytest
from builders import NOW, Subject, after, away, custody, fix, order, report, retraction, wake

from schemas.base import Event
from schemas.tasks import Alert

IN, OUT = away(), away(north_m=2_000)

DAY: list[Event] = [
    order(),
    fix(after(0), OUT, id="f0"),
    fix(after(20), OUT, id="f0a"),
    fix(after(40), OUT, id="f0b"),
    fix(after(60), IN, id="f1"),
    fix(after(120), OUT, id="f2"),
    fix(after(180), OUT, id="f3"),
    fix(after(240), IN, id="f4"),
    report(after(250), id="r1"),
    fix(after(300), OUT, id="f5"),
    wake(after(1_000)),
    fix(after(270), IN, id="f6"),
    fix(after(360), OUT, id="f7"),
    fix(after(420), OUT, id="f7a"),
    fix(after(480), IN, id="f7b"),
    fix(after(540), IN, id="f7c"),
    retraction("f4", "r1", at=after(1_100)),
    custody("arrested", after(1_200)),
    custody("released", after(1_300), disposal="charged"),
    fix(after(1_400), IN, id="f8"),
    fix(after(1_460), OUT, id="f9"),
    wake(after(6_000)),
]
"""A flap, a late fix, a visit that silence ends for now, a report taken back, an arrest and a second task."""
TIMES = [max(NOW, *(event.time for event in DAY[: number + 1])) + timedelta(seconds=1) for number in range(len(DAY))]


def lived(*, crash_after: int = -1, committed: int = 0, lost: bool = False) -> Subject:
    """The day; after event `crash_after` the process ends, and all from `committed` on is read again.

    `lost`: what those events wrote to the records had not reached the changelog, the row had; without what the row
    refers to, for which assess waits before it writes the row.
    """
    subject = Subject()
    tables = [dict(subject.table)]
    for number, event in enumerate(DAY):
        subject.feed(event, now=TIMES[number], commits=number < committed)
        tables.append(dict(subject.table))
        if number != crash_after:
            continue
        if lost:
            needed = {key: value for key, value in subject.table.items() if b"|e|" not in key}
            subject.table = tables[committed] | needed
        for again in range(committed, number + 1):
            subject.replay(DAY[again], offset=again, committed=committed, now=TIMES[again])
    return subject


CLEAN = lived()


def by_id(alerts: list[Alert]) -> dict[str, str]:
    found: dict[str, str] = {}
    for alert in alerts:
        body = alert.model_dump_json()
        assert found.setdefault(alert.alert_id, body) == body, "the same id, another content"
    return found


def test_the_day_has_what_a_replay_could_spoil() -> None:
    assert {"breach", "correction"} <= {alert.kind for alert in CLEAN.alerts}
    assert [task.state for task in CLEAN.tasks.values()] == ["arrested", "open"]
    assert any(not effects for effects in CLEAN.effects), "some events have no effect that an outbox would keep"


@pytest.mark.parametrize("lost", [False, True], ids=["records kept", "records lost"])
@pytest.mark.parametrize("crash_after", range(len(DAY)))
def test_a_crash_changes_no_decision(crash_after: int, lost: bool) -> None:
    for committed in range(crash_after + 1):
        subject = lived(crash_after=crash_after, committed=committed, lost=lost)
        assert by_id(subject.alerts) == by_id(CLEAN.alerts)
        assert {a.audit_id: a for a in subject.audits} == {a.audit_id: a for a in CLEAN.audits}
        assert subject.facts() == CLEAN.facts()
        assert list(subject.records.all()) == list(CLEAN.records.all())
        assert subject.tasks.keys() == CLEAN.tasks.keys()
        for task_id, task in subject.tasks.items():
            # Sent again, a task is sent as it stands: a newer position may be on it.
            assert task.model_copy(update={"last_seen": None}) == CLEAN.tasks[task_id].model_copy(
                update={"last_seen": None}
            )


def test_a_topic_that_was_made_anew_is_not_taken_for_a_replay() -> None:
    subject = lived()
    before = len(subject.facts())
    later = TIMES[-1] + timedelta(hours=1)
    subject.replay(report(later, id="after"), offset=0, committed=0, now=later)
    assert len(subject.facts()) == before + 1
