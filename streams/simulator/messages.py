"""Events on their way: what is sent, with which key, and when."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random

from schemas.base import Event, Position
from schemas.custody import CustodyEvent, CustodyEventData
from schemas.orders import Order, OrderServed, OrderServedData
from schemas.sightings import OfficerSighting, OfficerSightingData, PlateRead, PlateReadData, TagFix, TagFixData
from streams.simulator.people import SimOrder, Subject
from streams.simulator.sites import LatLon


@dataclass(slots=True)
class Message:
    """One message and the moment of its sending; what noise works on."""

    topic: str
    key: str | None
    event: Event
    sent_at: datetime


@dataclass
class Outbox:
    """Mints events and keeps their messages. `tag` sets apart the ids of one kind of noise."""

    rng: Random
    run: str
    end: datetime
    tag: str = ""
    messages: list[Message] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def new_id(self) -> str:
        return f"{self.run}-{self.tag}{next(self._numbers):07}"

    def add(self, topic: str, key: str | None, event: Event) -> Event:
        """Send `event` when it was recorded."""
        self.messages.append(Message(topic, key, event, event.recordedtime))
        return event

    def recorded(self, at: datetime, low_s: float, high_s: float) -> datetime:
        """`at` and a latency, drawn between two numbers of seconds; not after the world's end."""
        return min(max(at, self.end), at + timedelta(seconds=round(self.rng.uniform(low_s, high_s), 3)))

    def fix(self, subject: Subject, at: datetime, place: LatLon, accuracy_m: float | None) -> TagFix:
        """A fix of the tag that the subject wears."""
        event = TagFix(
            id=self.new_id(),
            source=subject.supplier,
            time=at,
            recordedtime=self.recorded(at, 2, 20),
            type="tag_fix",
            traceparent=None,
            data=TagFixData(
                device_id=subject.tags[0],
                position=Position(latitude=place[0], longitude=place[1], accuracy_m=accuracy_m),
                satellites=self.rng.randint(5, 14),
            ),
        )
        # One supplier keys by device, the other by a row number of its own: neither may be trusted.
        key = subject.tags[0] if subject.supplier == "tags/supplier-a" else str(self.rng.randrange(10_000))
        self.add("sightings", key, event)
        return event

    def read(self, vrm: str, at: datetime, camera_id: str, place: LatLon) -> PlateRead:
        """A camera reads `vrm`."""
        event = PlateRead(
            id=self.new_id(),
            source="anpr/nas",
            time=at,
            recordedtime=self.recorded(at, 1, 5),
            type="plate_read",
            traceparent=None,
            data=PlateReadData(
                vrm=vrm,
                camera_id=camera_id,
                position=Position(latitude=place[0], longitude=place[1]),
                confidence=round(self.rng.uniform(0.8, 1), 2),
                lane=self.rng.randint(1, 3),
            ),
        )
        self.add("anpr-reads", vrm, event)
        return event

    def officer(self, subject: Subject, at: datetime, place: LatLon) -> OfficerSighting:
        """An officer sees the subject."""
        event = OfficerSighting(
            id=self.new_id(),
            source=f"officers/{subject.force}",
            time=at,
            recordedtime=self.recorded(at, 60, 300),
            type="officer_sighting",
            traceparent=None,
            data=OfficerSightingData(
                subject_id=subject.subject_id,
                position=Position(latitude=place[0], longitude=place[1], accuracy_m=20.0),
                officer=f"PC {self.rng.randint(1000, 9999)}",
                force=subject.force,
            ),
        )
        self.add("sightings", subject.subject_id, event)
        return event

    def custody(self, subject: Subject, at: datetime, arrested: bool) -> CustodyEvent:
        """The subject is arrested, or charged and released."""
        event = CustodyEvent(
            id=self.new_id(),
            source=f"custody/{subject.force}",
            time=at,
            recordedtime=self.recorded(at, 30, 240),
            type="custody_event",
            traceparent=None,
            data=CustodyEventData(
                subject_id=subject.subject_id,
                state="arrested" if arrested else "released",
                disposal=None if arrested else "charged",
            ),
        )
        self.add("custody-events", subject.subject_id, event)
        return event

    def order(self, subject: Subject, order: SimOrder) -> None:
        """The order, and the proof of its service where that comes apart."""
        data = order.data
        event = Order(
            id=self.new_id(),
            source=f"courts/{subject.town.lower()}",
            time=data.made_at,
            recordedtime=order.sent_at,
            type="order",
            traceparent=None,
            data=data,
        )
        self.add("orders", data.order_id, event)
        if order.service_apart is None:
            return
        served = OrderServed(
            id=self.new_id(),
            source=f"records/{subject.force}",
            time=order.service_apart.served_at,
            recordedtime=order.sent_at + timedelta(seconds=self.rng.uniform(1, 240)),
            type="order_served",
            traceparent=None,
            data=OrderServedData(
                order_id=data.order_id,
                version=data.version,
                subject_id=subject.subject_id,
                service=order.service_apart,
            ),
        )
        self.add("orders", data.order_id, served)
