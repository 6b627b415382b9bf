"""What doctor says of settings that are misspelt, contradict each other, or name what cannot be used."""

import socket
from pathlib import Path
from typing import Any

import pytest

from streams.doctor import settings as judge
from streams.doctor.finding import Finding
from streams.health import Health, serve
from streams.kafka.local import HOST, free_ports
from streams.settings import Settings

PRODUCTION = {"environment": "production", "bootstrap_servers": "k:9093", "kafka_tls": True}


def of(**given: Any) -> list[Finding]:
    return list(judge.contradictions(Settings(**given)))


def test_a_misspelt_variable_is_named_with_the_one_that_is_meant() -> None:
    (found,) = judge.variables(["BREACHWATCH_TOPIC_PREFX", "BREACHWATCH_TOPIC_PREFIX", "BREACHWATCH_ACTOR", "PATH"])
    assert (found.state, found.detail) == ("fail", "BREACHWATCH_TOPIC_PREFX is no setting, and is ignored")
    assert "did you mean BREACHWATCH_TOPIC_PREFIX?" in found.mend
    (found,) = judge.variables(["BREACHWATCH_QQQ"])
    assert found.mend.startswith("Correct or unset it")


@pytest.mark.parametrize("given", [{}, PRODUCTION, {"bootstrap_servers": "a:1, [::1]:9092"}])
def test_what_agrees(given: dict[str, Any]) -> None:
    assert of(**given) == []


@pytest.mark.parametrize(
    ("given", "state", "says", "mend"),
    [
        ({"bootstrap_servers": "PLAINTEXT://k:9092"}, "fail", "is not host:port", "without a protocol"),
        ({"bootstrap_servers": "k:9092,"}, "fail", "nothing is not host:port", "host:port"),
        ({"bootstrap_servers": "k"}, "fail", "k is not host:port", "host:port"),
        ({"table_store": "rocks://"}, "fail", "TABLE_STORE is rocks://", "rocksdb://"),
        ({"commit_interval_s": 60}, "fail", "ends itself", "BREACHWATCH_COMMIT_INTERVAL_S"),
        ({"send_timeout_s": 120}, "warn", "never say", "BREACHWATCH_SEND_TIMEOUT_S"),
        ({"max_message_bytes": 2_000_000}, "warn", "no inbound topic takes", "set it lower"),
        ({"door_host": "0.0.0.0"}, "fail", "whose tokens", "BREACHWATCH_DOOR_JWKS_FILE"),
        ({"board_host": "0.0.0.0"}, "fail", "whose tokens", "BREACHWATCH_BOARD_JWKS_URL"),
        (
            {"board_jwks_file": Path("jwks.json"), "board_jwks_url": "https://who.example/jwks"},
            "fail",
            "are both set",
            "unset one",
        ),
        ({"door_port": 8071}, "fail", "BREACHWATCH_DOOR_PORT and BREACHWATCH_BOARD_PORT are both 8071", "its own"),
        ({"metrics_port": 8070}, "fail", "both 8070", "a port of its own"),
        ({"environment": "production"}, "fail", "the local Kafka would be used", "addresses of the brokers"),
        (PRODUCTION | {"kafka_tls": False}, "warn", "without TLS", "BREACHWATCH_KAFKA_CA_FILE"),
        (PRODUCTION | {"replication": 1}, "warn", "REPLICATION=1", "unset it"),
        (PRODUCTION | {"table_store": "memory://"}, "warn", "in memory", "unset BREACHWATCH_TABLE_STORE"),
    ],
)
def test_what_does_not(given: dict[str, Any], state: str, says: str, mend: str) -> None:
    (found,) = of(**given)
    assert (found.what, found.state) == ("settings", state)
    assert says in found.detail
    assert mend in found.mend


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_door_on_loopback_needs_no_keys_to_be_judged(host: str) -> None:
    assert of(door_host=host) == []


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("hello")
    found = {
        finding.what: finding
        for finding in judge.usable(
            Settings(
                policy_file=broken,
                cameras_file=broken,
                door_jwks_file=broken,
                board_jwks_file=broken,
                adapter_sources={"tracar": "tags/x"},
            )
        )
        if finding.state == "fail"
    }
    assert found.keys() == {"policy", "cameras", "door", "board", "settings"}
    assert "breachwatch policy check" in found["policy"].mend
    assert "BREACHWATCH_CAMERAS_FILE" in found["cameras"].mend
    assert "BREACHWATCH_DOOR_JWKS_FILE" in found["door"].mend
    assert "BREACHWATCH_BOARD_JWKS_FILE" in found["board"].mend
    assert "tracar" in found["settings"].detail
    assert {finding.state for finding in judge.usable(Settings())} == {"ok"}


def test_a_metrics_port_is_free_or_ours_or_anothers() -> None:
    def said(port: int) -> Finding:
        (found,) = [one for one in judge.usable(Settings(metrics_port=port)) if one.what == "metrics port"]
        return found

    (port,) = free_ports(1)
    assert said(port).detail == f"{port} is free"
    with socket.create_server((HOST, port)):
        assert said(port).state == "fail"
        assert "BREACHWATCH_METRICS_PORT" in said(port).mend
    serve("127.0.0.1", port, Health("gate"))
    assert said(port).state == "ok"
    assert "is a process of breachwatch" in said(port).detail
