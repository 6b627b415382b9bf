"""Behaviour 43: who is protected, where they live and how they are reached stays in the orders.

The whole of a simulated world, with a bad day's noise, goes through the pipeline; then everything that came out is
searched. Here in memory, where every output can be seen; `tests/integration/test_privacy_on_kafka.py` does the same
with a real worker and gate, where logs, metrics, keys and headers are real.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import orjson
import pytest
import structlog
from builders import away, circle, face, fix, no_contact, order_ended, report, retraction, seen, update, zone
from searching import END, Search, coordinates, noisy_world, secrets_of
from world import World, m, spo

from schemas.base import Event
from schemas.inbound import BadMessageError, decode
from schemas.orders import IdentifierKind, Order, Role
from schemas.safeguarding import SafeguardingTask
from schemas.tasks import Alert, ArrestTask, AuditEntry
from streams import dead_letters
from streams.core.identity import identifier_key
from streams.core.policy import load_policy
from streams.core.rehearsal import Rehearsal
from streams.dead_letters import Origin
from streams.simulator import Noise, SimulatedWorld


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.getMessage()} {record.exc_info}")


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Everything that is logged, by either way, at any level."""
    handler, root = _Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with structlog.testing.capture_logs() as entries:
            yield handler.lines
        handler.lines += map(str, entries)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@pytest.fixture(scope="module")
def rehearsed() -> tuple[SimulatedWorld, Rehearsal, list[str]]:
    world = noisy_world(Noise.level("high"))
    pipeline = Rehearsal(load_policy())
    with _logged() as lines:
        for at, event in zip(world.sent_at, world.events, strict=True):
            pipeline.feed(event.topic, event.encoded() or b"", at)
        pipeline.advance(END + timedelta(days=4))
    return world, pipeline, lines


def test_behaviour_43_search_finds_what_is_there(rehearsed: tuple[SimulatedWorld, Rehearsal, list[str]]) -> None:
    """The test of the test: each kind of secret is found in the orders that hold it, however it is spelt."""
    world, _, _ = rehearsed
    search = Search(secrets_of(world))
    order = next(e for e in world.events if isinstance(e.value, Order))
    assert isinstance(order.value, Order)
    person = order.value.data.protected_persons[0]
    encoded = order.encoded() or b""
    assert person.name
    assert person.address
    for secret in (person.name, person.address, person.name.upper(), person.address.encode().hex()):
        assert search.found_in(f"a line with {secret} in it")
    area = order.value.data.terms[0].model_dump(mode="json")["area"]
    number = next(coordinates(area))
    assert search.found_in(f'{{"latitude": {number!r}}}')
    assert len(search.found_in(encoded)) > 5
    assert not search.found_in("a line without any of it")


def test_behaviour_43_no_alert_task_or_audit_entry_names_a_protected_person_or_their_place(
    rehearsed: tuple[SimulatedWorld, Rehearsal, list[str]],
) -> None:
    world, pipeline, _ = rehearsed
    search = Search(secrets_of(world))
    assert len(pipeline.tasks) > 20
    assert len(pipeline.alerts) > 100
    assert len(pipeline.audits) > 1000
    assert len(pipeline.safeguarding) > 20
    for name, models in (
        ("alert", pipeline.alerts),
        ("task", pipeline.tasks.values()),
        ("safeguarding task", pipeline.safeguarding.values()),
        ("audit", pipeline.audits),
    ):
        search.none_in(name, (model.model_dump_json() for model in models))
    assert search.searched > 500_000


def test_behaviour_43_whom_a_breach_concerns_is_said_by_reference_only(
    rehearsed: tuple[SimulatedWorld, Rehearsal, list[str]],
) -> None:
    """The field meant for it: the reference of a protected person, which names nobody."""
    world, pipeline, _ = rehearsed
    known = {s.person_id for s in world.truth.secrets}
    cited = {who for task in pipeline.tasks.values() for breach in task.breaches for who in breach.protects}
    assert cited
    assert cited <= known


def test_behaviour_43_no_key_names_anybody(rehearsed: tuple[SimulatedWorld, Rehearsal, list[str]]) -> None:
    world, pipeline, _ = rehearsed
    records = list(pipeline.index)
    assert any(r.role is Role.PROTECTED_PERSON and r.kind is IdentifierKind.PHONE for r in records)
    keys = [identifier_key(record) for record in records]
    assert len(set(keys)) == len(keys), "one key for each identifier"
    assert all(re.fullmatch(rb"[0-9a-f]{64}", key) for key in keys)
    outputs = [a.alert_id for a in pipeline.alerts] + [t.task_id for t in pipeline.tasks.values()]
    outputs += [key for table in pipeline._tables.values() for key in map(bytes.decode, table)]
    outputs += list(pipeline.rows)
    Search(secrets_of(world)).none_in("key", [*outputs, *keys])


def test_behaviour_43_dead_letters_say_why_without_what(
    rehearsed: tuple[SimulatedWorld, Rehearsal, list[str]],
) -> None:
    world, pipeline, lines = rehearsed
    search = Search(secrets_of(world))
    assert len(pipeline.refused) == len(world.bad) > 20
    search.none_in("refusal", (f"{error} {error!r} {error.__cause__!r}" for error in pipeline.refused))
    search.none_in("log line", lines)
    for number, (event, _) in enumerate(world.bad):
        search.none_in("dead letter", _dead_letter(event.topic, event.encoded(), number))


def _dead_letter(topic: str, value: bytes | None, number: int = 0) -> list[str]:
    """All that is written of a message that is no event, besides its own bytes."""
    with pytest.raises(BadMessageError) as refused:
        decode(topic, value)
    origin = Origin(topic, 0, number, END)
    alert = dead_letters.alert(origin, refused.value)
    key, _, headers = dead_letters.letter(origin, value, (), refused.value)
    shown = [str(refused.value), *(text.decode() for _, text in headers), key.decode()]
    return [*shown, alert.model_dump_json()] if alert else shown


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs: Iterable[tuple[Any, Any]]
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        yield path
        return
    for step, inner in pairs:
        yield (*path, step)
        yield from _leaves(inner, (*path, step))


def _with(body: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> bytes:
    copy = orjson.loads(orjson.dumps(body))
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    change(inner, path[-1])
    return orjson.dumps(copy)


SECRET = "Mrs Secret of 1 Hidden Lane, 07700 900123"


@pytest.mark.parametrize(
    ("topic", "event"),
    [
        (
            "orders",
            spo(
                terms=[zone(), no_contact(carve_outs=[{"kind": "court"}]), {**zone("c"), "kind": "buffer"}],
                respondent={"subject_id": "S1", "name": "R", "date_of_birth": "1990-01-01"},
                protected_persons=[{"person_id": "P1", "name": SECRET, "address": SECRET}],
                expires_at=m(60),
            ),
        ),
        ("breach-reports", report(m(0), description=SECRET, order_id="O1", position=away())),
        ("sightings", fix(m(0), hdop=1.0)),
        ("sightings", face(m(0))),
    ],
    ids=["order", "report", "fix", "face"],
)
def test_behaviour_43_whatever_field_is_wrong_its_value_is_not_repeated(topic: str, event: Event) -> None:
    body = event.model_dump(mode="json", exclude_none=True)
    body["data"] |= {"description": SECRET} if topic == "breach-reports" else {}
    search = Search(["Secret", "Hidden", "900123"])

    def wrong(inner: Any, step: Any) -> None:
        inner[step] = {SECRET: [SECRET]} if not isinstance(inner[step], dict) else SECRET

    def renamed(inner: Any, step: Any) -> None:
        if isinstance(inner, dict):
            inner[SECRET] = inner.pop(step)
        else:
            inner[step] = SECRET

    def spelt(inner: Any, step: Any) -> None:
        inner[step] = SECRET

    tried = 0
    for path in set(_leaves(body)):
        for change in (wrong, renamed, spelt):
            value = _with(body, path, change)
            try:
                decode(topic, value)
            except BadMessageError:
                tried += 1
                search.none_in(f"refusal of {path}", _dead_letter(topic, value))
    assert tried > 15


def test_behaviour_43_senders_own_words_stay_out_of_alerts_audit_and_logs() -> None:
    """What people write may name anybody; only wishes, which the crew must know, are shown on the task."""
    person = [{"person_id": "P1", "name": SECRET, "address": SECRET}]
    protects = {"protected_persons": person, "terms": [zone(text=SECRET), no_contact(text=SECRET)]}
    wishes = "Mrs Secret would rather be telephoned"
    with _logged() as lines:
        world = World(spo(**protects), spo("O2", **protects, kind="restraining"))
        world.give(report(m(1), description=SECRET, wishes=wishes, id="r1"))
        world.give(seen(m(2), description=SECRET), report(m(3), description=SECRET, order_id="O2"))
        world.give(retraction("r1", at=m(4), reason=SECRET), order_ended("O2", at=m(5)))
        world.give(update(world.task.task_id, "acknowledge", m(6), reason=SECRET))
        world.give(update(world.task.task_id, "note_wishes", m(7), reason=wishes))
        world.give(update(world.task.task_id, "close", m(8), reason=SECRET))
    search = Search(["Secret", "Hidden", "900123"])
    search.none_in("alert", (a.model_dump_json() for a in world.alerts()))
    search.none_in("audit", (a.model_dump_json() for a in world.audits()))
    search.none_in("log line", lines)
    wish = [entry for entry in world.task.history if wishes in entry.what]
    assert wish[0].event_id.endswith("#r1")
    assert len(wish) == 2, "from the report, and as a controller noted them"
    search.none_in("task", [world.task.model_copy(update={"history": []}).model_dump_json()])


def test_behaviour_43_task_tells_no_position_of_the_protected_person() -> None:
    """Of two who move, the task says that they are near, never where the protected one is."""
    where = away(east_m=120, north_m=35)
    identifiers = [
        {"kind": "tag", "value": "tag-1"},
        {"kind": "tag", "value": "tag-p1", "role": "protected_person", "person_id": "P1"},
    ]
    near = {"term_id": "t-near", "kind": "distance", "metres": 300.0, "protects": ["P1"]}
    world = World(spo(terms=[near, zone("z", circle(50, east_m=9000))], identifiers=identifiers))
    world.give(fix(m(1), where, device="tag-p1"), fix(m(1.5), away()))
    assert world.breach.term_kind == "distance"
    search = Search([repr(where["latitude"]), repr(where["longitude"]), "tag-p1"])
    outputs: list[Alert | ArrestTask | AuditEntry | SafeguardingTask] = [
        *world.alerts(),
        *world.tasks,
        *world.audits(),
        *world.pipeline.safeguarding.values(),
    ]
    search.none_in("output", (output.model_dump_json() for output in outputs))
