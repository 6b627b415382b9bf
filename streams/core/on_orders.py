"""Events about orders: made, varied, served, stayed, ended, requirements met."""

from collections.abc import Callable
from datetime import datetime, timedelta

from schemas.base import format_time
from schemas.orders import (
    IdentifierKind,
    Order,
    OrderData,
    OrderEnded,
    OrderServed,
    OrderStayed,
    RequirementMet,
    Service,
)
from streams.core.breaches import withdraw
from streams.core.deadlines import requirement_at
from streams.core.draft import Draft
from streams.core.force import begins, effective_from
from streams.core.identity import Named, changed, identifiers, in_index, reattribute
from streams.core.kinds import KINDS
from streams.core.sightings import rejudge
from streams.core.state import End, OrderRef, Stay, SubjectState, VersionRef
from streams.core.tasks import live_task


def _ref(draft: Draft, order_id: str) -> OrderRef:
    return draft.state.orders.setdefault(order_id, OrderRef(order_id=order_id))


def order(draft: Draft, event: Order) -> None:
    """A version of an order: keep it, tell the index whom it names, judge again what it touches."""
    data = event.data
    ref = _ref(draft, data.order_id)
    if any(known.version == data.version for known in ref.versions):
        if draft.records.order(data.order_id, data.version).data != data:
            draft.audit("refused", f"version {data.version} is held with other content; a change needs a new one")
            draft.alert(
                "order_version_conflict",
                "high",
                f"order {data.order_id} version {data.version} arrived twice with different content: the first is "
                "kept; ask the court or records system which is right, and publish it as a new version",
            )
            return
        draft.audit("order_repeated", "this version is already held; a new event id with the same content")
        return
    before = identifiers(draft.state, draft.records)
    held = _held(draft, before)
    ref.versions.append(version_ref(event, draft.now))
    draft.records.put_order(data)
    if data.service is not None:
        _serve(ref, data.version, data.service)
    supersede(draft.state, lambda *named: draft.records.order(*named).data)
    after = identifiers(draft.state, draft.records)
    news = changed(held, _held(draft, after))
    draft.effects.identifiers += news
    name = f"{data.order_id}/{data.version}"
    until = f"to {data.expires_at:%Y-%m-%d}" if data.expires_at else "until further order"
    draft.audit("order_loaded", f"in force from {effective_from(data):%Y-%m-%d} {until}", orders=[name])
    for doubt in doubts(data):
        draft.audit("order_doubted", doubt, orders=[name])
        draft.alert(
            "check_order", "medium", f"order {data.order_id}: {doubt}; it is loaded and acted on", cause=(name,)
        )
    if any(record.kind is IdentifierKind.PLATE for record in news):
        _propose_search(draft, ref, data.version)
    others = {other.order_id for other in draft.state.orders.values() for v in other.versions if v.waits_for}
    touched = {data.order_id, *others, *([data.replaces] if data.replaces else [])}
    if before != after and reattribute(draft, after):
        touched = set(draft.state.orders)
    rejudge(draft, touched)


def _held(draft: Draft, named: Named) -> Named:
    """What the index holds of them, as things stand."""
    return in_index(draft.records, draft.state, named, task_open=live_task(draft.state) is not None)


def _propose_search(draft: Draft, ref: OrderRef, version: int) -> None:
    """The gate passes over reads of vehicles that it does not know of. What it passed over since a late order took
    effect is retained for two days, and a person may have it searched."""
    rule = draft.policy.retro_search
    since = next(begins(draft.state, known) for known in ref.versions if known.version == version)
    if since is None or not rule.propose_after_s < (draft.now - since).total_seconds() <= rule.propose_within_s:
        return
    draft.alert(
        "retro_search_proposed",
        "medium",
        f"order {ref.order_id} took effect on {since:%Y-%m-%d at %H:%M}Z and became known only now: plate reads on "
        f"its vehicles since then were passed over. To search those that are retained: breachwatch rescan --order "
        f"{ref.order_id} --from {format_time(since)} --authority REFERENCE --reason TEXT",
        cause=(ref.order_id, str(version)),
        order_id=ref.order_id,
        since=since,
    )
    draft.audit("retro_search_proposed", "the order was known late", orders=[f"{ref.order_id}/{version}"])


def doubts(data: OrderData) -> list[str]:
    """What a person should check about an order that is loaded all the same (never dropped)."""
    row, found = KINDS[data.kind], []
    if data.missing:
        found.append(f"entered by hand; not stated: {', '.join(data.missing)}")
    if data.expires_at is not None:
        length = data.expires_at - data.made_at
        if row.min_days is not None and length < timedelta(days=row.min_days) - timedelta(days=1):
            found.append(f"its period is shorter than the {row.min_days} days that {row.section} asks for")
        if row.max_days is not None and length > timedelta(days=row.max_days):
            found.append(f"its period is longer than the {row.max_days} days that {row.section} allows")
    elif row.max_days is not None:
        found.append(f"it has no end, where {row.section} allows at most {row.max_days} days")
    return found


def version_ref(event: Order, known_at: datetime) -> VersionRef:
    """The row's reference to the version that the event states."""
    data = event.data
    return VersionRef(
        version=data.version,
        effective_from=effective_from(data),
        expires_at=data.expires_at,
        recorded_at=event.recordedtime,
        known_at=known_at,
        in_court=data.present_in_court,
        without_notice=data.without_notice,
        waits_for=data.effective_on_end_of,
        kind=data.kind,
        source=event.source,
    )


def supersede(state: SubjectState, text: Callable[[str, int], OrderData]) -> None:
    """A full order ends the interim whose main application it determines (SPA 2019 s5): its first version does.

    `text` is what a version of an order says.
    """
    for ref in state.orders.values():
        for version in ref.versions:
            later = text(ref.order_id, version.version)
            interim = state.orders.get(later.replaces or "")
            if interim is not None:
                determined = effective_from(later)
                interim.superseded_at = min(interim.superseded_at or determined, determined)


def _serve(ref: OrderRef, version: int, service: Service) -> None:
    """Of several proofs the earliest counts."""
    known = ref.services.get(version)
    if known is None or service.served_at < known.served_at:
        ref.services[version] = service


def served(draft: Draft, event: OrderServed) -> None:
    """Proof of service: the words about the power change on every ground under that order."""
    data = event.data
    _serve(_ref(draft, data.order_id), data.version, data.service)
    draft.audit("service_recorded", f"version {data.version}: {data.service.method}", orders=[data.order_id])
    for fact in draft.state.breaches:
        if fact.order_id == data.order_id:
            draft.touch(fact)


def ended(draft: Draft, event: OrderEnded) -> None:
    """A court ended the order: nothing after that moment breaches it, what was before stays."""
    data = event.data
    ref = _ref(draft, data.order_id)
    ref.ends.append(End(event_id=event.event_id, at=event.time))
    draft.audit(
        "order_ended", f"{data.how} from {event.time:%Y-%m-%d %H:%M}Z", data.reference, orders=[data.order_id]
    )
    rejudge(draft, set(draft.state.orders))


def stayed(draft: Draft, event: OrderStayed) -> None:
    """While it is stayed nothing breaches the order."""
    ref = _ref(draft, event.data.order_id)
    ref.stays.append(Stay(event_id=event.event_id, begins=event.time, until=event.data.until))
    draft.audit("order_stayed", event.data.reference, orders=[event.data.order_id])
    rejudge(draft, {event.data.order_id})


def requirement_met(draft: Draft, event: RequirementMet) -> None:
    """What was asked was done: nothing falls due for it, and a breach already raised for it is corrected."""
    data = event.data
    ref = _ref(draft, data.order_id)
    name = requirement_at(draft.state, draft.records, ref, data.term_id, event.time, draft.policy)
    if name is None:
        draft.audit("noted", "nothing was due that this would meet", orders=[data.order_id])
        return
    ref.met[name] = event.time
    draft.audit("requirement_met", name, orders=[data.order_id])
    if name in ref.missed:
        ref.missed.remove(name)
        for fact in [f for f in draft.state.breaches if f.track == f"omission:{name}"]:
            withdraw(draft, fact, "a record that it was done in time arrived late")
