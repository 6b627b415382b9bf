"""The board on a real Kafka, a real worker and a real server: from a breach to whoever looks, and back."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from harness import Pipeline, eventually, order, report
from listener import bearer, listening, token, write_jwks

from schemas.tasks import ArrestTask
from streams.settings import Settings


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def settings(module_pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return module_pipeline.settings.model_copy(
        update={
            "board_jwks_file": write_jwks(tmp_path_factory.mktemp("jwks") / "jwks.json"),
            "board_port": free_port(),
            "metrics_port": free_port(),
            "board_heartbeat_s": 0.5,
            "board_rate": "100000/minute",
        }
    )


def is_ready(settings: Settings) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{settings.metrics_port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


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
def url(pipeline: Pipeline, settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.board_port}"


def breach(pipeline: Pipeline, subject: str, **data: Any) -> ArrestTask:
    """The task of a breach that is reported now."""
    pipeline.publish("orders", order(subject, **data))
    pipeline.publish("breach-reports", report(f"O-{subject}"))
    return pipeline.until(lambda: pipeline.outputs.tasks_of(subject), f"a task for {subject}")[-1]


def test_a_breach_is_in_the_list_and_on_the_stream_and_is_acknowledged(pipeline: Pipeline, url: str) -> None:
    async def run() -> None:
        async with httpx.AsyncClient(base_url=url, headers=bearer(token())) as client:
            listed = (await client.get("/api/v1/tasks")).json()
            async with listening(client, token(), listed["position"]) as listener:
                task = await asyncio.to_thread(breach, pipeline, "B1")
                heard = await listener.until(lambda h: h.event == "task" and h.data["subject_id"] == "B1")
                assert heard.data["breached"] == [{"term_kind": "no_contact", "certainty": "reported"}]
                listed = (await client.get("/api/v1/tasks", params={"text": "b1"})).json()
                assert [found["task_id"] for found in listed["tasks"]] == [task.task_id]
                assert listed["data_age_s"] < 10
                path = f"/api/v1/tasks/{task.task_id}"
                whole = (await client.get(path)).json()
                assert whole["task"]["breaches"][0]["evidence"]
                assert any("no_contact" in line for ground in whole["explanation"]["grounds"] for line in ground)
                update = {"action": "acknowledge", "revision": whole["task"]["revision"]}
                answer = await client.post(f"{path}/updates", json=update)
                assert answer.status_code == 200, answer.text
                assert (answer.json()["status"], answer.json()["state"]) == ("accepted", "acknowledged")
                assert answer.json()["revision"] > update["revision"]
                await listener.until(lambda h: h.event == "task" and h.data["acknowledged_by"] == "controller-1")
                await listener.until(lambda h: h.event == "heartbeat" and h.data["data_age_s"] is not None)

    asyncio.run(run())
