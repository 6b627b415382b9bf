"""The pinned jars of Apache Kafka, fetched by Maven coordinates and verified.

The set is pinned whole, in ``jars.lock``, because a resolver's choice can differ from Maven's: jgo 3.2
put kafka-clients 3.8.0 beside the broker's 4.1.1.
"""

import hashlib
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streams.errors import BreachwatchError

if TYPE_CHECKING:
    from jgo.maven import MavenContext

LOCK_FILE = Path(__file__).with_name("jars.lock")
_LINE = re.compile(r"([\w.-]+):([\w.-]+):([\w.-]+) sha256:([0-9a-f]{64})")
_DOWNLOADS_AT_ONCE = 8
_TIMEOUT_S = 30


class JarError(BreachwatchError):
    """A jar of Apache Kafka cannot be had as it is pinned."""


@dataclass(frozen=True)
class Jar:
    """One pinned artifact."""

    group: str
    artifact: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


Fetch = Callable[[Jar, Path], Path]
"""Puts one artifact below a directory and returns its path."""


def parse_lock(text: str) -> list[Jar]:
    """Read the lines ``group:artifact:version sha256:<hex>``; blank lines and ``#`` comments are skipped.

    Raises JarError that names the line that is not one.
    """
    jars = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise JarError(f"jars.lock line {number} is not 'group:artifact:version sha256:<hex>': {line!r}")
        jars.append(Jar(*match.groups()))
    return jars


def pinned() -> list[Jar]:
    """The jars of ``jars.lock``."""
    return parse_lock(LOCK_FILE.read_text())


def kafka_version(jars: Sequence[Jar]) -> str:
    """The version of the broker among ``jars``."""
    return next(jar.version for jar in jars if jar.artifact.startswith("kafka_"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _maven(**options: Any) -> "MavenContext":
    try:
        from jgo.maven import MavenContext
    except ModuleNotFoundError:
        raise JarError("jgo is not installed, which finds Kafka's jars: install `breachwatch[local]`") from None
    return MavenContext(**options)


def fetch_with_jgo(jar: Jar, into: Path) -> Path:
    """Download ``jar`` below ``into`` from the repository that jgo is set to use."""
    context = _maven(repo_cache=into, timeout=_TIMEOUT_S)
    return context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()


def default_repository() -> Path:
    """The local Maven repository: M2_REPO, or the user's own."""
    return _maven().repo_cache


def _path_of(jar: Jar, repository: Path) -> Path:
    name = f"{jar.artifact}-{jar.version}.jar"
    return repository.joinpath(*jar.group.split("."), jar.artifact, jar.version, name)


def _download(jar: Jar, target: Path, repository: Path, fetch: Fetch) -> None:
    """Fetch beside the target, verify, then move it in whole.

    jgo writes straight to the final path, so that a broken download, or a second process, would leave or
    see half a jar there.
    """
    repository.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".breachwatch-", dir=repository) as scratch:
        try:
            got = fetch(jar, Path(scratch))
        except Exception as error:
            raise JarError(
                f"cannot fetch {jar}: {type(error).__name__}: {error}. Check the network, or put the jar at {target}"
            ) from error
        found = _sha256(got)
        if found != jar.sha256:
            raise JarError(
                f"{jar} is not what is pinned: SHA-256 {found}, expected {jar.sha256}. "
                "Something between here and the repository changed it; it was not kept."
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(got, target)


def classpath(
    jars: Sequence[Jar] | None = None, repository: Path | None = None, fetch: Fetch = fetch_with_jgo
) -> list[Path]:
    """The verified path of every jar, in the order of the lock; what is missing or damaged is downloaded.

    Progress goes to stderr when anything is downloaded. Raises JarError when an artifact cannot be fetched
    or is not what is pinned.
    """
    jars = pinned() if jars is None else jars
    repository = default_repository() if repository is None else repository
    paths = [_path_of(jar, repository) for jar in jars]
    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        good = pool.map(lambda jar, path: path.is_file() and _sha256(path) == jar.sha256, jars, paths)
        missing = [(jar, path) for jar, path, ok in zip(jars, paths, good, strict=True) if not ok]
        downloads = pool.map(lambda item: _download(item[0], item[1], repository, fetch), missing)
        for done, _ in enumerate(downloads, start=1):
            _progress(done, len(missing))
    return paths


def _progress(done: int, total: int) -> None:
    """A line that counts up at a terminal; elsewhere one at the end."""
    if done == total or sys.stderr.isatty():
        start, end = ("\r" if sys.stderr.isatty() else ""), ("\n" if done == total else "")
        sys.stderr.write(f"{start}Apache Kafka: {done} of {total} jars{end}")
        sys.stderr.flush()
