"""What the gate does with each message of the feed, before anything else."""

from typing import Any, NamedTuple

import orjson
import pytest
from harness import plate_read

from schemas.orders import IdentifierKind, IdentifierRecord, Role
from streams.core.index import IdentifierIndex
from streams.core.plates import skeleton
from streams.gate import sift


class Message(NamedTuple):
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@pytest.fixture
def index() -> IdentifierIndex:
    found = IdentifierIndex()
    found.add(
        IdentifierRecord(
            kind=IdentifierKind.PLATE, value="BD15 DLO", subject_id="S1", role=Role.SUBJECT, order_id="O1"
        )
    )
    return found


def read(plate: Any, kind: Any = "plate_read") -> Message:
    return Message(orjson.dumps(plate_read(plate) | {"type": kind}))


def test_a_read_on_no_order_is_passed_over_and_remembered_by_its_looks(index: IdentifierIndex) -> None:
    message = read("ab12 cde")
    assert sift([message], index.looks_known)[::2] == ([skeleton("AB12CDE")], [message])


@pytest.mark.parametrize("plate", ["BD15 DLO", "bd15dlo", "BDI5 DL0", "8D15-DLO", "BD15DL", "D15.DLO"])
def test_a_read_that_may_be_on_an_order_goes_on(index: IdentifierIndex, plate: str) -> None:
    message = read(plate)
    assert sift([message], index.looks_known) == ([], [], [], [message])


@pytest.mark.parametrize(
    "message",
    [
        Message(None),
        Message(b""),
        Message(b"{"),
        Message(b"[]"),
        Message(b'"x"'),
        Message(b"7"),
        Message(b"null"),
        Message(b'{"type": "plate_read"}'),
        Message(b'{"type": "plate_read", "data": []}'),
        read("AB12CDE", kind="tag_fix"),
        read("AB12CDE", kind=None),
        read(None),
        read(7),
        read(["AB12CDE"]),
        Message(orjson.dumps(plate_read("AB12CDE") | {"camera": "CAM-1"})),
    ],
)
def test_what_is_no_read_is_left_to_who_can_say_why(index: IdentifierIndex, message: Message) -> None:
    assert sift([message], index.looks_known) == ([], [], [], [message])


@pytest.mark.parametrize(("plate", "known"), [("AB12CDE", False), ("BD15 DLO", True)])
def test_a_read_in_binary_mode_is_a_read(index: IdentifierIndex, plate: str, known: bool) -> None:
    event = plate_read(plate)
    headers = tuple(
        (f"ce_{name}", str(value).encode()) for name, value in event.items() if name not in ("data", "exercise")
    )
    message = Message(orjson.dumps(event["data"]), (("ce_specversion", b"1.0"), *headers))
    assert sift([message], index.looks_known).others == ([message] if known else [])
