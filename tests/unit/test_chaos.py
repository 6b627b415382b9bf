"""The harness itself: its schedules can be had again, and its judge fails where something is wrong."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from builders import NOW, Subject, fix, order

from streams.chaos.judge import Came, against, came
from streams.chaos.outcome import Outcome
from streams.chaos.proxy import Proxy
from streams.chaos.schedule import OF_BROKERS, Fault, schedule
from streams.kafka.local import free_ports


def test_the_same_seed_gives_the_same_faults_and_another_gives_others() -> None:
    assert schedule(1, 300, 5) == schedule(1, 300, 5)
    assert schedule(1, 300, 5) != schedule(2, 300, 5)


@pytest.mark.parametrize("seed", range(5))
def test_every_fault_comes_and_brokers_are_given_time_to_come_back(seed: int) -> None:
    planned = schedule(seed, 600, 5)
    assert {each.fault for each in planned} == set(Fault)
    assert 100 <= len(planned) <= 140
    broken = [each for each in planned if each.fault in OF_BROKERS]
    for before, after in pairwise(broken):
        assert after.at_s - before.at_s >= before.lasts_s + 15


def test_a_fault_that_this_machine_cannot_be_given_does_not_come() -> None:
    planned = schedule(1, 600, 5, frozenset({Fault.STEP_CLOCK}))
    assert {each.fault for each in planned} == set(Fault) - {Fault.STEP_CLOCK}


@pytest.fixture
def proxied() -> Iterator[tuple[Proxy, int, socket.socket]]:
    """A proxy, its port, and what listens beyond it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as beyond:
        beyond.settimeout(10)
        [port] = free_ports(1)
        proxy = Proxy(port, beyond.getsockname()[1])
        proxy.start()
        yield proxy, port, beyond
        proxy.close()


def talk(port: int, beyond: socket.socket) -> float | None:
    """Seconds that a word takes there and back; None when the connection is broken."""
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=10) as here:
        began = time.monotonic()
        here.sendall(b"ping")
        there, _ = beyond.accept()
        with there:
            there.sendall(there.recv(10))
            if here.recv(10) == b"ping":
                return time.monotonic() - began
    return None


def broken(connection: socket.socket) -> bool:
    """Has the other side ended it?"""
    try:
        return connection.recv(10) == b""
    except ConnectionError:
        return True


def test_a_proxy_passes_on_and_can_be_slow(proxied: tuple[Proxy, int, socket.socket]) -> None:
    proxy, port, beyond = proxied
    assert talk(port, beyond) is not None
    proxy.slow(0.2)
    assert (talk(port, beyond) or 0) >= 0.4


def test_a_proxy_cuts_what_is_open_and_takes_nothing_new_until_it_is_mended(
    proxied: tuple[Proxy, int, socket.socket],
) -> None:
    proxy, port, beyond = proxied
    with socket.create_connection(("127.0.0.1", port), timeout=10) as here:
        there, _ = beyond.accept()
        proxy.cut()
        assert broken(here)
        there.close()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as late:
        assert broken(late)
    proxy.mend()
    assert talk(port, beyond) is not None


def outcome_of(subject: Subject) -> Outcome:
    found = Outcome()
    for task in subject.tasks.values():
        found.add("arrest-tasks", record(task))
    for alert in subject.alerts:
        found.add("alerts", record(alert))
    return found


def record(model: Any) -> Any:
    return SimpleNamespace(value=model.model_dump_json().encode())


@pytest.fixture
def run() -> Came:
    subject = Subject(order())
    subject.feed(fix(NOW))
    return came(outcome_of(subject))


def test_a_task_that_has_left_its_topic_is_no_outcome() -> None:
    subject = Subject(order(), fix(NOW))
    found = outcome_of(subject)
    found.add("arrest-tasks", SimpleNamespace(key=subject.task.task_id.encode(), value=None))
    assert found.final_tasks() == []


def test_equal_runs_are_equal(run: Came) -> None:
    assert len(run.facts) == len(run.alerted) == 1
    assert against(run, run, "itself") == []


def test_a_lost_breach_alert_event_or_dead_letter_is_seen(run: Came) -> None:
    letter = ("orders", "not_json", b"{")
    more = run._replace(read={"a#1"}, dead_letters={letter})
    for lossy, what in (
        (more._replace(facts=set()), "facts: 1 lost, 0 too many"),
        (more._replace(alerted=set()), "alerted: 1 lost, 0 too many"),
        (more._replace(read=set()), "read: 1 lost, 0 too many"),
        (more._replace(dead_letters=set()), "dead_letters: 1 lost, 0 too many"),
        (more._replace(counted={"S1": 2}), "counted: {'S1': 2} against"),
    ):
        [wrong] = against(lossy, more, "the other")
        assert wrong.startswith(what)


def test_a_fact_that_came_out_otherwise_is_seen(run: Came) -> None:
    [fact] = run.facts
    other = run._replace(facts={fact._replace(began=datetime(2026, 1, 1, tzinfo=UTC))})
    assert "1 lost, 1 too many" in against(other, run, "the other")[0]
