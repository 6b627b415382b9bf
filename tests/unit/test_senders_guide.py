"""The guide for senders is true: its table, its example and its numbers are what the code says."""

import re
from pathlib import Path

from recipes import GUIDE, recipes

from schemas.inbound import TOPIC_EVENTS, decode, type_name
from schemas.orders import Order
from streams.core.policy import load_policy
from streams.kafka.topics import BY_NAME, DAY_MS
from streams.settings import MAX_MESSAGE_BYTES


def test_its_table_of_topics_is_the_contract() -> None:
    text = GUIDE.partition("## CloudEvents")[0]
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.+?) \| .+? \|$", text, re.MULTILINE))
    table = {topic: set(re.findall(r"`(\w+)`", cell)) for topic, cell in rows.items()}
    table["sightings-backfill"] |= table["sightings"]
    assert table == {topic: {type_name(model) for model in models} for topic, models in TOPIC_EVENTS.items()}


def test_its_order_is_one_event_also_on_one_line() -> None:
    line = recipes()["order.json"].replace("\n", "")
    assert isinstance(decode("orders", line.encode()), Order)


def test_its_numbers_are_those_of_the_code() -> None:
    limits = load_policy().limits
    assert f"**At most {MAX_MESSAGE_BYTES:,} bytes**" in GUIDE
    assert (limits.future_tolerance_s, limits.horizon_s, limits.heartbeat_grace_s) == (120, 7 * 86400, 30)
    assert BY_NAME["unresolved"].retention_ms == 8 * DAY_MS
    assert BY_NAME["dead-letters"].retention_ms == 90 * DAY_MS


def test_the_tests_that_it_names_exist() -> None:
    tests = {file.stem for file in Path(__file__).parents[1].rglob("test_*.py")}
    named = set(re.findall(r"\[(test_\w+)\]", GUIDE))
    assert named
    assert named <= tests
