"""The Compose file's three brokers, on the pinned Kafka and loopback: mutual TLS, rights, and a worker by its own."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from deployment import DEPLOY, settings
from harness import Process, eventually, order, report

from streams.chaos.process import BREACHWATCH
from streams.errors import BreachwatchError
from streams.kafka import jars
from streams.kafka.admin import cluster_of
from streams.kafka.local import _java, free_ports
from streams.kafka.reading import read_all
from streams.kafka.sending import Outgoing, send_all
from streams.settings import Settings

SERVICES: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text("utf-8"))["services"]
BROKERS = ("kafka-1", "kafka-2", "kafka-3")
PARTITIONS = 2
"""In place of the file's 12: three brokers on two cores would be busy with a thousand replicas for a minute."""
_CLIENTS, _CONTROLLER = 9092, 9093


@dataclass(frozen=True)
class Stack:
    folder: Path
    ports: dict[tuple[str, int], int]
    """A broker and a port in its container -> a port on loopback."""

    def here(self, value: str) -> str:
        """A value of the file, where hosts are ports of loopback and secrets are in a folder."""
        for (host, port), own in self.ports.items():
            value = value.replace(f"{host}:{port}", f"127.0.0.1:{own}")
        return value.replace("$$", "$")

    def secret(self, service: str, path: str) -> str:
        """Where a file is that the service finds at this path."""
        for one in SERVICES[service]["secrets"]:
            source, target = (one, one) if isinstance(one, str) else (one["source"], one["target"])
            if path == f"/run/secrets/{target}":
                return str(self.folder / "secrets" / source)
        return path

    def broker(self, name: str) -> dict[str, str]:
        """Its `server.properties`, as the image makes them of its variables."""
        found = {}
        for variable, stated in SERVICES[name]["environment"].items():
            if not variable.startswith("KAFKA_") or variable == "KAFKA_HEAP_OPTS":
                continue
            key = variable.removeprefix("KAFKA_").lower().replace("_", ".")
            found[key] = self.secret(name, self.here(stated))
        assert found["listeners"] == "CLIENTS://:9092,CONTROLLER://:9093"
        own = {port: self.ports[name, port] for port in (_CLIENTS, _CONTROLLER)}
        return found | {
            "listeners": f"CLIENTS://127.0.0.1:{own[_CLIENTS]},CONTROLLER://127.0.0.1:{own[_CONTROLLER]}",
            "log.dirs": str(self.folder / name / "data"),
        }

    def process(self, service: str, as_service: str | None = None) -> Settings:
        """The settings of a process, with the certificate of its own service or of another."""
        stated = {
            name: self.secret(as_service or service, self.here(str(value)))
            for name, value in SERVICES[service]["environment"].items()
        }
        return settings(
            stated
            | {
                "BREACHWATCH_PARTITIONS": str(PARTITIONS),
                "BREACHWATCH_DATA_DIR": str(self.folder / "data" / service),
                "BREACHWATCH_METRICS_PORT": "0",
                "BREACHWATCH_POLICY_FILE": str(DEPLOY.parent / "streams" / "core" / "policy.toml"),
                "BREACHWATCH_ACCESS_FILE": str(DEPLOY / "kubernetes" / "topics" / "access.toml"),
            }
        )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    made = subprocess.run(
        [sys.executable, DEPLOY / "compose" / "certificates.py", folder / "secrets"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert made.stdout.startswith("made or renewed: kafka-1, kafka-2, kafka-3, admin,")
    places = [(name, port) for name in BROKERS for port in (_CLIENTS, _CONTROLLER)]
    stack = Stack(folder, dict(zip(places, free_ports(len(places)), strict=True)))
    java = [_java(None), "-XX:+UseSerialGC", "-Xmx384m", "-cp", ":".join(map(str, jars.classpath()))]
    running = []
    try:
        for name in BROKERS:
            (folder / name).mkdir()
            properties = folder / name / "server.properties"
            properties.write_text("".join(f"{key}={value}\n" for key, value in stack.broker(name).items()), "utf-8")
            cluster = SERVICES[name]["environment"]["CLUSTER_ID"]
            words = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
            subprocess.run([*java, *words], check=True, capture_output=True, timeout=60)
            with (folder / name / "log").open("wb") as log:
                running.append(
                    subprocess.Popen([*java, "kafka.Kafka", str(properties)], stdout=log, stderr=subprocess.STDOUT)
                )
        yield stack
    finally:
        for process in running:
            process.kill()
            process.wait()
        for name in BROKERS:
            log = folder / name / "log"
            print(f"--- {name}", *log.read_text().splitlines()[-15:] if log.exists() else (), sep="\n")


def breachwatch(stated: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BREACHWATCH, *words],
        env=stated.child_environment(),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def send(stated: Settings, topic: str, event: object) -> None:
    send_all(cluster_of(stated), [Outgoing(topic, None, orjson.dumps(event))])


def tasks(stated: Settings) -> list[Any]:
    return [orjson.loads(one.value) for one in read_all(cluster_of(stated), "arrest-tasks") if one.value]


def test_topics_and_rights_are_made_and_a_worker_does_its_work_by_its_own_certificate(stack: Stack) -> None:
    administrator = stack.process("topics")
    answers: list[subprocess.CompletedProcess[str]] = []

    def applied() -> bool:
        """The brokers may still be starting, which the Compose file waits for."""
        answers.append(breachwatch(administrator, "topics", *SERVICES["topics"]["command"][1:]))
        return answers[-1].returncode == 0

    eventually(applied, "topics and rights are applied", 180)
    plan = breachwatch(administrator, "topics", "plan")
    assert plan.returncode == 0, plan.stderr
    assert not re.search(r"create|alter|refused|missing", plan.stdout), plan.stdout

    command = SERVICES["worker-1"]["command"]
    worker = Process(stack.process("worker-1"), stack.folder / "worker.log", *command).start()
    try:
        send(administrator, "orders", order("S1"))
        send(administrator, "breach-reports", report("O-S1"))
        eventually(lambda: worker.exit_code is not None or tasks(administrator), "a task", 120)
        assert worker.exit_code is None
        assert tasks(administrator)[-1]["subject_id"] == "S1"
        worker.stop()
    finally:
        worker.end()
        print(worker.tail())


def test_a_certificate_opens_what_its_role_may_and_without_one_nothing_is_open(stack: Stack) -> None:
    with pytest.raises(BreachwatchError, match="may not write to orders"):
        send(stack.process("worker-1"), "orders", order("S2"))
    with pytest.raises(BreachwatchError, match="may not write to arrest-tasks"):
        send(stack.process("worker-1", as_service="door"), "arrest-tasks", order("S2"))
    nobody = stack.process("worker-1").model_copy(
        update={"kafka_client_cert_file": None, "kafka_client_key_file": None}
    )
    with pytest.raises(BreachwatchError):
        send(nobody, "orders", order("S2"))


def test_a_second_run_keeps_what_lasts_and_renews_what_does_not(stack: Stack, tmp_path: Path) -> None:
    """On copies of the files, with a certificate that is gone."""
    for file in (stack.folder / "secrets").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "gate.crt").unlink()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    words = [sys.executable, str(DEPLOY / "compose" / "certificates.py"), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "made or renewed: gate\n"
    after = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert {name for name in after if before.get(name) != after[name]} == {"gate.crt", "gate.key"}
    assert {oct(file.stat().st_mode & 0o777) for file in tmp_path.glob("gate.*")} == {"0o640"}
