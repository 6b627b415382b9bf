"""Good messages, damaged in many ways, through every decoder and on through the rules behind them.

Whatever it is, it ends as a decision or as an error that the caller of the decoder is told to expect. Each example
is a seed for a hundred inputs: `BREACHWATCH_FUZZ_EXAMPLES=10000` makes a million.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from random import Random
from typing import Any

import orjson
from builders import POLICY, Subject, after, away, fix, order, report, update
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from test_decode import end

from schemas.inbound import TOPIC_EVENTS
from schemas.internal import (
    Arrival,
    DeadLetterHeaders,
    Held,
    Routing,
    SubjectEvent,
    encode_held,
    encode_subject_event,
)
from schemas.orders import IdentifierRecord
from schemas.safeguarding import SafeguardingTask
from schemas.searches import RetroSearch, RetroSearchData
from schemas.tasks import Alert, ArrestTask, AuditEntry
from schemas.updates import TaskAnswer
from streams.core.rehearsal import Rehearsal
from streams.core.rows import NewerRowError, head, load
from streams.simulator import Noise, WorldConfig, simulate

EXAMPLES = int(os.environ.get("BREACHWATCH_FUZZ_EXAMPLES", "100"))
INPUTS = 100
END = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORLD = simulate(WorldConfig(end=END, hours=3, orders=6, reads_per_second=0.01, noise=Noise.level("low")))
SEARCH = RetroSearch(
    type="retro_search",
    id="search-1",
    source="breachwatch/rescan",
    time=END,
    recordedtime=END,
    data=RetroSearchData(
        search_id="s1", phase="began", subject_id="S1", order_ids=["O1"], since=END, authority="ref", reason="late"
    ),
)
INBOUND = [
    *((event.topic, event.encoded()) for event in WORLD.events if event.encoded()),
    ("sightings-backfill", SEARCH.model_dump_json(exclude_none=True).encode()),
]
STRANGE: list[Any] = [
    *(None, True, False, 0, -1, 2**31, 2**63 - 1, -(2**63), 1e308, -1e308, 5e-324, 0.1),
    *(
        "",
        " ",
        "\x00",
        "\u202e",
        "\u017f",
        "Ω" * 2000,
        "9" * 400,
        "1970-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
    ),
    *("0001-01-01T00:00:00+23:59", "P1", "S1", "O1", [], {}, [[]], [None], {"": None}, [0.0, 0.0], [[[0, 0]] * 5]),
]


def _lived() -> Subject:
    subject = Subject(order(), fix(after(0)), report(after(30)), fix(after(60), away(900)))
    subject.feed(update(subject.state.tasks[-1].task_id, "acknowledge", after(90)))
    return subject


LIVED = _lived()
_ARRIVAL = {"topic": "orders", "partition": 0, "offset": 7, "appended_at": END, "sha256": "00"}


def _headers(value: bytes) -> DeadLetterHeaders:
    """Headers are pairs of text and bytes; the damaged value stands in each."""
    good = DeadLetterHeaders(reason="x", detail="x", topic="x", partition=1, offset=1, appended_at=END).to_kafka()
    return DeadLetterHeaders.from_kafka(
        [(name, value if index % 2 else kept) for index, (name, kept) in enumerate(good)]
    )


def _dumped(models: Any) -> list[bytes]:
    return [model.model_dump_json().encode() for model in models]


OWN: dict[str, tuple[Callable[[bytes], Any], tuple[type[Exception], ...], list[bytes]]] = {
    "subject-events": (
        SubjectEvent.read,
        (ValidationError,),
        [encode_subject_event("S1", Routing(**_ARRIVAL), value) for _, value in INBOUND[:40]],
    ),
    "unresolved": (
        Held.read,
        (ValidationError,),
        [encode_held(Arrival(**_ARRIVAL), value) for _, value in INBOUND[:40]],
    ),
    "row": (lambda raw: load(raw, "S1"), (ValidationError, NewerRowError), [LIVED.row or b""]),
    "head of a row": (head, (ValueError, TypeError, AttributeError), [LIVED.row or b""]),
    "identifiers": (
        IdentifierRecord.model_validate_json,
        (ValidationError,),
        _dumped(record for effects in LIVED.effects for record in effects.identifiers),
    ),
    "arrest-tasks": (ArrestTask.model_validate_json, (ValidationError,), _dumped(LIVED.tasks.values())),
    "alerts": (Alert.model_validate_json, (ValidationError,), _dumped(LIVED.alerts)),
    "audit": (
        AuditEntry.model_validate_json,
        (ValidationError,),
        _dumped(e for f in LIVED.effects for e in f.audits),
    ),
    "safeguarding-tasks": (
        SafeguardingTask.model_validate_json,
        (ValidationError,),
        _dumped(task for effects in LIVED.effects for task in effects.safeguarding),
    ),
    "task-answers": (
        TaskAnswer.model_validate_json,
        (ValidationError,),
        _dumped(answer for effects in LIVED.effects for answer in effects.answers),
    ),
    "dead letter's headers": (_headers, (ValueError,), [b"7", b"2026-03-01T12:00:00Z", b"orders"]),
}


def damaged(value: bytes, random: Random) -> bytes:
    """The value with one to three things wrong with it: a field, or some bytes."""
    for _ in range(random.randint(1, 3)):
        value = random.choice((_field, _field, _field, _bytes, _cut, _spliced))(value, random)
    return value


def _field(value: bytes, random: Random) -> bytes:
    try:
        root = node = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    while isinstance(node, dict | list) and node:
        key = random.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if isinstance(node[key], dict | list) and node[key] and random.random() < 0.8:
            node = node[key]
            continue
        what = random.random()
        if what < 0.2:
            del node[key]
        elif what < 0.3 and isinstance(node, dict):
            node[random.choice(("x", "", "id", "type", "data"))] = node[key]
        else:
            node[key] = random.choice(STRANGE)
        break
    return orjson.dumps(root)


def _bytes(value: bytes, random: Random) -> bytes:
    at = random.randrange(len(value) + 1)
    return value[:at] + random.randbytes(random.randint(0, 4)) + value[at + random.randint(0, 4) :]


def _cut(value: bytes, random: Random) -> bytes:
    return value[: random.randrange(len(value) + 1)]


def _spliced(value: bytes, random: Random) -> bytes:
    _, other = random.choice(INBOUND)
    at = random.randrange(min(len(value), len(other)) + 1)
    return value[:at] + other[at:]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 2**64))
def test_no_damaged_message_ends_otherwise_than_by_a_decision_or_a_reason(seed: int) -> None:
    random = Random(seed)
    rehearsal = Rehearsal(POLICY)
    for topic, value in random.sample(INBOUND[:12], 4):
        rehearsal.feed(topic, value, END)
    for number in range(INPUTS):
        if number % 3 == 0:
            reads, expected, good = OWN[random.choice(list(OWN))]
            with suppress(*expected):
                reads(damaged(random.choice(good), random))
            continue
        topic, good_value = random.choice(INBOUND)
        value = damaged(good_value, random)
        if end(topic, value):
            rehearsal.feed(topic, value, END)


def test_it_reaches_every_topic_and_every_decoder() -> None:
    assert {topic for topic, _ in INBOUND} >= set(TOPIC_EVENTS) - {"source-heartbeats", "task-updates"}
    assert all(good for _, _, good in OWN.values())
