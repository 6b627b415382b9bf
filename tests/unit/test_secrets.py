"""Secrets come from files, and are shown nowhere."""

import dataclasses
import fcntl
import os
import subprocess
import sys
import termios
import traceback
from pathlib import Path

import pytest
from authority import Authority
from pydantic import ValidationError

from streams.app import _credentials
from streams.errors import BreachwatchError
from streams.kafka.admin import cluster_of
from streams.settings import Settings

WORD = "correct-horse-battery"


@pytest.fixture
def word(tmp_path: Path) -> Path:
    (tmp_path / "password").write_text(f"{WORD}\n", "utf-8")
    return tmp_path / "password"


def logging_in(word: Path, **more: object) -> Settings:
    return Settings(bootstrap_servers="here:1", kafka_user="w1", kafka_password_file=word, **more)  # type: ignore[arg-type]


def test_a_password_is_what_the_file_holds_without_its_line_end(word: Path) -> None:
    for text in (WORD, f"{WORD}\n", f"{WORD}\r\n"):
        word.write_bytes(text.encode())
        options = cluster_of(logging_in(word)).options()
        assert options["sasl_plain_password"] == WORD
        assert options["security_protocol"] == "SASL_SSL", "never without TLS"
    word.write_text(" a b \n", "utf-8")
    assert cluster_of(logging_in(word)).password == " a b "


@pytest.mark.parametrize("content", [None, b"", b"\n", b"one\ntwo\n", b"\xff\xfe"])
def test_a_file_without_a_password_is_named_and_not_shown(word: Path, content: bytes | None) -> None:
    if content is None:
        word.unlink()
    else:
        word.write_bytes(content)
    with pytest.raises(BreachwatchError, match=f"BREACHWATCH_KAFKA_PASSWORD_FILE: {word}") as raised:
        cluster_of(logging_in(word))
    text = "".join(traceback.format_exception(raised.value))
    assert "two" not in text
    assert "0xff" not in text, "nor its bytes, as a decoder would tell them"


def test_no_setting_holds_a_secret_and_no_text_of_a_cluster_shows_it(word: Path) -> None:
    settings = logging_in(word)
    cluster = cluster_of(settings)
    assert cluster.password == WORD
    changed = dataclasses.replace(cluster, key_password=WORD)
    shown = [settings, settings.as_variables(), settings.child_environment(), cluster, changed, _credentials(cluster)]
    for each in shown:
        assert WORD not in repr(each)
        assert WORD not in str(each)
    assert settings.as_variables()["BREACHWATCH_KAFKA_PASSWORD_FILE"] == str(word)


@pytest.mark.parametrize(
    "names",
    [
        ["kafka_user"],
        ["kafka_password_file"],
        ["kafka_client_cert_file"],
        ["kafka_client_key_file"],
        ["kafka_key_password_file"],
        ["kafka_client_cert_file", "kafka_key_password_file"],
    ],
)
def test_half_a_log_in_is_none(names: list[str]) -> None:
    with pytest.raises(ValidationError, match=r"go together|no use without"):
        Settings(**dict.fromkeys(names, "x"))  # type: ignore[arg-type]


# -- a certificate of our own ------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def showing(authority: Authority, password: str | None = None, **more: object) -> Settings:
    cert, key = authority.client("w1", password)
    files = {"kafka_client_cert_file": cert, "kafka_client_key_file": key, "kafka_ca_file": authority.file}
    return Settings(**{"bootstrap_servers": "here:1", **files, **more})  # type: ignore[arg-type]


def test_a_certificate_stands_for_the_log_in(authority: Authority) -> None:
    options = cluster_of(showing(authority)).options()
    assert options["security_protocol"] == "SSL"
    assert "sasl_mechanism" not in options
    assert options["ssl_context"].check_hostname


def test_a_certificate_alone_asks_for_tls(authority: Authority) -> None:
    assert cluster_of(showing(authority, kafka_ca_file=None)).tls


def test_a_key_may_be_encrypted(authority: Authority, word: Path) -> None:
    assert cluster_of(showing(authority, WORD, kafka_key_password_file=word)).options()["ssl_context"]


def test_a_key_that_cannot_be_used_is_said(authority: Authority, tmp_path: Path) -> None:
    encrypted = showing(authority, WORD)
    wrong = tmp_path / "wrong"
    wrong.write_text("not-the-password", "utf-8")
    _, other = authority.client("other")
    for settings in (
        encrypted,
        encrypted.model_copy(update={"kafka_key_password_file": wrong}),
        encrypted.model_copy(update={"kafka_client_key_file": other}),
        encrypted.model_copy(update={"kafka_client_key_file": tmp_path / "nothing"}),
        encrypted.model_copy(update={"kafka_client_cert_file": wrong}),
    ):
        with pytest.raises(BreachwatchError, match="BREACHWATCH_KAFKA_CLIENT_CERT_FILE and _KEY_FILE") as raised:
            cluster_of(settings).options()
        assert "not-the-password" not in str(raised.value)


def test_nobody_is_asked_for_a_password_at_a_terminal(authority: Authority) -> None:
    """OpenSSL would, and wait: a worker that somebody starts by hand would neither run nor end."""
    settings = showing(authority, WORD)
    code = (
        "import streams.settings as s; from streams.kafka.admin import cluster_of; cluster_of(s.Settings()).options()"
    )
    ours, theirs = os.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=settings.child_environment(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        try:
            assert process.wait(30) == 1
        finally:
            process.kill()
        said = os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "BREACHWATCH_KAFKA_CLIENT_CERT_FILE" in said
    assert "pass phrase" not in said
