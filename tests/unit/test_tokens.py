"""Keys of tokens: from a file that changes, and from an address that is away at times."""

import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from harness import eventually
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
    """An identity provider's address, which can be away or say something else."""

    def __init__(self, folder: Path) -> None:
        self.says: bytes | None = write_jwks(folder / "published.json").read_bytes()
        """None: it is away."""
        self.asked = 0
        provider = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                self.send_response(503 if provider.says is None else 200)
                self.end_headers()
                self.wfile.write(provider.says or b"")

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


def admits(keys: KeyAddress, given: str) -> bool:
    try:
        return bool(Tokens(keys, "breachwatch-board", None).claims(given, ["sub"]))
    except RefusedError:
        return False


@pytest.mark.parametrize("instead", [None, b"<html>", b"{}", b'{"keys": []}', b"[]"])
def test_keys_of_an_address_hold_while_it_says_nothing_of_use(provider: Provider, instead: bytes | None) -> None:
    with closing(KeyAddress(provider.address, every_s=0.1, again_after_s=0.05)) as keys:
        assert admits(keys, token())
        provider.says, asked = instead, provider.asked
        eventually(lambda: provider.asked >= asked + 3, "it is asked again")
        assert admits(keys, token())


def test_a_new_key_is_there_soon_after_a_token_of_it_came(provider: Provider, tmp_path: Path) -> None:
    with closing(KeyAddress(provider.address, every_s=3600.0, again_after_s=0.05)) as keys:
        provider.says = write_jwks(tmp_path / "next.json", NEXT, kid="k2").read_bytes()
        eventually(lambda: admits(keys, token(key=NEXT, kid="k2")), "the new key is known")
        assert not admits(keys, token()), "the old one is gone"


def test_an_address_that_never_answered_lets_nobody_in(provider: Provider) -> None:
    provider.says = None
    with closing(KeyAddress(provider.address)) as keys:
        assert not admits(keys, token())


def test_unknown_keys_do_not_make_us_ask_again_and_again_nor_wait(provider: Provider) -> None:
    with closing(KeyAddress(provider.address)) as keys:
        provider.server.shutdown()
        assert [keys.key(f"unknown-{number}") for number in range(20)] == [None] * 20
        assert keys.key(None) is None
        assert provider.asked == 1
