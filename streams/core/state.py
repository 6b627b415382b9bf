"""A subject's row: everything that assess knows of one subject but the records beside it.

It is read and written whole, as JSON, and stays under ROW_LIMIT_BYTES. What makes it small: orders as
references (their text is in the records), breaches as facts bounded in number, an outbox that is emptied as
commits go by. A row that is too long all the same gives things up (`streams.core.rows`).
"""

import hashlib
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from schemas.base import Model, Position
from schemas.erasure import Hold
from schemas.orders import IdentifierRecord, Service
from schemas.safeguarding import SafeguardingReason, SafeguardingState, Told
from schemas.tasks import (
    Alert,
    AuditEntry,
    Certainty,
    EvidenceRef,
    HistoryEntry,
    LastSeen,
    Outcome,
    TaskChange,
    TaskState,
)
from schemas.updates import TaskAnswer
from streams.core.visits import Track

ROW_LIMIT_BYTES = 64_000
# 40 breaches of about 700 bytes are half of the row. Those of closed tasks leave first, then the oldest of the
# open task; the log keeps them all and `breach_count` goes on counting.
MAX_BREACHES = 40
# Ids of orders, services, updates and the like (evidence is known by its record). A repeat that comes later
# than a hundred others has the same effect ids, so readers still see it once.
MAX_KNOWN_IDS = 100
MAX_HISTORY = 20
MAX_NOTE = 300
MAX_TASKS = 4
# Arrested, and nobody has closed them: more than these cannot be moved any more (the log keeps them).
MAX_UNCLOSED = 10
MAX_QUIET = 30
# Entries of about 1 KB, of events within one commit interval; a longer outbox asks for a commit at once. What is
# more than so many bytes (an order with hundreds of identifiers or terms) is kept in the records.
MAX_OUTBOX = 12
MAX_OUTBOX_BYTES = 12_000
# Zones that a subject's devices are in at one moment, of about 250 bytes. Nobody is in so many; an order whose
# hundreds of zones overlap would fill the row.
MAX_TRACKS = 80
# Of breaches that left the row, so that re-judging does not count and alert them again; 9 bytes each.
MAX_DROPPED = 300
MAX_RETRACTED = 100
MAX_WITHDRAWN = 100
MAX_TOLD = 100
# Low alerts that are counted in this hour, of about 100 bytes; one device rarely has more than three kinds.
MAX_HELD_BACK = 40
MAX_SAFEGUARDING = 2
MAX_REASONS = 10
# Legal holds on one subject, of at most 0.5 KB: several forces and a court, not a list that somebody fills.
MAX_HOLDS = 10


FINAL = {TaskState.CLOSED, TaskState.MERGED, TaskState.WITHDRAWN}
"""States that a task does not leave."""


class _Part(BaseModel):
    """A mutable part of the row: assess owns its draft until it is written."""

    model_config = ConfigDict(extra="forbid")


class ChainHead(Model):
    """Where the subject's audit chain ends."""

    day: str
    number: int
    hash: str


class Fix(Model):
    """A position at a time, as much of it as the next one is compared with."""

    at: datetime
    id: str
    position: Position
    accuracy_m: float


class Device(_Part):
    """What moves: its newest accepted fix, and a jump that waits for the next fix to confirm or refute it."""

    accepted: Fix | None = None
    pending: Fix | None = None
    silence_told: datetime | None = None
    """The newest fix whose silence was alerted."""

    @property
    def newest(self) -> tuple[datetime, str] | None:
        fixes = [(fix.at, fix.id) for fix in (self.accepted, self.pending) if fix is not None]
        return max(fixes, default=None)


class VersionRef(Model):
    """A version of an order that the records hold."""

    version: int
    effective_from: datetime
    expires_at: datetime | None
    recorded_at: datetime
    known_at: datetime
    """The log's time when it was loaded here."""
    in_court: bool = False
    without_notice: bool = False
    waits_for: str | None = None
    """The order at whose end this version takes effect."""
    kind: str | None = None
    """Of order, for counting; None in what was loaded before rows kept it (version 3)."""
    source: str | None = None
    """Who stated it; None in what was loaded before rows kept it (version 3)."""


class End(Model):
    """A court ended the order, as one event says."""

    event_id: str
    at: datetime


class Stay(Model):
    """A court stayed the order for a time, as one event says; `until` None: it does not say until when."""

    event_id: str
    begins: datetime
    until: datetime | None


class OrderRef(_Part):
    """An order on the subject: its versions, services and end; the text of each version is in the records."""

    order_id: str
    versions: list[VersionRef] = []
    services: dict[int, Service] = {}
    stays: list[Stay] = []
    met: dict[str, datetime] = {}
    """What a requirement asked, by its deadline's name -> when it was done."""
    missed: list[str] = []
    """Deadlines' names that passed without it."""
    ends: list[End] = []
    superseded_at: datetime | None = None

    @property
    def ended_at(self) -> datetime | None:
        """When it ended: of several statements the earliest, for what has ended cannot end again."""
        return min((end.at for end in self.ends), default=None)


class BreachFact(_Part):
    """A breach as a fact: which event breached which term, how certain. Identity is fixed once opened."""

    breach_id: str
    order_id: str
    order_version: int
    term_id: str | None
    term_kind: str
    protects: list[str]
    certainty: Certainty
    track: str
    began_at: datetime
    ended_at: datetime | None
    opened_by: EvidenceRef
    flaps: int = 0
    task_id: str | None = None
    stale: bool = False
    """It reached us too late to send a car to its place (policy `stale_after_s`)."""
    flags: list[str] = []
    forces: list[str] = []
    provisional_end: bool = False
    """Ended by silence alone: a fix that arrives later may show that the visit went on."""


class Waiting(_Part):
    """How a task waits for a person: the steps of its ladder that were taken, or when what was begun lapses."""

    since: datetime
    """When this round of waiting began."""
    told: int = 0
    """Steps taken in this round; more than the ladder has where the last was repeated."""
    round: int = 0
    lapses_at: datetime | None = None
    """Somebody has begun: when that lapses without a further step. Kept while a recommended withdrawal interrupts."""


class TaskRow(_Part):
    """The subject's task, without what is derived when it is sent."""

    task_id: str
    revision: int = 0
    state: TaskState
    opened_at: datetime
    updated_at: datetime
    deadline: datetime
    grade: str
    breach_count: int = 0
    arrested_at: datetime | None = None
    assigned_to: str | None = None
    outcome: Outcome | None = None
    last_seen_sent_at: datetime | None = None
    court_deadline: datetime | None = None
    waiting: Waiting
    before: TaskState | None = None
    """The state that a recommended withdrawal interrupted."""
    moved_at: datetime | None = None
    """When the newest move of a person was made, by the event's own time: an older one comes too late."""
    moved_revision: int = 0
    """The revision that the newest move of a person made."""
    news_revision: int = 0
    """The revision that brought the newest breach, or the subject out of custody."""
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    deadline_told: bool = False
    incidents: list[str] = []
    merged_into: str | None = None
    change: TaskChange = TaskChange.OPENED
    history: list[HistoryEntry] = []
    traceparent: str | None = None


class SafeguardingRow(_Part):
    """The subject's safeguarding task, without what is derived when it is sent."""

    safeguarding_id: str
    revision: int = 0
    state: SafeguardingState = SafeguardingState.OPEN
    arrest_task_id: str | None = None
    opened_at: datetime
    updated_at: datetime
    deadline: datetime
    reasons: list[SafeguardingReason] = []
    people: list[str] = []
    """Whom it is about; empty: everybody whom the subject's orders protect."""
    told: dict[str, Told] = {}
    """Protected person -> what they were last told."""
    waiting: Waiting
    moved_at: datetime | None = None
    moved_revision: int = 0
    news_revision: int = 0
    """The revision that brought the newest thing to tell."""
    assigned_to: str | None = None
    acknowledged_by: str | None = None
    history: list[HistoryEntry] = []
    traceparent: str | None = None


class HeldBack(_Part):
    """Low alerts of one kind about one thing within an hour, of which the first was raised."""

    kind: str
    about: str
    hour: int
    """Hours since 1970."""
    count: int = 0
    """How many were not."""
    listed: bool = False


class OutboxEntry(_Part):
    """The effects of one subject event that may not be committed yet: what a replay of it sends again."""

    offset: int
    event_id: str
    alerts: list[Alert] = []
    audits: list[AuditEntry] = []
    identifiers: list[IdentifierRecord] = []
    answers: list[TaskAnswer] = []
    forwards: list[str] = []
    """Subject events for other rows, as JSON."""
    tombstones: list[tuple[str, str]] = []
    parts: int = 0
    """In so many records beside the row, since it is long; 0: here."""
    size: int = 0
    """Bytes of it here."""
    safeguarding: list[str] = []
    tasks: list[str] = []
    """Ids: a replay sends the task as it now stands, since an older snapshot must not follow a newer one."""


class SourceRow(_Part):
    """A source of events, as its heartbeats tell of it."""

    name: str
    sequence: int
    heard_at: datetime
    """When the newest heartbeat was sent."""
    next_due: datetime
    """By when it said that the next would come."""
    silent: bool = False
    """That has been alerted."""


class Erased(_Part):
    """The subject was erased, and the row is what is left until all of that is committed and it goes too."""

    until: int
    """Of what came up to this offset nothing is kept, also where it is read again after a crash."""
    closing: AuditEntry | None = None
    """What the audit will say when it is done; None: it has said so, and what the row holds is a life of its own."""
    records: list[str] = []
    """Keys beside the row that the erasure found, or that its orders had; they go before the row does."""


class SubjectState(_Part):
    """The row."""

    subject_id: str
    exercise: bool = False
    revision: int = 0
    wake_at: datetime | None = None
    """When something next falls due (`streams.core.deadlines`)."""
    now: datetime | None = None
    """The newest append time applied: decisions use this, never a clock of their own."""
    applied: int = -1
    """The newest offset in `subject-events` applied."""
    version: int = 1
    """Of the row's own schema, see `streams.core.rows`."""
    # The fields above stand first in the row as it is written: `head` reads these alone.
    orders: dict[str, OrderRef] = {}
    hours: list[int] = []
    """Hours since 1970 that have evidence in the records."""
    devices: dict[str, Device] = {}
    partners: dict[str, list[Fix]] = {}
    """Protected person -> the fixes of their own device in the last quarter of an hour, oldest first."""
    tracks: dict[str, Track] = {}
    """`order|term|device` -> the automaton, kept only while it is not plainly outside."""
    breaches: list[BreachFact] = []
    retracted: list[str] = []
    """Short ids of events that were taken back, newest last."""
    withdrawn: list[str] = []
    """Short ids of breaches that no longer stand, newest last: one that stands again is news."""
    dropped: list[str] = []
    """Short ids of breaches that have left the row, newest last."""
    tasks: list[TaskRow] = []
    last_seen: LastSeen | None = None
    known: dict[str, int] = {}
    """Event id -> offset in subject-events, newest last."""
    quiet: dict[str, tuple[int, int]] = {}
    """Hash of what was said -> (hour, how often it was held back since): repeats are one entry an hour."""
    held_back: dict[str, HeldBack] = {}
    """By hash of kind and what it is about."""
    told: list[str] = []
    """Short ids of the causes of alerts that are raised once, newest last."""
    safeguarding: list[SafeguardingRow] = []
    merged_into: str | None = None
    """The subject that this one turned out to be: what comes for it goes there."""
    chain: ChainHead | None = None
    custody: str | None = None
    custody_at: datetime | None = None
    disposal: str | None = None
    """What custody last said, of when, and how a release dealt with the matter."""
    source: SourceRow | None = None
    """Of a source's row, which has nothing else."""
    holds: dict[str, Hold] = {}
    """Reference -> a legal hold: nothing of the subject is erased while there is one."""
    erased: Erased | None = None
    leaving: dict[str, AuditEntry] = {}
    """Digest of a protected person who is being erased, out of the row already and still in orders beside it -> what
    the audit will say when that is done."""
    outbox: list[OutboxEntry] = []


def is_left_over(state: SubjectState) -> bool:
    """Is the row only what is left of an erased one?"""
    return state.erased is not None and state.erased.closing is not None


def short_id(name: str) -> str:
    """Enough of a hash to know an id again among some hundreds."""
    return hashlib.sha256(name.encode()).hexdigest()[:10]


def remove_breach(state: SubjectState, fact: BreachFact) -> None:
    """Take this very fact from the row. `list.remove` compares by value, and pydantic's comparisons were an eighth of
    the time of an event that opens hundreds of breaches."""
    del state.breaches[next(at for at, known in enumerate(state.breaches) if known is fact)]


def drop(state: SubjectState, fact: BreachFact) -> None:
    remove_breach(state, fact)
    state.dropped = [*state.dropped, short_id(fact.breach_id)][-MAX_DROPPED:]


def trim(state: SubjectState, now: datetime) -> set[str]:
    """Keep the row bounded, in this order: closed tasks (oldest first), breaches that no live task needs (oldest
    first), counters of hours gone by. Returns the ids of the tasks that left; the log keeps everything."""
    gone: set[str] = set()
    while (task := _task_to_drop(state)) is not None:
        state.tasks.remove(task)
        gone.add(task.task_id)
    for fact in [fact for fact in state.breaches if fact.task_id in gone]:
        drop(state, fact)
    while len(state.breaches) > MAX_BREACHES:
        drop(state, least_needed(state))
    while len(state.safeguarding) > MAX_SAFEGUARDING:
        state.safeguarding.remove(
            next((row for row in state.safeguarding if row.state is SafeguardingState.CLOSED), state.safeguarding[0])
        )
    if len(state.quiet) > MAX_QUIET:
        hour = int(now.timestamp()) // 3600
        state.quiet = {key: seen for key, seen in state.quiet.items() if seen[0] == hour}
    return gone


def _task_to_drop(state: SubjectState) -> TaskRow | None:
    """The oldest that is over; where too many wait only to be closed, the oldest of those; never a live one."""
    if len(state.tasks) > MAX_TASKS and (over := [task for task in state.tasks if task.state in FINAL]):
        return over[0]
    if len(state.tasks) > MAX_UNCLOSED:
        return next((task for task in state.tasks if task.state is TaskState.ARRESTED), None)
    return None


def ended_tasks(state: SubjectState) -> list[TaskRow]:
    return [task for task in state.tasks if task.state in FINAL or task.state is TaskState.ARRESTED]


def least_needed(state: SubjectState) -> BreachFact:
    """The oldest breach of an ended task, else the oldest of all."""
    over = {task.task_id for task in ended_tasks(state)}
    ended = [fact for fact in state.breaches if fact.task_id in over]
    return min(ended or state.breaches, key=lambda fact: (fact.began_at, fact.breach_id))
