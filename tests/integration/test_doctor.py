"""Doctor on a real site: misconfigurations planted one at a time, each named with its mend, and nothing else.

A site that is well has no finding but `ok`. What is planted is mended by what doctor says, after which it is well.
"""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness import Pipeline, Process, event, eventually, order, place, producer, runner
from kafka.admin import ConfigResource, NewPartitions, ScramMechanism, UserScramCredentialUpsertion
from secured import PASSWORD, Secured
from stepped_clock import BrokerClock, kafka_by, needs_libfaketime

from schemas.internal import SourceControl
from streams.chaos.process import BREACHWATCH
from streams.chaos.proxy import Proxy
from streams.core.canary import SOURCE
from streams.kafka import access, admin, local
from streams.kafka.client import connect
from streams.kafka.cluster import Cluster
from streams.kafka.sending import Outgoing, send_all
from streams.kafka.topics import full_name
from streams.settings import Settings

Found = tuple[str, str, str]
"""Ground, what, state."""
SETTINGS, CONNECTION = ("settings", "settings", "fail"), ("cluster", "connection", "fail")
BROKERS, TOPICS = ("cluster", "broker settings", "fail"), ("topics", "topics", "fail")


class Doctor:
    """`breachwatch doctor` with the settings that it is given as its environment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsysbinary

    def run(self, settings: Settings, *words: str) -> tuple[int, str]:
        """Exit code and standard output."""
        code, out, err = runner(settings, self._monkeypatch, self._capsys)("doctor", *words)
        assert err == ""
        assert PASSWORD not in out
        return code, out

    def examined(self, settings: Settings, *words: str) -> list[dict[str, str]]:
        code, out = self.run(settings, "--json", "--watch", "0.3", *words)
        found: list[dict[str, str]] = json.loads(out)
        assert code == (1 if any(one["state"] == "fail" for one in found) else 0)
        return found

    def wrong(self, settings: Settings, *words: str) -> dict[Found, dict[str, str]]:
        """What is not well, but for the canary: a lookout has tests of its own."""
        return {
            (one["ground"], one["what"], one["state"]): one
            for one in self.examined(settings, *words)
            if one["state"] != "ok" and one["what"] != "canary"
        }

    def failing(self, settings: Settings, *words: str) -> dict[Found, dict[str, str]]:
        return {key: one for key, one in self.wrong(settings, *words).items() if key[2] == "fail"}

    def only(self, settings: Settings, expected: Found, says: str, mend: str, *words: str) -> None:
        """This and nothing else is named; brokers tell of a change a moment after it was made."""
        found: dict[Found, dict[str, str]] = {}

        def named() -> bool:
            found.clear()
            found.update(self.wrong(settings, *words))
            return found.keys() == {expected}

        deadline = time.monotonic() + 20
        while not named():
            assert time.monotonic() < deadline, found
        assert says in found[expected]["detail"]
        assert mend in found[expected]["mend"]

    def well(self, settings: Settings, *words: str) -> None:
        deadline = time.monotonic() + 30
        while found := self.wrong(settings, *words):
            assert time.monotonic() < deadline, found


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Doctor:
    return Doctor(monkeypatch, capsysbinary)


@pytest.fixture(scope="module")
def at_work(module_pipeline: Pipeline) -> Pipeline:
    module_pipeline.worker()
    module_pipeline.gate()
    module_pipeline.ready(workers=1, gates=1)
    return module_pipeline


@pytest.fixture
def site(at_work: Pipeline, doctor: Doctor) -> Iterator[Pipeline]:
    """A site at work, with which doctor is content."""
    doctor.well(at_work.settings)
    yield at_work
    # Where a test has failed the next one is to be about its own plant.
    left = admin.plan(at_work.settings)
    if not left.refused:
        admin.apply(left)


def client_of(settings: Settings) -> Any:
    return connect(Cluster(settings.bootstrap_servers or ""))


def test_a_site_that_is_well_has_nothing_but_ok(site: Pipeline, doctor: Doctor) -> None:
    sighting = event("tag_fix", device_id="TAG-1", position=place((51.5, -0.1))) | {"source": SOURCE}

    def all_ok() -> bool:
        site.publish("sightings", sighting)
        return {one["state"] for one in doctor.examined(site.settings)} == {"ok"}

    eventually(all_ok, "workers have told of the canary, and all is well", within_s=30)
    grounds = {one["ground"] for one in doctor.examined(site.settings)}
    assert grounds == {"machine", "settings", "cluster", "topics", "access", "running"}

    def whole() -> bool:
        # Its worker tells of it some seconds later, by which the broker's clock is known.
        site.publish("sightings", sighting)
        code, out = doctor.run(site.settings, "--watch", "5")
        assert code == 0
        assert out.splitlines()[-1].startswith("0 fail, 0 warn, ")
        return "clock: agrees with broker 1 to 2 s" in out

    eventually(whole, "the clocks are compared")


# -- settings and machine ----------------------------------------------------------------------------------


def test_a_misspelt_setting(site: Pipeline, doctor: Doctor) -> None:
    class Misspelt(Settings):
        def as_variables(self) -> dict[str, str]:
            return super().as_variables() | {"BREACHWATCH_TOPIC_PREFX": "x-"}

    planted = Misspelt(**site.settings.model_dump())
    doctor.only(planted, SETTINGS, "BREACHWATCH_TOPIC_PREFX is no setting", "TOPIC_PREFIX?")
    doctor.well(site.settings)


@pytest.mark.parametrize(
    ("changes", "expected", "says", "mend"),
    [
        ({"bootstrap_servers": "nobody.invalid:9092"}, CONNECTION, "is not known here", "DNS"),
        (
            {"kafka_tls": True},
            CONNECTION,
            "TLS is set, and",
            "unset BREACHWATCH_KAFKA_TLS",
        ),
        (
            {"session_timeout_s": 3.0},
            BROKERS,
            "BREACHWATCH_SESSION_TIMEOUT_S is 3, and the brokers take 6 to 1800",
            "set it within these bounds",
        ),
        (
            {"topic_prefix": "no-such-"},
            TOPICS,
            "no topic under the prefix 'no-such-'; there are pipelines under the prefixes",
            "set BREACHWATCH_TOPIC_PREFIX",
        ),
        ({"partitions": 5}, TOPICS, "partitions 4 -> 5", "BREACHWATCH_PARTITIONS"),
        ({"door_host": "0.0.0.0"}, SETTINGS, "whose tokens", "BREACHWATCH_DOOR_JWKS_FILE"),
    ],
)
def test_a_setting_that_does_not_fit(
    site: Pipeline, doctor: Doctor, changes: dict[str, Any], expected: Found, says: str, mend: str
) -> None:
    doctor.only(site.settings.model_copy(update=changes), expected, says, mend)


def test_nobody_listens(site: Pipeline, doctor: Doctor) -> None:
    (port,) = local.free_ports(1)
    planted = site.settings.model_copy(update={"bootstrap_servers": f"127.0.0.1:{port}"})
    doctor.only(planted, CONNECTION, "nobody takes connections", "BREACHWATCH_BOOTSTRAP_SERVERS")


def test_files_that_cannot_be_used(site: Pipeline, doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("version = 7\nnonsense = true\n")
    planted = site.settings.model_copy(update={"policy_file": tmp_path / "policy.toml"})
    doctor.only(planted, ("settings", "policy", "fail"), "nonsense", "breachwatch policy check")
    (tmp_path / "taken").touch()
    planted = site.settings.model_copy(update={"data_dir": tmp_path / "taken"})
    assert doctor.wrong(planted).keys() == {("machine", "data_dir", "fail"), ("machine", "tables", "fail")}


def test_a_metrics_port_that_another_has(site: Pipeline, doctor: Doctor) -> None:
    with socket.create_server((local.HOST, 0)) as other:
        planted = site.settings.model_copy(update={"metrics_port": other.getsockname()[1]})
        doctor.only(planted, ("settings", "metrics port", "fail"), "another program", "BREACHWATCH_METRICS_PORT")
    doctor.well(planted)


def test_too_few_open_files(site: Pipeline, doctor: Doctor) -> None:
    words = [BREACHWATCH, "doctor", "--json", "--watch", "0.1"]
    limited = ["sh", "-c", 'ulimit -n 256 && exec "$@"', "sh", *words]
    done = subprocess.run(
        limited, env=site.settings.child_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    failed = [one for one in json.loads(done.stdout) if one["state"] == "fail"]
    assert [one["what"] for one in failed] == ["open files"]
    assert "256 allowed" in failed[0]["detail"]
    assert "LimitNOFILE=" in failed[0]["mend"]


@pytest.mark.parametrize(("seconds", "says"), [(90, "s behind the brokers"), (-90, "s ahead of the brokers")])
def test_a_clock_that_is_not_the_brokers(doctor: Doctor, tmp_path: Path, seconds: int, says: str) -> None:
    needs_libfaketime()
    clock = BrokerClock(tmp_path)
    clock.step(timedelta(seconds=seconds))
    with kafka_by(clock, tmp_path / "kafka") as servers:
        settings = Settings(bootstrap_servers=servers, data_dir=tmp_path)
        admin.apply(admin.plan(settings))
        stop = threading.Event()

        def go_on() -> None:
            sender = producer(servers)
            while not stop.wait(0.2):
                sender.send("cloud-events", b"{}")
            sender.close()

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            found = doctor.failing(settings, "--watch", "3")
        finally:
            stop.set()
            thread.join()
    assert found.keys() == {("cluster", "clock", "fail")}
    (told,) = found.values()
    assert says in told["detail"]
    assert 80 < float(told["detail"].split()[5]) <= 90
    assert told["mend"] == "run NTP on both"


# -- topics and brokers ------------------------------------------------------------------------------------


def test_a_topic_that_is_missing(site: Pipeline, doctor: Doctor) -> None:
    with client_of(site.settings) as client:
        client.delete_topics([full_name(site.settings, "alerts-cap")])
    doctor.only(
        site.settings,
        TOPICS,
        f"missing: {full_name(site.settings, 'alerts-cap')}",
        "breachwatch topics apply",
    )
    admin.apply(admin.plan(site.settings))
    doctor.well(site.settings)


def test_a_topic_with_too_many_partitions(site: Pipeline, doctor: Doctor) -> None:
    with client_of(site.settings) as client:
        client.create_partitions({full_name(site.settings, "alerts-cap"): NewPartitions(6)})
    doctor.only(site.settings, TOPICS, "alerts-cap: partitions 6 -> 4", "a count is permanent")
    with client_of(site.settings) as client:
        client.delete_topics([full_name(site.settings, "alerts-cap")])
    eventually(lambda: admin.plan(site.settings).of_kind("create"), "the topic is gone")
    admin.apply(admin.plan(site.settings))
    doctor.well(site.settings)


@pytest.mark.parametrize(
    ("topic", "key", "value", "says"),
    [
        ("sightings", "retention.ms", "3600000", "retention.ms 3600000 -> 604800000"),
        ("cloud-events", "cleanup.policy", "compact", "cleanup.policy compact -> delete"),
        ("cloud-events", "message.timestamp.type", "CreateTime", "CreateTime -> LogAppendTime"),
        ("cloud-events", "min.insync.replicas", "2", "min.insync.replicas 2 -> 1"),
    ],
)
def test_a_topic_that_is_set_otherwise(
    site: Pipeline, doctor: Doctor, topic: str, key: str, value: str, says: str
) -> None:
    with client_of(site.settings) as client:
        client.alter_configs([ConfigResource("topic", full_name(site.settings, topic), {key: value})])
    doctor.only(site.settings, TOPICS, says, "breachwatch topics apply")
    admin.apply(admin.plan(site.settings))
    doctor.well(site.settings)


def test_a_topic_that_is_deleted_by_size(site: Pipeline, doctor: Doctor) -> None:
    resource = ConfigResource("topic", full_name(site.settings, "sightings"), {"retention.bytes": "100000000"})
    with client_of(site.settings) as client:
        client.alter_configs([resource])
    doctor.only(site.settings, TOPICS, "retention.bytes is set", "--delete-config retention.bytes")
    with client_of(site.settings) as client:
        client.reset_configs([ConfigResource("topic", full_name(site.settings, "sightings"), ["retention.bytes"])])
    doctor.well(site.settings)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("unclean.leader.election.enable", "true", "events that were acknowledged are gone"),
        ("log.retention.bytes", "100000000", "deleted by size"),
    ],
)
def test_a_setting_of_the_brokers(site: Pipeline, doctor: Doctor, key: str, value: str, says: str) -> None:
    with client_of(site.settings) as client:
        client.alter_configs([ConfigResource("broker", "1", {key: value})])
    doctor.only(site.settings, BROKERS, says, f"set {key}=")
    with client_of(site.settings) as client:
        client.reset_configs([ConfigResource("broker", "1", [key])])
    doctor.well(site.settings)


def test_brokers_that_are_elsewhere_and_make_topics_unasked(doctor: Doctor, tmp_path: Path) -> None:
    """One broker with two faults: while the first is there the second cannot be seen."""
    door = local.Door(proxied=True, properties={"auto.create.topics.enable": "true"})
    folder = tmp_path / "kafka"
    with local.running(folder, door=door) as kafka:
        (node,) = local._state(folder).nodes
        inside = Settings(bootstrap_servers=kafka.bootstrap_servers, data_dir=tmp_path)
        outside = inside.model_copy(update={"bootstrap_servers": f"{local.HOST}:{node.door_port}"})
        admin.apply(admin.plan(inside))

        (found,) = doctor.failing(outside).values()
        assert f"1 says that it is at {kafka.door_servers}, and cannot be reached there" in found["detail"]
        assert "advertised.listeners" in found["mend"]
        proxy = Proxy(node.door_advertised, node.door_port)
        proxy.start()
        try:
            (found,) = doctor.failing(outside).values()
            assert "auto.create.topics.enable is true on broker 1" in found["detail"]
            assert "set auto.create.topics.enable=false" in found["mend"]
            kafka.stop()
            local._save(folder, replace(local._state(folder), door=replace(door, properties={})))
            kafka.start()
            eventually(lambda: not doctor.failing(outside), "nothing fails any more")
        finally:
            proxy.close()


def test_a_broker_that_stands_still_does_not_hold_doctor_up(doctor: Doctor, tmp_path: Path) -> None:
    with local.running(tmp_path / "kafka") as kafka:
        settings = Settings(bootstrap_servers=kafka.bootstrap_servers, data_dir=tmp_path)
        admin.apply(admin.plan(settings))
        pid = local._state(tmp_path / "kafka").nodes[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        try:
            code, out = doctor.run(settings, "--json")
        finally:
            os.kill(pid, signal.SIGCONT)
        assert time.monotonic() - began < 45
        (found,) = [one for one in json.loads(out) if one["state"] == "fail"]
        assert (code, found["what"]) == (1, "connection")
        assert "does not answer as Kafka does" in found["detail"]
        assert "stands still" in found["mend"]


# -- who is at work ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "what", "mend"),
    [
        (("worker", "--name", "worker-1"), "workers", "breachwatch worker --name"),
        (("gate",), "gate", "breachwatch gate"),
    ],
)
def test_nobody_is_at_work(site: Pipeline, doctor: Doctor, command: tuple[str, ...], what: str, mend: str) -> None:
    (process,) = [one for one in site.processes if one.command == command]
    assert isinstance(process, Process)
    site.publish("anpr-reads", b"{")
    site.drained(past_the_gate=True)
    process.stop()
    # A worker is a static member: the group waits for it to come back until its session times out.
    doctor.only(site.settings, ("running", what, "fail"), "nobody works on", mend)
    if what == "gate":
        site.gate()
    else:
        site.worker()
    site.ready(workers=1, gates=1)
    doctor.well(site.settings)


def test_a_store_of_another_pipeline(site: Pipeline, doctor: Doctor, pipeline_settings: Settings) -> None:
    """The data directory of one, and the topics of another in which nothing is."""
    site.publish("orders", order("S1"))
    mixed = pipeline_settings.model_copy(update={"data_dir": site.settings.data_dir})
    expected = ("running", "stores", "fail")
    # The store says how far it is with the commit after.
    eventually(lambda: doctor.failing(mixed).keys() == {expected}, "the store is newer")
    found = doctor.failing(mixed)[expected]
    assert "worker-1 is newer than its changelog" in found["detail"]
    assert "delete its directory" in found["mend"]
    assert not doctor.failing(pipeline_settings)


def test_a_source_that_is_off_for_long(site: Pipeline, doctor: Doctor) -> None:
    def switch(off: bool) -> None:
        at = datetime.now(UTC) - timedelta(days=3)
        control = SourceControl(source="tags/x", off=off, reason="broken", by="op-7", at=at)
        value = control.model_dump_json().encode()
        send_all(
            admin.cluster_of(site.settings), [Outgoing(full_name(site.settings, "source-controls"), b"tags/x", value)]
        )

    switch(True)
    doctor.only(
        site.settings,
        ("running", "sources", "warn"),
        "more than a day, what they send is set aside: tags/x",
        "sources on",
    )
    switch(False)
    doctor.well(site.settings)


def test_what_cannot_be_read_does_not_hide_the_rest(site: Pipeline, doctor: Doctor) -> None:
    def put(value: bytes | None) -> None:
        site.publish("source-controls", value, key=b"unknown", partition=0)

    put(b"{}")
    says = "doctor does not understand what it saw: ValidationError"
    doctor.only(site.settings, ("running", "sources", "fail"), says, "look at it by hand")
    put(None)
    doctor.well(site.settings)


def test_a_process_that_does_not_answer(site: Pipeline, doctor: Doctor) -> None:
    (port,) = local.free_ports(1)
    url = f"http://{local.HOST}:{port}"
    expected = ("running", "process", "fail")
    doctor.only(site.settings, expected, "does not answer", "BREACHWATCH_METRICS_PORT", "--metrics-url", url)


# -- log-ins, certificates and rights ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says", "mend"),
    [
        ({"kafka_user": None}, "hangs up on who is not logged in", "set BREACHWATCH_KAFKA_USER and _PASSWORD_FILE"),
        ({"kafka_ca_file": None, "kafka_tls": True}, "not signed by an authority", "set BREACHWATCH_KAFKA_CA_FILE"),
        ({"bootstrap_servers": "localhost"}, "is for another name", "the name that is in it"),
        ({"kafka_user": None, "kafka_ca_file": None}, "speaks TLS, and TLS is not set", "BREACHWATCH_KAFKA_TLS=true"),
        ({"password": "wrong"}, "the log-in as w1 was refused", "correct BREACHWATCH_KAFKA_PASSWORD_FILE"),
    ],
)
def test_a_way_in_that_is_not_the_brokers(
    secured: Secured,
    doctor: Doctor,
    changes: dict[str, Any],
    says: str,
    mend: str,
) -> None:
    settings = secured.user("w1")
    assert not doctor.failing(settings)
    port = (settings.bootstrap_servers or "").rpartition(":")[2]
    if changes.get("bootstrap_servers"):
        changes = {"bootstrap_servers": f"localhost:{port}"}
    planted = secured.user("w1", changes.pop("password", PASSWORD))
    if "kafka_user" in changes:
        planted = secured.outside
    planted = planted.model_copy(update=changes)

    def named() -> bool:
        (found,) = doctor.failing(planted).values()
        # On a busy machine the time of an attempt may be over before the broker has said why.
        return found["what"] == "connection" and says in found["detail"] and mend in found["mend"]

    eventually(named, says)


@pytest.mark.parametrize(
    ("kind", "name", "operation"), [("TOPIC", "orders", "READ"), ("GROUP", "breachwatch", "READ")]
)
def test_a_right_that_was_forgotten(
    secured: Secured,
    doctor: Doctor,
    kind: access.Kind,
    name: str,
    operation: access.Operation,
) -> None:
    user = f"worker-without-{kind.lower()}"
    forgotten = access.Grant(kind, name, operation)
    granted = access.grants("worker", secured.inside)
    with connect(admin.cluster_of(secured.inside)) as client:
        credentials = UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, PASSWORD)
        client.alter_user_scram_credentials([credentials])
        access.grant(client, user, [one for one in granted if one != forgotten])
        says = f"{user} cannot work as worker: may not {operation} on {kind.lower()} {name}"

        def named() -> bool:
            found = list(doctor.failing(secured.user(user)).values())
            return (
                len(found) == 1 and found[0]["detail"] == says and f"access grant worker {user}" in found[0]["mend"]
            )

        eventually(named, says)
        access.grant(client, user, granted)
        eventually(lambda: not doctor.failing(secured.user(user)), "nothing is lacking any more")


def test_who_may_not_look_is_told_so_and_nothing_fails(secured: Secured, doctor: Doctor) -> None:
    found = doctor.examined(secured.user("board"))
    assert [one for one in found if one["state"] == "fail"] == []
    (rights,) = [one for one in found if one["what"] == "permissions"]
    assert rights["detail"].startswith("board may do what these roles may: dashboard")
    assert "not looked at" in "".join(one["detail"] for one in found if one["ground"] == "topics")
