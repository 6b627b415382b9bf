"""SASL/SCRAM over TLS with access-control lists, on a real broker: who has no right can do nothing."""

import asyncio
import traceback
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from cryptography.x509 import load_pem_x509_certificates
from harness import Pipeline, Process, ago, eventually, order, plate_read, report, runner, task_update
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion
from listener import write_jwks
from recipes import recipes, run_java, write_recipes
from secured import PASSWORD, WRONG_PASSWORD, Secured
from test_metrics import scrape

from schemas.inbound import BadMessageError, BadReason
from schemas.orders import Order
from schemas.reports import BreachReport
from streams import dead_letters
from streams.board.people import Person
from streams.board.service import Board
from streams.dead_letters import Origin
from streams.errors import BreachwatchError
from streams.kafka import access, admin, local
from streams.kafka.client import connect
from streams.kafka.reading import read_all
from streams.kafka.sending import Outgoing, send_all
from streams.kafka.topics import full_name
from streams.rescan import Search, rescan
from streams.sender import NotAcknowledgedError, Sender
from streams.settings import Settings
from streams.tokens import KeyFile, Tokens


def send(settings: Settings, topic: str, event: Mapping[str, Any]) -> None:
    value = orjson.dumps(event)
    send_all(admin.cluster_of(settings), [Outgoing(full_name(settings, topic), None, value)])


def read(settings: Settings, topic: str) -> list[Any]:
    return list(read_all(admin.cluster_of(settings), full_name(settings, topic), timeout_s=15))


def test_the_pipeline_runs_with_its_roles_alone(
    secured: Secured,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    pipeline = Pipeline(secured.inside, tmp_path)
    try:
        [port] = local.free_ports(1)
        pipeline.worker(settings=secured.user("w1").model_copy(update={"metrics_port": port}))
        pipeline.gate(secured.user("g1"))
        pipeline.ready(workers=1, gates=1)
        send(secured.user("courts"), "orders", order("S1", plate="BD15 DLO"))
        send(secured.user("calls"), "breach-reports", report("O-S1"))
        pipeline.until(lambda: pipeline.outputs.facts("S1"), "the reported breach")
        pipeline.publish("anpr-reads", b"{", plate_read("BD15 DLO"))
        pipeline.until(lambda: len(pipeline.outputs.facts("S1")) == 2, "the breach that the gate let through")
        pipeline.until(pipeline.outputs.dead_letters, "what the gate could not read")
        pipeline.until(lambda: _shown(secured.user("control-room"), tmp_path), "the board, by its role")
        board = secured.user("board")
        assert read(board, "arrest-tasks")
        [task] = pipeline.outputs.final_tasks()
        send(board, "task-updates", task_update(task, "acknowledge"))
        pipeline.until(lambda: pipeline.outputs.final_tasks()[0].state == "acknowledged", "the update")
        searcher = secured.user("searcher").model_copy(update={"rescan_gate_lag_s": 0.1, "gate_lookback_s": 0.1})
        found = asyncio.run(rescan(searcher, Search(("O-S1",), ago(600), "ref", "why"), print))
        assert found.matches == 1
        (tmp_path / "snapshot").write_bytes(b"")
        reconcile = runner(secured.user("records"), monkeypatch, capsysbinary)
        code, out, err = reconcile("orders", "reconcile", str(tmp_path / "snapshot"))
        assert (code, err) == (1, "")
        assert "order O-S1: in force here alone" in out
        assert out.endswith("1 alerts sent\n")
        send(secured.user("courts"), "orders", order("S9", expires_at=ago(8 * 86400).isoformat()))
        pipeline.until(lambda: any(entry.subject_id == "S9" for entry in pipeline.outputs.audits()), "an order")
        erase = runner(secured.user("erasures"), monkeypatch, capsysbinary)
        hold = ("S9", "--reference", "R-1", "--reason", "trial")
        assert erase("hold", "place", *hold)[0] == 0
        assert erase("hold", "list")[1].startswith("S9: R-1, by ")
        assert erase("hold", "lift", *hold)[0] == 0
        code, out, err = erase("erase", "subject", "S9", "--reason", "review")
        assert (code, err) == (0, "")
        assert "erased: row, records" in out
        refused = pipeline.worker("w2", secured.user("w1", WRONG_PASSWORD))
        assert refused.wait() == 1
        for process in pipeline.processes:
            _keeps_to_itself(process)
        doctor = runner(secured.user("w1"), monkeypatch, capsysbinary)("doctor")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            shown = answer.read().decode()
        assert "breachwatch_events_in_total" in shown
        for text in (*map(str, doctor), shown):
            assert PASSWORD not in text
    finally:
        pipeline.close()


def test_the_lookout_sees_all_that_it_watches_with_its_role_alone(secured: Secured, tmp_path: Path) -> None:
    port, authority = local.free_ports(1)[0], secured.outside.kafka_ca_file
    assert authority is not None
    pipeline = Pipeline(secured.inside, tmp_path)

    def shown(series: str) -> float:
        try:
            return scrape(port).get(series, 0)
        except OSError:  # it does not serve yet
            return 0

    try:
        process = pipeline.run("lookout", settings=secured.user("l1").model_copy(update={"metrics_port": port}))
        checks = ("lag", "tasks", "dead_letters", "certificates")
        ready = [f'breachwatch_ready{{check="{check}"}}' for check in checks]
        pipeline.until(lambda: all(map(shown, ready)), "it sees all four")
        for whose, file in (("broker", "broker.pem"), ("ca", "ca.pem")):
            certificate = load_pem_x509_certificates(authority.with_name(file).read_bytes())[0]
            ends = certificate.not_valid_after_utc.timestamp()
            assert shown(f'breachwatch_certificate_expiry_timestamp_seconds{{whose="{whose}"}}') == ends
        pipeline.publish("custody-events", b"{", partition=1)
        oldest = 'breachwatch_lag_seconds{group="breachwatch",partition="1",topic="custody-events"}'
        pipeline.until(lambda: shown(oldest), "the age of a message that the role may read for it")
        process.stop()
    finally:
        pipeline.close()


def test_who_mends_dead_letters_may_say_that_one_was_handled(
    secured: Secured, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    mend = runner(secured.user("mender"), monkeypatch, capsysbinary)
    error = BadMessageError(BadReason.NOT_JSON, "not JSON")
    made = dead_letters.letter(Origin("orders", 0, 0, ago(60)), b"{", (), error)
    letter = Outgoing(full_name(secured.inside, "dead-letters"), made.key, made.value, tuple(made.headers))
    [sent] = send_all(admin.cluster_of(secured.inside), [letter])
    place = f"{sent.partition}:{sent.offset}"
    assert mend("dead-letters", "dismiss", place, "--reason", "of no use") == (0, "1 dead letters dismissed\n", "")
    assert place not in mend("dead-letters", "list", "--json")[1]


def _keeps_to_itself(process: Process) -> None:
    """No password is among its arguments, in its environment or in its log, or in that of a process of its own."""
    texts = [process.log.read_bytes()]
    if process.exit_code is None:
        alive = psutil.Process(process.pid)
        for one in (alive, *alive.children(recursive=True)):
            folder = Path("/proc", str(one.pid))
            texts += [(folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()]
        assert any(b"BREACHWATCH_KAFKA_PASSWORD_FILE" in text for text in texts), "it was looked at while it had one"
    for text in texts:
        for password in (PASSWORD, WRONG_PASSWORD):
            assert password.encode() not in text, process.name


def _shown(settings: Settings, folder: Path) -> bool:
    """Does the board show a task with its orders and its track, on the trail?"""
    board = Board(settings, Tokens(KeyFile(write_jwks(folder / "jwks.json")), settings.board_audience, None))
    looks = Person("op-7", "controller", None, 2e9)

    async def run() -> bool:
        await board.start()
        try:
            async with asyncio.timeout(30):
                await board.follower.caught_up.wait()
            [task_id] = board.model.tasks
            await board.looked_at(looks, task_id, "the task", None)
            orders = await board.records.orders("S1")
            return bool(orders) and isinstance(await board.records.track("S1", 1), list)
        finally:
            await board.stop()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("nobody", "orders"),
        ("calls", "orders"),
        ("board", "orders"),
        ("control-room", "arrest-tasks"),
        ("courts", "arrest-tasks"),
        ("w1", "orders"),
        ("records", "orders"),
        ("erasures", "orders"),
    ],
)
def test_who_may_not_publish_cannot(secured: Secured, user: str, topic: str) -> None:
    with pytest.raises(BreachwatchError, match=f"may not write to {topic}"):
        send(secured.user(user), topic, order("S2"))
    assert not [message for message in read(secured.inside, topic) if b'"S2"' in message.value]


def test_a_sender_logs_in_and_is_told_where_it_may_not_write(secured: Secured) -> None:
    mine, theirs = report("O-S3"), order("S3")
    with Sender(admin.cluster_of(secured.user("calls")), source=mine["source"]) as sender:
        sender.send(BreachReport.model_validate_json(orjson.dumps(mine)))
    lying = [orjson.loads(message.value)["id"] for message in read(secured.inside, "breach-reports")]
    assert lying.count(mine["id"]) == 1
    with (
        pytest.raises(NotAcknowledgedError, match=f"not acknowledged: {theirs['id']} .calls may not write to orders"),
        Sender(admin.cluster_of(secured.user("calls")), source=theirs["source"]) as sender,
    ):
        sender.send(Order.model_validate_json(orjson.dumps(theirs)))


def test_the_guides_file_for_java_logs_in(secured: Secured, tmp_path: Path) -> None:
    write_recipes(tmp_path)
    settings = recipes()["client.properties"]
    for shown, here in {
        "kafka-1.example:9093,kafka-2.example:9093": secured.outside.bootstrap_servers or "",
        'password="secret"': f'password="{PASSWORD}"',
        "=ca.pem": f"={secured.outside.kafka_ca_file}",
    }.items():
        assert shown in settings
        settings = settings.replace(shown, here)
    (tmp_path / "client.properties").write_text(settings, "utf-8")
    done = run_java(tmp_path, "BreachReports", "client.properties")
    assert done.returncode == 0, done.stderr
    assert [message for message in read(secured.inside, "breach-reports") if b"call-2026-0007" in message.value]


@pytest.mark.parametrize(
    ("user", "topic"),
    [("nobody", "arrest-tasks"), ("courts", "arrest-tasks"), ("courts", "orders"), ("board", "orders")],
)
def test_who_may_not_read_cannot(secured: Secured, user: str, topic: str) -> None:
    with pytest.raises(
        BreachwatchError, match=f"may not read {topic}|{topic} is not in the cluster.* {user} may not read it"
    ):
        read(secured.user(user), topic)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"password": WRONG_PASSWORD}, "log-in as courts was refused"),
        ({"kafka_user": None, "kafka_password_file": None}, "no Kafka answers"),
        ({"kafka_ca_file": None, "kafka_tls": True}, "certificate"),
    ],
)
def test_a_log_in_that_fails_says_why(secured: Secured, changes: dict[str, Any], says: str) -> None:
    settings = secured.user("courts", changes.pop("password", PASSWORD)).model_copy(update=changes)

    def told() -> str:
        with pytest.raises(BreachwatchError) as raised:
            send(settings, "orders", order("S2"))
        text = "".join(traceback.format_exception(raised.value))
        assert PASSWORD not in text
        assert WRONG_PASSWORD not in text
        return str(raised.value)

    # On a busy machine the five seconds of an attempt may be over before the broker has said why, again and again.
    eventually(lambda: says in told(), says, within_s=200)


def test_rights_that_are_taken_are_gone(secured: Secured) -> None:
    brief = secured.user("brief")

    def may() -> bool:
        try:
            send(brief, "orders", order("S3"))
        except BreachwatchError:
            return False
        return True

    with connect(admin.cluster_of(secured.inside)) as client:
        user = UserScramCredentialUpsertion("brief", ScramMechanism.SCRAM_SHA_512, PASSWORD)
        client.alter_user_scram_credentials([user])
        access.grant(client, "brief", access.grants("publish-orders", secured.inside))
        # The controller answers before the broker knows.
        eventually(may, "the user may publish")
        assert access.revoke(client, "brief") == 2
        eventually(lambda: not may(), "the user may not any more")
