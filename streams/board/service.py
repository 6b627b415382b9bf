"""What requests to the board share: the read model and its follower, the stream, the trail, and who may what."""

import asyncio
import math
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import structlog
from cachetools import TTLCache
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from schemas.tasks import AuditEntry
from streams import metrics
from streams.board import trail
from streams.board.follower import Follower
from streams.board.model import KeptSafeguarding, KeptTask, Model
from streams.board.people import CLAIMS, Person, person
from streams.board.positions import decode
from streams.board.records import SubjectRecords
from streams.board.stream import Hub
from streams.board.updates import Sending
from streams.core.policy import load_policy
from streams.problems import ProblemError, again_in_s, not_now, too_many, unauthorised
from streams.settings import Settings
from streams.tokens import RefusedError, Tokens
from streams.watchdog import Pulse, Watchdog

log = structlog.get_logger()
K = TypeVar("K")

# Requests without a valid token that go on the trail, which is kept for 400 days: of one address, and of all. The
# rest is counted.
_STRANGERS, _ALL_STRANGERS = parse("30/minute"), parse("300/minute")
_ONCE = parse("1/minute")
_ONCE = parse("1/minute")
_NEW_REVISION_S = 2.0
_LISTED_S = 600.0


class Board:
    """One board. `start`, then `stop`."""

    def __init__(self, settings: Settings, tokens: Tokens) -> None:
        self.settings = settings
        self.policy = load_policy(settings.policy_file)
        self.model = Model(settings.board_alerts)
        self.hub = Hub(settings.board_ring, settings.board_ring_s)
        self.sending = Sending(settings)
        self.follower = Follower(settings, self.model, self.hub, self.sending.answered)
        self.records = SubjectRecords(settings)
        # A board that was frozen shows nothing new and moves nothing: no gap is too long for it to go on.
        self.watchdog = Watchdog(Pulse(math.inf), settings.stall_timeout_s, dict)
        self.failure: str | None = None
        """Why the board has to end."""
        self.on_failure: Callable[[], None] = lambda: None
        self._recording: set[asyncio.Task[None]] = set()
        self._tokens = tokens
        self._listed: TTLCache[tuple[str, str], bool] = TTLCache(10_000, _LISTED_S)
        self._rate = parse(settings.board_rate)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def start(self) -> None:
        await self.watchdog.start()
        await self.sending.start()
        self.follower.start()
        self.records.start()
        for task in (self.follower.task, self.records.task):
            assert task is not None
            task.add_done_callback(self._ended)
        metrics.BOARD_DATA_AGE.set_function(self._age)
        metrics.BOARD_KEPT.labels("tasks").set_function(lambda: len(self.model.tasks))
        metrics.BOARD_KEPT.labels("safeguarding").set_function(lambda: len(self.model.safeguarding))
        metrics.BOARD_KEPT.labels("alerts").set_function(lambda: len(self.model.alerts))

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A board that does not read must not show an old picture as a new one: its process ends."""
        if not task.cancelled() and task.exception() is not None:
            self.failure = f"{task.get_name()}: {type(task.exception()).__name__}"
            log.critical("reading_failed", task=task.get_name(), error=type(task.exception()).__name__)
            self.on_failure()

    def state(self) -> dict[str, Any]:
        """How far what is shown can be trusted, as lists and heartbeats say it (`streams.board.shown.Freshness`)."""
        age = self.follower.age_s()
        return {
            "data_age_s": None if age is None else round(age, 3),
            "unreadable": len(self.model.unreadable),
        }

    def _age(self) -> float:
        age = self.follower.age_s()
        return math.nan if age is None else age

    async def stop(self) -> None:
        await self.follower.stop()
        await self.records.stop()
        await asyncio.gather(*self._recording)
        await self.sending.stop()
        await self.watchdog.stop()

    # -- who asks ------------------------------------------------------------------------------------------

    def admitted(self, token: str | None, address: str) -> Person:
        """Whose token it is. Raises ProblemError for a token that is none of ours, and for too many requests."""
        try:
            if token is None:
                raise RefusedError("send a bearer token")
            found = person(self._tokens.claims(token, CLAIMS))
        except RefusedError as error:
            self._refuse_stranger(address, str(error))
            raise unauthorised(str(error)) from None
        if not self._limiter.hit(self._rate, found.name):
            self.too_much(found, f"requests than {self._rate}")
            raise too_many(
                f"no more than {self._rate} requests for each person",
                again_in_s(self._limiter, self._rate, found.name),
            )
        return found

    def too_much(self, who: Person, of_what: str) -> None:
        """Count that somebody asks for more than they may; on the trail once a minute."""
        metrics.BOARD_REFUSALS.labels("rate").inc()
        if self._limiter.hit(_ONCE, "too much", who.name):
            self.refused(who, f"more {of_what}")

    def _refuse_stranger(self, address: str, why: str) -> None:
        metrics.BOARD_REFUSALS.labels("token").inc()
        if self._limiter.hit(_STRANGERS, "stranger", address) and self._limiter.hit(_ALL_STRANGERS, "strangers"):
            self.refused(None, f"from {address}: {why}")

    # -- the trail -----------------------------------------------------------------------------------------

    def _soon(self, entry: AuditEntry, otherwise: Callable[[], Any] = lambda: None) -> None:
        """Put an entry on the trail while its request is answered: whether the log can be written, and how fast, is
        nothing that who asks can see. Where it cannot be, `otherwise` is called."""
        task = asyncio.create_task(self._recorded(entry, otherwise))
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    async def _recorded(self, entry: AuditEntry, otherwise: Callable[[], Any]) -> None:
        try:
            await self.sending.record(entry)
        except ProblemError:
            log.error("not_on_the_trail", decision=entry.decision)
            otherwise()

    def refused(self, who: Person | None, what: str, about: str = trail.NOBODY) -> None:
        """Put a refusal on the trail."""
        self._soon(trail.entry(who, "refused", what, about=about))

    def listed(self, who: Person, what: str) -> None:
        """Put it on the trail that somebody had a list: the same one once in ten minutes, since a page asks for it
        again and again. It is shown also where the trail cannot be written: the wall must not go dark."""
        named = (who.name, what)
        if named not in self._listed:
            self._listed[named] = True
            self._soon(trail.entry(who, "listed", what), otherwise=lambda: self._listed.pop(named, None))

    async def looked_at(self, who: Person, task_id: str, what: str, why: str | None) -> KeptTask:
        """The task as it stands once it is on the trail that they look at it. Raises ProblemError."""
        kept = self.task(who, task_id)
        entry = trail.entry(
            who,
            "viewed",
            what,
            about=kept.summary.task_id,
            subject_id=kept.summary.subject_id,
            why=why,
            place=kept.place,
            offset=kept.offset,
            exercise=kept.summary.exercise,
        )
        await self.sending.record(entry)
        return self.task(who, task_id)

    # -- what they may -------------------------------------------------------------------------------------

    def ready(self) -> None:
        """Raises ProblemError while what there is has not been read."""
        why = self.follower.ready()
        if why is not None:
            raise not_now("Not ready", f"the board cannot be shown yet: {why}", 1)

    def cursor(self, following: str) -> str:
        """Of the part of a list that follows: it must be of the same state of the topics, or of a newer one."""
        return f"{self.hub.position()}.{following}"

    def after(self, cursor: str) -> str:
        """What `cursor` was given. Raises ValueError for none of ours, ProblemError where another board gave it that
        has read what this one has not: a part that is older than the one before would lack what changed between."""
        position, _, following = cursor.partition(".")
        read = decode(position)
        if read is None:
            raise ValueError("cursor: not one that a list gave")
        if not self.hub.has(read):
            raise not_now("Not read yet", "another board has read more: ask again, or from the beginning", 1)
        return following

    def task(self, who: Person, task_id: str) -> KeptTask:
        """The task, where it is theirs to see. One that is not is answered, and put on the trail, exactly as one that
        does not exist."""
        kept = self.model.tasks.get(task_id)
        return self._theirs(who, task_id, kept, () if kept is None else kept.forces)

    def safeguarding(self, who: Person, task_id: str) -> KeptSafeguarding:
        """As `task`."""
        kept = self.model.safeguarding.get(task_id) if who.sees_protected else None
        return self._theirs(who, task_id, kept, () if kept is None else kept.forces)

    def _theirs(self, who: Person, task_id: str, kept: K | None, forces: Collection[str]) -> K:
        if kept is not None and who.sees(forces):
            return kept
        metrics.BOARD_REFUSALS.labels("force").inc()
        self.refused(who, "there is no such task, or it is another force's", task_id)
        raise ProblemError(404, "No such task", "there is no task of that id, or it is not yours to see")

    def must_act(self, who: Person, task_id: str) -> None:
        """Raises ProblemError for somebody who may only look."""
        if not who.may_act:
            metrics.BOARD_REFUSALS.labels("role").inc()
            self.refused(who, "a viewer may not move tasks", task_id)
            raise ProblemError(403, "Not allowed", "your role is to look: moving a task is for a controller")

    def must_see_protected(self, who: Person, task_id: str, what: str) -> None:
        if not who.sees_protected:
            metrics.BOARD_REFUSALS.labels("role").inc()
            self.refused(who, f"a viewer may not see {what}", task_id)
            raise ProblemError(403, "Not allowed", f"your role does not see {what}")

    async def revision_with(self, task_id: str, event_id: str) -> int | None:
        """The revision of a task that has this event in its history, once it is here; None: not in time."""

        def found() -> int | None:
            arrest, reach = self.model.tasks.get(task_id), self.model.safeguarding.get(task_id)
            raw = arrest.raw if arrest else reach.raw if reach else b""
            if event_id.encode() not in raw:
                return None
            return arrest.summary.revision if arrest else reach.task.revision if reach else None

        try:
            async with asyncio.timeout(_NEW_REVISION_S), self.follower.applied:
                await self.follower.applied.wait_for(lambda: found() is not None)
        except TimeoutError:
            return None
        return found()
