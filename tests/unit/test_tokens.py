"""Keys of tokens: from a file that changes, and from an address that is away at times."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from listener import token, write_jwks

from streams.errors import BreachwatchError
from streams.tokens import KeyAddress, KeyFile, RefusedError, Tokens

NEXT = generate_private_key(SECP256R1())


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    tokens = Tokens(KeyFile(write_jwks(tmp_path / "jwks.json")), "breachwatch-board", None)
    assert tokens.claims(token(), ["sub"])["sub"] == "controller-1"
    write_jwks(tmp_path / "jwks.json", NEXT)
    with pytest.raises(RefusedError):
        tokens.claims(token(), ["sub"])
    assert tokens.claims(token(key=NEXT), ["sub"])["sub"] == "controller-1"
    (tmp_path / "jwks.json").write_text("{")
    assert tokens.claims(token(key=NEXT), ["sub"]), "what is half written does not lock everybody out"


@pytest.mark.parametrize("content", [None, "{", "{}", '{"keys": []}'])
def test_a_file_without_keys_is_said_at_once(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "jwks.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(BreachwatchError, match=r"jwks\.json: no keys can be read"):
        KeyFile(file)


class Provider:
    """An identity provider's address, which can be away."""

    def __init__(self, folder: Path) -> None:
        self.asked, self.is_away = 0, False
        provider = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                self.send_response(503 if provider.is_away else 200)
                self.end_headers()
                if not provider.is_away:
                    self.wfile.write(write_jwks(folder / "published.json").read_bytes())

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Answers)
        self.address = f"http://127.0.0.1:{self.server.server_port}/jwks.json"


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    found = Provider(tmp_path)
    thread = threading.Thread(target=found.server.serve_forever, daemon=True)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_keys_of_an_address_are_fetched_once_and_hold_while_it_is_away(provider: Provider) -> None:
    keys = KeyAddress(provider.address)
    tokens = Tokens(keys, "breachwatch-board", None)
    for _ in range(3):
        assert tokens.claims(token(), ["sub"])["sub"] == "controller-1"
    assert provider.asked == 1
    provider.is_away = True
    assert keys._client.jwk_set_cache is not None
    keys._client.jwk_set_cache.jwk_set_with_timestamp = None
    assert tokens.claims(token(), ["sub"])["sub"] == "controller-1"
    assert provider.asked == 2


def test_an_address_that_never_answered_lets_nobody_in(provider: Provider) -> None:
    provider.is_away = True
    with pytest.raises(RefusedError, match="not in the JWKS"):
        Tokens(KeyAddress(provider.address), "breachwatch-board", None).claims(token(), ["sub"])


def test_unknown_keys_do_not_make_us_ask_again_and_again(provider: Provider) -> None:
    keys = KeyAddress(provider.address)
    assert keys.key("k1") is not None
    for number in range(20):
        assert keys.key(f"unknown-{number}") is None
    assert keys.key(None) is None
    assert provider.asked <= 2
