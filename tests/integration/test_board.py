"""The board on a real Kafka, a real worker and a real server: from a breach to whoever looks, and back."""

import asyncio
import csv
import io
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from harness import INSIDE, Pipeline, ago, eventually, order, report, runner, tag_fix
from listener import bearer, board_settings, is_ready, listening, parse, token

from schemas.tasks import ArrestTask
from streams.board.positions import decode, encode
from streams.kafka.admin import cluster_of
from streams.kafka.reading import read_all
from streams.kafka.topics import full_name
from streams.outbound import outbound
from streams.settings import Settings

API = "/api/v1"
Client = httpx.AsyncClient


@pytest.fixture(scope="module")
def settings(module_pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return board_settings(
        module_pipeline.settings,
        tmp_path_factory.mktemp("jwks"),
        board_heartbeat_s=0.5,
        board_rate="100000/minute",
        board_queue=200,
        board_stuck_s=3.0,
        board_clients_each=5,
    )


@pytest.fixture(scope="module")
def pipeline(module_pipeline: Pipeline, settings: Settings) -> Iterator[Pipeline]:
    module_pipeline.worker()
    module_pipeline.run("board", settings=settings)
    module_pipeline.ready(workers=1)
    eventually(lambda: is_ready(settings), "the board is ready")
    yield module_pipeline
    for process in module_pipeline.processes:
        process.stop()


@pytest.fixture
def run(pipeline: Pipeline, settings: Settings) -> Callable[[Callable[[Client], Awaitable[None]]], None]:
    """Runs a conversation with the board; requests are a controller's of every force."""

    def run(conversation: Callable[[Client], Awaitable[None]]) -> None:
        async def with_client() -> None:
            url = f"http://127.0.0.1:{settings.board_port}"
            async with Client(base_url=url, headers=bearer(token()), timeout=30) as client:
                await conversation(client)

        asyncio.run(with_client())

    return run


Run = Callable[[Callable[[Client], Awaitable[None]]], None]


def breach(pipeline: Pipeline, subject: str, **data: Any) -> ArrestTask:
    """The task of a breach that is reported now."""
    pipeline.publish("orders", order(subject, **data))
    pipeline.publish("breach-reports", report(f"O-{subject}"))
    return pipeline.until(lambda: pipeline.outputs.tasks_of(subject), f"a task for {subject}")[-1]


async def shown(client: Client, subject: str) -> dict[str, Any]:
    """The task of a subject, once the board lists it."""
    async with asyncio.timeout(30):
        while True:
            listed = (await client.get(f"{API}/tasks", params={"text": subject})).json()
            for task in listed["tasks"]:
                if task["subject_id"] == subject:
                    return dict(task)
            await asyncio.sleep(0.05)


Entry = dict[str, Any]


def on_trail(pipeline: Pipeline, count: int, chosen: Callable[[Entry], bool]) -> list[Entry]:
    """What the board has put on the audit trail of this kind, once it is so many."""
    topic, found = full_name(pipeline.settings, "audit"), list[Entry]()

    def all_there() -> bool:
        entries = (orjson.loads(message.value) for message in read_all(cluster_of(pipeline.settings), topic))
        found[:] = [entry for entry in entries if entry["event_type"] == "board" and chosen(entry)]
        return len(found) >= count

    eventually(all_there, f"{count} entries on the trail")
    assert len(found) == count
    return found


def test_a_breach_is_in_the_list_and_on_the_stream_and_is_acknowledged(pipeline: Pipeline, run: Run) -> None:
    async def conversation(client: Client) -> None:
        listed = (await client.get(f"{API}/tasks")).json()
        async with listening(client, token(), listed["position"]) as listener:
            task = await asyncio.to_thread(breach, pipeline, "B1")
            heard = await listener.until(lambda h: h.event == "task" and h.data["subject_id"] == "B1")
            assert heard.data["breached"] == [{"term_kind": "no_contact", "certainty": "reported"}]
            listed = (await client.get(f"{API}/tasks", params={"text": "b1"})).json()
            assert [found["task_id"] for found in listed["tasks"]] == [task.task_id]
            assert listed["data_age_s"] < 10
            path = f"{API}/tasks/{task.task_id}"
            looked = await client.get(path, headers={"Access-Reason": "call 2026-11-27-0042"})
            whole = looked.json()
            assert whole["task"]["breaches"][0]["evidence"]
            assert any("no_contact" in line for ground in whole["explanation"]["grounds"] for line in ground)
            assert {"acknowledge", "assign"} <= {action["action"] for action in whole["actions"]}
            assert [reach["arrest_task_id"] for reach in whole["safeguarding"]] == [task.task_id]
            update = {"action": "acknowledge", "revision": whole["task"]["revision"]}
            answer = await client.post(f"{path}/updates", json=update)
            assert answer.status_code == 200, answer.text
            said = answer.json()
            assert (said["status"], said["state"]) == ("accepted", "acknowledged")
            assert said["revision"] > update["revision"]
            asked = await client.get(f"{API}/updates/{said['update_id']}")
            assert asked.json() == said
            other = bearer(token(name="somebody else"))
            assert (await client.get(f"{API}/updates/{said['update_id']}", headers=other)).status_code == 404
            await listener.until(lambda h: h.event == "task" and h.data["acknowledged_by"] == "controller-1")
            await listener.until(lambda h: h.event == "heartbeat" and h.data["data_age_s"] is not None)

    run(conversation)
    [entry] = on_trail(pipeline, 1, lambda entry: entry["subject_id"] == "B1")
    assert entry["decision"] == "viewed"
    assert entry["reasons"] == ["by controller-1 (controller): the task", "reason given: call 2026-11-27-0042"]
    assert entry["topic"] == "arrest-tasks"


@pytest.mark.parametrize(
    ("update", "told"),
    [
        ({"action": "acknowledge"}, "acknowledged already by"),
        ({"action": "assign", "assignee": "Car 7"}, "decided on"),
    ],
    ids=["acknowledge", "assign"],
)
def test_of_two_who_act_at_once_one_is_told(pipeline: Pipeline, run: Run, update: dict[str, str], told: str) -> None:
    subject = f"T-{update['action']}"
    breach(pipeline, subject)

    async def conversation(client: Client) -> None:
        task = await shown(client, subject)
        path, body = f"{API}/tasks/{task['task_id']}/updates", update | {"revision": task["revision"]}
        answers = await asyncio.gather(
            *(client.post(path, json=body, headers=bearer(token(name=name))) for name in ("op-1", "op-2"))
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        [refused] = [answer for answer in answers if answer.status_code == 409]
        assert refused.headers["content-type"] == "application/problem+json"
        assert told in refused.json()["detail"]
        assert (await client.get(f"{API}/updates/{refused.json()['update_id']}")).status_code == 404, "another's"

    run(conversation)


def test_the_same_deed_twice_is_done_once(pipeline: Pipeline, run: Run) -> None:
    breach(pipeline, "I1")

    async def conversation(client: Client) -> None:
        task = await shown(client, "I1")
        path = f"{API}/tasks/{task['task_id']}/updates"
        body = {"action": "note", "reason": "seen at the station", "revision": task["revision"]}
        key = {"Idempotency-Key": "k1"}
        answers = [await client.post(path, json=body, headers=key) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json() == answers[1].json()
        other = await client.post(path, json=body | {"reason": "another"}, headers=key)
        assert (other.status_code, other.json()["title"]) == (409, "Idempotency-Key used twice")
        whole = (await client.get(f"{API}/tasks/{task['task_id']}")).json()
        assert [entry["what"] for entry in whole["task"]["history"]].count("seen at the station") == 1

    run(conversation)


def test_what_the_core_refuses_is_said_in_words_and_what_no_update_can_say_is_not_sent(
    pipeline: Pipeline, run: Run
) -> None:
    breach(pipeline, "R1")

    async def conversation(client: Client) -> None:
        task = await shown(client, "R1")
        path = f"{API}/tasks/{task['task_id']}/updates"
        body = {"action": "close", "outcome": "no_trace", "revision": task["revision"]}
        refused = await client.post(path, json=body)
        assert (refused.status_code, refused.json()["detail"]) == (
            409,
            "the risk is high or not assessed: closing needs a supervisor",
        )
        assert refused.json()["state"] == "open"
        assert (await client.post(path, json={"action": "vanish", "revision": 1})).status_code == 400
        assert (await client.post(path, json={"action": "link", "revision": 1})).status_code == 400
        closed = await client.post(path, json=body, headers=bearer(token("supervisor")))
        assert closed.json()["state"] == "closed"

    run(conversation)


def test_another_forces_task_is_as_one_that_does_not_exist_and_the_attempt_is_on_the_trail(
    pipeline: Pipeline, run: Run
) -> None:
    task = breach(pipeline, "F1", owning_force="Norfolk Constabulary")

    async def conversation(client: Client) -> None:
        await shown(client, "F1")
        theirs = bearer(token("supervisor", "Essex Police", name="op-essex"))
        listed = (await client.get(f"{API}/tasks", headers=theirs)).json()
        assert listed["tasks"] == []
        for path in ("", "/orders", "/map"):
            answers = [await client.get(f"{API}/tasks/{i}{path}", headers=theirs) for i in (task.task_id, "x" * 36)]
            assert [answer.status_code for answer in answers] == [404, 404]
            assert answers[0].content == answers[1].content
            assert _named(answers[0]) == _named(answers[1])
        body = {"action": "acknowledge", "revision": 1}
        answer = await client.post(f"{API}/tasks/{task.task_id}/updates", json=body, headers=theirs)
        assert answer.status_code == 404
        async with listening(client, token("controller", "Essex Police")) as listener:
            await asyncio.to_thread(breach, pipeline, "F2", owning_force="Norfolk Constabulary")
            await asyncio.to_thread(breach, pipeline, "F3", owning_force="Essex Police")
            await listener.until(lambda h: h.event == "task" and h.data["subject_id"] == "F3")
            assert {data["subject_id"] for data in listener.named("task")} == {"F3"}

    run(conversation)
    tried = on_trail(pipeline, 4, lambda e: e["event_id"] == task.task_id and e["decision"] == "refused")
    assert all("op-essex (supervisor)" in entry["reasons"][0] for entry in tried)
    assert all(entry["subject_id"] == "-" for entry in tried), "nobody learns from the trail's keys whose it is"


def test_a_force_that_shares_a_task_sees_no_more_of_the_other_than_that(pipeline: Pipeline, run: Run) -> None:
    task = breach(pipeline, "F4", owning_force="Norfolk Constabulary")
    shared = task.model_copy(update={"revision": 1000, "forces": ["Norfolk Constabulary", "Essex Police"]})
    key, value, headers = outbound("arrest-tasks", shared)
    pipeline.publish("arrest-tasks", value, key=key, headers=headers)

    async def conversation(client: Client) -> None:
        path = f"{API}/tasks/{task.task_id}"
        theirs = bearer(token("controller", "Essex Police"))
        async with asyncio.timeout(30):
            while (answer := await client.get(path, headers=theirs)).status_code == 404:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (answer.json()["safeguarding"], answer.json()["alerts"]) == ([], [])
        whole = (await client.get(path)).json()
        assert len(whole["safeguarding"]) == 1
        assert {alert["kind"] for alert in whole["alerts"]} == {"breach"}

    run(conversation)


def test_a_task_that_cannot_be_read_is_counted_with_all_that_is_shown(pipeline: Pipeline, run: Run) -> None:
    """Here: one that lies under another's key, as no worker puts it."""
    _, value, headers = outbound("arrest-tasks", breach(pipeline, "U1"))

    async def counted(client: Client, count: int) -> None:
        async with listening(client, token()) as listener:
            await listener.until(lambda h: h.event == "heartbeat" and h.data["unreadable"] == count)
        assert (await client.get(f"{API}/tasks")).json()["unreadable"] == count

    async def conversation(client: Client) -> None:
        await shown(client, "U1")
        await asyncio.to_thread(pipeline.publish, "arrest-tasks", value, key=b"T-U1", headers=headers)
        await counted(client, 1)
        await asyncio.to_thread(pipeline.publish, "arrest-tasks", None, key=b"T-U1")
        await counted(client, 0)

    run(conversation)


def test_a_part_of_a_list_is_never_older_than_the_one_before(pipeline: Pipeline, run: Run) -> None:
    for subject in ("N1", "N2"):
        breach(pipeline, subject)

    async def conversation(client: Client) -> None:
        for subject in ("N1", "N2"):
            await shown(client, subject)
        first = (await client.get(f"{API}/tasks", params={"limit": 1})).json()
        assert (await client.get(f"{API}/tasks", params={"cursor": first["next"]})).status_code == 200
        position, _, rest = first["next"].partition(".")
        read = decode(position)
        assert read is not None
        ahead = encode({place: offset + 100 for place, offset in read.items()})
        answer = await client.get(f"{API}/tasks", params={"cursor": f"{ahead}.{rest}"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")

    run(conversation)


def test_nobody_takes_every_place_at_the_stream(pipeline: Pipeline, run: Run, settings: Settings) -> None:
    async def conversation(client: Client) -> None:
        wall = token("viewer", name="wall")
        async with AsyncExitStack() as stack:
            for _ in range(settings.board_clients_each):
                listener = await stack.enter_async_context(listening(client, wall))
                await listener.until(lambda h: h.event == "start")
            answer = await client.get(f"{API}/stream", headers=bearer(wall))
            assert (answer.status_code, answer.headers["content-type"]) == (429, "application/problem+json")
            async with listening(client, token()) as other:
                await other.until(lambda h: h.event == "start")

    run(conversation)
    on_trail(pipeline, 1, lambda e: "wall (viewer)" in e["reasons"][0] and e["decision"] == "refused")


def _named(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "date"}


def test_a_viewer_looks_and_no_more(pipeline: Pipeline, run: Run) -> None:
    task = breach(pipeline, "V1")

    async def conversation(client: Client) -> None:
        await shown(client, "V1")
        viewer, path = bearer(token("viewer")), f"{API}/tasks/{task.task_id}"
        body = {"action": "acknowledge", "revision": 1}
        refused = await client.post(f"{path}/updates", json=body, headers=viewer)
        assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
        whole = (await client.get(path, headers=viewer)).json()
        assert (whole["safeguarding"], whole["task"]["breaches"][0]["protects"]) == (None, [])
        assert "P-V1" not in str(whole)
        for protected in (f"{path}/orders", f"{path}/map", f"{API}/safeguarding"):
            assert (await client.get(protected, headers=viewer)).status_code == 403
        assert (await client.get(f"{API}/me", headers=viewer)).json()["may_act"] is False
        assert (await shown(client, "V1"))["state"] == "open"

    run(conversation)
    on_trail(pipeline, 4, lambda e: "viewer-1" in e["reasons"][0] and e["decision"] == "refused")


def test_terms_and_a_map_come_from_what_workers_keep_and_follow_it(pipeline: Pipeline, run: Run) -> None:
    pipeline.publish("orders", order("M1", tag="TAG-M1"))
    pipeline.publish("sightings", *(tag_fix("TAG-M1", ago(60 * n)) for n in range(3, 0, -1)))
    pipeline.until(lambda: pipeline.outputs.facts("M1"), "the breach")

    async def conversation(client: Client) -> None:
        path = f"{API}/tasks/{(await shown(client, 'M1'))['task_id']}"
        [terms] = (await client.get(f"{path}/orders")).json()["orders"]
        assert [(term["term_id"], term["breached"]) for term in terms["terms"]] == [("T1", True), ("T2", False)]
        drawn = (await client.get(f"{path}/map")).json()
        said = [feature["properties"] for feature in drawn["features"]]
        assert [each["what"] for each in said] == ["zone", "fix", "fix", "fix", "last_seen"]
        assert [each["evidence"] for each in said[1:4]].count(True) == 1
        assert drawn["features"][0]["geometry"]["type"] == "Polygon"
        assert drawn["features"][4]["geometry"]["coordinates"] == [INSIDE[1], INSIDE[0]]
        await asyncio.to_thread(pipeline.publish, "sightings", tag_fix("TAG-M1"))
        async with asyncio.timeout(30):
            while True:
                again = (await client.get(f"{path}/map", params={"hours": 1})).json()
                if sum(f["properties"]["what"] == "fix" for f in again["features"]) == 4:
                    break
                await asyncio.sleep(0.1)

    run(conversation)
    on_trail(
        pipeline, 1, lambda e: e["subject_id"] == "M1" and "the terms of the subject's orders" in e["reasons"][0]
    )


def test_safeguarding_is_done_by_way_of_the_board_too(pipeline: Pipeline, run: Run) -> None:
    breach(pipeline, "G1")

    async def conversation(client: Client) -> None:
        await shown(client, "G1")
        listed = (await client.get(f"{API}/safeguarding")).json()
        [reach] = [task for task in listed["tasks"] if task["subject_id"] == "G1"]
        path = f"{API}/safeguarding/{reach['safeguarding_id']}/updates"
        body = {
            "action": "told",
            "person_id": "P-G1",
            "reason": "that he wrote to her",
            "revision": reach["revision"],
        }
        answer = await client.post(path, json=body)
        assert answer.json()["state"] == "closed", answer.text
        async with listening(client, token("viewer")) as listener:
            await asyncio.to_thread(breach, pipeline, "G2")
            await listener.until(lambda h: h.event == "task" and h.data["subject_id"] == "G2")
            assert listener.named("safeguarding") == []

    run(conversation)


def test_statistics_are_those_of_my_forces_and_a_spreadsheets(pipeline: Pipeline, run: Run) -> None:
    breach(pipeline, "C1", owning_force="Kent Police")

    async def conversation(client: Client) -> None:
        await shown(client, "C1")
        kent = bearer(token("viewer", "Kent Police"))
        found = (await client.get(f"{API}/statistics", headers=kent)).json()
        assert [(row["force"], row["tasks"]) for row in found["rows"]] == [("Kent Police", 1)]
        assert found["rows"][0]["breach_to_task"]["known"] == 1
        table = await client.get(f"{API}/statistics.csv", headers=kent)
        assert table.headers["content-type"] == "text/csv; charset=utf-8"
        assert [row["force"] for row in csv.DictReader(io.StringIO(table.text))] == ["Kent Police"]
        future = await client.get(f"{API}/statistics", headers=kent, params={"since": "2099-01-01T00:00:00Z"})
        assert future.json()["tasks"] == 0
        wrong = await client.get(f"{API}/statistics", headers=kent, params={"since": "yesterday"})
        assert (wrong.status_code, wrong.headers["content-type"]) == (400, "application/problem+json")

    run(conversation)


def test_exercises_are_not_mixed_in(pipeline: Pipeline, run: Run) -> None:
    pipeline.publish("orders", order("X1", exercise=True))
    pipeline.publish("breach-reports", report("O-X1", exercise=True))
    breach(pipeline, "X2")

    async def conversation(client: Client) -> None:
        await shown(client, "X2")
        async with asyncio.timeout(30):
            while True:
                only = (await client.get(f"{API}/tasks", params={"exercises": "only"})).json()["tasks"]
                if only:
                    break
                await asyncio.sleep(0.05)
        assert [task["subject_id"] for task in only] == ["exercise/X1"]
        assert not [task for task in (await client.get(f"{API}/tasks")).json()["tasks"] if task["exercise"]]
        body = {"action": "acknowledge", "revision": only[0]["revision"]}
        answer = await client.post(f"{API}/tasks/{only[0]['task_id']}/updates", json=body)
        assert answer.json()["state"] == "acknowledged", answer.text

    run(conversation)


def test_whoever_has_no_token_of_ours_is_told_so_and_it_is_on_the_trail(
    pipeline: Pipeline, run: Run, settings: Settings
) -> None:
    async def conversation(client: Client) -> None:
        async with Client(base_url=client.base_url) as stranger:
            for path in ("/tasks", "/stream", "/me", "/statistics.csv", "/tasks/x"):
                answer = await stranger.get(API + path)
                assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert (await stranger.get(f"{API}/openapi.json")).status_code == 200
            page = await stranger.get("/")
            assert page.status_code == 200
            me = await stranger.get(f"{API}/me")
            assert me.headers["cache-control"] == "no-store"
            for answer in (page, me, await stranger.get("/nowhere")):
                assert "default-src 'none'" in answer.headers["content-security-policy"]
                assert "'unsafe" not in answer.headers["content-security-policy"]
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["referrer-policy"] == "no-referrer"
                assert "set-cookie" not in answer.headers
            other_site = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
            asked = await stranger.options(f"{API}/tasks/x/updates", headers=other_site)
            assert "access-control-allow-origin" not in asked.headers

    run(conversation)
    on_trail(pipeline, 6, lambda e: "without a valid token" in e["reasons"][0])
    metrics = httpx.get(f"http://127.0.0.1:{settings.metrics_port}/metrics").text
    assert 'breachwatch_board_refusals_total{reason="token"}' in metrics
    assert "breachwatch_board_data_age_seconds" in metrics
    assert "Respondent" not in metrics


def test_a_restart_loses_nothing_for_who_comes_back_with_their_last_id(
    pipeline: Pipeline, run: Run, settings: Settings
) -> None:
    async def conversation(client: Client) -> None:
        listed = (await client.get(f"{API}/tasks")).json()
        async with listening(client, token(), listed["position"]) as listener:
            await asyncio.to_thread(breach, pipeline, "K1")
            await listener.until(lambda h: h.event == "task" and h.data["subject_id"] == "K1")
        [board] = [process for process in pipeline.processes if process.command == ("board",)]
        await asyncio.to_thread(board.kill)
        await asyncio.to_thread(breach, pipeline, "K2")
        pipeline.run("board", settings=settings)
        await asyncio.to_thread(eventually, lambda: is_ready(settings), "the board is ready again")
        async with listening(client, token(), listener.last_id) as again:
            await again.until(lambda h: h.event == "start")
            assert "reset" not in {heard.event for heard in again.heard}
            assert "K2" in {data["subject_id"] for data in again.named("task")}
            assert "K1" not in {data["subject_id"] for data in again.named("task")}, "that one was heard before"
        async with listening(client, token(), "nonsense") as lost:
            await lost.until(lambda h: h.event == "reset")

    run(conversation)


def test_a_client_that_does_not_read_is_dropped_and_comes_back_without_a_gap(
    pipeline: Pipeline, run: Run, settings: Settings
) -> None:
    base = breach(pipeline, "L1")
    # Some 1.5 KB each: more than the buffers of both sockets hold.
    count = 6000
    key, _, headers = outbound("arrest-tasks", base)

    def publish(first: int, last: int) -> None:
        made = (base.model_copy(update={"revision": 1000 + number}) for number in range(first, last))
        sends = [
            pipeline.send("arrest-tasks", task.model_dump_json().encode(), key, headers=headers) for task in made
        ]
        for send in sends:
            send.get(60)

    async def conversation(client: Client) -> None:
        position = (await client.get(f"{API}/tasks")).json()["position"]
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.settimeout(30)
            slow.connect(("127.0.0.1", settings.board_port))
            asked = (
                f"GET {API}/stream HTTP/1.1\r\nHost: board\r\nAuthorization: Bearer {token()}\r\n"
                f"Last-Event-ID: {position}\r\n\r\n"
            )
            slow.sendall(asked.encode())
            first = slow.recv(200)
            assert first.startswith(b"HTTP/1.1 200")
            await asyncio.to_thread(publish, 0, count)
            await asyncio.to_thread(eventually, lambda: _dropped(settings) > 0, "it is dropped")
            taken = bytearray(first)
            while part := await asyncio.to_thread(_received, slow):
                taken += part
        lines = _body(bytes(taken)).decode(errors="replace").split("\r\n")
        got = list(parse(iter(lines)))
        last_id = got[-1].id or next(heard.id for heard in reversed(got) if heard.id)
        seen = {heard.data["revision"] for heard in got if heard.event == "task" and heard.data["subject_id"] == "L1"}
        assert len(seen) < count
        async with listening(client, token(), last_id) as again:
            await again.until(lambda h: h.event == "start", 60)
            assert "reset" not in {heard.event for heard in again.heard}
            seen |= {data["revision"] for data in again.named("task") if data["subject_id"] == "L1"}
        assert set(range(1000, 1000 + count)) <= seen

    run(conversation)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 20)
    except (ConnectionError, TimeoutError):
        return b""


def _body(answer: bytes) -> bytes:
    """Of an answer in chunks (RFC 9112 section 7.1), which may end in the middle of one, those that are whole."""
    _, _, rest = answer.partition(b"\r\n\r\n")
    body = bytearray()
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        if not size or (length := int(size, 16)) == 0 or len(rest) < length + 2:
            break
        body += rest[:length]
        rest = rest[length + 2 :]
    return bytes(body)


def _dropped(settings: Settings) -> float:
    text = httpx.get(f"http://127.0.0.1:{settings.metrics_port}/metrics").text
    found = [line for line in text.splitlines() if line.startswith("breachwatch_board_dropped_clients_total{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


def test_the_command_says_what_is_missing_and_keeps_its_demonstration_on_this_machine(
    pipeline_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    code, _, err = runner(pipeline_settings, monkeypatch, capsysbinary)("board")
    assert code == 1
    assert "BREACHWATCH_BOARD_JWKS_FILE or BREACHWATCH_BOARD_JWKS_URL" in err
    elsewhere = pipeline_settings.model_copy(update={"board_host": "0.0.0.0"})
    code, out, err = runner(elsewhere, monkeypatch, capsysbinary)("board", "--demo-token")
    assert (code, out) == (1, "")
    assert "for loopback only" in err


def test_its_errors_are_problems(run: Run) -> None:
    async def conversation(client: Client) -> None:
        wrong = ("limit=0", "cursor=x", "state=gone", "forse=A", "force=A&force=B")
        for path in ("/nowhere", "/tasks/a/b/c", *(f"/tasks?{query}" for query in wrong)):
            answer = await client.get(API + path)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.status_code in (400, 404)
        answer = await client.delete(f"{API}/tasks")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")

    run(conversation)


def test_whoever_knows_the_document_alone_finds_no_fault(pipeline: Pipeline, settings: Settings) -> None:
    """schemathesis: examples, edges, made-up requests and sequences of them; the stream, which never ends, is tested
    above."""
    breach(pipeline, "O1")
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"http://127.0.0.1:{settings.board_port}{API}/openapi.json",
            f"--header=Authorization: Bearer {token('supervisor')}",
            f"--exclude-path={API}/stream",
            "--max-examples=15",
            "--generation-database=none",
            "--seed=1",
            "--no-color",
        ],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=settings.data_dir.parent,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "12 passed" in done.stdout
