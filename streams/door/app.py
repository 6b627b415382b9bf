"""The HTTP door: events by POST, answered only after the broker's acknowledgement.

Errors are problem details (RFC 9457). What is refused is named item by item; what is accepted is in the log.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from cachetools import TTLCache
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBasic, HTTPBasicCredentials, HTTPBearer
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from pydantic import BaseModel

from schemas.cloud_events import structured
from schemas.inbound import TOPIC_EVENTS, BadMessageError, BadReason, decode
from streams import metrics
from streams.adapters.cameras import read_cameras
from streams.adapters.routes import FORMATS, SUPPLIER, raw_topic, translated
from streams.adapters.translated import Supplier
from streams.core.keys import message_key
from streams.door.tokens import Keys, Sender
from streams.guard import Guarded
from streams.kafka.loop_producer import loop_producer
from streams.kafka.topics import full_name
from streams.problems import ProblemError, again_in_s, answer_with_problems, too_many, unauthorised
from streams.settings import Settings
from streams.tokens import RefusedError

log = structlog.get_logger()

# Some 300,000 answers to one event; in bytes, since an answer about 500 events has some 60 KB.
_REMEMBERED_BYTES = 64 * 1024**2
_REMEMBERED_S = 24 * 3600.0
TOPICS = tuple(TOPIC_EVENTS)
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Item(BaseModel):
    """What became of one event of a request."""

    index: int
    status: Literal["accepted", "would_be_accepted", "refused", "unknown"]
    id: str | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    reason: str | None = None
    detail: str | None = None
    events: int | None = None
    """Of a message in another format: how many events the adapter makes of it."""


class Answer(BaseModel):
    """What became of a request; `unknown` items may be in the log: send them again, ids make repeats harmless."""

    accepted: int
    refused: int
    items: list[Item]


class Problem(BaseModel):
    """An error, as RFC 9457 has it; with the items where some were looked at."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    accepted: int | None = None
    refused: int | None = None
    items: list[Item] | None = None


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"description": text, "model": Problem}
    for code, text in {
        400: "Not JSON",
        401: "No token, or one that does not open the door",
        403: "The token does not allow that",
        413: "Too many bytes or events",
        422: "Nothing of it is usable",
        429: "Too many events of this sender; Retry-After says when",
        503: "The broker did not answer for some items: send it again",
    }.items()
}
_ONE_OR_MORE = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}, "minItems": 1}],
                    "description": "Events; their schemas are those of the topic's channel in the AsyncAPI document.",
                }
            }
        },
    }
}
_ANYTHING = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


@dataclass(frozen=True)
class _Checked:
    """One event of a request: what is sent, or why it is not."""

    topic: str
    value: bytes
    key: bytes | None = None
    event_id: str | None = None
    fault: BadMessageError | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Door:
    """What requests share: the keys, the limits, the producer and the answers that were given."""

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self.settings, self.keys = settings, keys
        self.cameras = read_cameras(settings.cameras_file)
        self._limit = parse(settings.door_rate)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._answers: TTLCache[tuple[str, str], tuple[bytes, int, bytes]] = TTLCache(
            _REMEMBERED_BYTES, _REMEMBERED_S, getsizeof=lambda kept: len(kept[2]) + 100
        )
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        self._producer = loop_producer(self.settings)
        await self._producer.start()

    async def stop(self) -> None:
        if self._producer is not None:
            await self._producer.stop()

    def ready(self) -> str | None:
        """Why it cannot take events; None: it can."""
        return None if self._producer is not None else "it is not connected to the broker yet"

    def admit(self, sender: Sender, count: int) -> None:
        """Raises ProblemError when the sender has sent too many events of late."""
        if not self._limiter.hit(self._limit, sender.name, cost=max(1, count)):
            after_s = again_in_s(self._limiter, self._limit, sender.name)
            raise too_many(f"no more than {self._limit} events for each sender", after_s)

    def remembered(self, sender: Sender, key: str | None, asked: bytes) -> Response | None:
        """The answer that was given to the same request before; raises ProblemError for another one under its key.

        `asked` is a digest of what the request would publish, and where.
        """
        found = None if key is None else self._answers.get((sender.name, key))
        if found is None:
            return None
        before, status, answer = found
        if before != asked:
            raise ProblemError(422, "Idempotency-Key used twice", "it was used for other events, or on another topic")
        return Response(answer, status, {"Idempotency-Replayed": "true"}, "application/json")

    def remember(self, sender: Sender, key: str | None, asked: bytes, response: Response) -> None:
        if key is not None and response.status_code == 202:
            self._answers[(sender.name, key)] = (asked, response.status_code, bytes(response.body))

    async def publish(self, checked: Sequence[_Checked]) -> list[Item]:
        """Send what is right, all of it at once, and wait for each acknowledgement."""
        assert self._producer is not None
        return list(await asyncio.gather(*(self._one(index, item) for index, item in enumerate(checked))))

    async def _one(self, index: int, item: _Checked) -> Item:
        assert self._producer is not None
        if item.fault is not None:
            metrics.DOOR.labels(item.topic, "refused").inc()
            return _refused(index, item)
        try:
            placed = await self._producer.send_and_wait(
                full_name(self.settings, item.topic), item.value, key=item.key, headers=list(item.headers)
            )
        except KafkaError as error:
            metrics.DOOR.labels(item.topic, "unknown").inc()
            return Item(index=index, status="unknown", id=item.event_id, reason=type(error).__name__)
        metrics.DOOR.labels(item.topic, "accepted").inc()
        metrics.MESSAGES_OUT.labels(item.topic).inc()
        return Item(
            index=index,
            status="accepted",
            id=item.event_id,
            topic=item.topic,
            partition=placed.partition,
            offset=placed.offset,
        )


def _refused(index: int, item: _Checked) -> Item:
    assert item.fault is not None
    return Item(
        index=index, status="refused", id=item.event_id, reason=item.fault.reason.value, detail=item.fault.detail
    )


def create(settings: Settings, keys: Keys) -> FastAPI:
    """The application; it answers only after `Door.start`, which its lifespan does."""
    door = Door(settings, keys)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await door.start()
        try:
            yield
        finally:
            await door.stop()

    # No page that describes it: FastAPI's take their scripts from elsewhere, and people paste tokens into them.
    app = FastAPI(title="breachwatch: the HTTP door", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Guarded, "door", lambda _: _HEADERS)
    app.state.door = door

    answer_with_problems(app, "/openapi.json")
    bearer, basic = HTTPBearer(auto_error=False), HTTPBasic(auto_error=False)

    def sender(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
        typed: Annotated[HTTPBasicCredentials | None, Depends(basic)],
    ) -> Sender:
        """Some products can only be told a user and a password: the password then is the token."""
        token = given.credentials if given is not None else typed.password if typed is not None else None
        if token is None:
            raise unauthorised("send a bearer token, or the token as the password")
        try:
            return keys.sender(token)
        except RefusedError as error:
            raise unauthorised(str(error)) from None

    async def whole_body(request: Request) -> bytes:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > settings.door_max_bytes:
                raise ProblemError(413, "Too large", f"a request has at most {settings.door_max_bytes} bytes")
        return bytes(body)

    @app.post(
        "/v1/topics/{topic}/events",
        status_code=202,
        response_model=Answer,
        responses=_PROBLEMS,
        openapi_extra=_ONE_OR_MORE,
    )
    async def events(
        topic: str,
        request: Request,
        who: Annotated[Sender, Depends(sender)],
        body: Annotated[bytes, Depends(whole_body)],
        dry_run: Annotated[bool, Query(description="Only say what would become of it.")] = False,
        idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
    ) -> Response:
        """Publish one event (a JSON object, or a CloudEvent in binary mode) or several (a JSON array)."""
        if topic not in TOPICS or not who.may(f"publish:{topic}"):
            raise ProblemError(403, "Not allowed", f"the token does not allow publishing on {topic}")
        headers = [(name.replace("ce-", "ce_", 1), value.encode()) for name, value in request.headers.items()]
        values = _values(structured(body, headers) or b"", settings.door_batch)
        checked = [_check(topic, value, who, settings) for value in values]
        return await _answer(door, who, checked, idempotency_key, dry_run=dry_run)

    @app.post(
        "/v1/adapters/{form}", status_code=202, response_model=Answer, responses=_PROBLEMS, openapi_extra=_ANYTHING
    )
    async def adapters(
        form: str,
        who: Annotated[Sender, Depends(sender)],
        body: Annotated[bytes, Depends(whole_body)],
        dry_run: Annotated[bool, Query(description="Only say what would become of it.")] = False,
    ) -> Response:
        """Take a message in a format that is out there already. It is kept as it came, for the adapter; what the
        adapter makes of it is said at once."""
        if form not in FORMATS or not who.may(f"adapt:{form}"):
            raise ProblemError(403, "Not allowed", f"the token does not allow sending {form}")
        if len(body) > settings.max_message_bytes:
            # Its topic would not take it, however often it came.
            raise ProblemError(413, "Too large", f"a message has at most {settings.max_message_bytes} bytes")
        made = translated(body, FORMATS[form], Supplier(who.source, datetime.now(UTC), door.cameras), settings)
        raw = _Checked(raw_topic(form), body, headers=((SUPPLIER, who.source.encode()),))
        door.admit(who, 1)
        [item] = (
            [Item(index=0, status="would_be_accepted", topic=raw.topic)] if dry_run else await door.publish([raw])
        )
        item.events = len(made.sent)
        if made.faults:
            item.reason, item.detail = made.faults[0].reason.value, made.faults[0].detail
        return _response(503 if item.status == "unknown" else 422 if made.faults else 200 if dry_run else 202, [item])

    return app


def _values(body: bytes, most: int) -> list[bytes]:
    """The events of a request, each as JSON."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ProblemError(400, "Not JSON", f"line {error.lineno} column {error.colno}") from None
    events = found if isinstance(found, list) else [found]
    if not 1 <= len(events) <= most:
        raise ProblemError(413, "Too many events", f"a request has 1 to {most} events")
    try:
        return [orjson.dumps(event) for event in events]
    except orjson.JSONEncodeError:
        # orjson reads 1024 levels, and writes 254.
        raise ProblemError(400, "Not JSON", "nested in more than 254 levels") from None


def _check(topic: str, value: bytes, who: Sender, settings: Settings) -> _Checked:
    try:
        event = decode(topic, value, settings.max_message_bytes)
    except BadMessageError as error:
        return _Checked(topic, value, fault=error)
    if not who.speaks_for(event.source):
        detail = "source: the token does not speak for this source"
        return _Checked(topic, value, event_id=event.id, fault=BadMessageError(BadReason.INVALID_FIELD, detail))
    return _Checked(topic, value, key=message_key(event), event_id=event.id)


async def _answer(
    door: Door, who: Sender, checked: Sequence[_Checked], key: str | None, *, dry_run: bool
) -> Response:
    door.admit(who, len(checked))
    if dry_run:
        items = [
            _refused(index, item)
            if item.fault is not None
            else Item(index=index, status="would_be_accepted", id=item.event_id, topic=item.topic)
            for index, item in enumerate(checked)
        ]
        return _response(200, items)
    asked = hashlib.sha256(b"\n".join([checked[0].topic.encode(), *(item.value for item in checked)])).digest()
    known = door.remembered(who, key, asked)
    if known is not None:
        return known
    items = await door.publish(checked)
    states = {item.status for item in items}
    if "unknown" in states:
        response = _response(503, items)
        response.headers["Retry-After"] = "5"
        return response
    response = _response(422 if states == {"refused"} else 202, items)
    door.remember(who, key, asked, response)
    return response


def _response(status: int, items: Sequence[Item]) -> Response:
    refused = sum(item.status == "refused" for item in items)
    accepted = sum(item.status in ("accepted", "would_be_accepted") for item in items)
    answer: dict[str, Any] = Answer(accepted=accepted, refused=refused, items=list(items)).model_dump(
        exclude_none=True
    )
    if status in (200, 202):
        return Response(orjson.dumps(answer), status, media_type="application/json")
    title = "The broker did not answer" if status == 503 else "Not usable"
    detail = "send it again, ids make repeats harmless" if status == 503 else "see items"
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, **answer}
    return Response(orjson.dumps(problem), status, media_type="application/problem+json")
