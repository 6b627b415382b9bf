"""Custody events. Senders: custody systems. Topic `custody-events`."""

from typing import Literal

from schemas.base import Event, Model, SubjectId, Text


class CustodyEventData(Model):
    subject_id: SubjectId
    state: Literal["arrested", "detained", "bailed", "released", "recalled", "escaped"]
    custody_ref: Text | None = None
    place: Text | None = None
    disposal: (
        Literal["charged", "under_investigation", "no_further_action", "cautioned", "remanded", "recalled"] | None
    ) = None
    """Of a release: how the matter that the subject was arrested for was dealt with; None: it does not say."""


class CustodyEvent(Event):
    """A subject's custody changed at `time`."""

    type: Literal["custody_event"]
    data: CustodyEventData
