"""Subjects, those whom orders protect, and their orders: all of the world that stands still."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random

from schemas.orders import (
    ExclusionZone,
    Identifier,
    IdentifierKind,
    Marker,
    NoContact,
    OrderData,
    OrderKind,
    ProtectedPerson,
    Respondent,
    Role,
    Service,
)
from streams.simulator import names
from streams.simulator.config import MAX_ORDERS_PER_SUBJECT, WorldConfig
from streams.simulator.sites import LatLon, Site, back_bearing, make_site, offset

# Name, latitude, longitude, police force.
CITIES: tuple[tuple[str, float, float, str], ...] = (
    ("Leeds", 53.80, -1.55, "force-north"),
    ("Manchester", 53.48, -2.24, "force-west"),
    ("Nottingham", 52.95, -1.15, "force-middle"),
    ("Birmingham", 52.48, -1.90, "force-middle"),
    ("Norwich", 52.63, 1.29, "force-east"),
    ("Cardiff", 51.48, -3.18, "force-wales"),
    ("Bristol", 51.45, -2.59, "force-west"),
    ("London", 51.51, -0.12, "force-south"),
)
SLOT = timedelta(minutes=90)
"""A subject does at most one thing in a slot, and nothing in its last 35 minutes."""
MIDDLE = timedelta(minutes=45)
"""Into its slot, a court's decision takes effect; nothing else happens in that slot."""


@dataclass(frozen=True)
class Victim:
    """A protected person, all of it invented."""

    person_id: str
    name: str
    address: str
    phone: str
    plate: str | None


@dataclass(frozen=True)
class SimOrder:
    """An order, in force from `begins` until `ends` (None: beyond the world's end)."""

    data: OrderData
    begins: datetime
    ends: datetime | None
    sent_at: datetime
    """When its court sends it, before any noise."""
    service_apart: Service | None = None
    """Proof of service that comes in a message of its own."""


@dataclass
class Matter:
    """What a subject must keep away from: a zone and its people, under one order or two after one another."""

    site: Site
    bearing: float
    """Degrees, from the zone's centre to the subject's home."""
    distance_m: float
    """From the zone's centre to the subject's home."""
    victims: list[Victim]
    orders: list[SimOrder] = field(default_factory=list)

    def in_force(self, at: datetime) -> SimOrder | None:
        """The order that binds at `at`."""
        return next((o for o in self.orders if o.begins <= at and (o.ends is None or at < o.ends)), None)


@dataclass
class Subject:
    """A person under orders. Only the first plate is driven and the first tag worn."""

    subject_id: str
    name: str
    born: str
    town: str
    force: str
    home: LatLon
    phone: str
    plates: list[str]
    sold_plate: str | None
    """On the orders with a period that ended before the world began."""
    tags: list[str]
    supplier: str
    matters: list[Matter] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)
    """Slots in which a court's decision takes effect."""

    @property
    def orders(self) -> list[SimOrder]:
        return [order for matter in self.matters for order in matter.orders]


@dataclass
class World:
    """Everybody, and the plates that orders name."""

    config: WorldConfig
    subjects: list[Subject]
    plates: names.Plates


def slots(config: WorldConfig) -> list[datetime]:
    """The begin of each slot; the last slot ends with the world."""
    count = int((config.end - config.start) / SLOT)
    return [config.end - SLOT * (count - i) for i in range(count)]


def build_world(config: WorldConfig) -> World:
    """All subjects with their orders."""
    return _Builder(config).build()


class _Builder:
    """Draws one world from its own random stream."""

    def __init__(self, config: WorldConfig) -> None:
        rng = config.stream("world")
        self.config, self.rng = config, rng
        self.slots = slots(config)
        self.plates = names.Plates(rng)
        self.phones = names.phones(rng)
        self.victim_names: Iterator[str] = names.victims(rng)
        self.subject_names: Iterator[str] = names.respondents(rng)
        self.victim_count = self.order_count = 0
        self.tags = iter(rng.sample(range(1_000_000_000), config.subject_count * config.tags_per_subject))

    def build(self) -> World:
        subjects = [self._subject(number) for number in range(1, self.config.subject_count + 1)]
        loads = [1] * len(subjects)
        for _ in range(self.config.orders - len(subjects)):
            i = self.rng.randrange(len(loads))
            while loads[i] == MAX_ORDERS_PER_SUBJECT:
                i = self.rng.randrange(len(loads))
            loads[i] += 1
        for subject, load in zip(subjects, loads, strict=True):
            self._matters(subject, load)
        return World(self.config, subjects, self.plates)

    def _subject(self, number: int) -> Subject:
        rng, config = self.rng, self.config
        town, lat, lon, force = rng.choice(CITIES)
        plates = rng.randint(min(1, config.plates_per_subject), config.plates_per_subject)
        worn = config.tags_per_subject > 0 and rng.random() < 0.7
        tags = rng.randint(1, config.tags_per_subject) if worn else 0
        return Subject(
            subject_id=f"SUBJ-{config.run.upper()}-{number:05}",
            name=next(self.subject_names),
            born=str(date(1955, 1, 1) + timedelta(days=rng.randrange(45 * 365))),
            town=town,
            force=force,
            home=offset((lat, lon), rng.uniform(0, 360), rng.uniform(0, 15_000)),
            phone=next(self.phones),
            plates=[self.plates.draw() for _ in range(plates)],
            sold_plate=self.plates.draw() if config.plates_per_subject and rng.random() < 0.1 else None,
            tags=[f"TAG-{next(self.tags):09}" for _ in range(tags)],
            supplier=rng.choice(("tags/supplier-a", "tags/supplier-b")),
        )

    def _matters(self, subject: Subject, load: int) -> None:
        """`load` orders; of two or more, the first may be an interim that the second determines."""
        replaced = load >= 2 and len(self.slots) >= 3 and self.rng.random() < self.config.replaced_share
        zones = load - 1 if replaced else load
        turn = self.rng.uniform(0, 360)
        for i in range(zones):
            # Zones lie in different directions, so that the way to one never leads through another.
            towards = turn + i * 360 / zones + self.rng.uniform(-15, 15)
            distance = self.rng.uniform(3000, 5000)
            matter = Matter(
                site=make_site(self.rng, offset(subject.home, towards, distance)),
                bearing=back_bearing(subject.home, towards, distance),
                distance_m=distance,
                victims=[self._victim(subject.town) for _ in range(self.rng.choice((1, 1, 1, 2)))],
            )
            if replaced and i == 0:
                self._interim_then_full(subject, matter)
            elif len(self.slots) >= 3 and self.rng.random() < self.config.new_order_share:
                self._new_order(subject, matter)
            else:
                self._standing_order(subject, matter)
            subject.matters.append(matter)

    def _victim(self, town: str) -> Victim:
        self.victim_count += 1
        return Victim(
            person_id=f"PP-{self.config.run.upper()}-{self.victim_count:05}",
            name=next(self.victim_names),
            address=names.addresses(self.rng, town, self.victim_count),
            phone=next(self.phones),
            plate=self.plates.draw() if self.rng.random() < 0.3 else None,
        )

    def _standing_order(self, subject: Subject, matter: Matter) -> None:
        """An order that was in force before the world began."""
        made = self._before()
        kind = self.rng.choice((OrderKind.SPO_FULL, OrderKind.SPO_FULL, OrderKind.SPO_INTERIM))
        how = self.rng.choice(("in_court", "personal", "apart"))
        served = made if how == "in_court" else made + timedelta(hours=self.rng.uniform(1, 12))
        service = Service(
            served_at=served, method="in_court" if how == "in_court" else "personal", reference="proof of service"
        )
        data = self._data(subject, matter, kind, made, None, None if how == "apart" else service)
        apart = service if how == "apart" else None
        matter.orders.append(SimOrder(data, made, None, self._sent_before(), apart))

    def _new_order(self, subject: Subject, matter: Matter) -> None:
        """An order that takes effect within the world; made then, or before with a later effect."""
        effect = self._court_day(subject)
        kind = self.rng.choice((OrderKind.SPO_FULL, OrderKind.SPO_INTERIM))
        deferred = self.rng.random() < 0.5
        made = self._before() if deferred else effect
        service = Service(served_at=made, method="in_court", reference="court record")
        data = self._data(subject, matter, kind, made, effect if deferred else None, service)
        sent = self._sent_before() if deferred else self._sent_soon(effect)
        matter.orders.append(SimOrder(data, effect, None, sent))

    def _interim_then_full(self, subject: Subject, matter: Matter) -> None:
        """An interim order, and the full one that determines it (SPA 2019 s5)."""
        made = self._before()
        service = Service(served_at=made, method="in_court", reference="court record")
        interim = self._data(subject, matter, OrderKind.SPO_INTERIM, made, None, service)
        effect = self._court_day(subject)
        service = Service(served_at=effect, method="in_court", reference="court record")
        full = self._data(subject, matter, OrderKind.SPO_FULL, effect, None, service, interim.order_id)
        matter.orders.append(SimOrder(interim, made, effect, self._sent_before()))
        matter.orders.append(SimOrder(full, effect, None, self._sent_soon(effect)))

    def _before(self) -> datetime:
        """Days before the world began, with a day to spare for service."""
        return _whole(self.config.start - timedelta(days=self.rng.uniform(1, 30)))

    def _sent_before(self) -> datetime:
        """Early enough to be there first, however disordered the sending is (20 minutes)."""
        return self.config.start - timedelta(minutes=self.rng.uniform(25, 30))

    def _sent_soon(self, at: datetime) -> datetime:
        return at + timedelta(seconds=self.rng.uniform(10, 120))

    def _court_day(self, subject: Subject) -> datetime:
        """The middle of a slot, which is kept free; not the last one, so that something can follow."""
        slot = self.rng.randrange(len(self.slots) - 1)
        subject.taken.add(slot)
        return _whole(self.slots[slot] + MIDDLE)

    def _data(
        self,
        subject: Subject,
        matter: Matter,
        kind: OrderKind,
        made: datetime,
        effect: datetime | None,
        service: Service | None,
        replaces: str | None = None,
    ) -> OrderData:
        self.order_count += 1
        people = [victim.person_id for victim in matter.victims]
        end = self.config.end
        return OrderData(
            order_id=f"SPO-{made.year}-{self.config.run.upper()}-{self.order_count:05}",
            version=1,
            kind=kind,
            court=f"{subject.town} Magistrates' Court",
            applicant=f"chief officer, {subject.force}",
            made_at=made,
            effective_from=effect,
            expires_at=_whole(end + timedelta(days=731 if kind is OrderKind.SPO_FULL else 28)),
            respondent=Respondent(
                subject_id=subject.subject_id,
                name=subject.name,
                date_of_birth=subject.born,
            ),
            present_in_court=service is not None and service.method == "in_court",
            service=service,
            protected_persons=[
                ProtectedPerson(person_id=v.person_id, name=v.name, address=v.address) for v in matter.victims
            ],
            terms=[
                ExclusionZone(
                    kind="exclusion_zone",
                    term_id="T1",
                    text=f"Not to enter the area around {matter.victims[0].address}.",
                    area=matter.site.area,
                    protects=people,
                ),
                NoContact(
                    kind="no_contact",
                    term_id="T2",
                    text=f"Not to contact {matter.victims[0].name} by any means.",
                    protects=people,
                ),
            ],
            identifiers=_identifiers(subject, matter, self.config.start),
            owning_force=subject.force,
            risk=self.rng.choice((None, "standard", "medium", "high")),
            markers=sorted(self.rng.sample(list(Marker), self.rng.choice((0, 0, 0, 1, 2)))),
            certified_copy=f"certified copy {self.order_count:05}",
            replaces=replaces,
        )


def _identifiers(subject: Subject, matter: Matter, start: datetime) -> list[Identifier]:
    """All of the subject's identifiers, the same on each of their orders, and those of whom this one protects."""
    own = [Identifier(kind=IdentifierKind.PLATE, value=vrm) for vrm in subject.plates]
    own += [Identifier(kind=IdentifierKind.TAG, value=tag) for tag in subject.tags]
    own.append(Identifier(kind=IdentifierKind.PHONE, value=subject.phone))
    if subject.sold_plate:
        sold = _whole(start - timedelta(days=10))
        own.append(Identifier(kind=IdentifierKind.PLATE, value=subject.sold_plate, valid_to=sold))
    for victim in matter.victims:
        person, role = victim.person_id, Role.PROTECTED_PERSON
        own.append(Identifier(kind=IdentifierKind.PHONE, value=victim.phone, role=role, person_id=person))
        if victim.plate:
            own.append(Identifier(kind=IdentifierKind.PLATE, value=victim.plate, role=role, person_id=person))
    return own


def _whole(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def rest_place(rng: Random, subject: Subject) -> LatLon:
    """A place at the subject's home, within 20 m."""
    return offset(subject.home, rng.uniform(0, 360), rng.uniform(0, 20))
