"""The terms of a subject's orders, for reading to an officer. Pure.

No name or address of a protected person is in them but what a court wrote into a term's own words.
"""

from collections.abc import Iterable

from pydantic import BaseModel

from schemas.base import Instant
from schemas.orders import (
    Attend,
    Curfew,
    Distance,
    OrderData,
    OrderKind,
    SignOn,
    Surrender,
    Term,
)
from streams.core.kinds import KINDS

_WORDS = {
    "exclusion_zone": "must not enter the area",
    "buffer": "entry into the area warns, and is no breach",
    "no_contact": "must not contact, directly or through others, by any channel",
    "no_social_media": "must not refer to on social media, directly or indirectly",
    "no_surveillance": "must not watch, follow, track or record by any means",
    "residence": "must live and sleep at the address",
    "other": "as the order says",
}


class TermShown(BaseModel):
    """One term."""

    term_id: str
    kind: str
    meaning: str
    """In our words."""
    text: str | None
    """In the order's own words, where they were sent."""
    protects: list[str]
    """References of the protected persons."""
    valid_from: Instant | None
    valid_to: Instant | None
    carve_outs: list[str]
    """What it allows: a possible excuse, which drops nothing."""
    breached: bool
    """A breach of the task is of this term of this version."""


class OrderShown(BaseModel):
    """A version of an order that the task cites, or the newest of an order of the subject."""

    order_id: str
    version: int
    kind: OrderKind
    title: str
    section: str
    """Of the Act."""
    court: str
    made_at: Instant
    effective_from: Instant | None
    expires_at: Instant | None
    """Null: until further order."""
    certified_copy: str | None
    missing: list[str]
    """What could not be stated when it was entered by hand."""
    terms: list[TermShown]


class OrderTerms(BaseModel):
    """The orders of a task's subject."""

    orders: list[OrderShown]


def meaning(term: Term) -> str:
    """What a term asks, in words."""
    if isinstance(term, Distance):
        return f"must not come within {term.metres:g} m"
    if isinstance(term, Curfew):
        days = f" ({', '.join(term.days)})" if term.days else ""
        return f"must be within the area from {term.start} to {term.until}{days}, London time"
    if isinstance(term, SignOn):
        return f"must sign on at a station on {', '.join(term.days)} by {term.by}, London time"
    if isinstance(term, Attend):
        return f"must attend each of {len(term.sessions)} sessions"
    if isinstance(term, Surrender):
        return f"must hand over devices by {term.due:%Y-%m-%d %H:%M}Z"
    return _WORDS[term.kind]


def chosen(versions: Iterable[OrderData], cited: frozenset[tuple[str, int]]) -> list[OrderData]:
    """Of each order the newest version, and those that breaches cite; newest first within an order."""
    every = list(versions)
    newest = {order.order_id: max(o.version for o in every if o.order_id == order.order_id) for order in every}
    found = [
        order
        for order in every
        if order.version == newest[order.order_id] or (order.order_id, order.version) in cited
    ]
    return sorted(found, key=lambda order: (order.order_id, -order.version))


def shown(order: OrderData, breached: frozenset[tuple[str, int, str | None]]) -> OrderShown:
    """`breached` are order, version and term of each breach."""
    kind = KINDS[order.kind]
    return OrderShown(
        order_id=order.order_id,
        version=order.version,
        kind=order.kind,
        title=kind.title,
        section=kind.section,
        court=order.court,
        made_at=order.made_at,
        effective_from=order.effective_from,
        expires_at=order.expires_at,
        certified_copy=order.certified_copy,
        missing=order.missing,
        terms=[
            TermShown(
                term_id=term.term_id,
                kind=term.kind,
                meaning=meaning(term),
                text=term.text,
                protects=term.protects,
                valid_from=term.valid_from,
                valid_to=term.valid_to,
                carve_outs=[f"{c.kind}: {c.text}" if c.text else c.kind for c in term.carve_outs],
                breached=(order.order_id, order.version, term.term_id) in breached,
            )
            for term in order.terms
        ],
    )
