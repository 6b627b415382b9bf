"""Orders in force: which version of which order, and which of its terms, held at a moment.

Orders are bitemporal. An event is judged on the version in force at its own time, whenever either of them
became known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from schemas.base import Position
from schemas.orders import OrderData, TermBase
from streams.core.records import KeptOrder, Records
from streams.core.state import OrderRef, SubjectState, VersionRef
from streams.core.zones import Placement, prepare


@dataclass(frozen=True)
class InForce:
    """An order version that was in force."""

    ref: OrderRef
    kept: KeptOrder

    @property
    def data(self) -> OrderData:
        return self.kept.data

    def term_in_force(self, term: TermBase, at: datetime, position: Position | None) -> bool:
        """A term has its own period (SPA 2019 s3(3)) and, if it says so, its own locality (s2(4))."""
        if term.valid_from is not None and at < term.valid_from:
            return False
        if term.valid_to is not None and at >= term.valid_to:
            return False
        if term.locality is not None and position is not None:
            return prepare(term.locality).place(position, position.accuracy_m or 0.0) is not Placement.OUT
        return True


def effective_from(order: OrderData) -> datetime:
    """From when the version binds: "made" is not always "in force"."""
    return order.effective_from or order.made_at


def version_at(ref: OrderRef, at: datetime) -> VersionRef | None:
    """The version in force at `at`, by effect and not by arrival; None before the first and after the end."""
    begun = [version for version in ref.versions if version.effective_from <= at]
    if not begun:
        return None
    version = max(begun, key=lambda v: v.version)
    ends = (version.expires_at, ref.ended_at, ref.superseded_at)
    return None if any(end is not None and at >= end for end in ends) else version


def in_force(state: SubjectState, records: Records, at: datetime) -> Iterator[InForce]:
    """Each order in force on the subject at `at`."""
    for ref in state.orders.values():
        version = version_at(ref, at)
        if version is not None:
            yield InForce(ref, records.order(ref.order_id, version.version))


def why_not(state: SubjectState, at: datetime) -> list[str]:
    """For each order of the subject that was not in force at `at`, why not."""
    reasons = []
    for ref in state.orders.values():
        first = min((version.effective_from for version in ref.versions), default=None)
        if version_at(ref, at) is not None or first is None:
            continue
        if at < first:
            reasons.append(
                f"order {ref.order_id} had not taken effect: intelligence, not a breach of it; the conduct may "
                "still be stalking"
            )
        elif ref.ended_at is not None and at >= ref.ended_at:
            reasons.append(f"order {ref.order_id} had been ended by the court")
        elif ref.superseded_at is not None and at >= ref.superseded_at:
            reasons.append(f"interim order {ref.order_id} had ended when the main application was determined")
        else:
            reasons.append(f"order {ref.order_id} had expired")
    return reasons


def is_served(ref: OrderRef, at: datetime) -> bool:
    """Is there proof that the subject knew of the order by then: service, or presence in court?"""
    return ref.in_court or any(service.served_at <= at for service in ref.services.values())
