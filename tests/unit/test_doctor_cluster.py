"""What doctor says of the brokers' settings, disks and clocks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.doctor import cluster as judge
from streams.doctor.cluster import Broker, Disk, Stamps
from streams.doctor.finding import Finding

CONFIG = {
    "auto.create.topics.enable": "false",
    "unclean.leader.election.enable": "false",
    "log.cleaner.enable": "true",
    "log.retention.bytes": "-1",
    "offsets.retention.minutes": "10080",
    "socket.request.max.bytes": "104857600",
    "group.min.session.timeout.ms": "6000",
    "group.max.session.timeout.ms": "1800000",
}
BROKER = Broker(1, "k:9092", (4, 1), CONFIG)


def wrong(*brokers: Broker, replication: int = 1, session_s: float = 30.0) -> list[Finding]:
    return [found for found in judge.brokers(brokers, replication, session_s) if found.state != "ok"]


def configured(**values: str) -> Broker:
    return replace(BROKER, config=CONFIG | {key.replace("_", "."): value for key, value in values.items()})


def test_brokers_as_they_must_be() -> None:
    assert wrong(BROKER) == []
    assert wrong(*(replace(BROKER, number=number) for number in (1, 2, 3)), replication=3) == []


@pytest.mark.parametrize(
    ("broker", "state", "says", "mend"),
    [
        (replace(BROKER, version=(3, 9)), "warn", "answers as Kafka 3.9", "upgrade"),
        (replace(BROKER, version=None), "fail", "1 at k:9092 does not answer", "certificate"),
        (replace(BROKER, config={}), "warn", "may not see how 1 is set", "breachwatch access show worker"),
        (configured(auto_create_topics_enable="true"), "fail", "made unasked", "enable=false"),
        (configured(unclean_leader_election_enable="true"), "fail", "are gone", "enable=false"),
        (configured(log_cleaner_enable="false"), "fail", "grow for ever", "enable=true"),
        (configured(log_retention_bytes="1000"), "fail", "deleted by size", "bytes=-1"),
        (configured(offsets_retention_minutes="1440"), "warn", "1440 on broker 1", "10080 at least"),
        (configured(socket_request_max_bytes="1000000"), "fail", "are refused", "2500000 at least"),
    ],
)
def test_a_broker_that_is_not(broker: Broker, state: str, says: str, mend: str) -> None:
    (found,) = wrong(broker)
    assert found.state == state
    assert says in found.detail
    assert mend in found.mend


@pytest.mark.parametrize(
    ("disk", "state", "says"),
    [
        (Disk("/d", 1000, 90), "warn", "9% of /d of broker 1 is left"),
        (Disk("/d", 1000, 20), "fail", "2% of /d of broker 1 is left"),
        (Disk("/d", -1, -1, offline=True), "fail", "/d of broker 1 is offline"),
    ],
)
def test_a_disk_of_a_broker_that_fills_up(disk: Disk, state: str, says: str) -> None:
    (found,) = wrong(replace(BROKER, disks=(disk,)))
    assert (found.what, found.state, found.detail) == ("broker disks", state, says)
    assert "disk" in found.mend


@pytest.mark.parametrize("disk", [Disk("/d", 1000, 500), Disk("/d", -1, -1)])
def test_a_disk_that_has_room_or_is_not_told_of(disk: Disk) -> None:
    assert wrong(replace(BROKER, disks=(disk,))) == []


@pytest.mark.parametrize("session_s", [5.0, 1801.0])
def test_a_session_timeout_that_brokers_refuse(session_s: float) -> None:
    (found,) = wrong(BROKER, session_s=session_s)
    assert found.state == "fail"
    assert "the brokers take 6 to 1800" in found.detail
    assert "within these bounds" in found.mend


def test_brokers_that_are_away_or_of_two_versions() -> None:
    fenced = replace(BROKER, number=2, fenced=True, version=None, config={})
    assert [found.state for found in wrong(BROKER, fenced, replication=2)] == ["warn", "fail"]
    (found,) = wrong(BROKER, replace(BROKER, number=2, version=(4, 0)))
    assert (found.state, found.mend) == ("warn", "finish the upgrade that was begun")


# -- clocks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "state", "says"),
    [
        ({}, "ok", "no record to compare with yet"),
        ({1: Stamps(900.0)}, "ok", "only that it is not ahead"),
        ({1: Stamps(1001.0)}, "ok", "agrees with broker 1"),
        ({1: Stamps(1007.5)}, "fail", "this machine is at least 7.5 s behind the brokers"),
        ({1: Stamps(999.0, (998.0, 999.0, 1000.0))}, "ok", "agrees with broker 1 to 2 s"),
        ({1: Stamps(940.0, (998.0, 940.0, 1000.0))}, "fail", "this machine is at least 58.0 s ahead of the brokers"),
        (
            {1: Stamps(1060.0), 2: Stamps(999.0, (998.0, 999.0, 1000.0))},
            "fail",
            "broker 1 is at least 60.0 s",
        ),
        ({1: Stamps(1060.0), 2: Stamps(1061.0)}, "fail", "this machine is at least 61.0 s behind the brokers"),
    ],
)
def test_clocks(found: Mapping[int, Stamps], state: str, says: str) -> None:
    told = judge.clock(found, 1000.0)
    assert told.state == state
    assert says in told.detail
    assert ("NTP" in told.mend) == (state == "fail")


@given(off=st.floats(-1e6, 1e6), before=st.floats(0, 1e9), took=st.floats(0, 60), at=st.floats(0, 1))
def test_a_clock_is_not_said_to_be_off_by_more_than_it_is(off: float, before: float, took: float, at: float) -> None:
    """What is said is a bound: the truth lies at it or beyond."""
    after = before + took
    stamp = before + at * took + off
    ahead: Any = Stamps(stamp, (before, stamp, after)).ahead_s(after)
    assert abs(ahead) <= abs(off) + 1e-3
    assert ahead == 0 or (ahead > 0) == (off > 0)
