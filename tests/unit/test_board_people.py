"""Who somebody is at the board: what their token must state, what they see, and what is left out for viewers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from builders import NOW, Subject, after, custody, order, report, update
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from listener import KEY, token, write_jwks

from streams.board.actions import possible
from streams.board.demo_token import demo_token
from streams.board.people import CLAIMS, Person, for_viewers, of_world, person
from streams.errors import BreachwatchError
from streams.settings import Settings, is_loopback
from streams.tokens import KeyFile, RefusedError, Tokens


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(KeyFile(write_jwks(tmp_path / "jwks.json")), "breachwatch-board", None)


def somebody(role: Any = "controller", *forces: str) -> Person:
    return Person("op-7", role, frozenset(forces) or None, 2e9)


def test_a_token_tells_who_somebody_is(tokens: Tokens) -> None:
    found = person(tokens.claims(token("supervisor", "A", "B", name="op-7"), CLAIMS))
    assert (found.name, found.role, found.forces) == ("op-7", "supervisor", {"A", "B"})
    assert person(tokens.claims(token("viewer"), CLAIMS)).forces is None


PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
STATED = {
    "sub": "x",
    "role": "supervisor",
    "forces": ["*"],
    "aud": "breachwatch-board",
    "exp": datetime.now(UTC) + timedelta(hours=1),
}


def hs256() -> str:
    """Signed with the public key as if it were a shared secret; PyJWT itself refuses to make one, so by its parts."""
    algorithm = jwt.get_algorithm_by_name("HS256")
    header, body = jwt.encode(STATED, "x" * 32, algorithm="HS256", headers={"kid": "k1"}).rsplit(".", 1)[0].split(".")
    signature = algorithm.sign(f"{header}.{body}".encode(), PUBLIC)
    return f"{header}.{body}.{jwt.utils.base64url_encode(signature).decode()}"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("x.y.z", "DecodeError"),
        (token(key=generate_private_key(SECP256R1())), "InvalidSignatureError"),
        (token(exp=datetime.now(UTC) - timedelta(minutes=1)), "ExpiredSignatureError"),
        (token(exp=None), "MissingRequiredClaimError"),
        (token(aud="breachwatch"), "InvalidAudienceError"),
        (token(forces=None), "MissingRequiredClaimError"),
        (jwt.encode(STATED, "", algorithm="none", headers={"kid": "k1"}), "InvalidAlgorithmError"),
        (hs256(), "InvalidAlgorithmError"),
        (jwt.encode(STATED, KEY, algorithm="ES256", headers={"kid": "k2"}), "a key that is not in the JWKS"),
        (jwt.encode(STATED, KEY, algorithm="ES256"), "a key that is not in the JWKS"),
        (
            jwt.encode(STATED, rsa.generate_private_key(65537, 2048), algorithm="RS256", headers={"kid": "k1"}),
            "not valid",
        ),
        (token(nbf=datetime.now(UTC) + timedelta(hours=1)), "ImmatureSignatureError"),
    ],
)
def test_what_is_no_token_of_ours_is_refused(tokens: Tokens, given: str, says: str) -> None:
    with pytest.raises(RefusedError, match=says) as refused:
        tokens.claims(given, CLAIMS)
    assert given not in str(refused.value)


def test_an_issuer_that_is_set_must_be_the_tokens(tmp_path: Path) -> None:
    strict = Tokens(KeyFile(write_jwks(tmp_path / "jwks.json")), "breachwatch-board", "https://id.example")
    with pytest.raises(RefusedError, match="InvalidIssuerError"):
        strict.claims(token(iss="https://other.example"), CLAIMS)
    assert strict.claims(token(iss="https://id.example"), CLAIMS)["role"] == "controller"


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"role": "admin"}, "role must be one of viewer"),
        ({"role": ["supervisor"]}, "role must be one of"),
        ({"forces": "A"}, "forces must be a list"),
        ({"forces": []}, "1 to 100 forces"),
        ({"forces": ["A", 7]}, "forces must be a list"),
        ({"sub": ""}, "sub must be"),
        ({"sub": "x" * 121}, "sub must be"),
    ],
)
def test_claims_that_say_nothing_of_use_are_refused(claims: dict[str, Any], says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        person(STATED | {"exp": 2e9} | claims)


def test_somebody_sees_what_is_of_one_of_their_forces_or_of_none() -> None:
    assert somebody("controller", "A").sees({"A", "B"})
    assert not somebody("controller", "A").sees({"B"})
    assert somebody("controller", "A").sees({"A"}, protected=True)
    assert not somebody("viewer", "A").sees({"A"}, protected=True)
    assert somebody("controller", "A").sees(())
    assert somebody("controller").sees({"B"})


def test_exercises_are_a_world_of_their_own() -> None:
    asked = {
        wanted: [of_world(exercise, wanted) for exercise in (False, True)] for wanted in ("none", "with", "only")
    }
    assert asked == {"none": [True, False], "with": [True, True], "only": [False, True]}


def test_who_looks_gets_no_words_that_people_typed_and_nothing_of_whom_it_concerns() -> None:
    subject = Subject(order())
    subject.feed(report(NOW))
    task_id = subject.task.task_id
    subject.feed(
        update(task_id, "acknowledge", after(60)),
        update(task_id, "assign", after(70), assignee="Car 7"),
        update(task_id, "note", after(80), reason="she is at 4 Elm Road"),
        update(task_id, "note_wishes", after(90), reason="no car outside her house"),
        update(task_id, "attempted", after(100), reason="her sister answered"),
        report(after(110), wishes="she hides in the old mill"),
        custody("arrested", after(120)),
        custody("released", after(130)),
    )
    shown = for_viewers(subject.task)
    assert [entry.what for entry in shown.history if not entry.what.startswith("breach")] == [
        "opened", "acknowledge", "assign", "a note", "the protected person's wishes", "attempted",
        "the protected person's wishes", "arrested", "released while the task stood open: wanted again",
    ]  # fmt: skip
    assert all(breach.protects == [] for breach in shown.breaches)
    whole = shown.model_dump_json()
    for secret in ("Elm", "house", "sister", "mill", "P1"):
        assert secret in subject.task.model_dump_json()
        assert secret not in whole


def test_what_may_be_done_with_a_task_is_what_the_core_lets_one_do() -> None:
    subject = Subject(order())
    subject.feed(report(NOW))
    offered = dict(possible(subject.task.state, "controller"))
    assert offered == {
        "acknowledge": (),
        "assign": ("assignee",),
        "arrested": (),
        "close": ("outcome",),
        "link": ("incident",),
        "note": ("reason",),
        "note_wishes": ("reason",),
    }


def test_the_demonstrations_token_is_for_this_machine_alone(tmp_path: Path) -> None:
    settings = Settings()
    given = demo_token(settings, tmp_path / "jwks.json")
    keys = KeyFile(tmp_path / "jwks.json")
    found = person(Tokens(keys, settings.board_audience, None).claims(given, CLAIMS))
    assert (found.role, found.forces) == ("supervisor", None)
    assert found.expires_at - datetime.now(UTC).timestamp() < 12 * 3600 + 60
    for host in ("0.0.0.0", "10.1.2.3", "::", "board.example"):
        with pytest.raises(BreachwatchError, match="loopback only"):
            demo_token(settings.model_copy(update={"board_host": host}), tmp_path / "other.json")
    assert not (tmp_path / "other.json").exists()
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost")] == [True] * 3
