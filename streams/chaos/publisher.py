"""A publisher as an upstream system should be: what is not acknowledged it sends again."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kafka.errors import KafkaError

from streams.kafka.admin import cluster_of
from streams.kafka.sending import close, producer
from streams.kafka.topics import full_name
from streams.settings import Settings
from streams.simulator import SimulatedEvent

# kafka-python 3.0.12 can leave sends of an idempotent producer open for ever, beyond its delivery timeout, after
# brokers were gone (2,798 in a run of 12,110 messages with 11 failovers). Then a new producer sends them again.
_STUCK_S = 90.0


@dataclass
class _Send:
    event: SimulatedEvent
    future: Any
    since: float


class Publisher:
    """Sends events until each is acknowledged; `errors` counts what it was told on the way, by kind."""

    def __init__(self, settings: Settings, errors: Counter[str]) -> None:
        self._settings, self._errors = settings, errors
        self._open: list[_Send] = []
        self._refused: list[SimulatedEvent] = []
        self._producer = producer(cluster_of(self._settings))

    @property
    def left(self) -> int:
        """Events that are not acknowledged yet."""
        return len(self._open) + len(self._refused)

    def publish(self, events: Iterable[SimulatedEvent]) -> None:
        for event in events:
            key = None if event.key is None else event.key.encode()
            name = full_name(self._settings, event.topic)
            try:
                future = self._producer.send(name, key=key, value=event.encoded())
            except KafkaError as error:  # the publisher's own buffer is full, or it has no metadata
                self._refuse(event, type(error).__name__)
            else:
                self._open.append(_Send(event, future, time.monotonic()))

    def look(self) -> None:
        """Send again what was refused."""
        done = [send for send in self._open if send.future.is_done]
        self._open = [send for send in self._open if not send.future.is_done]
        for send in done:
            if not send.future.succeeded():
                self._refuse(send.event, type(send.future.exception).__name__)
        if self._open and time.monotonic() - self._open[0].since > _STUCK_S:
            for send in self._open:
                self._refuse(send.event, "never answered")
            self._open = []
            self.close()
            self._producer = producer(cluster_of(self._settings))
        again, self._refused = self._refused, []
        self.publish(again)

    def close(self) -> None:
        close(self._producer)

    def _refuse(self, event: SimulatedEvent, why: str) -> None:
        self._errors[why] += 1
        self._refused.append(event)
