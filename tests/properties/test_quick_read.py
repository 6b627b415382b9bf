"""What the gate passes over at speed is a valid plate read."""

import copy
import re
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from harness import plate_read
from hypothesis import given
from hypothesis import strategies as st

from schemas import plate_reads
from schemas.inbound import BadMessageError, decode
from schemas.plate_reads import NOT_A_READ, quick_read
from schemas.sightings import PlateRead

FULL = plate_read(
    "AB12 CDE",
    datetime(2026, 11, 26, 8, 30, 0, 250_000, tzinfo=UTC),
    confidence=0.9,
    force="Norfolk",
    direction="N",
    lane=2,
    images=["sha256:" + "0" * 64],
) | {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "exercise": True, "specversion": "1.0", "schemaversion": 1}


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, child in children for path in paths(child, (*at, key)))]


PATHS = [path for path in paths(FULL) if path]
TEXTS = st.text(max_size=130) | st.text("AZaz09._:/@+- \n\u00e9\ud7ff", max_size=125) | st.just("x" * 200)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.just(0) | st.just(1.0)
VALUES = (
    st.none()
    | st.booleans()
    | TEXTS
    | NUMBERS
    | st.lists(TEXTS | st.just("sha256:" + "f" * 64), max_size=12)
    | st.dictionaries(TEXTS, NUMBERS, max_size=2)
    | st.sampled_from(["1.0", "plate_read", "tag_fix", 1, 2, "2026-11-26T08:30:00Z", "2026-11-26T08:30:00", "24:00"])
)


def changed(path: tuple[Any, ...], how: str, value: Any) -> Any:
    body = copy.deepcopy(FULL)
    *above, last = path
    place = body
    for step in above:
        place = place[step]
    if how == "replaced":
        place[last] = value
    elif how == "removed":
        del place[last]
    elif isinstance(place, dict):
        place[str(value)[:5] + "x"] = value
    return body


def accepts(check: Any, value: bytes, refusals: tuple[type[Exception], ...]) -> bool:
    try:
        check(value)
    except refusals:
        return False
    return True


def test_the_same_fields_are_required_and_known() -> None:
    for model, struct in (
        (PlateRead, plate_reads.QuickRead),
        (PlateRead.model_fields["data"].annotation, plate_reads._Data),
    ):
        assert set(model.model_fields) == set(struct.__struct_fields__)
    assert quick_read(orjson.dumps(FULL)).data.vrm == "AB12 CDE"
    assert quick_read(orjson.dumps(plate_read("X"))).data.vrm == "X"


@given(st.sampled_from(PATHS), st.sampled_from(["replaced", "removed", "added"]), VALUES)
def test_what_it_accepts_is_valid_and_what_it_refuses_is_not(path: tuple[Any, ...], how: str, value: Any) -> None:
    encoded = orjson.dumps(changed(path, how, value)) if _fits(value) else b""
    valid = accepts(lambda text: decode("anpr-reads", text), encoded, (BadMessageError,))
    assert accepts(quick_read, encoded, NOT_A_READ) == valid


@given(st.binary(max_size=40), st.integers(0, 600))
def test_damaged_bytes_are_refused_by_both(noise: bytes, at: int) -> None:
    encoded = orjson.dumps(FULL)
    damaged = encoded[:at] + noise + encoded[at + len(noise) :]
    if accepts(quick_read, damaged, NOT_A_READ):
        try:
            decode("anpr-reads", damaged)
        except BadMessageError as error:
            assert re.match(r"not a valid plate_read: (recorded)?time: ", error.detail)  # noqa: PT017 - or none


def _fits(value: Any) -> bool:
    """Whether JSON as orjson writes it can hold it: 64 bits, and text without surrogates."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize(
    "time",
    ["2026-11-26 08:30:00Z", "2026-11-26T08:30:00+0000", "2026-11-26T08:30:00.1234567890Z", "0001-01-01T00:00:00Z"],
)
def test_only_times_are_looser(time: str) -> None:
    """If msgspec becomes as strict here, the docstring of `schemas.plate_reads` is to say so."""
    encoded = orjson.dumps(FULL | {"time": time})
    assert accepts(quick_read, encoded, NOT_A_READ)
    with pytest.raises(BadMessageError):
        decode("anpr-reads", encoded)
