"""What goes wrong between the world and us. Each function is one kind, with its own random stream, and leaves
the truth as it is."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from schemas.base import Event, Position
from schemas.orders import Order
from schemas.sightings import PlateRead, TagFix
from streams.simulator import names
from streams.simulator.config import WorldConfig
from streams.simulator.day import Crossing, moment
from streams.simulator.messages import Message, Outbox
from streams.simulator.people import Matter, Subject, World
from streams.simulator.sites import DRIFT_MAX_M, MAX_ACCURACY_M, offset
from streams.simulator.truth import Facts


def _outbox(config: WorldConfig, kind: str) -> Outbox:
    return Outbox(config.stream(f"noise/{kind}"), config.run, config.end, tag=kind)


def _with(event: Event, **changes: object) -> Event:
    """A copy with other attributes; they are ours, so they are not validated again."""
    return event.model_copy(update=changes)


def drift(config: WorldConfig, messages: list[Message]) -> dict[str, Position]:
    """Move each tag position by a Gaussian step, never beyond the margin that is kept for it.

    Returns where each moved fix now is, by event id.
    """
    rng, sigma = config.stream("noise/drift"), config.noise.drift_m
    moved: dict[str, Position] = {}
    if not sigma:
        return moved
    for message in messages:
        event = message.event
        if not isinstance(event, TagFix) or event.data.position is None:
            continue
        old = event.data.position
        step = min(DRIFT_MAX_M, abs(rng.gauss(0, sigma)))
        lat, lon = offset((old.latitude, old.longitude), rng.uniform(0, 360), step)
        position = Position(latitude=lat, longitude=lon, accuracy_m=old.accuracy_m)
        message.event = _with(event, data=event.data.model_copy(update={"position": position}))
        moved[event.event_id] = position
    return moved


def straddling(config: WorldConfig, crossings: Iterable[Crossing]) -> list[Message]:
    """A fix on the edge of the zone, halfway in time across it."""
    outbox = _outbox(config, "edge")
    for crossing in crossings:
        if outbox.rng.random() >= config.noise.straddling:
            continue
        site = crossing.matter.site
        metres = site.edge_m(crossing.bearing) + outbox.rng.uniform(-3, 3)
        at = moment(crossing.after, (crossing.before - crossing.after).total_seconds() / 2)
        accuracy = round(outbox.rng.uniform(15, MAX_ACCURACY_M), 1)
        outbox.fix(crossing.subject, at, offset(site.centre, crossing.bearing, metres), accuracy)
    return outbox.messages


def unusable(config: WorldConfig, resting: Iterable[tuple[Subject, datetime]]) -> list[Message]:
    """After a fix at rest, one without a position, or at 0,0: what a receiver sends that has none."""
    outbox = _outbox(config, "nofix")
    for subject, at in resting:
        soon = moment(at, outbox.rng.uniform(5, 50))
        if soon >= config.end or outbox.rng.random() >= config.noise.unusable:
            continue
        event = outbox.fix(subject, soon, (0.0, 0.0), None)
        if outbox.rng.random() < 0.5:
            data = event.data.model_copy(update={"position": None})
            outbox.messages[-1].event = _with(event, data=data)
    return outbox.messages


def future_fixes(config: WorldConfig, world: World) -> list[Message]:
    """Fixes within a zone, by tags whose clock is hours ahead of the world's end; sent at any time."""
    outbox = _outbox(config, "future")
    rng = outbox.rng
    worn = [subject for subject in world.subjects if subject.tags]
    for _ in range(config.noise.future_fixes if worn else 0):
        subject = rng.choice(worn)
        at = moment(config.end, rng.uniform(2, 12) * 3600)
        outbox.fix(subject, at, rng.choice(subject.matters).site.centre, 10.0)
        outbox.messages[-1].sent_at = config.start + (config.end - config.start) * rng.random()
    return outbox.messages


def misreads(config: WorldConfig, world: World, messages: list[Message]) -> tuple[list[Message], dict[str, str]]:
    """Swap O and 0 in some reads of subjects' plates, and repeat some with a character that is plainly wrong.

    The second are reads of nobody's plate: returned with why they must not count.
    """
    outbox = _outbox(config, "misread")
    rng = outbox.rng
    traps: dict[str, str] = {}
    for message in messages:
        event = message.event
        if not isinstance(event, PlateRead):
            continue
        own = event.data.vrm
        if rng.random() < config.noise.misreads and (other := names.swap_o(rng, own)):
            message.event = _with(event, data=event.data.model_copy(update={"vrm": other}))
        if rng.random() < config.noise.misreads:
            wrong = names.misread(rng, own)
            if not world.plates.is_far_but_from(wrong, own):
                continue
            at = moment(event.time, rng.uniform(1, 5))
            place = (event.data.position.latitude, event.data.position.longitude)
            trap = outbox.read(wrong, at, event.data.camera_id, place)
            traps[trap.event_id] = "a misread: no order names this plate"
    return outbox.messages, traps


def late_orders(config: WorldConfig, facts: Iterable[Facts], messages: list[Message]) -> None:
    """Send some orders 5 to 50 minutes into the first breach of them.

    Only where that loses nothing: the subject has no other order, and none of their plates, or their victim's,
    is read before the order is there, since the gate forgets what matches no order.
    """
    rng, share = config.stream("noise/late"), config.noise.late_orders
    orders: dict[str, list[Message]] = {}
    first_read: dict[str, datetime] = {}
    for message in messages:
        event = message.event
        if isinstance(event, Order):
            orders.setdefault(event.data.respondent.subject_id, []).append(message)
        elif isinstance(event, PlateRead):
            first_read[event.data.vrm] = min(event.time, first_read.get(event.data.vrm, event.time))
    for fact in facts:
        subject, first = fact.subject, fact.first_breach_at
        if first is None or len(orders[subject.subject_id]) > 1 or rng.random() >= share:
            continue
        sent_at = first + timedelta(minutes=rng.uniform(5, 50))
        there = sent_at + timedelta(minutes=config.noise.disorder_minutes + 5)
        reads = [first_read[vrm] for vrm in _plates(subject) if vrm in first_read]
        if sent_at < config.end and all(read > there for read in reads):
            late = orders[subject.subject_id][0]
            late.sent_at, late.event = sent_at, _with(late.event, recordedtime=sent_at)


def _plates(subject: Subject) -> list[str]:
    def residents(matter: Matter) -> list[str]:
        return [victim.plate for victim in matter.victims if victim.plate]

    sold = [subject.sold_plate] if subject.sold_plate else []
    return [*subject.plates, *sold, *(plate for matter in subject.matters for plate in residents(matter))]


def clock_errors(config: WorldConfig, messages: list[Message]) -> None:
    """A wrong `recordedtime`, by up to ten minutes either way."""
    rng = config.stream("noise/clock")
    for message in messages:
        if rng.random() < config.noise.clock_errors:
            wrong = message.event.recordedtime + timedelta(seconds=round(rng.uniform(-600, 600), 3))
            message.event = _with(message.event, recordedtime=wrong)


def duplicates(config: WorldConfig, messages: list[Message]) -> list[Message]:
    """The same message again, up to five minutes later."""
    rng = config.stream("noise/duplicates")
    return [
        replace(message, sent_at=message.sent_at + timedelta(seconds=rng.uniform(0, 300)))
        for message in messages
        if rng.random() < config.noise.duplicates
    ]


def disorder(config: WorldConfig, messages: list[Message]) -> None:
    """Send each message late by up to the configured minutes, each by its own."""
    rng, most = config.stream("noise/disorder"), config.noise.disorder_minutes * 60
    if most:
        for message in messages:
            message.sent_at += timedelta(seconds=rng.uniform(0, most))
