"""The list of topics, and what is decided from it."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from streams.kafka.admin import Change, Plan, TopicsRefusedError, TopicState, apply, diff, problems, render
from streams.kafka.topics import BY_NAME, DAY_MS, TOPICS, TopicSpec, full_name, retention_table, topic_specs
from streams.settings import Settings

DEVELOPMENT = Settings(environment="development", topic_prefix="", replication=None)
PRODUCTION = Settings(environment="production", topic_prefix="", replication=None)


def specs(settings: Settings = DEVELOPMENT) -> dict[str, TopicSpec]:
    return {spec.name: spec for spec in topic_specs(settings)}


def as_wanted(settings: Settings = DEVELOPMENT) -> dict[str, TopicState]:
    return {s.name: TopicState(s.partitions, s.replication, s.config) for s in topic_specs(settings)}


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(TOPICS)


def test_every_topic_says_what_it_is_for() -> None:
    assert all(topic.purpose.endswith(".") and topic.key for topic in TOPICS)


def test_what_others_write_is_never_compacted() -> None:
    inbound = [topic for topic in TOPICS if topic.direction == "inbound"]
    assert {topic.name for topic in inbound} == {
        "orders",
        "breach-reports",
        "sightings",
        "sightings-backfill",
        "anpr-reads",
        "custody-events",
        "task-updates",
        "source-heartbeats",
    }
    for topic in inbound:
        config = specs()[topic.name].config
        assert config["cleanup.policy"] == "delete"
        assert 0 < int(config["retention.ms"]) <= 30 * DAY_MS
        assert 1_000_000 < int(config["max.message.bytes"]) < int(specs()["dead-letters"].config["max.message.bytes"])


@pytest.mark.parametrize(("settings", "count"), [(DEVELOPMENT, 4), (PRODUCTION, 48)])
def test_changelogs_are_partitioned_as_their_source(settings: Settings, count: int) -> None:
    found = specs(settings)
    changelogs = [topic.name for topic in TOPICS if topic.direction == "changelog"]
    assert changelogs == ["breachwatch-subjects-changelog", "breachwatch-records-changelog"]
    for name in changelogs:
        assert found[name].partitions == found["subject-events"].partitions == count
        assert found[name].config["cleanup.policy"] == "compact"


def test_the_broker_stamps_every_record() -> None:
    assert {s.config["message.timestamp.type"] for s in specs().values()} == {"LogAppendTime"}


def test_only_what_may_be_deleted_by_age_has_a_retention() -> None:
    for spec in specs().values():
        assert ("retention.ms" in spec.config) == ("delete" in spec.config["cleanup.policy"])


def test_a_tombstone_is_kept_longer_than_any_rebuild() -> None:
    for spec in specs().values():
        if "compact" in spec.config["cleanup.policy"]:
            assert int(spec.config["delete.retention.ms"]) == 7 * DAY_MS


@pytest.mark.parametrize(
    ("settings", "replication", "min_isr"),
    [
        (DEVELOPMENT, 1, "1"),
        (PRODUCTION, 3, "2"),
        (Settings(environment="development", replication=3), 3, "2"),
        (Settings(environment="development", replication=2), 2, "1"),
    ],
)
def test_replication(settings: Settings, replication: int, min_isr: str) -> None:
    for spec in topic_specs(settings):
        assert (spec.replication, spec.config["min.insync.replicas"]) == (replication, min_isr)


def test_the_prefix_is_before_every_name() -> None:
    settings = Settings(topic_prefix="trial-")
    assert full_name(settings, "orders") == "trial-orders"
    assert [spec.name for spec in topic_specs(settings)] == [f"trial-{topic.name}" for topic in TOPICS]


def test_a_topic_that_is_not_on_the_list_has_no_name() -> None:
    with pytest.raises(KeyError):
        full_name(DEVELOPMENT, "oders")


def test_replication_must_be_possible() -> None:
    with pytest.raises(ValidationError):
        Settings(replication=0)


def one(existing: dict[str, TopicState], name: str) -> Change:
    return next(change for change in diff(topic_specs(DEVELOPMENT), existing) if change.spec.name == name)


def test_diff_of_an_empty_cluster_creates_everything() -> None:
    assert {change.kind for change in diff(topic_specs(DEVELOPMENT), {})} == {"create"}


def test_diff_of_a_cluster_as_wanted_is_empty() -> None:
    found = Plan("here:1", diff(topic_specs(DEVELOPMENT), as_wanted()))
    assert found.empty
    assert not found.refused


def test_diff_names_the_values_that_drifted_and_sets_only_those() -> None:
    state = as_wanted()["orders"]
    drifted = replace(state, config={**state.config, "retention.ms": "1000"})
    change = one(as_wanted() | {"orders": drifted}, "orders")
    assert change.kind == "alter"
    assert change.details == ("retention.ms 1000 -> 2592000000",)
    assert change.config == {"retention.ms": "2592000000"}


def test_what_an_operator_added_stays() -> None:
    state = as_wanted()["orders"]
    more = replace(state, config={**state.config, "compression.type": "zstd"})
    assert one(as_wanted() | {"orders": more}, "orders").kind == "ok"


def test_a_partition_count_is_refused_with_the_way_to_migrate() -> None:
    wrong = replace(as_wanted()["subject-events"], partitions=3)
    found = Plan("here:1", diff(topic_specs(DEVELOPMENT), as_wanted() | {"subject-events": wrong}))
    assert found.refused
    text = render(found)
    assert "partitions 3 -> 4" in text
    assert "BREACHWATCH_TOPIC_PREFIX" in text
    with pytest.raises(TopicsRefusedError, match="permanent"):
        apply(found)  # raises before it connects: nothing listens there


def test_another_replication_is_left_to_people_and_so_is_its_min_isr() -> None:
    state = as_wanted(PRODUCTION)["orders"]
    single = replace(state, replication=1, config={**state.config, "min.insync.replicas": "1"})
    change = next(c for c in diff(topic_specs(PRODUCTION), {"orders": single}) if c.spec.name == "orders")
    assert change.kind == "by hand"
    assert change.details[0].startswith("replication 1 -> 3")
    assert change.details[1] == "then min.insync.replicas 1 -> 2"
    assert not change.config


def test_no_problem_with_a_cluster_as_wanted() -> None:
    assert problems(topic_specs(DEVELOPMENT), as_wanted(), []) == []


def test_every_problem_is_named() -> None:
    existing = as_wanted()
    del existing["alerts"]
    existing["audit"] = replace(existing["audit"], partitions=1)
    orders = existing["orders"]
    compacted = {**orders.config, "cleanup.policy": "compact", "message.timestamp.type": "CreateTime"}
    existing["orders"] = replace(orders, config=compacted)
    assert [str(problem) for problem in problems(topic_specs(DEVELOPMENT), existing, [2])] == [
        "orders: cleanup.policy is compact, and must be delete",
        "orders: message.timestamp.type is CreateTime, and must be LogAppendTime",
        "alerts: does not exist",
        "audit: has 1 partitions, and 4 are needed",
        "auto.create.topics.enable is true on broker 2, and must be false: "
        "a topic made unasked has the wrong number of partitions for ever",
    ]


def test_the_document_of_retention_is_current() -> None:
    document = (Path(__file__).parents[2] / "deploy" / "retention.md").read_text("utf-8")
    assert retention_table() in document, "put what `breachwatch topics retention` prints in place of its table"


def test_what_is_raw_and_personal_goes_by_age_and_soon() -> None:
    """UK GDPR article 5(1)(e), and DPA 2018 s39: no longer than the purpose needs."""
    for topic in TOPICS:
        assert topic.why.endswith((".", ")")), topic.name
        assert topic.personal, topic.name
        if topic.direction in ("inbound", "raw", "copy"):
            assert topic.retention_ms is not None, topic.name
            assert topic.retention_ms <= 30 * DAY_MS, topic.name
        if "everybody drove" in topic.personal:
            assert topic.retention_ms == 2 * DAY_MS, topic.name
