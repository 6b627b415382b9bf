"""A worker, a gate and a lookout refuse to start on topics that are not as they must be, and say what to do."""

import pytest
from harness import Pipeline, Process
from kafka.admin import NewPartitions

from streams.kafka import admin
from streams.kafka.client import connect
from streams.kafka.cluster import Cluster
from streams.kafka.topics import full_name

COMMANDS = pytest.mark.parametrize("command", ["worker", "gate", "lookout"])


def refused(pipeline: Pipeline, command: str) -> str:
    """What it said before it ended by itself, with a code that says that it failed."""
    process: Process = pipeline.worker() if command == "worker" else pipeline.run(command)
    assert process.wait(30) == 1
    said = process.log.read_text()
    assert f"the {command} does not start" in said
    assert "Traceback" not in said
    return said


@COMMANDS
def test_a_missing_topic_is_named(pipeline: Pipeline, command: str) -> None:
    missing = full_name(pipeline.settings, "custody-events")
    with connect(Cluster(pipeline.settings.bootstrap_servers or "")) as client:
        client.delete_topics([missing])
    said = refused(pipeline, command)
    assert f"{missing}: does not exist" in said
    assert "breachwatch topics" in said


@COMMANDS
def test_a_wrong_number_of_partitions_is_named(pipeline: Pipeline, command: str) -> None:
    wrong = full_name(pipeline.settings, "subject-events")
    with connect(Cluster(pipeline.settings.bootstrap_servers or "")) as client:
        client.create_partitions({wrong: NewPartitions(6)})
    said = refused(pipeline, command)
    assert f"{wrong}: has 6 partitions, and 4 are needed" in said
    assert "breachwatch topics" in said


@COMMANDS
def test_no_kafka_at_all_is_told_in_one_line(pipeline: Pipeline, command: str) -> None:
    elsewhere = pipeline.settings.model_copy(update={"bootstrap_servers": "127.0.0.1:9"})
    name = ("worker", "--name", "w") if command == "worker" else (command,)
    process = Process(elsewhere, pipeline.settings.data_dir.parent / "elsewhere.log", *name).start()
    assert process.wait(30) == 1
    assert process.log.read_text().startswith("breachwatch: no Kafka answers at 127.0.0.1:9: start one with")


def test_rows_of_another_pipeline_are_not_taken_for_ones_own(pipeline: Pipeline) -> None:
    first = pipeline.worker("worker-1")
    pipeline.ready(workers=1)
    first.stop()
    other = pipeline.settings.model_copy(update={"topic_prefix": f"too-{pipeline.settings.topic_prefix}"})
    admin.apply(admin.plan(other))
    again = pipeline.worker("worker-1", other)
    assert again.wait(30) == 1
    said = again.log.read_text()
    assert said.startswith("breachwatch: ")
    assert "holds the rows of another cluster or topic prefix" in said
