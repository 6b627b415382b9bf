"""The HTTP door on a real broker: what it accepts is in the log, what it refuses is said, item by item."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from harness import order, report, tag_fix
from jwt.algorithms import ECAlgorithm

from streams.door.app import create
from streams.door.tokens import Keys
from streams.kafka.admin import cluster_of
from streams.kafka.reading import read_all
from streams.kafka.topics import full_name
from streams.settings import Settings

KEY, OTHER_KEY = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())


def token(key: Any = KEY, **claims: Any) -> str:
    stated = {
        "sub": "tags",
        "aud": "breachwatch",
        "exp": datetime.now(UTC) + timedelta(days=1),
        "scope": "publish:sightings publish:orders adapt:owntracks",
        "source": "test",
    }
    stated = {name: value for name, value in (stated | claims).items() if value is not None}
    return jwt.encode(stated, key, algorithm="ES256", headers={"kid": "k1"})


@pytest.fixture
def settings(pipeline_settings: Settings, tmp_path: Path) -> Settings:
    key = ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True) | {"kid": "k1", "use": "sig", "alg": "ES256"}
    (tmp_path / "jwks.json").write_bytes(orjson.dumps({"keys": [key]}))
    return pipeline_settings.model_copy(update={"door_jwks_file": tmp_path / "jwks.json", "door_batch": 5})


Call = Callable[..., Awaitable[httpx.Response]]


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Call]:
    assert settings.door_jwks_file is not None
    app = create(settings, Keys(settings.door_jwks_file, settings.door_audience, settings.door_issuer))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:

            async def call(path: str, body: Any, bearer: str | None = token(), **headers: str) -> httpx.Response:
                if bearer is not None:
                    headers["Authorization"] = f"Bearer {bearer}"
                content = body if isinstance(body, bytes) else orjson.dumps(body)
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                return await client.post(f"/v1/{path}", content=content, headers=named)

            yield call


def asked(settings: Settings, path: str, body: Any, *args: Any, **headers: str) -> httpx.Response:
    async def run() -> httpx.Response:
        async with opened(settings) as call:
            return await call(path, body, *args, **headers)

    return asyncio.run(run())


def log(settings: Settings, topic: str) -> list[Any]:
    return [orjson.loads(m.value) for m in read_all(cluster_of(settings), full_name(settings, topic))]


def test_what_is_accepted_is_in_the_log_and_what_is_not_is_named(settings: Settings) -> None:
    good, bad, other = tag_fix("T1"), tag_fix("T2"), tag_fix("T3")
    del bad["data"]["device_id"]
    other["source"] = "somebody/else"
    answer = asked(settings, "topics/sightings/events", [good, bad, other])
    assert answer.status_code == 202
    body = answer.json()
    assert (body["accepted"], body["refused"]) == (1, 2)
    assert [item["status"] for item in body["items"]] == ["accepted", "refused", "refused"]
    assert "data.device_id: Field required" in body["items"][1]["detail"]
    assert "does not speak for this source" in body["items"][2]["detail"]
    assert [event["id"] for event in log(settings, "sightings")] == [good["id"]]


def test_a_cloud_event_in_binary_mode_is_an_event(settings: Settings) -> None:
    event = tag_fix("T1")
    headers = {f"ce_{name}": str(value) for name, value in event.items() if name not in ("data", "exercise")}
    answer = asked(settings, "topics/sightings/events", event["data"], token(), ce_specversion="1.0", **headers)
    assert answer.status_code == 202, answer.text
    assert [kept["id"] for kept in log(settings, "sightings")] == [event["id"]]


def test_a_dry_run_has_no_effect(settings: Settings) -> None:
    answer = asked(settings, "topics/sightings/events?dry_run=true", tag_fix("T1"))
    assert answer.status_code == 200
    assert answer.json()["items"][0]["status"] == "would_be_accepted"
    assert log(settings, "sightings") == []


def test_the_same_request_twice_is_done_once(settings: Settings) -> None:
    async def run() -> list[httpx.Response]:
        async with opened(settings) as call:
            event = tag_fix("T1")
            first = await call("topics/sightings/events", event, idempotency_key="k")
            again = await call("topics/sightings/events", event, idempotency_key="k")
            return [first, again, await call("topics/sightings/events", tag_fix("T2"), idempotency_key="k")]

    first, again, other = asyncio.run(run())
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert other.status_code == 422
    assert len(log(settings, "sightings")) == 1


def test_a_key_that_was_used_elsewhere_hides_no_event(settings: Settings) -> None:
    """The same body is another event on another topic, and in binary mode under other headers."""

    def named(event: Any) -> dict[str, str]:
        return {f"ce_{name}": str(value) for name, value in event.items() if name not in ("data", "exercise")}

    async def run() -> list[httpx.Response]:
        async with opened(settings) as call:
            body = orjson.dumps(tag_fix("T1"))
            one, other = tag_fix("T1"), tag_fix("T1")
            data, how = orjson.dumps(one["data"]), {"ce_specversion": "1.0", "idempotency_key": "b"}
            return [
                await call("topics/sightings/events", body, idempotency_key="k"),
                await call("topics/sightings-backfill/events", body, both, idempotency_key="k"),
                await call("topics/sightings/events", data, **how, **named(one)),
                await call("topics/sightings/events", data, **how, **named(other)),
            ]

    both = token(scope="publish:sightings publish:sightings-backfill")
    answers = asyncio.run(run())
    assert [answer.status_code for answer in answers] == [202, 422, 202, 422]
    assert all(answer.json()["title"] == "Idempotency-Key used twice" for answer in answers[1::2])
    assert len(log(settings, "sightings")) == 2


def test_what_another_format_brings_is_kept_as_it_came_and_said_at_once(settings: Settings) -> None:
    message = {"_type": "location", "topic": "owntracks/sam/phone", "tst": 1764059400, "lat": 52.6, "lon": 1.3}
    answer = asked(settings, "adapters/owntracks", message)
    assert answer.status_code == 202, answer.text
    [item] = answer.json()["items"]
    assert (item["topic"], item["events"]) == ("raw-owntracks", 1)
    wrong = asked(settings, "adapters/owntracks", {"_type": "location"})
    assert (wrong.status_code, wrong.headers["content-type"]) == (422, "application/problem+json")
    assert "topic: a text is missing" in wrong.json()["items"][0]["detail"]
    dry = asked(settings, "adapters/owntracks?dry_run=true", message)
    assert (dry.status_code, dry.json()["items"][0]["events"]) == (200, 1)
    kept = log(settings, "raw-owntracks")
    assert sorted(kept, key=len) == [{"_type": "location"}, message], "for an adapter that is mended"


def test_errors_of_the_request_itself_are_problems_too(settings: Settings) -> None:
    long = asked(settings, "topics/sightings/events", tag_fix("T1"), token(), idempotency_key="k" * 201)
    for answer, status in ((long, 400), (asked(settings, "nowhere", {}), 404)):
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_it_is_described(settings: Settings) -> None:
    assert settings.door_jwks_file is not None
    app = create(settings, Keys(settings.door_jwks_file, settings.door_audience, settings.door_issuer))
    post = app.openapi()["paths"]["/v1/topics/{topic}/events"]["post"]
    assert {"202", "401", "413", "422", "429", "503"} <= post["responses"].keys()
    assert post["requestBody"]["required"]
    assert {p["name"] for p in post["parameters"]} == {"topic", "dry_run", "idempotency-key"}


@pytest.mark.parametrize(
    ("bearer", "says"),
    [
        (None, "send a bearer token"),
        ("x.y.z", "DecodeError"),
        (token(OTHER_KEY), "InvalidSignatureError"),
        (token(exp=datetime.now(UTC) - timedelta(minutes=1)), "ExpiredSignatureError"),
        (token(aud="somebody"), "InvalidAudienceError"),
        (token(source=None), "MissingRequiredClaimError"),
        (jwt.encode({"sub": "tags"}, "", algorithm="none", headers={"kid": "k1"}), "InvalidAlgorithmError"),
    ],
)
def test_who_has_no_token_of_ours_is_told_why(settings: Settings, bearer: str | None, says: str) -> None:
    answer = asked(settings, "topics/sightings/events", tag_fix("T1"), bearer)
    assert answer.status_code == 401
    assert says in answer.json()["detail"]
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert bearer is None or bearer not in answer.text


@pytest.mark.parametrize("path", ["topics/breach-reports/events", "topics/nothing/events", "adapters/traccar"])
def test_what_the_token_does_not_allow_is_refused(settings: Settings, path: str) -> None:
    assert asked(settings, path, report("O1")).status_code == 403


def test_what_is_too_much_is_refused(settings: Settings) -> None:
    assert asked(settings, "topics/sightings/events", [tag_fix("T1")] * 6).status_code == 413
    assert asked(settings, "topics/sightings/events", []).status_code == 413
    small = settings.model_copy(update={"door_max_bytes": 50})
    assert asked(small, "topics/sightings/events", tag_fix("T1")).status_code == 413
    slow = settings.model_copy(update={"door_rate": "2/minute"})
    answer = asked(slow, "topics/sightings/events", [tag_fix("T1")] * 3)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1


def test_what_is_no_json_is_said(settings: Settings) -> None:
    answer = asked(settings, "topics/orders/events", b"{")
    assert (answer.status_code, answer.json()["title"]) == (400, "Not JSON")
    refused = asked(settings, "topics/orders/events", {"type": "order"})
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["items"][0]["reason"] == "invalid_field"
    assert order("S1")["data"]["respondent"]["name"] not in refused.text
