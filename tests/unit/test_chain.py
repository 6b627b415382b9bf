"""The audit's chain: whole and unaltered, or it shows."""

from datetime import timedelta

import pytest
from builders import NOW

from schemas.tasks import AuditEntry
from streams.core.chain import faults, link
from streams.core.state import SubjectState


def entry(number: int, days: int = 0) -> AuditEntry:
    return AuditEntry(
        audit_id=f"a{number}",
        at=NOW + timedelta(days=days, seconds=number),
        subject_id="S1",
        event_id=f"e{number}",
        event_type="tag_fix",
        decision="no_breach",
        reasons=["outside"],
        order_versions=[],
        policy_version="p",
        topic="sightings",
        partition=0,
        offset=number,
    )


@pytest.fixture
def chain() -> list[AuditEntry]:
    state = SubjectState(subject_id="S1")
    return [linked for n in range(6) for linked in link(state, entry(n, days=n // 3))]


def test_a_whole_chain_has_no_fault(chain: list[AuditEntry]) -> None:
    assert faults(chain) == []


def test_a_new_day_is_preceded_by_an_anchor_of_the_day_before(chain: list[AuditEntry]) -> None:
    (anchor,) = [each for each in chain if each.decision == "day_closed"]
    assert anchor.reasons[0].startswith("3 entries on ")
    assert anchor.chain_number == 1
    assert anchor.previous_hash == chain[2].entry_hash


def test_a_copy_sent_again_is_no_fault(chain: list[AuditEntry]) -> None:
    assert faults([*chain, chain[2]]) == []


@pytest.mark.parametrize("gone", range(6))
def test_a_removed_entry_shows(chain: list[AuditEntry], gone: int) -> None:
    assert faults(chain[:gone] + chain[gone + 1 :])


@pytest.mark.parametrize("altered", range(7))
def test_an_altered_entry_shows(chain: list[AuditEntry], altered: int) -> None:
    chain[altered] = chain[altered].model_copy(update={"decision": "breach"})
    assert any("altered" in fault for fault in faults(chain))


def test_an_entry_altered_with_its_hash_shows_at_the_next(chain: list[AuditEntry]) -> None:
    from streams.core.chain import entry_hash

    forged = chain[1].model_copy(update={"decision": "breach"})
    chain[1] = forged.model_copy(update={"entry_hash": entry_hash(forged)})
    assert faults(chain)
