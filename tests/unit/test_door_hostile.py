"""The HTTP door against those who mean ill: forged tokens, and requests that are made to break or to smuggle."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import orjson
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from harness import ago, tag_fix
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from streams.door.app import create
from streams.door.tokens import Keys
from streams.errors import BreachwatchError
from streams.settings import Settings
from streams.tokens import ALGORITHMS, RefusedError

KEY, OTHER_KEY = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
WEAK_KEY = generate_rsa_key(65537, 1024)
CLAIMS = {
    "sub": "tags",
    "aud": "breachwatch",
    "iss": "https://tokens.example",
    "exp": (datetime.now(UTC) + timedelta(days=1)).timestamp(),
    "scope": "publish:sightings publish:orders adapt:owntracks",
    "source": "test",
}


def public(key: Any = KEY, name: str = "k1") -> dict[str, Any]:
    return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": name}


def signed(key: Any = KEY, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
    stated = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    return jwt.encode(stated, key, algorithm="ES256", headers={"kid": "k1", **(header or {})})


def by_hand(header: str, claims: Mapping[str, Any] = CLAIMS, secret: bytes = b"") -> str:
    """A token that no library would make, signed by HMAC."""
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header.encode(), json.dumps(claims).encode())]
    mac = hmac.digest(secret, b".".join(parts), hashlib.sha256)
    return b".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    weak = RSAAlgorithm.to_jwk(WEAK_KEY.public_key(), as_dict=True) | {"kid": "weak"}
    (tmp_path / "jwks.json").write_bytes(orjson.dumps({"keys": [public(), weak]}))
    return tmp_path / "jwks.json"


@pytest.fixture
def keys(file: Path) -> Keys:
    return Keys(file, "breachwatch", "https://tokens.example")


def test_the_token_that_the_others_differ_from_opens_the_door(keys: Keys) -> None:
    assert keys.sender(signed()).source == "test"


PUBLIC_PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
FORGED = {
    "no signature": by_hand('{"alg":"none","kid":"k1"}'),
    "the public key as the secret of an HMAC": by_hand('{"alg":"HS256","kid":"k1"}', secret=PUBLIC_PEM),
    "its JSON as the secret": by_hand('{"alg":"HS256","kid":"k1"}', secret=json.dumps(public()).encode()),
    "several algorithms": by_hand('{"alg":["ES256","none"],"kid":"k1"}'),
    "a key of its own in the header": signed(OTHER_KEY, {"jwk": public(OTHER_KEY)}),
    "a key from elsewhere": signed(OTHER_KEY, {"jku": "https://evil.example/keys", "x5u": "https://evil.example/c"}),
    "another key under our key's name": signed(OTHER_KEY),
    "a file as the key's name": signed(header={"kid": "../../../../dev/null"}),
    "an injection as the key's name": signed(header={"kid": "k1' OR '1'='1"}),
    "a list as the key's name": by_hand('{"alg":"ES256","kid":["k1"]}'),
    "no key's name": by_hand('{"alg":"ES256"}'),
    "a header of 40,000 levels": by_hand('{"alg":"ES256","kid":"k1","x":' + "[" * 40_000 + "]" * 40_000 + "}"),
    "an extension that must be understood": signed(header={"crit": ["x"], "x": 1}),
    "its body elsewhere": by_hand('{"alg":"ES256","kid":"k1","b64":false,"crit":["b64"]}'),
    "a weak key": jwt.encode(CLAIMS, WEAK_KEY, algorithm="RS256", headers={"kid": "weak"}),
    "no end": signed(exp=None),
    "an end that is no number": signed(exp="never"),
    "an end that never comes": signed(exp=float("inf")),
    "not valid yet": signed(nbf=datetime.now(UTC) + timedelta(hours=1)),
    "for nobody": signed(aud=None),
    "for others": signed(aud=["somebody", "breachwatch-test"]),
    "from nobody": signed(iss=None),
    "from part of the issuer": signed(iss="https://tokens"),
    "from the issuer and more": signed(iss="https://tokens.example.evil.example"),
    "every right, as a list": signed(scope=["publish:orders"]),
    "every source": signed(source=""),
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
def test_a_forged_token_opens_nothing_and_is_not_repeated(keys: Keys, token: str) -> None:
    with pytest.raises(RefusedError) as refused:
        keys.sender(token)
    assert token not in str(refused.value)


def test_no_algorithm_takes_a_secret_that_both_sides_have() -> None:
    assert set(ALGORITHMS) == {"RS256", "ES256", "EdDSA"}


def test_a_key_that_is_taken_out_of_the_file_opens_nothing_from_then_on(keys: Keys, file: Path) -> None:
    file.write_bytes(orjson.dumps({"keys": [public(OTHER_KEY, "k2")]}))
    with pytest.raises(RefusedError):
        keys.sender(signed())
    assert keys.sender(signed(OTHER_KEY, {"kid": "k2"})).name == "tags"


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"keys":[]}', b'{"keys":[1]}', None])
def test_a_file_that_becomes_unusable_changes_nothing_and_is_said_once(
    keys: Keys, file: Path, text: bytes | None
) -> None:
    if text is None:
        file.unlink()
    else:
        file.write_bytes(text)
    with structlog.testing.capture_logs() as lines:
        assert keys.sender(signed()).name == keys.sender(signed()).name == "tags"
    assert [line["event"] for line in lines] == ["keys_kept"]
    with pytest.raises(BreachwatchError, match="no keys can be read"):
        Keys(file, "breachwatch", None)


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "kid": "k1", "k": "c2VjcmV0"},
        {**ECAlgorithm.to_jwk(KEY, as_dict=True), "kid": "k1"},
    ],
    ids=["shared", "private"],
)
def test_a_file_with_a_secret_key_is_refused(tmp_path: Path, key: dict[str, Any]) -> None:
    (tmp_path / "jwks.json").write_bytes(orjson.dumps({"keys": [key]}))
    with pytest.raises(BreachwatchError, match="secret key") as refused:
        Keys(tmp_path / "jwks.json", "breachwatch", None)
    assert key.get("k", key.get("d")) not in str(refused.value)


# -- requests ----------------------------------------------------------------------------------------------


@pytest.fixture
def settings(file: Path) -> Settings:
    return Settings(bootstrap_servers="127.0.0.1:9", door_jwks_file=file)


def asked(
    settings: Settings, path: str, content: bytes, headers: list[tuple[str, str]] | None = None, method: str = "POST"
) -> httpx.Response:
    """The answer of a door that no broker is behind: it says what it would do."""
    assert settings.door_jwks_file is not None
    app = create(settings, Keys(settings.door_jwks_file, "breachwatch", None))

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            every = [("Authorization", f"Bearer {signed()}"), *(headers or [])]
            return await client.request(method, path, content=content, headers=every)

    return asyncio.run(run())


DRY = "/v1/topics/sightings/events?dry_run=true"


def test_an_event_as_it_should_be_would_be_accepted(settings: Settings) -> None:
    assert asked(settings, DRY, orjson.dumps(tag_fix("T1"))).status_code == 200


def _nested(levels: int) -> bytes:
    return orjson.dumps(tag_fix("T1"))[:-1] + b',"x":' + b"[" * levels + b"]" * levels + b"}"


BREAKING = {
    "200 levels": _nested(200),
    "300 levels": _nested(300),
    "1000 levels": _nested(1000),
    "200,000 levels": _nested(200_000),
    "levels in a list": b"[" + _nested(900) + b"]",
    "too large a number": b'{"id": 1e999}',
    "a number of 100,000 digits": b'{"id": ' + b"9" * 100_000 + b"}",
    "half a character": b'{"id": "\\ud800"}',
    "UTF-16": b"\xff\xfe{\x00",
    "null": b"null",
    "nothing": b"",
    # Never taken apart, whatever it says it is: a small request cannot become a large one.
    "compressed": gzip.compress(b" " * 5_000_000 + orjson.dumps(tag_fix("T1"))),
}


@pytest.mark.parametrize("body", BREAKING.values(), ids=BREAKING)
def test_a_body_that_is_made_to_break_is_refused(settings: Settings, body: bytes) -> None:
    headers = [("Content-Encoding", "gzip")] if body[:2] == b"\x1f\x8b" else []
    answer = asked(settings, DRY, body, headers)
    if answer.status_code == 200:
        assert answer.json()["refused"] == 1
    else:
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("body", BREAKING.values(), ids=BREAKING)
def test_a_message_of_another_format_that_is_made_to_break_makes_no_event(settings: Settings, body: bytes) -> None:
    answer = asked(settings, "/v1/adapters/owntracks?dry_run=true", body)
    assert answer.status_code in (200, 422)
    assert answer.json()["items"][0]["events"] == 0


def test_a_message_that_its_topic_would_never_take_is_not_sent_for_ever(settings: Settings) -> None:
    answer = asked(settings, "/v1/adapters/owntracks?dry_run=true", b" " * 1_000_001)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "more",
    [
        [("ce_source", "courts/norwich")],
        [("ce-source", "courts/norwich")],
    ],
    ids=["twice", "in both spellings"],
)
def test_whom_an_event_in_binary_mode_speaks_for_is_judged_as_it_is_sent(
    settings: Settings, more: list[tuple[str, str]]
) -> None:
    event = tag_fix("T1")
    named = [(f"ce_{name}", str(event[name])) for name in ("id", "source", "type", "time", "recordedtime")]
    binary = [("ce_specversion", "1.0"), *named]
    for headers in ([*binary, *more], [*more, *binary]):
        item = asked(settings, DRY, orjson.dumps(event["data"]), headers).json()["items"][0]
        assert (item["status"], "source" in item.get("detail", "")) in {
            ("would_be_accepted", False),
            ("refused", True),
        }


def test_a_value_in_binary_mode_cannot_change_whom_it_speaks_for(settings: Settings) -> None:
    event = tag_fix("T1")
    named = [(f"ce_{name}", str(event[name])) for name in ("id", "source", "type", "time", "recordedtime")]
    body = orjson.dumps(event["data"]) + b',"source":"courts/norwich"'
    item = asked(settings, DRY, body, [("ce_specversion", "1.0"), *named]).json()["items"][0]
    assert (item["status"], item["detail"]) == ("refused", "source: the token does not speak for this source")


@pytest.mark.parametrize(
    "source", ["testing", "test-2", "tes", "test/../courts", "test/\nx", "courts/test", "TEST", "test\u2215a"]
)
def test_a_source_that_only_looks_like_the_tokens_is_refused(settings: Settings, source: str) -> None:
    answer = asked(settings, DRY, orjson.dumps(tag_fix("T1") | {"source": source}))
    refused = answer.json()["items"][0]["status"] == "refused"
    # A name is a name and no path: `..` in it leads nowhere.
    assert refused == (source != "test/../courts")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/topics/..%2f..%2fetc%2fpasswd/events",
        "/v1/topics/sightings%00/events",
        "/v1/topics/sightings%0d%0aX-Injected:%201/events",
        "/v1/topics/SIGHTINGS/events",
        "/v1/topics/dead-letters/events",
        "/v1/topics/audit/events",
        "/v1/topics/raw-owntracks/events",
        "/v1/adapters/..%2fowntracks",
    ],
)
def test_a_place_that_is_none_of_the_tokens_is_refused(settings: Settings, path: str) -> None:
    answer = asked(settings, path, orjson.dumps(tag_fix("T1")))
    assert answer.status_code in (403, 404)
    assert "x-injected" not in answer.headers


def test_every_answer_is_neither_kept_nor_shown_as_a_page(settings: Settings) -> None:
    answers = [
        asked(settings, DRY, orjson.dumps(tag_fix("T1"))),
        asked(settings, DRY, b"{"),
        asked(settings, "/nowhere", b""),
        asked(settings, "/docs", b"", method="GET"),
        asked(settings, DRY, b"", method="GET"),
        asked(settings, "/openapi.json", b"", method="GET"),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 404, 404, 405, 200]
    assert answers[4].headers["Allow"] == "POST"
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_a_fault_of_ours_shows_nothing_of_what_it_was_about(settings: Settings) -> None:
    """The fault: there is no broker behind this door, which only whoever starts it looks at."""
    event = tag_fix("TAG-OF-SOMEBODY")
    with structlog.testing.capture_logs() as lines:
        answer = asked(settings, "/v1/topics/sightings/events", orjson.dumps(event))
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert set(answer.json()) == {"type", "title", "status", "detail"}
    [line] = lines
    assert (line["event"], line["error"]) == ("door_fault", "AssertionError")
    assert "/streams/door/app.py:" in line["at"]
    for text in ("Traceback", "TAG-OF-SOMEBODY", "AssertionError", "app.py"):
        assert text not in answer.text
    assert "TAG-OF-SOMEBODY" not in str(lines)


def test_a_credential_that_cannot_be_read_is_no_fault(settings: Settings) -> None:
    for value in ("Basic ////", "Basic", "Bearer", "Bearer \x7f", "Digest x", ""):
        assert settings.door_jwks_file is not None
        app = create(settings, Keys(settings.door_jwks_file, "breachwatch", None))

        async def run(value: str = value, app: Any = app) -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door") as client:
                return await client.post(DRY, content=b"{}", headers={"Authorization": value})

        answer = asyncio.run(run())
        assert answer.status_code == 401, value
        assert "www-authenticate" in answer.headers


def test_an_old_time_is_no_way_round(settings: Settings) -> None:
    """A line end after a time is no RFC 3339, whichever of the two checks looks first."""
    event = tag_fix("T1")
    event["time"] = f"{ago().isoformat()}\n"
    assert asked(settings, DRY, orjson.dumps(event)).json()["items"][0]["status"] == "refused"
