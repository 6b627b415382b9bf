"""What doctor says of who is at work, and of what moves between two looks."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition

from streams.doctor import running as judge
from streams.doctor.cluster import Stamps
from streams.doctor.finding import Finding
from streams.doctor.running import Served, Stored
from streams.doctor.watch import HIDDEN, Group, Look, Member, Span, clocks
from streams.health import Health, serve
from streams.kafka.local import HOST, free_ports
from streams.kafka.topics import TOPICS
from streams.settings import Settings

NOW = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)
SETTINGS = Settings(topic_prefix="p-", partitions=2)
PARTITIONS = [TopicPartition(f"p-{topic.name}", number) for topic in TOPICS for number in (0, 1)]
QUIET = Span(begin=5, end=9, young=9, leader=1, newest_s=900.0)
ALL_WORKED = frozenset(
    tp for stage in judge.stages(SETTINGS) if stage.needed for tp in PARTITIONS if tp.topic[2:] in stage.topics
)
DONE = dict.fromkeys(PARTITIONS, 9)
GROUPS = {
    f"p-{stage.group}": Group("Stable", (Member("m", "w1", "h1", ALL_WORKED),), DONE)
    for stage in judge.stages(SETTINGS)
}
LOOK = Look(990.0, 991.0, GROUPS, dict.fromkeys(PARTITIONS, QUIET))
WORKERS, GATE, ADAPTER = "p-breachwatch", "p-breachwatch-gate", "p-breachwatch-adapter-traccar"
ORDERS = TopicPartition("p-orders", 1)
NOBODY = Group("Dead", (), {})


def group(name: str, look: Look = LOOK, **changes: Any) -> Look:
    return replace(look, groups=dict(look.groups) | {name: replace(look.groups[name], **changes)})


def spans(changed: Mapping[TopicPartition, Span]) -> Look:
    return replace(LOOK, spans=dict(LOOK.spans) | dict(changed))


def wrong(second: Look, first: Look | None = None) -> list[Finding]:
    found = judge.groups(first or second, second, SETTINGS)
    return [one for one in found if one.state != "ok"]


def test_everybody_at_work() -> None:
    # The adapters have partitions of others here, which is not what is looked at.
    adapters = {name: replace(one, members=(), committed=DONE) for name, one in GROUPS.items() if "adapter" in name}
    look = replace(LOOK, groups=GROUPS | adapters)
    assert wrong(look) == []
    found = list(judge.groups(look, look, SETTINGS))
    assert [(one.what, one.detail) for one in found][:2] == [
        ("workers", "1 at work, and every partition has one"),
        ("workers lag", "nothing has waited for more than 90 s"),
    ]
    assert {one.what for one in found} == {"workers", "workers lag", "gate", "gate lag"}


@pytest.mark.parametrize(
    ("name", "changes", "what", "state", "says", "mend"),
    [
        (WORKERS, {"members": ()}, "workers", "fail", "nobody works on orders", "breachwatch worker --name"),
        (GATE, {"members": ()}, "gate", "fail", "nobody works on anpr-reads: 0 messages wait", "breachwatch gate"),
        (WORKERS, {"state": "PreparingRebalance"}, "workers", "warn", "given anew", "look again in a minute"),
        (
            WORKERS,
            {"members": (Member("m", "w1", "h1", ALL_WORKED - {ORDERS}),)},
            "workers",
            "fail",
            "1 partitions have nobody: p-orders/1",
            "restart them one by one",
        ),
        (
            WORKERS,
            {"committed": DONE | {ORDERS: 2}},
            "workers",
            "fail",
            "3 messages were deleted before anybody read them: p-orders/1",
            "send them again",
        ),
    ],
)
def test_a_group_that_is_not(name: str, changes: dict[str, Any], what: str, state: str, says: str, mend: str) -> None:
    found = wrong(group(name, **changes), group(name, **changes))[0]
    assert (found.what, found.state) == (what, state)
    assert says in found.detail
    assert mend in found.mend


def test_who_has_never_worked_is_missed_only_where_messages_wait() -> None:
    nothing = replace(
        LOOK, groups=dict.fromkeys(GROUPS, NOBODY), spans=dict.fromkeys(PARTITIONS, replace(QUIET, end=5))
    )
    assert [(one.what, one.state) for one in wrong(nothing)] == [("workers", "warn"), ("gate", "warn")]
    waiting = replace(nothing, spans=dict(nothing.spans) | {ORDERS: QUIET, TopicPartition("p-raw-traccar", 0): QUIET})
    assert [(one.what, one.state) for one in wrong(waiting)] == [
        ("workers", "fail"),
        ("gate", "warn"),
        ("adapter", "fail"),
    ]
    assert "`breachwatch adapters run traccar`" in wrong(waiting)[2].mend


def test_a_group_that_we_may_not_see_is_not_judged() -> None:
    hidden = replace(LOOK, groups=dict.fromkeys(GROUPS, Group(HIDDEN, (), {})))
    found = list(judge.groups(hidden, hidden, SETTINGS))
    assert [(one.what, one.state) for one in found] == [("workers", "ok"), ("gate", "ok")]


def test_messages_that_wait() -> None:
    old = spans({ORDERS: replace(QUIET, end=29, young=19)})
    (stuck,) = [one for one in wrong(old, LOOK) if one.what == "workers lag"]
    assert (stuck.state, "nothing moves: p-orders/1" in stuck.detail) == ("fail", True)
    before = group(WORKERS, committed=DONE | {ORDERS: 8})
    (behind,) = [one for one in wrong(old, before) if one.what == "workers lag"]
    assert (behind.state, behind.detail) == ("warn", "10 messages have waited for more than 90 s")
    young = spans({ORDERS: replace(QUIET, end=29, young=9)})
    assert [one for one in wrong(young, LOOK) if one.what == "workers lag"] == []
    patient = spans({TopicPartition("p-sightings-backfill", 0): replace(QUIET, end=29, young=29)})
    assert [one for one in wrong(patient, LOOK) if one.what == "workers lag"] == []
    never = group(WORKERS, old, committed={})
    assert any("nothing moves" in one.detail for one in wrong(never, never))


@given(begin=st.integers(0, 50), old=st.integers(0, 50), fresh=st.integers(0, 50), done=st.integers(-1, 150))
def test_a_lag_is_named_exactly_where_an_old_message_is_left(begin: int, old: int, fresh: int, done: int) -> None:
    span = Span(begin, begin + old + fresh, young=begin + old, leader=1, newest_s=None)
    look = group(WORKERS, spans({ORDERS: span}), committed=DONE | {ORDERS: done})
    named = [one for one in wrong(look, look) if one.what == "workers lag"]
    assert bool(named) == (max(done, begin) < begin + old)


def test_two_workers_of_one_name_throw_each_other_out() -> None:
    other = group(WORKERS, members=(Member("m2", "w1", "h2", ALL_WORKED),))
    (found,) = [one for one in wrong(other, LOOK) if one.what == "names"]
    assert (found.state, "w1 has joined from h1, h2" in found.detail) == ("fail", True)
    again = group(WORKERS, members=(Member("m2", "w1", "h1", ALL_WORKED),))
    (found,) = [one for one in wrong(again, LOOK) if one.what == "names"]
    assert found.state == "warn"


@pytest.mark.parametrize(
    ("commands", "twice"),
    [
        ([["python", "/v/bin/breachwatch", "worker", "--name", "w1"], ["/v/bin/breachwatch", "worker"]], False),
        ([["python", "/v/bin/breachwatch", "worker", "--name", "w1"]] * 2, True),
        ([["/v/bin/breachwatch", "worker"], ["breachwatch", "worker", "--name=worker-1"]], True),
        ([["/v/bin/breachwatch", "gate"]] * 2, False),
        ([["vi", "worker"], ["vi", "worker"], []], False),
    ],
)
def test_two_workers_of_one_name_on_this_machine(commands: list[list[str]], twice: bool) -> None:
    found = [one for one in judge.names_here(commands) if one.state != "ok"]
    assert bool(found) == twice


def test_a_store_that_is_newer_than_its_changelog() -> None:
    stored = [Stored("w1", "subjects", 0, 7), Stored("w1", "records", 0, 3)]
    (found,) = judge.stores(stored, {("subjects", 0): 8, ("records", 0): 4})
    assert found.state == "ok"
    (found,) = judge.stores(stored, {("subjects", 0): 7, ("records", 0): 4})
    assert (found.state, "store of w1 is newer" in found.detail) == ("fail", True)
    assert "delete its directory" in found.mend
    assert list(judge.stores([], {})) == []


def test_sources_that_are_off_for_long() -> None:
    def control(source: str, off: bool, hours: float) -> bytes:
        at = NOW - timedelta(hours=hours)
        return json.dumps({"source": source, "off": off, "reason": "r", "by": "b", "at": at.isoformat()}).encode()

    (found,) = judge.sources_off([control("a", True, 30), control("b", True, 2), control("c", False, 90)], NOW)
    assert (found.state, found.detail.endswith(": a")) == ("warn", True)
    assert "breachwatch sources on" in found.mend
    (found,) = judge.sources_off([control("b", True, 2)], NOW)
    assert found.state == "ok"


def test_the_canary() -> None:
    assert judge.canary({"canary", "tags/x"}).state == "ok"
    assert judge.canary({"tags/x"}).state == "warn"


@pytest.mark.parametrize(
    ("served", "state", "says"),
    [
        (Served("http://h:1", role="gate", version="1"), "ok", "gate at http://h:1 is ready"),
        (Served("http://h:1", fault="refused"), "fail", "does not answer: refused"),
        (Served("http://h:1", role="gate", version="1", wrong=("index",)), "fail", "is not ready: index"),
        (Served("http://h:1", role="gate", version="0"), "warn", "is version 0, and this is 1"),
    ],
)
def test_processes(served: Served, state: str, says: str) -> None:
    (found,) = judge.processes([served], "1")
    assert (found.what, found.state) == ("process", state)
    assert says in found.detail
    assert (found.mend == "") == (state == "ok")


def test_a_process_is_asked_where_it_serves() -> None:
    (port,) = free_ports(1)
    url, health = f"http://{HOST}:{port}", Health("gate")
    assert "refused" in judge.ask_process(url).fault
    assert "http://host:port" in judge.ask_process("file:///etc/passwd").fault
    serve("127.0.0.1", port, health)
    assert judge.ask_process(url).wrong == ("start",)
    health.ready["index"] = lambda: None
    assert judge.ask_process(url) == Served(url, role="gate", version=version("breachwatch"))


def test_clocks_are_known_by_what_was_appended_between_the_looks() -> None:
    grown = spans({ORDERS: replace(QUIET, end=10, newest_s=992.0, leader=2)})
    second = replace(grown, before_s=995.0, after_s=996.0)
    assert clocks(LOOK, second) == {1: Stamps(900.0), 2: Stamps(992.0, (990.0, 992.0, 996.0))}
    empty = spans(dict.fromkeys(PARTITIONS, replace(QUIET, newest_s=None)))
    assert clocks(LOOK, empty) == {}
