"""The topics on a real broker: planned, applied, checked."""

import time
import uuid
from pathlib import Path

import pytest
from kafka.admin import ConfigResource

from streams.cli import main
from streams.kafka import admin
from streams.kafka.client import KafkaRequestError, connect
from streams.kafka.cluster import Cluster
from streams.kafka.topics import TOPICS, full_name
from streams.settings import Settings


@pytest.fixture
def empty(kafka: str) -> Settings:
    """Settings under whose prefix nothing exists yet."""
    return Settings(bootstrap_servers=kafka, topic_prefix=f"t{uuid.uuid4().hex[:8]}-", replication=1)


def wait_for_problems(settings: Settings, expected: list[str]) -> None:
    """The brokers learn of a change a moment after the controller confirmed it."""
    deadline = time.monotonic() + 10
    while (found := [str(problem) for problem in admin.check(settings)]) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_apply_on_an_empty_broker_makes_every_topic(empty: Settings) -> None:
    first = admin.plan(empty)
    assert {change.kind for change in first.changes} == {"create"}
    assert len(admin.check(empty)) == len(TOPICS)
    admin.apply(first)
    assert admin.plan(empty).empty
    assert admin.check(empty) == []
    admin.apply(first)  # as when two people apply the same plan
    assert admin.plan(empty).empty


def test_a_drift_is_planned_and_mended_and_the_rest_is_kept(pipeline_settings: Settings) -> None:
    orders = full_name(pipeline_settings, "orders")
    with connect(Cluster(pipeline_settings.bootstrap_servers)) as client:
        drift = {"cleanup.policy": "compact", "compression.type": "zstd"}
        client.alter_configs([ConfigResource("topic", orders, drift)])
    wait_for_problems(pipeline_settings, [f"{orders}: cleanup.policy is compact, and must be delete"])
    planned = admin.plan(pipeline_settings)
    [change] = planned.of_kind("alter")
    assert change.details == ("cleanup.policy compact -> delete",)
    admin.apply(planned)
    assert admin.plan(pipeline_settings).empty
    with connect(Cluster(pipeline_settings.bootstrap_servers)) as client:
        resource = ConfigResource("topic", orders, ["compression.type"])
        found = client.describe_configs([resource], config_filter="all")
    assert found["topic"][orders]["compression.type"]["value"] == "zstd"


def test_another_partition_count_is_refused_and_nothing_is_changed(
    empty: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = full_name(empty, "subject-events")
    with connect(Cluster(empty.bootstrap_servers)) as client:
        client.create_topics({name: {"num_partitions": 2, "replication_factor": 1}}, wait_for_metadata=True)
    with pytest.raises(admin.TopicsRefusedError, match="partitions 2 -> 4"):
        admin.apply(admin.plan(empty))
    assert f"{name}: has 2 partitions, and 4 are needed" in map(str, admin.check(empty))

    monkeypatch.setenv("BREACHWATCH_BOOTSTRAP_SERVERS", empty.bootstrap_servers)
    monkeypatch.setenv("BREACHWATCH_TOPIC_PREFIX", empty.topic_prefix)
    for command, code in (("plan", 2), ("apply", 1), ("check", 1)):
        with pytest.raises(SystemExit) as exit_info:
            main(["topics", command])
        assert exit_info.value.code == code
    assert "Traceback" not in capsys.readouterr().err
    with connect(Cluster(empty.bootstrap_servers)) as client:
        assert [topic for topic in client.list_topics() if topic.startswith(empty.topic_prefix)] == [name]


def test_a_missing_topic_is_found(pipeline_settings: Settings) -> None:
    alerts = full_name(pipeline_settings, "alerts")
    with connect(Cluster(pipeline_settings.bootstrap_servers)) as client:
        client.delete_topics([alerts])
    wait_for_problems(pipeline_settings, [f"{alerts}: does not exist"])


def test_more_copies_than_brokers_is_told(empty: Settings) -> None:
    nine = empty.model_copy(update={"replication": 9})
    with pytest.raises(KafkaRequestError, match="replication factor of 9"):
        admin.apply(admin.plan(nine))


def test_bootstrap_without_a_cluster_says_what_to_do(tmp_path: Path) -> None:
    settings = Settings(bootstrap_servers=None, data_dir=tmp_path)
    with pytest.raises(admin.KafkaUnavailableError, match="breachwatch kafka start"):
        admin.cluster_of(settings)
