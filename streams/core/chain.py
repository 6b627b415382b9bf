"""The audit's hash chain: one for each subject and London day, so that a removed or altered entry shows.

Each entry carries the hash of the one before it and its own; the row keeps the head. The first entry of a new
day is preceded by an anchor that closes the day before, with the number of its entries and its last hash.
"""

import hashlib

import orjson

from schemas.tasks import AuditEntry
from streams.core.clocks import london_day
from streams.core.effects import cause_id
from streams.core.state import ChainHead, SubjectState

CLOSING, NOBODY = "erased", "nobody"
"""The decisions after which a subject has no row, and with it no chain: what is decided later begins another."""


def entry_hash(entry: AuditEntry) -> str:
    """SHA-256 of the entry's canonical JSON (sorted keys) without the hash itself, hex."""
    body = entry.model_dump(mode="json", exclude={"entry_hash"})
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def link(state: SubjectState, entry: AuditEntry) -> list[AuditEntry]:
    """The entry in its chain, behind the anchor of the day before where a new day begins."""
    day = london_day(entry.at)
    anchors = []
    head = state.chain
    if head is not None and head.day != day:
        anchor = entry.model_copy(
            update={
                "audit_id": cause_id("anchor", state.subject_id, head.day),
                "decision": "day_closed",
                "reasons": [f"{head.number} entries on {head.day}, the last with hash {head.hash}"],
                "order_versions": [],
            }
        )
        anchors = [_append(state, anchor, day, ChainHead(day=day, number=0, hash=head.hash))]
        head = state.chain
    return [*anchors, _append(state, entry, day, head or ChainHead(day=day, number=0, hash=""))]


def _append(state: SubjectState, entry: AuditEntry, day: str, head: ChainHead) -> AuditEntry:
    chained = entry.model_copy(update={"chain_day": day, "chain_number": head.number + 1, "previous_hash": head.hash})
    chained = chained.model_copy(update={"entry_hash": entry_hash(chained)})
    assert chained.entry_hash is not None
    state.chain = ChainHead(day=day, number=head.number + 1, hash=chained.entry_hash)
    return chained


def faults(entries: list[AuditEntry]) -> list[str]:
    """What is wrong with one subject's entries, as they lie in the log; empty when nothing is.

    A copy of an entry (sent again after a crash) is no fault; two different entries in one place are.
    """
    chains: list[list[AuditEntry]] = [[]]
    for entry in {entry.model_dump_json(): entry for entry in entries}.values():
        chains[-1].append(entry)
        if entry.decision in (CLOSING, NOBODY):
            chains.append([])
    return [fault for chain in chains for fault in _faults(chain)]


def _faults(entries: list[AuditEntry]) -> list[str]:
    found: list[str] = []
    by_place: dict[tuple[str, int], AuditEntry] = {}
    for entry in entries:
        if entry.chain_day is None:
            continue
        place = (entry.chain_day, entry.chain_number)
        if entry.entry_hash != entry_hash(entry):
            found.append(f"{entry.chain_day} entry {entry.chain_number}: altered (its hash does not fit)")
        elif place in by_place and by_place[place].entry_hash != entry.entry_hash:
            found.append(f"{entry.chain_day} entry {entry.chain_number}: two different entries")
        by_place.setdefault(place, entry)
    previous: AuditEntry | None = None
    for day, number in sorted(by_place):
        entry = by_place[(day, number)]
        if previous is None:
            if number != 1:
                found.append(f"{day}: {number - 1} entries before entry {number} are missing")
        elif day == previous.chain_day and number != previous.chain_number + 1:
            found.append(f"{day}: entries {previous.chain_number + 1} to {number - 1} are missing")
        elif entry.previous_hash != previous.entry_hash:
            found.append(f"{day} entry {number}: what came before it is not what it followed")
        previous = entry
    return found
