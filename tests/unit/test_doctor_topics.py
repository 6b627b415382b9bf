"""What doctor says of topics that are not as the list says, or not whole."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from streams.doctor import topics as judge
from streams.doctor.finding import Finding
from streams.doctor.topics import Asked, Copies
from streams.kafka.admin import TopicState
from streams.kafka.topics import topic_specs
from streams.settings import Settings

SETTINGS = Settings(topic_prefix="p-", replication=3)
THERE = {spec.name: TopicState(spec.partitions, spec.replication, spec.config) for spec in topic_specs(SETTINGS)}
COPIES = [Copies(name, number, 1, 3, 3) for name in THERE for number in range(4)]
ASKED = Asked(THERE, COPIES, {name: {} for name in THERE}, 3, ["p-"])


def wrong(asked: Asked) -> list[Finding]:
    return [found for found in judge.topics(asked, SETTINGS) if found.state != "ok"]


def there(name: str, **config: str) -> Mapping[str, TopicState]:
    key = {key.replace("_", "."): value for key, value in config.items()}
    return THERE | {name: replace(THERE[name], config=dict(THERE[name].config) | key)}


def test_topics_as_they_must_be() -> None:
    assert wrong(ASKED) == []
    assert wrong(replace(ASKED, offsets_copies=None)) == []


@pytest.mark.parametrize(
    ("changed", "state", "says", "mend"),
    [
        ({n: s for n, s in THERE.items() if n != "p-alerts"}, "fail", "missing: p-alerts", "topics apply"),
        (
            THERE | {"p-alerts": replace(THERE["p-alerts"], partitions=6)},
            "fail",
            "p-alerts: partitions 6 -> 4",
            "BREACHWATCH_PARTITIONS",
        ),
        (
            THERE | {"p-alerts": replace(THERE["p-alerts"], replication=1)},
            "fail",
            "p-alerts: 1 copies, and it is to have 3",
            "kafka-reassign-partitions",
        ),
        (THERE | {"p-alerts": replace(THERE["p-alerts"], replication=4)}, "warn", "4 copies", "REPLICATION"),
        (there("p-orders", retention_ms="1000"), "fail", "retention.ms 1000 -> 2592000000", "topics apply"),
        (there("p-orders", cleanup_policy="compact"), "fail", "cleanup.policy compact -> delete", "topics apply"),
        (there("p-orders", message_timestamp_type="CreateTime"), "fail", "CreateTime -> LogAppendTime", "apply"),
        (there("p-orders", min_insync_replicas="1"), "fail", "min.insync.replicas 1 -> 2", "topics apply"),
        (there("p-orders", segment_ms="1000"), "warn", "segment.ms 1000 -> 86400000", "topics apply"),
    ],
)
def test_a_topic_that_is_not(changed: Mapping[str, TopicState], state: str, says: str, mend: str) -> None:
    (found,) = wrong(replace(ASKED, there=changed))
    assert (found.what, found.state) == ("topics", state)
    assert says in found.detail
    assert mend in found.mend


def test_a_prefix_that_is_none_is_told_with_those_that_are() -> None:
    nothing = Asked({}, [], {}, 3, ["old-"])
    (found,) = wrong(nothing)
    assert found.detail == "there is no topic under the prefix 'p-'; there are pipelines under the prefixes 'old-'"
    assert "set BREACHWATCH_TOPIC_PREFIX" in found.mend
    (found,) = wrong(replace(nothing, prefixes=[]))
    assert found.mend == "`breachwatch topics apply`"


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ({"retention.bytes": "5000"}, "p-orders: 5000: events are deleted by size"),
        ({"unclean.leader.election.enable": "true"}, "p-orders: true: events are lost with a leader"),
    ],
)
def test_what_nobody_sets_on_a_topic(own: dict[str, str], says: str) -> None:
    (found,) = wrong(replace(ASKED, own={"p-orders": own}))
    assert (found.state, says in found.detail) == ("fail", True)
    assert "--delete-config" in found.mend


@pytest.mark.parametrize(
    ("leader", "in_sync", "state", "says"),
    [
        (None, 0, "fail", "without a leader"),
        (1, 1, "fail", "writes are refused: p-orders/0"),
        (1, 2, "warn", "a copy is behind or away"),
    ],
)
def test_partitions_that_lack_copies(leader: int | None, in_sync: int, state: str, says: str) -> None:
    copies = [*COPIES[1:], Copies("p-orders", 0, leader, 3, in_sync)]
    (found,) = wrong(replace(ASKED, copies=copies))
    assert (found.what, found.state) == ("copies", state)
    assert says in found.detail
    assert "start the broker" in found.mend


def test_groups_that_one_broker_alone_keeps() -> None:
    (found,) = wrong(replace(ASKED, offsets_copies=1))
    assert (found.what, found.state) == ("copies", "warn")
    assert "__consumer_offsets has 1 copies" in found.detail


def test_configs_that_we_may_not_see_are_no_drift() -> None:
    hidden = {name: replace(state, config={}) for name, state in THERE.items()}
    (found,) = wrong(replace(ASKED, there=hidden))
    assert (found.state, found.detail) == ("warn", "we may not see how the topics are set")
    assert "access" in found.mend
