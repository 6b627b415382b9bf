"""One subject's day: where they go, what is seen of it, and which breaches that makes.

A subject does at most one thing in a slot of 90 minutes, in its first 55; so 35 minutes lie between any two
breaches that differ in kind, and 30 and more between a breach and an arrest.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from schemas.base import Position
from schemas.orders import Identifier, IdentifierKind
from schemas.reports import BreachReport, BreachReportData
from schemas.sightings import OfficerSighting, PlateRead, TagFix
from schemas.tasks import Certainty
from streams.simulator.config import WorldConfig
from streams.simulator.messages import Outbox
from streams.simulator.people import Matter, SimOrder, Subject, rest_place, slots
from streams.simulator.sites import CAMERA_MARGIN_M, MARGIN_M, MAX_ACCURACY_M, offset
from streams.simulator.truth import Facts, TrueLastSeen

SPEED_M_S = 14.0
"""On the road, 50 km/h: no fix is a jump that nobody could have made."""
_NO_ORDER_YET = "before the order took effect"


@dataclass(frozen=True)
class Crossing:
    """An edge of a zone, crossed on the way in or out between two fixes: where a straddling fix fits."""

    subject: Subject
    matter: Matter
    bearing: float
    after: datetime
    before: datetime


@dataclass
class Day:
    """The telling of one subject's day; it leaves `facts`, `crossings` and `resting`."""

    config: WorldConfig
    rng: Random
    outbox: Outbox
    subject: Subject
    facts: Facts
    crossings: list[Crossing]
    away: list[tuple[datetime, datetime]] = field(default_factory=list)
    """When the tag was on a journey, so that it does not rest."""
    resting: list[datetime] = field(default_factory=list)
    """Times of the tag's fixes at rest."""

    def tell(self) -> None:
        """Every slot, then what needs no slot."""
        begins = slots(self.config)
        arrest = self._arrest_slot(len(begins))
        for i, begin in enumerate(begins):
            if i in self.subject.taken:
                continue
            last = i == len(begins) - 1
            if i == arrest:
                self._arrest(begin)
                continue
            doing = self._doing(len(begins))
            if doing is not None:
                doing(begin, last)
                continue
            self._ordinary(begin)
        self._rest()
        self._see_after_contact()

    # -- what to do in a slot ------------------------------------------------------------------------------

    def _arrest_slot(self, count: int) -> int | None:
        if count < 2 or self.rng.random() >= self.config.arrest_share:
            return None
        free = [i for i in range(1, count) if i not in self.subject.taken]
        return self.rng.choice(free) if free else None

    def _doing(self, count: int) -> Callable[[datetime, bool], None] | None:
        """Each kind with its rate's share of the slots; None in the rest of them."""
        config, subject = self.config, self.subject
        kinds: list[tuple[float, Callable[[datetime, bool], None]]] = [(config.report_rate, self._contact)]
        if subject.tags:
            kinds += [(config.visits, self._visit), (config.passes, self._pass)]
        if subject.plates:
            kinds.append((config.plate_visits, self._plate_visit))
        total = sum(rate for rate, _ in kinds)
        point = self.rng.random() * max(total, count)
        for rate, kind in kinds:
            if point < rate:
                return kind
            point -= rate
        return None

    def _begin(self, slot: datetime) -> datetime:
        return moment(slot, self.rng.uniform(0, 240))

    # -- with the tag --------------------------------------------------------------------------------------

    def _visit(self, slot: datetime, last: bool) -> None:
        """Into a zone and out again, in one of six ways."""
        matter = self.rng.choice(self.subject.matters)
        ways = ["plain", "plain", "flap", "silent return", "silent leave", "return"] + (["stay"] * 6 if last else [])
        _Journey(self, matter, self._begin(slot)).visit(self.rng.choice(ways))

    def _pass(self, slot: datetime, _last: bool) -> None:
        """Near a zone, and not into it."""
        _Journey(self, self.rng.choice(self.subject.matters), self._begin(slot)).linger_outside()

    def _rest(self) -> None:
        """Fixes from home, at their slow rate, whenever the tag is not on a journey."""
        if not self.subject.tags:
            return
        at = moment(self.config.start, self.rng.uniform(0, self.config.rest_interval_s))
        while at < self.config.end:
            if not any(begin <= at <= end for begin, end in self.away):
                self.fix(at, rest_place(self.rng, self.subject))
                self.resting.append(at)
            at = moment(at, self.config.rest_interval_s * self.rng.uniform(0.8, 1.2))

    def fix(self, at: datetime, place: tuple[float, float], accuracy_m: float | None = None) -> TagFix:
        """A fix that counts as a sighting; None draws an accuracy, which is sometimes not stated."""
        if accuracy_m is None and self.rng.random() > 0.05:
            accuracy_m = round(self.rng.uniform(5, MAX_ACCURACY_M), 1)
        event = self.outbox.fix(self.subject, at, place, accuracy_m)
        assert event.data.position is not None
        self._seen(event, event.data.position)
        return event

    def _seen(self, event: TagFix | PlateRead | OfficerSighting, position: Position) -> None:
        self.facts.sightings.append(TrueLastSeen(event_id=event.event_id, time=event.time, position=position))

    # -- with the vehicle ----------------------------------------------------------------------------------

    def _plate_visit(self, slot: datetime, last: bool) -> None:
        """Reads within a zone, in one visit or two; sometimes still there at the world's end."""
        matter = self.rng.choice(self.subject.matters)
        if last and self.rng.random() < 0.5:
            times = [self.config.end - timedelta(seconds=self.rng.uniform(10, 300))]
            for _ in range(self.rng.randint(0, 3)):
                times.insert(0, moment(times[0], -self._pause()))
            self._plate_reads(matter, times, open_end=True)
            return
        at = self._begin(slot)
        for visit in range(self.rng.choice((1, 1, 2))):
            if visit:
                at = moment(at, self.rng.uniform(720, 900))
            times = [at]
            for _ in range(self.rng.randint(0, 2)):
                times.append(moment(times[-1], self._pause()))
            self._plate_reads(matter, times, open_end=False)
            at = times[-1]

    def _pause(self) -> float:
        """Seconds between two reads of one visit: well under ten minutes."""
        return self.rng.uniform(60, 480)

    def _plate_reads(self, matter: Matter, times: list[datetime], open_end: bool) -> None:
        reads = [self._read_in(self.subject.plates[0], matter, at) for at in times]
        for read in reads:
            self._seen(read, read.data.position)
        if matter.in_force(times[0]):
            ended = None if open_end else reads[-1].time
            self.facts.breach(matter, Certainty.VEHICLE, reads[0].time, ended, reads[0].event_id)
        else:
            self.facts.traps |= {read.event_id: _NO_ORDER_YET for read in reads}

    def _read_in(self, vrm: str, matter: Matter, at: datetime) -> PlateRead:
        """By one of two cameras within the zone."""
        number = self.rng.choice((1, 2))
        camera = f"CAM-{matter.orders[0].data.order_id}-{number}"
        reach = matter.site.inner_m - CAMERA_MARGIN_M
        return self.outbox.read(vrm, at, camera, offset(matter.site.centre, 120.0 * number, reach * 0.4 * number))

    # -- what takes no going -------------------------------------------------------------------------------

    def _contact(self, slot: datetime, _last: bool) -> None:
        """Somebody reports contact, within ten minutes of it."""
        subject, rng = self.subject, self.rng
        matter = rng.choice(subject.matters)
        at = moment(slot, rng.uniform(0, 3000))
        order = matter.in_force(at)
        event = self._report(matter, order or matter.orders[0], at, by_order=order is None)
        self.outbox.add("breach-reports", rng.choice((None, event.id)), event)
        if order is None:
            self.facts.traps[event.event_id] = _NO_ORDER_YET
        else:
            self.facts.breach(matter, Certainty.REPORTED, at, at, event.event_id, term=1)

    def _report(self, matter: Matter, order: SimOrder, at: datetime, by_order: bool) -> BreachReport:
        """Names the order, or the subject or their phone where only this matter can be meant."""
        subject, rng = self.subject, self.rng
        victim = rng.choice(matter.victims)
        named = "order" if by_order or len(subject.matters) > 1 else rng.choice(("order", "subject", "phone"))
        phone = Identifier(kind=IdentifierKind.PHONE, value=subject.phone)
        return BreachReport(
            id=self.outbox.new_id(),
            source=f"calls/{subject.force}",
            time=at,
            recordedtime=self.outbox.recorded(at, 60, 600),
            type="breach_report",
            traceparent=None,
            data=BreachReportData(
                nature="contact",
                order_id=order.data.order_id if named == "order" else None,
                subject_id=subject.subject_id if named == "subject" else None,
                identifiers=[phone] if named == "phone" else [],
                protected_person_id=victim.person_id,
                channel=rng.choice(("phone", "text", "email", "social_media")),
                description=f"{victim.name} of {victim.address}, calling from {victim.phone}, was contacted.",
                reported_by=rng.choice(("protected_person", "witness")),
            ),
        )

    def _arrest(self, slot: datetime) -> None:
        """Arrested, and released, within a slot of their own."""
        at = moment(slot, 2400 + self.rng.uniform(0, 120))
        self.outbox.custody(self.subject, at, arrested=True)
        self.outbox.custody(self.subject, moment(at, self.rng.uniform(900, 1500)), arrested=False)
        self.facts.arrests.append(at)

    def _ordinary(self, slot: datetime) -> None:
        """In a slot without a breach, what proves nothing: reads elsewhere, other people's cars, an officer."""
        subject, rng = self.subject, self.rng
        at = moment(slot, rng.uniform(1200, 3600))
        if subject.plates and rng.random() < 0.1:
            place = offset(subject.home, 45.0, 300.0)
            read = self.outbox.read(subject.plates[0], at, f"CAM-{subject.subject_id}", place)
            self._seen(read, read.data.position)
        matter = rng.choice(subject.matters)
        if subject.sold_plate and rng.random() < 0.2:
            read = self._read_in(subject.sold_plate, matter, at)
            self.facts.traps[read.event_id] = "a plate that was no longer the subject's"
        resident = matter.victims[0].plate
        if resident and rng.random() < 0.1:
            read = self._read_in(resident, matter, at)
            self.facts.traps[read.event_id] = "the protected person's own plate"
        if rng.random() < 0.02:
            self._officer(moment(at, rng.uniform(60, 300)))  # never at the moment of the read

    def _officer(self, at: datetime) -> None:
        event = self.outbox.officer(self.subject, at, rest_place(self.rng, self.subject))
        self._seen(event, event.data.position)

    def _see_after_contact(self) -> None:
        """Whoever breached is seen once more, so that a last place is known."""
        first = self.facts.first_breach_at
        if first is not None and self.facts.last_seen() is None:
            self._officer(moment(first, self.rng.uniform(300, 1500)))


def moment(at: datetime, seconds: float) -> datetime:
    """`at` and some seconds, to the millisecond, which every encoding keeps."""
    moved = at + timedelta(seconds=seconds)
    return moved.replace(microsecond=moved.microsecond // 1000 * 1000)


class _Journey:
    """From home towards a zone, what is done there, and home again: fixes along one bearing."""

    def __init__(self, day: Day, matter: Matter, begin: datetime) -> None:
        self.day, self.matter, self.at = day, matter, begin
        self.rng, self.site = day.rng, matter.site
        self.begin = begin
        self.inside: list[TagFix] = []
        """Fixes of the present visit."""

    # -- plans ---------------------------------------------------------------------------------------------

    def visit(self, way: str) -> None:
        """One visit, or two where the tag was silent or away between."""
        if way == "stay":
            self._stay()
            return
        self._approach(self._outside_m())
        # The longest way there, here and back fits in the first 55 minutes of a slot.
        longest = {"plain": 1200, "flap": 480, "silent leave": 600, "silent return": 300, "return": 300}[way]
        self._enter(longest)
        if way == "flap":
            self._outs(self.rng.randint(1, 2))
            self._in()
            self._ins(480)
        elif way == "return":
            self._leave(self.rng.randint(3, 4))
            self._enter(longest)
        elif way.startswith("silent"):
            self._close()
            self._step(self.rng.uniform(720, 900))
            if way == "silent return":
                self._ins(longest)
        if way == "silent leave":
            self._home(minimum=0)
        else:
            self._leave(0)
            self._home(minimum=4)
        self._away()

    def linger_outside(self) -> None:
        """Up to half a kilometre from the zone, some fixes there, and home."""
        near = self._outside_m() + self.rng.uniform(0, 400)
        self._approach(near)
        for _ in range(self.rng.randint(1, 8)):
            fix = self._fix(near + self.rng.uniform(0, 100))
            self.day.facts.traps[fix.event_id] = "near the zone, and outside"
        self._home(minimum=1)
        self._away()

    def _stay(self) -> None:
        """A visit that goes on when the world ends: a fix at least every two minutes, to its end."""
        end = self.day.config.end
        lead = timedelta(seconds=(self.matter.distance_m / SPEED_M_S) + 5 * self.day.config.fix_interval_s)
        self.at = self.begin = moment(end - lead, -self.rng.uniform(180, 1200))
        self._approach(self._outside_m())
        out = self._last_time
        self._in()
        self._cross(out, self.inside[0].time)
        while self.at < end:
            self._in()
        self._close(open_end=True)
        self._away()

    # -- parts ---------------------------------------------------------------------------------------------

    def _approach(self, to_m: float) -> None:
        """Fixes on the road from home, the last of them at `to_m` from the zone's centre."""
        metres = self.matter.distance_m
        while metres > to_m:
            self._fix(metres, roam=0)
            metres -= SPEED_M_S * self.day.config.fix_interval_s * 0.8
        self._fix(to_m, roam=0)

    def _home(self, minimum: int) -> None:
        """Fixes on the road home; at least `minimum`, so that the leaving is certain."""
        metres, count = self._outside_m(), 0
        while metres < self.matter.distance_m or count < minimum:
            self._fix(min(metres, self.matter.distance_m), roam=0)
            metres += SPEED_M_S * self.day.config.fix_interval_s * 0.8
            count += 1

    def _enter(self, longest_s: float) -> None:
        """The first fix inside, after one outside, and more for up to `longest_s` seconds."""
        out = self._last_time
        self._in()
        self._cross(out, self.inside[-1].time)
        self._ins(longest_s)

    def _ins(self, longest_s: float) -> None:
        """Fixes inside for up to `longest_s` seconds; perhaps one only, and at least one."""
        until = self.at + timedelta(seconds=self.rng.uniform(0, longest_s))
        if not self.inside:
            self._in()
        while self.at < until:
            self._in()

    def _leave(self, outs: int) -> None:
        """The visit is over: the first of the fixes outside that follow is here."""
        last = self._last_time
        self._close()
        self._outs(1)
        self._cross(last, self._last_time)
        self._outs(outs - 1)

    def _outs(self, count: int) -> None:
        for _ in range(count):
            self._fix(self._outside_m())

    def _in(self) -> None:
        safe = self.site.inner_m - MARGIN_M - MAX_ACCURACY_M
        self.inside.append(self._fix(safe * self.rng.uniform(0.6, 1.0), roam=20))

    def _close(self, open_end: bool = False) -> None:
        """State the present visit as a breach, if an order was in force."""
        day, fixes = self.day, self.inside
        self.inside = []
        if self.matter.in_force(fixes[0].time):
            ended = None if open_end else fixes[-1].time
            day.facts.breach(self.matter, Certainty.CONFIRMED, fixes[0].time, ended, fixes[0].event_id)
        else:
            day.facts.traps |= {fix.event_id: _NO_ORDER_YET for fix in fixes}

    def _outside_m(self) -> float:
        """Metres from the centre: outside with every margin, and up to 60 m more."""
        return self.site.outer_m + MARGIN_M + MAX_ACCURACY_M + self.rng.uniform(0, 60)

    def _fix(self, metres: float, roam: float = 5) -> TagFix:
        """A fix at `metres` from the zone's centre and up to `roam` degrees off the way; then time goes on."""
        place = offset(self.site.centre, self.matter.bearing + self.rng.uniform(-roam, roam), metres)
        fix = self.day.fix(moment(self.at, 0), place)
        self._last_time = fix.time
        self._step(self.day.config.fix_interval_s * self.rng.uniform(0.8, 1.2))
        return fix

    def _step(self, seconds: float) -> None:
        self.at = moment(self.at, seconds)

    def _cross(self, after: datetime, before: datetime) -> None:
        crossing = Crossing(self.day.subject, self.matter, self.matter.bearing, after, before)
        self.day.crossings.append(crossing)

    def _away(self) -> None:
        minute = timedelta(minutes=1)
        self.day.away.append((self.begin - minute, self.at + minute))
