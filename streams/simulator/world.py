"""From a configuration to every message in its sending order, and the truth."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson

from schemas.base import Event
from schemas.inbound import BadReason
from schemas.orders import Order
from schemas.sightings import TagFix
from streams.simulator import noise
from streams.simulator.background import background_reads
from streams.simulator.bad import BadMessage, bad_messages, dead_letter
from streams.simulator.config import WorldConfig
from streams.simulator.day import Crossing, Day
from streams.simulator.messages import Message, Outbox
from streams.simulator.people import Subject, World, build_world
from streams.simulator.truth import Facts, TrueDeadLetter, Truth, gather

Value = Event | dict[str, Any] | bytes | None


class SimulatedEvent(NamedTuple):
    """One message: topic without prefix, key, and an event, a body, or the bytes (None: null) of a bad one."""

    topic: str
    key: str | None
    value: Value

    def encoded(self) -> bytes | None:
        """The value as bytes on the wire."""
        if isinstance(self.value, Event):
            return self.value.model_dump_json(exclude_none=True).encode()
        return orjson.dumps(self.value) if isinstance(self.value, dict) else self.value


@dataclass(frozen=True)
class SimulatedWorld:
    """What `simulate` returns. `events` are in sending order, `sent_at[i]` is when `events[i]` is sent."""

    config: WorldConfig
    events: list[SimulatedEvent]
    sent_at: list[datetime]
    truth: Truth
    bad: list[tuple[SimulatedEvent, BadReason]]
    """The bad messages among `events`."""


def simulate(config: WorldConfig) -> SimulatedWorld:
    """The world of `config`: the same for the same configuration, on every machine."""
    world = build_world(config)
    outbox = Outbox(config.stream("traffic"), config.run, config.end)
    facts, crossings, resting = _tell(world, outbox)
    messages = outbox.messages
    _move_last_seen(facts, noise.drift(config, messages))
    if config.noise.late_orders:
        noise.late_orders(config, facts, messages)
    misread, traps = noise.misreads(config, world, messages)
    messages += misread
    messages += noise.straddling(config, crossings)
    messages += noise.unusable(config, resting)
    noise.clock_errors(config, messages)
    future = noise.future_fixes(config, world)
    messages += future
    messages += noise.duplicates(config, messages)
    noise.disorder(config, messages)
    if config.exercise:
        for message in messages:
            message.event = message.event.model_copy(update={"exercise": True})
    bad = _bad(config, messages)
    timed = [(m.sent_at, SimulatedEvent(m.topic, m.key, m.event)) for m in messages]
    timed += [(at, SimulatedEvent(topic, key, value)) for at, (topic, key, value, _) in bad]
    timed += [
        (at, SimulatedEvent("anpr-reads", read["data"]["vrm"], read | {"exercise": config.exercise}))
        for at, read in background_reads(
            config.stream("background"), world.plates, config.run, config.start, config.end, config.reads_per_second
        )
    ]
    timed.sort(key=lambda item: item[0])
    dead: list[TrueDeadLetter] = [dead_letter(message) for _, message in bad]
    truth = gather(config, world, facts, [m.event.event_id for m in future], dead, traps)
    return SimulatedWorld(
        config=config,
        events=[event for _, event in timed],
        sent_at=[at for at, _ in timed],
        truth=truth,
        bad=[(SimulatedEvent(topic, key, value), reason) for _, (topic, key, value, reason) in bad],
    )


def _tell(world: World, outbox: Outbox) -> tuple[list[Facts], list[Crossing], list[tuple[Subject, datetime]]]:
    """Everybody's orders and day; with it the crossings of edges and the fixes of tags at rest."""
    facts: list[Facts] = []
    crossings: list[Crossing] = []
    resting: list[tuple[Subject, datetime]] = []
    for subject in world.subjects:
        for order in subject.orders:
            outbox.order(subject, order)
        day = Day(world.config, outbox.rng, outbox, subject, Facts(subject), crossings)
        day.tell()
        facts.append(day.facts)
        resting += [(subject, at) for at in day.resting]
    return facts, crossings, resting


def _move_last_seen(facts: list[Facts], moved: dict[str, Any]) -> None:
    """Sightings are where the events say that they were."""
    if not moved:
        return
    for fact in facts:
        fact.sightings = [
            seen.model_copy(update={"position": moved[seen.event_id]}) if seen.event_id in moved else seen
            for seen in fact.sightings
        ]


def _bad(config: WorldConfig, messages: list[Message]) -> list[tuple[datetime, BadMessage]]:
    """The bad messages and when each is sent."""
    rng = config.stream("noise/bad")
    order = next(m.event for m in messages if isinstance(m.event, Order))
    fix = next((m.event for m in messages if isinstance(m.event, TagFix)), None)
    span = (config.end - config.start) / timedelta(seconds=1)
    return [
        (config.start + timedelta(seconds=span * rng.random()), message)
        for message in bad_messages(rng, config.run, config.noise.bad_messages, order, fix)
    ]
