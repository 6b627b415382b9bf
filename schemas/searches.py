"""Searches of retained plate reads. Topic `sightings-backfill`; only `breachwatch rescan` sends them."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Event, Identity, Instant, Model, SubjectId, Text


class RetroSearchData(Model):
    """One subject's part in a search of the reads that were retained before their orders were known."""

    search_id: Identity
    phase: Literal["began", "ended"]
    subject_id: SubjectId
    order_ids: Annotated[list[Identity], Field(min_length=1, max_length=100)]
    since: Instant
    """What was asked for."""
    retained_from: Instant | None = None
    """The oldest read that could be searched, where that is later."""
    authority: Text
    """Under what authority the search was made: a reference that an auditor can look up."""
    reason: Text
    reads: Annotated[int, Field(ge=0)] | None = None
    """How many were searched, when it had ended."""
    matches: Annotated[int, Field(ge=0)] | None = None
    """How many of them may be on one of the search's orders, and were passed on."""


class RetroSearch(Event):
    """A search began or ended."""

    type: Literal["retro_search"]
    data: RetroSearchData
