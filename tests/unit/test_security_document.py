"""SECURITY.md is true: what it points at exists, and what it says of roles is so."""

import ast
import re
from pathlib import Path

import pytest

from streams.kafka.access import ROLES, grants
from streams.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
SPANS = sorted(set(re.findall(r"`([^`\n]+)`", TEXT)))
LISTS = re.findall(r"[Rr]oles? (`[\w-]+`(?:(?:, | and )`[\w-]+`)*)", TEXT)
FILES = [span for span in SPANS if re.fullmatch(r"(streams|tests|schemas|deploy)/[\w./-]+(::\w+)?", span)]


@pytest.mark.parametrize("named", FILES)
def test_each_file_and_test_that_it_names_exists(named: str) -> None:
    file, _, function = named.partition("::")
    assert (ROOT / file).is_file()
    if function:
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_setting_that_it_names_exists() -> None:
    named = set(re.findall(r"BREACHWATCH_([A-Z_]+)", TEXT))
    assert named <= {name.upper() for name in Settings.model_fields}
    secret = {name.upper() for name in Settings.model_fields if "password" in name or "key_file" in name}
    assert secret <= named


def test_each_target_that_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", TEXT)) <= targets


def test_each_role_that_it_names_exists() -> None:
    named = {role for row in LISTS for role in re.findall(r"`([\w-]+)`", row)}
    assert named - {"publish-TOPIC"} <= set(ROLES)
    assert {"worker", "gate", "dashboard", "dead-letters"} <= named


@pytest.mark.parametrize("topic", ["orders", "task-updates"])
def test_it_names_each_role_that_may_write_what_calls_off_an_arrest(topic: str) -> None:
    may = {f"`{name}`" for name, role in ROLES.items() if topic in role.writes}
    [row] = re.findall(rf"Few may write on `{topic}`: roles ([^;:]+?)(?:, of which[^;]+)?;", TEXT)
    assert set(re.findall(r"`[\w-]+`", row)) == may


def test_it_names_each_role_that_reads_addresses_and_each_that_can_state_any_event() -> None:
    tables = {"breachwatch-records-changelog", "breachwatch-subjects-changelog"}
    secret = {"orders", "subject-events", "dead-letters"} | tables
    [readers] = re.findall(r"Roles ([^|]+?), and who administers brokers", TEXT)
    assert set(re.findall(r"`[\w-]+`", readers)) == {
        f"`{n}`" for n, role in ROLES.items() if secret & set(role.reads)
    }
    [writers] = re.findall(r"may write on `subject-events` \(roles ([^)]+)\)", TEXT)
    assert set(re.findall(r"`[\w-]+`", writers)) == {
        f"`{name}`" for name, role in ROLES.items() if "subject-events" in role.writes
    }


def test_every_threat_of_the_table_says_what_stops_it_and_what_does_not() -> None:
    rows = re.findall(r"^\| \*\*(.+?)\*\*.*? \| (.+) \| (.+) \|$", TEXT, re.MULTILINE)
    assert len(rows) >= 15
    for threat, stops, _ in rows:
        assert "`" in stops, f"{threat}: nothing of ours is pointed at"
    whole = " ".join(threat for threat, _, _ in rows).lower()
    for asked in ("silence", "discharge", "address", "flood", "replay", "record", "token", "disk", "inside"):
        assert asked in whole


def test_no_role_may_delete_or_alter_anything() -> None:
    operations = {one.operation for role in ROLES for one in grants(role, Settings())}
    assert operations == {"READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"}


def test_who_publishes_may_write_one_topic_and_read_nothing() -> None:
    for name in ROLES:
        if name.startswith("publish-"):
            rights = grants(name, Settings())
            assert {one.name for one in rights} == {name.removeprefix("publish-")}
            assert {one.operation for one in rights} == {"WRITE", "DESCRIBE"}
