"""The README is true: its events decode, its commands exist, its settings are the settings."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from recipes import GUIDE

from schemas.inbound import TOPIC_EVENTS, decode, type_name
from streams.cli import COMMANDS, build
from streams.core.transitions import ANYBODY, CUSTODY, ROOM, SYSTEM, TRANSITIONS
from streams.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
RUNBOOK = (ROOT / "deploy/runbook.md").read_text("utf-8")
EVENTS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)]


def test_it_shows_events() -> None:
    assert {event["type"] for event in EVENTS} == {"breach_report", "tag_fix", "order", "task_update"}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: str(event["type"]))
def test_every_event_is_valid_on_its_topic(event: dict[str, object]) -> None:
    topic = next(name for name, models in TOPIC_EVENTS.items() if event["type"] in map(type_name, models))
    assert decode(topic, json.dumps(event).encode()).id == event["id"]


def _resolved(words: list[str]) -> Any:
    """The command that `breachwatch WORDS` runs; fails when a word of it is no command or option."""
    assert words[0] in COMMANDS, words
    command: Any = typer.main.get_command(build(words[0])).commands[words[0]]
    for word in words[1:]:
        if hasattr(command, "commands"):
            assert word in command.commands, words
            command = command.commands[word]
        elif word.startswith("--"):
            assert word in {option for parameter in command.params for option in parameter.opts}, words
    return command


@pytest.mark.parametrize(
    ("text", "at_least"),
    [
        (README, {"worker", "gate", "topics", "publish", "tail", "demo"}),
        (GUIDE, {"publish", "sources", "door"}),
        (RUNBOOK, {"verify", "rebuild", "sources", "dead-letters", "tasks", "rescan", "adapters"}),
        ((ROOT / "deploy" / "operations.md").read_text("utf-8"), {"policy", "topics", "orders", "verify", "access"}),
    ],
    ids=["README", "guide for senders", "runbook", "operations"],
)
def test_every_command_it_names_exists_with_its_options(text: str, at_least: set[str]) -> None:
    blocks = "".join(re.split(r"^```", text, flags=re.MULTILINE)[1::2])
    lines = re.findall(r"^breachwatch (.*?)(?:\s+#.*)?$", blocks, re.MULTILINE)
    spans = re.findall(r"`(?:breachwatch )([^`]+)`", text)
    named = [shlex.split(line) for line in [*lines, *spans]]
    assert at_least <= {words[0] for words in named}
    for words in named:
        assert not hasattr(_resolved(words), "commands"), words


def test_its_table_of_moves_is_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \| ([\w ]+) \| ([\w, ]+) \|$", README, re.MULTILINE)
    who = {
        "anybody": ANYBODY,
        "control room": ROOM,
        "dispatch": {"dispatch"},
        "custody": CUSTODY,
        "breachwatch": SYSTEM,
    }
    table = {
        action: (set(starts.split(", ")), to, set().union(*(who[name] for name in names.split(", "))))
        for action, starts, to, names in rows
    }
    assert table == {
        action: (set(map(str, move.starts)), str(move.to or "as before"), set(move.roles))
        for action, move in TRANSITIONS.items()
    }


def test_its_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for text in (README, (ROOT / "CONTRIBUTING.md").read_text("utf-8")):
        named = set(re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE))
        assert named
        assert named <= targets


def test_it_lists_every_setting_with_its_default_and_no_other() -> None:
    listed = dict(re.findall(r"^\| `BREACHWATCH_([A-Z_]+)` \| ([^|]+?) \|", README, re.MULTILINE))
    assert set(listed) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if field.default not in (None, ""):
            shown = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
            assert listed[name.upper()].strip("`") == shown, name
