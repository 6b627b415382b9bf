"""What operations.md says can be done can be done: its files, tests, secrets and commands exist."""

import re
import subprocess
import sys

import yaml
from deployment import DEPLOY, ROOT, TOOLS

from schemas.base import SCHEMA_VERSION
from streams.core.rows import VERSION
from streams.kafka.topics import TOPICS

TEXT = (DEPLOY / "operations.md").read_text("utf-8")


def test_the_tests_that_it_names_are_there() -> None:
    named = {name for group in re.findall(r"\[((?:test_\w+(?:, )?)+)\]", TEXT) for name in group.split(", ")}
    assert len(named) >= 6
    assert named <= {file.stem for file in (ROOT / "tests").rglob("test_*.py")}


def test_the_command_that_compares_two_releases_prints_what_it_says() -> None:
    [code] = re.findall(r'--entrypoint python IMAGE -c "(.+)"$', TEXT, re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"rows {VERSION} messages {SCHEMA_VERSION}\n"


def test_it_says_of_every_topic_whether_a_second_site_is_given_it() -> None:
    table = TEXT.partition("| topics | mirrored | why |")[2].partition("\n\n")[0]
    given = {
        name
        for row in table.splitlines()
        if "| yes |" in row
        for name in re.findall(r"`([\w-]+)`", row.split("|")[1])
    }
    assert given == {topic.name for topic in TOPICS if topic.direction == "inbound"}
    mirror = re.findall(r"^first->second.topics = (.+)$", TEXT, re.MULTILINE)
    assert [set(line.split(", ")) for line in mirror] == [given]
    kept = {name for row in table.splitlines() if "**never**" in row for name in re.findall(r"`([\w-]+)`", row)}
    assert kept == {topic.name for topic in TOPICS if topic.direction == "internal"} - {"source-controls"}


def test_it_names_each_secret_of_the_manifests_and_of_the_compose_file() -> None:
    manifests = "".join(file.read_text("utf-8") for file in (DEPLOY / "kubernetes").rglob("*.yaml"))
    for secret in set(re.findall(r"secretName: ([\w-]+)", manifests)):
        assert f"`{secret}`" in TEXT, secret
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text("utf-8"))
    by_hand = {name for name in compose["secrets"] if not re.search(r"\.(pem|crt|key)$", name)}
    assert by_hand
    for secret in by_hand:
        assert f"`{secret}`" in TEXT, secret


def test_no_go_module_or_package_of_the_tools_names_where_it_is_had_from() -> None:
    assert "resolved" not in (TOOLS / "package-lock.json").read_text("utf-8")
