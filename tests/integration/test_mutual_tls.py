"""Mutual TLS on a real broker whose clients must show a certificate, and rights by an access file for their names."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from authority import AUTHORIZED, Authority
from harness import Pipeline, Run, eventually, order, report, runner
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.admin import ACLResourcePatternType as Pattern

from streams.kafka import access, admin, assignment, local
from streams.kafka.client import connect
from streams.kafka.cluster import Cluster
from streams.kafka.topics import full_name
from streams.settings import Settings

KEY_WORD = "of-a-key-on-loopback"


def subject(name: str) -> str:
    """As a broker with Kafka's own rule has it: RFC 2253, the whole of it."""
    return f"CN={name},OU=Breaches,O=Test Force"


@dataclass(frozen=True)
class Mutual:
    inside: Settings
    """By the brokers' own listener, where everything is allowed; with the access file."""
    outside: Settings
    """By the listener for clients; without a certificate."""
    authority: Authority

    def holder(self, name: str) -> Settings:
        """Of a certificate whose key is encrypted."""
        return self.showing(self.authority, name)

    def showing(self, authority: Authority, name: str) -> Settings:
        cert, key = authority.client(name, KEY_WORD)
        word = authority.folder / "key-password"
        word.write_text(f"{KEY_WORD}\n", "utf-8")
        files = {"kafka_client_cert_file": cert, "kafka_client_key_file": key, "kafka_key_password_file": word}
        return self.outside.model_copy(update=files)


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mutual]:
    folder = tmp_path_factory.mktemp("mutual")
    authority = Authority(folder)
    door = local.Door(
        "SSL",
        properties=AUTHORIZED
        | {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(authority.broker()),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(authority.file),
            "listener.name.door.ssl.client.auth": "required",
        },
    )
    (folder / "access.toml").write_text(
        f'[users]\n"{subject("w1")}" = ["worker"]\n"{subject("courts")}" = ["publish-orders"]\n'
        f'"{subject("calls")}" = ["publish-breach-reports"]\n',
        "utf-8",
    )
    with local.running(folder / "kafka", door=door) as kafka:
        yield Mutual(
            Settings(bootstrap_servers=kafka.bootstrap_servers, data_dir=folder, access_file=folder / "access.toml"),
            Settings(bootstrap_servers=kafka.door_servers, data_dir=folder, kafka_ca_file=authority.file),
            authority,
        )


As = Callable[[Settings], Run]


@pytest.fixture
def by(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> As:
    """The command, under these settings."""
    return lambda settings: runner(settings, monkeypatch, capsysbinary)


@pytest.fixture
def applied(mutual: Mutual, by: As) -> Mutual:
    """Topics and rights as the list and the access file say."""
    code, out, err = by(mutual.inside)("topics", "apply")
    assert (code, err) == (0, ""), out
    return mutual


def lines(file: Path, *events: object) -> str:
    file.write_text("".join(f"{json.dumps(event)}\n" for event in events), "utf-8")
    return str(file)


def test_worker_publish_and_tail_work_with_certificates_alone(applied: Mutual, by: As, tmp_path: Path) -> None:
    code, out, err = by(applied.inside)("access", "grant", "dashboard", subject("board"))
    assert (code, err) == (0, ""), out
    pipeline = Pipeline(applied.inside, tmp_path / "logs")
    try:
        pipeline.worker(settings=applied.holder("w1"))
        pipeline.ready(workers=1)
        for name, topic, event in (
            ("courts", "orders", order("S1")),
            ("calls", "breach-reports", report("O-S1")),
        ):
            code, out, err = by(applied.holder(name))("publish", topic, lines(tmp_path / topic, event))
            assert (code, err) == (0, ""), out
        pipeline.until(lambda: pipeline.outputs.facts("S1"), "the reported breach")
        board = by(applied.holder("board"))
        code, out, err = board("tail", "arrest-tasks", "--json", "--from-beginning", "--max", "1")
        assert (code, err) == (0, "")
        assert json.loads(out)["value"]["subject_id"] == "S1"
        [worker] = pipeline.processes
        worker.stop()
        assert KEY_WORD.encode() not in worker.log.read_bytes()
    finally:
        pipeline.close()


def test_a_holder_may_do_what_their_roles_say_and_nothing_else(applied: Mutual, by: As, tmp_path: Path) -> None:
    code, _, err = by(applied.holder("courts"))("publish", "breach-reports", lines(tmp_path / "r", report("O-S2")))
    assert code == 1
    assert f"the holder of {applied.holder('courts').kafka_client_cert_file} may not write to breach-reports" in err


def test_who_shows_no_certificate_is_told_what_to_do(applied: Mutual, by: As, tmp_path: Path) -> None:
    stranger = applied.showing(Authority(tmp_path), "w1")
    for settings, says in (
        (applied.outside, "wants a certificate of ours: set BREACHWATCH_KAFKA_CLIENT_CERT_FILE"),
        (stranger, "does not take the certificate in"),
    ):

        def told(settings: Settings = settings) -> str:
            code, _, err = by(settings)("publish", "orders", lines(tmp_path / "o", order("S3")))
            assert code == 1
            return err

        # On a busy machine the five seconds of an attempt may be over before the broker has said why.
        eventually(lambda says=says, told=told: says in told(), says)


def entry(name: str, operation: str, user: str, pattern: Pattern = Pattern.LITERAL, permission: str = "ALLOW") -> ACL:
    return ACL(
        f"User:{user}",
        "*",
        ACLOperation[operation],
        ACLPermissionType[permission],
        ResourcePattern(ResourceType.TOPIC, name, pattern),
    )


def test_the_plan_shows_what_is_missing_and_beyond_and_apply_mends_it(applied: Mutual, by: As) -> None:
    """On topics of its own, so that no other test's grants are in the way."""
    settings = applied.inside.model_copy(update={"topic_prefix": "mended-"})
    orders = full_name(settings, "orders")
    gone = access.entry(subject("courts"), access.Grant("TOPIC", orders, "WRITE"))
    beyond = [entry(orders, "READ", "mallory"), entry(orders, "WRITE", subject("courts"), permission="DENY")]
    wide = entry("mended-", "READ", "auditors", Pattern.PREFIXED)
    run = by(settings)
    assert run("topics", "apply")[0] == 0
    with connect(Cluster(settings.bootstrap_servers or "")) as client:
        access.take(client, [gone])
        access.add(client, [*beyond, wide])

    def shown(*words: str) -> list[str]:
        code, out, err = run("topics", *words)
        assert (code, err) == (0, "")
        return [line for line in out.splitlines() if line.startswith(("grant", "beyond", "take", "by hand"))]

    missing = f"grant    {subject('courts')} may WRITE topic {orders}"
    denied, read = f"{subject('courts')} may not WRITE topic {orders}", f"mallory may READ topic {orders}"
    left = "by hand  auditors may READ topic mended-*: it reaches further than this pipeline"
    planned = [missing, f"beyond   {denied}", f"beyond   {read}", left]
    # The controller answers before the broker knows.
    eventually(lambda: shown("plan") == planned, "the plan shows each")
    assert shown("apply") == planned
    assert shown("plan") == planned[1:], "what was missing is there; what is beyond stays until somebody says so"
    assert shown("apply", "--prune") == [f"take     {denied}", f"take     {read}", left]
    assert shown("plan") == [left]
    found = assignment.plan(settings)
    assert found is not None
    assert (found.missing, found.beyond) == ((), ())


def test_nothing_is_changed_where_the_access_file_does_not_hold(applied: Mutual, by: As, tmp_path: Path) -> None:
    (tmp_path / "access.toml").write_text("[users]\ncourts = ['judge']\n", "utf-8")
    update = {"topic_prefix": "never-", "access_file": tmp_path / "access.toml"}
    code, _, err = by(applied.inside.model_copy(update=update))("topics", "apply")
    assert code == 1
    assert "there is no role 'judge'" in err
    assert admin.plan(applied.inside.model_copy(update={"topic_prefix": "never-"})).of_kind("create")


def test_to_take_what_is_beyond_there_must_be_a_file_that_says_what_is_not(applied: Mutual, by: As) -> None:
    code, _, err = by(applied.inside.model_copy(update={"access_file": None}))("topics", "apply", "--prune")
    assert code == 1
    assert "BREACHWATCH_ACCESS_FILE" in err
