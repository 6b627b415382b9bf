"""The Compose file: Compose's own loader takes it, and what it says agrees with the program and with itself."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployment import DEPLOY, ROOT, TOOLS, Containerfile, accepted, files_named, needs, run, settings
from prometheus import OPTIONS

from streams.kafka import access, jars

COMPOSE = DEPLOY / "compose"
IMAGE = Containerfile()
DIGEST = "sha256:" + 64 * "0"
VARIABLES = re.findall(r"^(\w+)=$", (COMPOSE / "example.env").read_text("utf-8"), re.MULTILINE)
OURS = "registry.example/breachwatch:1"
Service = Mapping[str, Any]


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs("go")
    binary = tmp_path_factory.mktemp("loader") / "compose"
    done = run("go", "build", "-o", binary, ".", cwd=TOOLS)
    assert done.returncode == 0, done.stderr
    return binary


def load(loader: Path, file: Path, **variables: str) -> tuple[dict[str, Any], str]:
    """The model of a Compose file as Docker has it, and what is wrong with it."""
    done = run(loader, file, env=variables)
    return (json.loads(done.stdout), "") if done.returncode == 0 else ({}, done.stderr + done.stdout)


def given() -> dict[str, str]:
    return {name: f"{OURS}@{DIGEST}" if name == "IMAGE" else DIGEST for name in VARIABLES}


@pytest.fixture(scope="module")
def model(loader: Path) -> dict[str, Any]:
    model, wrong = load(loader, COMPOSE / "compose.yaml", **given())
    assert not wrong, wrong
    return model


@pytest.fixture(scope="module")
def ours(model: dict[str, Any]) -> dict[str, Service]:
    return {name: one for name, one in model["services"].items() if one["image"].startswith(OURS)}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("cap_drop: [ALL]", "cap_dorp: [ALL]", "cap_dorp"),
        ("networks: [kafka, watch]", "networks: [kafka, wach]", "wach"),
        ("stop_grace_period: 60s", "stop_grace_period: soon", "soon"),
    ],
)
def test_the_loader_refuses_what_is_wrong(loader: Path, tmp_path: Path, old: str, new: str, says: str) -> None:
    text = (COMPOSE / "compose.yaml").read_text("utf-8")
    wanted = text.replace(old, new)
    assert wanted != text
    (tmp_path / "compose.yaml").write_text(wanted, "utf-8")
    model, wrong = load(loader, tmp_path / "compose.yaml", **given())
    assert not model
    assert says in wrong


@pytest.mark.parametrize("missing", VARIABLES)
def test_no_image_is_used_whose_digest_is_not_stated(loader: Path, missing: str) -> None:
    model, wrong = load(loader, COMPOSE / "compose.yaml", **(given() | {missing: ""}))
    assert not model
    assert missing in wrong


def test_every_image_is_by_tag_and_digest(model: dict[str, Any]) -> None:
    for name, service in model["services"].items():
        assert re.fullmatch(r"[\w./-]+:[\w.-]+@" + DIGEST, service["image"]), name


def test_its_kafka_is_the_one_that_the_tests_run(model: dict[str, Any]) -> None:
    tags = {one["image"].split("@")[0] for one in model["services"].values() if "kafka:" in one["image"]}
    assert tags == {f"apache/kafka:{jars.kafka_version(jars.pinned())}"}


def test_nothing_is_published_beyond_loopback(model: dict[str, Any]) -> None:
    published = {name: one["ports"] for name, one in model["services"].items() if one.get("ports")}
    assert set(published) == {"door", "board", "prometheus", "alertmanager", "grafana"}
    assert {port["host_ip"] for ports in published.values() for port in ports} == {"127.0.0.1"}
    for name in ("kafka", "watch"):
        assert model["networks"][name]["internal"] is True


def test_no_service_may_do_more_than_it_must(model: dict[str, Any], ours: dict[str, Service]) -> None:
    for name, one in model["services"].items():
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert one.get("read_only") or name.startswith("kafka-"), name
        assert not one.get("privileged"), name
        assert one["logging"]["options"], name
    for name, one in ours.items():
        assert one["user"] == IMAGE.last("USER"), name


def test_what_should_run_is_started_again_is_bounded_and_is_asked_how_it_is(model: dict[str, Any]) -> None:
    for name, one in model["services"].items():
        assert set(one["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
        if name in ("certificates", "topics"):
            continue
        assert one["restart"] == "unless-stopped", name
        # Of ours the image says it.
        assert one.get("healthcheck", {}).get("test") or one["image"].startswith(OURS), name
        assert not one.get("healthcheck", {}).get("disable"), name


def commands(ours: dict[str, Service]) -> Iterator[tuple[str, Service]]:
    for name, one in ours.items():
        if not one.get("entrypoint"):
            yield name, one


def test_every_command_and_setting_of_ours_exists(ours: dict[str, Service]) -> None:
    ran = set()
    for name, one in commands(ours):
        accepted(one["command"])
        ran.add(one["command"][0])
        stated = settings(IMAGE.environment | one["environment"])
        mounted = {
            Path(each["target"] if each["target"].startswith("/") else f"/run/secrets/{each['target']}")
            for each in [*one.get("secrets", []), *one.get("configs", [])]
        }
        assert files_named(stated) <= mounted, name
    assert ran == {"worker", "gate", "adapters", "door", "board", "lookout", "topics"}


def test_only_the_data_directory_can_be_written(ours: dict[str, Service]) -> None:
    data = IMAGE.environment["BREACHWATCH_DATA_DIR"]
    for name, one in ours.items():
        volumes = [each["target"] for each in one.get("volumes", []) if each["type"] == "volume"]
        assert [*volumes, *(each.split(":")[0] for each in one.get("tmpfs", []))] == [data], name
        # What a table is kept in outlives its container; nobody else keeps anything.
        assert bool(volumes) == name.startswith("worker-"), name


def test_each_process_logs_in_as_its_own_role(ours: dict[str, Service]) -> None:
    users = tomllib.loads((DEPLOY / "kubernetes" / "topics" / "access.toml").read_text("utf-8"))["users"]
    assert all(role in access.ROLES for roles in users.values() for role in roles)
    for _, one in commands(ours):
        certificates = {each["source"] for each in one["secrets"] if each.get("target", "").startswith("client.")}
        user = "admin" if one["command"][0] == "topics" else one["command"][0]
        assert certificates == {f"{user}.crt", f"{user}.key"}
        if user != "admin":
            assert users[user] == [user]


def test_there_are_no_more_workers_than_partitions_nor_copies_than_brokers(
    model: dict[str, Any], ours: dict[str, Service]
) -> None:
    workers = {name: one for name, one in ours.items() if one.get("command", [""])[0] == "worker"}
    brokers = [name for name in model["services"] if name.startswith("kafka-")]
    # A name is a store and a place in the group: one process each, on a volume of its own.
    for name, one in workers.items():
        assert one["command"] == ["worker", "--name", name]
        assert [volume["source"] for volume in one["volumes"]] == [name]
        stated = settings(one["environment"])
        assert stated.partitions is not None
        assert 2 <= len(workers) <= stated.partitions
        assert one["environment"]["BREACHWATCH_BOOTSTRAP_SERVERS"] == ",".join(f"{name}:9092" for name in brokers)
    assert len(brokers) == 3


def test_what_is_mounted_from_here_is_here(model: dict[str, Any]) -> None:
    for one in model["services"].values():
        for volume in one.get("volumes", []):
            if volume["type"] == "bind" and Path(volume["source"]) != COMPOSE / "secrets":
                assert Path(volume["source"]).exists(), volume["source"]
    for config in model["configs"].values():
        assert Path(config["file"]).is_file(), config["file"]


def test_secrets_are_files_that_are_in_no_commit(model: dict[str, Any]) -> None:
    ignored = (ROOT / ".gitignore").read_text("utf-8").split("\n")
    assert "deploy/compose/secrets/" in ignored
    assert {Path(one["file"]).parent for one in model["secrets"].values()} == {COMPOSE / "secrets"}
    for name, one in model["services"].items():
        for variable, value in (one.get("environment") or {}).items():
            if re.search("(PASSWORD|TOKEN|SECRET|_KEY)(_|$)", variable):
                assert value.startswith("/run/secrets/"), (name, variable)


def test_prometheus_finds_every_process_by_its_name(model: dict[str, Any], ours: dict[str, Service]) -> None:
    files = sorted((DEPLOY / "prometheus" / "targets").glob("*.yml"))
    targets = {
        target: file.stem
        for file in files
        for group in yaml.safe_load(file.read_text("utf-8"))
        for target in group["targets"]
    }
    for name, one in commands(ours):
        if one["command"][0] == "topics":
            continue
        port = settings(IMAGE.environment | one["environment"]).metrics_port
        assert targets.pop(f"{name}:{port}") == one["command"][0], name
        assert "watch" in one["networks"], name
    assert targets.pop("localhost:9090") == "prometheus"
    assert targets.pop("alertmanager:9093") == "alertmanager"
    assert not targets


def test_prometheus_is_started_with_the_options_that_its_file_asks_for(model: dict[str, Any]) -> None:
    given = {word.partition("=")[0] for word in model["services"]["prometheus"]["command"]}
    asked = {option.partition("=")[0] for option in OPTIONS}
    assert asked
    assert asked <= given


def test_grafana_finds_its_dashboards_and_prometheus(model: dict[str, Any]) -> None:
    grafana = model["services"]["grafana"]
    mounted = {volume["target"]: Path(volume["source"]) for volume in grafana["volumes"] if volume["type"] == "bind"}
    provisioning = mounted["/etc/grafana/provisioning"]
    [provider] = yaml.safe_load((provisioning / "dashboards" / "breachwatch.yml").read_text("utf-8"))["providers"]
    assert list(mounted[provider["options"]["path"]].glob("*.json"))
    asked = set(re.findall(r"\$\{(\w+)\}", (provisioning / "datasources" / "prometheus.yml").read_text("utf-8")))
    assert asked == {"PROMETHEUS_URL"}
    assert grafana["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"
    assert {"prometheus", "grafana"} <= set(model["services"])


def test_alertmanager_is_given_each_secret_that_it_reads(model: dict[str, Any]) -> None:
    configuration = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text("utf-8")
    read = set(re.findall(r"credentials_file: secrets/([\w-]+)", configuration))
    given_to_it = {one["target"] for one in model["services"]["alertmanager"]["secrets"]}
    assert read
    assert given_to_it == {f"/etc/alertmanager/secrets/{name}" for name in read}
