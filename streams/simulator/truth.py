"""What must come out of a simulated world: known from where everybody was, not from judging the events."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from schemas.base import Instant, Position
from schemas.inbound import BadReason
from schemas.tasks import Certainty, TaskState
from streams.simulator.config import WorldConfig
from streams.simulator.people import Matter, Subject, World


class _Truth(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrueBreach(_Truth):
    """One visit or contact. A breach that comes out is this one if `order_id`, `term_id`, `certainty`,
    `began_at` and `ended_at` agree."""

    breach: str
    """Its name within this truth, by subject and time."""
    subject_id: str
    order_id: str
    order_version: int
    term_id: str
    term_kind: str
    protects: list[str]
    certainty: Certainty
    began_at: Instant
    ended_at: Instant | None
    """None: a visit that still goes on when the stream ends."""
    opened_by: str
    """The `event_id` (source#id) of its first event."""
    by_silence: bool = False
    """It ended because time passed: the plate is never read again, so no later event can tell."""


class TrueLastSeen(_Truth):
    """The newest sighting of a subject who has breached."""

    event_id: str
    time: Instant
    position: Position


class TrueTask(_Truth):
    """A subject's breaches from the first, or the first after an arrest, to the next arrest."""

    subject_id: str
    state: TaskState
    """OPEN, or ARRESTED where custody reported the arrest."""
    breaches: list[str]
    last_seen: TrueLastSeen | None
    """Of an open task."""


class TrueDeadLetter(_Truth):
    topic: str
    sha256: str
    """Of the value's bytes; of no bytes where the value is null."""
    reason: BadReason


class Secret(_Truth):
    """What must not be found in a log line, a label, a key or an error."""

    person_id: str
    name: str
    address: str
    phone: str


class Truth(_Truth):
    """All that must come out; what is not in here must not."""

    seed: int
    start: Instant
    end: Instant
    breaches: list[TrueBreach]
    tasks: list[TrueTask]
    last_seen: dict[str, TrueLastSeen]
    """By subject, of those who breached, whether or not a task is still open."""
    quarantined: list[str]
    """`event_id` of events dated in the future: no breach, no last seen."""
    dead_letters: list[TrueDeadLetter]
    traps: dict[str, str]
    """`event_id` of events that look like a breach and are none, with why. Not complete."""
    secrets: list[Secret]


@dataclass
class Facts:
    """What happened to one subject, gathered while their day is told."""

    subject: Subject
    breaches: list[TrueBreach] = field(default_factory=list)
    arrests: list[datetime] = field(default_factory=list)
    sightings: list[TrueLastSeen] = field(default_factory=list)
    traps: dict[str, str] = field(default_factory=dict)

    def breach(
        self,
        matter: Matter,
        certainty: Certainty,
        began: datetime,
        ended: datetime | None,
        opened_by: str,
        term: int = 0,
    ) -> None:
        """A breach of the order in force then: of its term `term`, 0 the zone or 1 no contact."""
        order = matter.in_force(began)
        assert order is not None, "only what happens under an order is a breach"
        stated = order.data.terms[term]
        self.breaches.append(
            TrueBreach(
                breach=f"{self.subject.subject_id}/{began:%Y%m%dT%H%M%S.%f}",
                subject_id=self.subject.subject_id,
                order_id=order.data.order_id,
                order_version=order.data.version,
                term_id=stated.term_id,
                term_kind=stated.kind,
                protects=list(stated.protects),
                certainty=certainty,
                began_at=began,
                ended_at=ended,
                opened_by=opened_by,
            )
        )

    def settled(self) -> list[TrueBreach]:
        """The breaches, with what only the whole day can tell."""
        last_read = max((s.time for s in self.sightings if s.event_id.startswith("anpr/")), default=None)
        return [
            breach.model_copy(update={"by_silence": True})
            if breach.certainty is Certainty.VEHICLE and breach.ended_at is not None and breach.ended_at == last_read
            else breach
            for breach in self.breaches
        ]

    @property
    def first_breach_at(self) -> datetime | None:
        return min((breach.began_at for breach in self.breaches), default=None)

    def last_seen(self) -> TrueLastSeen | None:
        """The newest sighting since the first breach."""
        first = self.first_breach_at
        if first is None:
            return None
        since = [sighting for sighting in self.sightings if sighting.time >= first]
        return max(since, key=lambda sighting: sighting.time, default=None)

    def tasks(self) -> list[TrueTask]:
        """One open task at a time; an arrest closes the one that is open, if any."""
        found = []
        edges = [*sorted(self.arrests), None]
        left = sorted(self.breaches, key=lambda breach: breach.began_at)
        for arrest in edges:
            mine = [breach for breach in left if arrest is None or breach.began_at < arrest]
            left = left[len(mine) :]
            if mine:
                found.append(
                    TrueTask(
                        subject_id=self.subject.subject_id,
                        state=TaskState.OPEN if arrest is None else TaskState.ARRESTED,
                        breaches=[breach.breach for breach in mine],
                        last_seen=self.last_seen() if arrest is None else None,
                    )
                )
        return found


def gather(
    config: WorldConfig,
    world: World,
    facts: Iterable[Facts],
    quarantined: list[str],
    dead_letters: list[TrueDeadLetter],
    traps: dict[str, str],
) -> Truth:
    """The truth of all subjects; `traps` are those that noise laid."""
    told = list(facts)
    seen = {told_of.subject.subject_id: told_of.last_seen() for told_of in told}
    victims = {
        victim.person_id: victim
        for subject in world.subjects
        for matter in subject.matters
        for victim in matter.victims
    }
    return Truth(
        seed=config.seed,
        start=config.start,
        end=config.end,
        breaches=sorted((b for f in told for b in f.settled()), key=lambda b: (b.subject_id, b.began_at)),
        tasks=[task for f in told for task in f.tasks()],
        last_seen={subject_id: last for subject_id, last in seen.items() if last is not None},
        quarantined=quarantined,
        dead_letters=dead_letters,
        traps={key: why for f in told for key, why in f.traps.items()} | traps,
        secrets=[
            Secret(person_id=v.person_id, name=v.name, address=v.address, phone=v.phone) for v in victims.values()
        ],
    )
