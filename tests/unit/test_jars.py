"""The pinned jars: the lock file, and what is done about a jar that is missing or not as pinned."""

import hashlib
from pathlib import Path

import pytest

from streams.kafka.jars import Jar, JarError, classpath, kafka_version, parse_lock, pinned

GOOD = b"the jar that is pinned"
JAR = Jar("org.example", "thing", "1.2", hashlib.sha256(GOOD).hexdigest())


class Repository:
    """A remote that serves ``content`` and counts how often it was asked."""

    def __init__(self, content: bytes | Exception) -> None:
        self.content = content
        self.asked = 0

    def __call__(self, _jar: Jar, into: Path) -> Path:
        self.asked += 1
        if isinstance(self.content, Exception):
            raise self.content
        path = into / "download.jar"
        path.write_bytes(self.content)
        return path


def test_the_lock_pins_one_kafka_whole() -> None:
    jars = pinned()
    assert len({(jar.group, jar.artifact) for jar in jars}) == len(jars) == 47
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {kafka_version(jars)}
    assert "kafka-tools" in {jar.artifact for jar in jars}


def test_parse_lock() -> None:
    text = f"# a comment\n\norg.example:thing:1.2 sha256:{JAR.sha256}\n"
    assert parse_lock(text) == [JAR]


@pytest.mark.parametrize("line", ["org.example:thing:1.2", "a:b:c sha256:12", "a:b sha256:" + "0" * 64])
def test_a_bad_line_is_named(line: str) -> None:
    with pytest.raises(JarError, match="line 2"):
        parse_lock(f"# first\n{line}\n")


def test_a_missing_jar_is_fetched_once(tmp_path: Path) -> None:
    remote = Repository(GOOD)
    expected = [tmp_path / "org" / "example" / "thing" / "1.2" / "thing-1.2.jar"]
    assert classpath([JAR], tmp_path, remote) == expected
    assert classpath([JAR], tmp_path, remote) == expected
    assert expected[0].read_bytes() == GOOD
    assert remote.asked == 1


def test_progress_is_told_only_when_something_is_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classpath([JAR], tmp_path, Repository(GOOD))
    assert "1 of 1 jars" in capsys.readouterr().err
    classpath([JAR], tmp_path, Repository(GOOD))
    assert capsys.readouterr().err == ""


def test_half_a_jar_is_fetched_again(tmp_path: Path) -> None:
    [path] = classpath([JAR], tmp_path, Repository(GOOD))
    path.write_bytes(GOOD[:5])
    classpath([JAR], tmp_path, Repository(GOOD))
    assert path.read_bytes() == GOOD


def test_a_jar_with_another_hash_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(JarError, match=r"org\.example:thing:1\.2 is not what is pinned"):
        classpath([JAR], tmp_path, Repository(b"something else"))
    assert not list(tmp_path.rglob("*.jar"))


def test_a_jar_that_cannot_be_fetched_is_named(tmp_path: Path) -> None:
    with pytest.raises(JarError, match=r"cannot fetch org\.example:thing:1\.2: ConnectionError: no route"):
        classpath([JAR], tmp_path, Repository(ConnectionError("no route")))
