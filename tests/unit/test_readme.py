"""The README is true: its events decode, its commands exist, its settings are the settings."""

import json
import re
from pathlib import Path

import pytest

from schemas.inbound import TOPIC_EVENTS, decode, type_name
from streams.cli import COMMANDS
from streams.settings import Settings

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
EVENTS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)]


def test_it_shows_events() -> None:
    assert {event["type"] for event in EVENTS} == {"breach_report", "tag_fix", "order"}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: str(event["type"]))
def test_every_event_is_valid_on_its_topic(event: dict[str, object]) -> None:
    topic = next(name for name, models in TOPIC_EVENTS.items() if event["type"] in map(type_name, models))
    assert decode(topic, json.dumps(event).encode()).id == event["id"]


def test_every_command_it_names_exists() -> None:
    named = set(re.findall(r"breachwatch ([a-z][a-z-]+)", README))
    assert {name for name in named if name not in COMMANDS} <= {"turns"}
    assert {"publish", "tail", "doctor", "explain"} <= named


def test_it_lists_every_setting_and_no_other() -> None:
    listed = set(re.findall(r"^\| `BREACHWATCH_([A-Z_]+)`", README, re.MULTILINE))
    assert listed == {name.upper() for name in Settings.model_fields}
