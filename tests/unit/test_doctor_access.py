"""What doctor says of the rights of who runs it."""

from dataclasses import replace

import pytest

from streams.doctor import access as judge
from streams.doctor.access import Allowed
from streams.kafka.access import ROLES, Grant, grants
from streams.kafka.topics import BY_NAME
from streams.settings import Settings

SETTINGS = Settings(topic_prefix="p-").model_copy(update={"kafka_user": "w1"})


def granted(*found: Grant) -> Allowed:
    """What a broker would say to a user with these grants."""

    def operations(kind: str, name: str) -> list[str]:
        return [one.operation for one in found if (one.kind, one.name) == (kind, name)]

    groups = {one.name for role in ROLES for one in grants(role, SETTINGS) if one.kind == "GROUP"}
    return Allowed(
        {f"p-{name}": operations("TOPIC", f"p-{name}") for name in BY_NAME},
        {name: operations("GROUP", name) for name in groups},
        operations("CLUSTER", "kafka-cluster"),
    )


@pytest.mark.parametrize("role", ROLES)
def test_who_has_a_role_is_told_so(role: str) -> None:
    found = judge.permissions(granted(*grants(role, SETTINGS)), SETTINGS, "w1")
    assert found.state == "ok"
    assert role in found.detail or "more" in found.detail
    assert judge.permissions(granted(*grants(role, SETTINGS)), SETTINGS, "w1", role).state == "ok"


@pytest.mark.parametrize(
    ("lost", "says"),
    [
        (Grant("TOPIC", "p-orders", "READ"), "may not READ on topic p-orders"),
        (Grant("GROUP", "p-breachwatch", "READ"), "may not READ on group p-breachwatch"),
        (Grant("CLUSTER", "kafka-cluster", "DESCRIBE_CONFIGS"), "may not DESCRIBE_CONFIGS on cluster kafka-cluster"),
    ],
)
def test_one_right_that_a_worker_lacks(lost: Grant, says: str) -> None:
    had = grants("worker", SETTINGS)
    assert lost in had
    found = judge.permissions(granted(*(one for one in had if one != lost)), SETTINGS, "w1")
    assert (found.state, found.detail) == ("fail", f"w1 cannot work as worker: {says}")
    assert found.mend == "whoever administers the cluster runs `breachwatch access grant worker w1`"


def test_a_right_that_another_gives_is_there() -> None:
    had = [one for one in grants("publish-orders", SETTINGS) if one.operation != "DESCRIBE"]
    assert judge.permissions(granted(*had), SETTINGS, "w1", "publish-orders").state == "ok"


def test_the_role_that_is_meant_is_the_one_that_is_judged() -> None:
    found = judge.permissions(granted(*grants("worker", SETTINGS)), SETTINGS, "w1", "gate")
    assert found.state == "fail"
    assert "cannot work as gate" in found.detail
    assert "p-anpr-reads" in found.detail


def test_who_may_nothing_and_is_nobody() -> None:
    found = judge.permissions(granted(), Settings(topic_prefix="p-"), "somebody who is not logged in", "worker")
    assert found.detail.startswith("somebody who is not logged in cannot work as worker")
    assert found.mend.startswith("set BREACHWATCH_KAFKA_USER; ")


def test_a_broker_that_does_not_tell() -> None:
    found = judge.permissions(replace(granted(), topics={"p-orders": None}), SETTINGS, "w1")
    assert found.state == "warn"


def test_a_topic_that_is_not_there_is_not_lacking() -> None:
    had = granted(*grants("worker", SETTINGS))
    there = {name: operations for name, operations in had.topics.items() if name != "p-orders"}
    assert judge.permissions(replace(had, topics=there), SETTINGS, "w1", "worker").state == "ok"


def test_a_group_that_is_not_there_yet_is_not_lacking() -> None:
    had = granted(*(one for one in grants("worker", SETTINGS) if one.kind != "GROUP"))
    assert judge.permissions(had, SETTINGS, "w1", "worker").state == "fail"
    unknown = replace(had, groups=dict.fromkeys(had.groups))
    assert judge.permissions(unknown, SETTINGS, "w1", "worker").state == "ok"
