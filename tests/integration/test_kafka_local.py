"""The local Apache Kafka: its life, its data over a restart, and three nodes that replicate."""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from streams.cli import main
from streams.errors import BreachwatchError
from streams.kafka import jars, local
from streams.kafka.client import connect
from streams.kafka.cluster import Cluster

pytestmark = pytest.mark.kafka

LARGE = os.urandom(1_000_000)


def pids(data_dir: Path) -> list[int]:
    found = local.status(data_dir)
    assert found is not None
    return [node.pid for node in found.nodes if node.pid is not None]


def send(bootstrap_servers: str, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers.split(","), acks="all", max_request_size=3_000_000)
    try:
        for sent in [producer.send(topic, value, partition=0) for value in values]:
            sent.get(30)
    finally:
        producer.close()


def read(bootstrap_servers: str, topic: str, count: int, deadline_s: float = 20.0) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers.split(","), auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, 0)])
    values: list[bytes] = []
    deadline = time.monotonic() + deadline_s
    try:
        while len(values) < count and time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=200).values():
                values += [record.value for record in records]
    finally:
        consumer.close()
    return values


def test_one_node_keeps_its_data_and_its_address(tmp_path: Path) -> None:
    with local.running(tmp_path) as kafka:
        address = kafka.bootstrap_servers
        first = pids(tmp_path)
        assert local.start(tmp_path) == kafka
        assert pids(tmp_path) == first
        with connect(Cluster(address)) as admin:
            admin.create_topics({"kept": {"num_partitions": 1}}, wait_for_metadata=True)
        send(address, "kept", b"small", LARGE)

        assert kafka.stop()
        assert not kafka.stop()
        assert kafka.status().running == ()
        assert not psutil.pid_exists(first[0])

        kafka.start()
        assert kafka.bootstrap_servers == address
        assert read(address, "kept", 2) == [b"small", LARGE]
    assert kafka.status().running == ()


def test_the_command_starts_a_process_that_outlives_it(tmp_path: Path) -> None:
    environment = {**os.environ, "BREACHWATCH_DATA_DIR": str(tmp_path)}
    environment.pop("BREACHWATCH_BOOTSTRAP_SERVERS", None)

    def breachwatch(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("breachwatch")), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    assert breachwatch("kafka", "status").returncode == 1
    before = breachwatch("topics", "check")
    assert before.returncode == 1
    assert "breachwatch kafka start" in before.stderr
    try:
        started = breachwatch("kafka", "start")
        assert started.returncode == 0, started.stderr
        facts = json.loads(breachwatch("kafka", "status", "--json").stdout)
        assert facts["complete"]
        assert facts["bootstrap_servers"] == started.stdout.strip()
        assert facts["version"] == jars.kafka_version(jars.pinned())
        assert breachwatch("topics", "check").returncode == 1
        assert breachwatch("topics", "apply").returncode == 0
        assert breachwatch("topics", "check").returncode == 0
    finally:
        stopped = breachwatch("kafka", "stop")
    assert stopped.stdout == "stopped\n"
    assert breachwatch("kafka", "status").returncode == 1


def test_three_nodes_lose_one_and_go_on(tmp_path: Path) -> None:
    with local.running(tmp_path, nodes=3) as kafka:
        address = kafka.bootstrap_servers
        assert len(address.split(",")) == 3
        with connect(Cluster(address)) as admin:
            admin.create_topics({"copied": {"num_partitions": 1, "replication_factor": 3}}, wait_for_metadata=True)
            [topic] = admin.describe_topics(["copied"])
        assert len(topic["partitions"][0]["replica_nodes"]) == 3
        send(address, "copied", b"with three")

        kafka.kill_node(2)
        assert kafka.status().running == (1, 3)
        send(address, "copied", b"with two")
        assert read(address, "copied", 2) == [b"with three", b"with two"]

        kafka.start_node(2)
        assert kafka.status().complete


def test_a_node_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    state = local._new_state(1)
    local._save(tmp_path, state)
    with socket.create_server((local.HOST, state.nodes[0].port)):
        try:
            with pytest.raises(local.LocalKafkaError, match=r"(?s)node 1 .* ended.*Address already in use"):
                local.start(tmp_path)
        finally:
            local.stop(tmp_path)


def test_another_number_of_nodes_is_refused(tmp_path: Path) -> None:
    state = local._new_state(1)
    local._save(tmp_path, state)
    with pytest.raises(local.LocalKafkaError, match="cannot become 3"):
        local.start(tmp_path, nodes=3)


def test_another_process_with_the_pid_is_not_ours(tmp_path: Path) -> None:
    own = psutil.Process()
    state = local._new_state(1)
    node = replace(state.nodes[0], pid=own.pid, created=own.create_time())
    local._save(tmp_path, replace(state, nodes=(node,)))
    assert local.status(tmp_path).running == ()
    assert local.stop(tmp_path) is False


def test_a_process_that_has_no_command_line_yet_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between exec and the kernel's filling in of the arguments a new node was taken for one that had ended."""
    own = psutil.Process()
    state = local._new_state(1)
    local._save(tmp_path, replace(state, nodes=(replace(state.nodes[0], pid=own.pid, created=own.create_time()),)))
    monkeypatch.setattr(psutil.Process, "cmdline", lambda _: [])
    assert local.status(tmp_path).running == (1,)


def test_an_address_where_nobody_listens_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BREACHWATCH_BOOTSTRAP_SERVERS", f"127.0.0.1:{local.free_ports(1)[0]}")
    with pytest.raises(SystemExit) as exit_info:
        main(["topics", "plan"])
    assert exit_info.value.code == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert message.startswith("breachwatch: no Kafka answers at 127.0.0.1:")


def test_a_port_that_accepts_and_says_nothing_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        before = time.monotonic()
        with (
            pytest.raises(BreachwatchError, match="no Kafka answers"),
            connect(Cluster(f"127.0.0.1:{silent.getsockname()[1]}"), timeout_s=1.0),
        ):
            pass
        assert time.monotonic() - before < 5
