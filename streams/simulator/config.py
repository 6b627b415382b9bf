"""What a simulated world is made from. The world and each kind of noise have random streams of their own, so
that noise can be turned on or off without another world, and so without another truth."""

import uuid
from datetime import datetime, timedelta
from random import Random
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
NoiseLevel = Literal["none", "low", "high"]
MAX_ORDERS_PER_SUBJECT = 4
_NAMESPACE = uuid.UUID("6f1d2f0e-6f5c-5b39-9a58-5d7a0a6a3c11")


class Noise(BaseModel):
    """What goes wrong on the way. Nothing here changes the truth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    duplicates: Share = Field(default=0.0, description="share of events sent a second time, with the same id")
    disorder_minutes: float = Field(
        default=0.0, ge=0, le=20, description="minutes that the sending of an event may be late"
    )
    late_orders: Share = Field(
        default=0.0, description="share of the orders, where harmless, sent up to an hour after their breach"
    )
    misreads: Share = Field(
        default=0.0, description="share of plate reads repeated with a wrong character, or with O and 0 swapped"
    )
    clock_errors: Share = Field(default=0.0, description="share of events with a wrong recordedtime")
    future_fixes: int = Field(default=0, ge=0, description="tag fixes dated hours in the future")
    drift_m: float = Field(default=0.0, ge=0, le=15, description="metres, standard deviation of tag positions")
    straddling: Share = Field(default=0.0, description="share of crossings of an edge with a straddling fix")
    unusable: Share = Field(default=0.0, description="share of a resting tag's fixes followed by one without place")
    bad_messages: int = Field(default=0, ge=0, description="messages that are dead letters")

    @classmethod
    def level(cls, name: NoiseLevel) -> "Noise":
        """No noise, that of an ordinary day, or that of a bad one."""
        if name == "none":
            return cls()
        if name == "low":
            return cls(
                duplicates=0.01, disorder_minutes=0.5, late_orders=0.05, misreads=0.03, clock_errors=0.01,
                future_fixes=1, drift_m=3, straddling=0.2, unusable=0.02, bad_messages=4,
            )  # fmt: skip
        return cls(
            duplicates=0.1, disorder_minutes=10, late_orders=0.4, misreads=0.2, clock_errors=0.1,
            future_fixes=10, drift_m=10, straddling=0.7, unusable=0.2, bad_messages=30,
        )  # fmt: skip


class WorldConfig(BaseModel):
    """One world. Rates are means a subject over the whole world, whatever its length."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    end: AwareDatetime
    seed: int = 1
    hours: float = Field(default=24.0, ge=1.5, le=960, description="hours of world time, up to `end`")
    orders: int = Field(default=100, ge=1)
    subjects: int | None = Field(default=None, ge=1, description="None: eight for ten orders")
    plates_per_subject: int = Field(default=2, ge=0, le=5, description="most; only the first is driven")
    tags_per_subject: int = Field(default=1, ge=0, le=3, description="most; only the first is worn")
    visits: float = Field(default=0.7, ge=0, description="with the tag, into a zone")
    plate_visits: float = Field(default=0.5, ge=0, description="of the vehicle, into a zone")
    report_rate: float = Field(default=0.3, ge=0, description="reports of contact")
    passes: float = Field(default=0.5, ge=0, description="with the tag, near a zone and not into it")
    arrest_share: Share = Field(default=0.1, description="of subjects, arrested once")
    new_order_share: Share = Field(default=0.1, description="of orders, taking effect within the world")
    replaced_share: Share = Field(
        default=0.3, description="of subjects with two orders or more, whose interim becomes full in the world"
    )
    fix_interval_s: float = Field(default=60.0, ge=30, le=60, description="seconds between fixes on the move")
    rest_interval_s: float = Field(default=1800.0, ge=60, description="seconds between fixes at home")
    reads_per_second: float = Field(default=0.1, ge=0, description="plate reads of cars on no order")
    exercise: bool = Field(default=False, description="mark every event as exercise: nothing is dispatched")
    noise: Noise = Noise()

    @model_validator(mode="after")
    def _enough_subjects(self) -> "WorldConfig":
        if not self.subject_count <= self.orders <= self.subject_count * MAX_ORDERS_PER_SUBJECT:
            raise ValueError(f"a subject has 1 to {MAX_ORDERS_PER_SUBJECT} orders: change orders or subjects")
        return self

    @property
    def subject_count(self) -> int:
        return self.subjects or max(1, round(self.orders * 0.8))

    @property
    def start(self) -> datetime:
        return self.end - timedelta(hours=self.hours)

    @property
    def run(self) -> str:
        """Eight hex digits that name this world, whatever its noise; in every id, so that two worlds can be
        published to one cluster."""
        return uuid.uuid5(_NAMESPACE, self.model_dump_json(exclude={"noise", "reads_per_second", "exercise"})).hex[:8]

    def stream(self, name: str) -> Random:
        """The random stream of one part of the world."""
        return Random(f"{self.seed}/{name}")  # noqa: S311 - reproducible by intent, nothing secret
