"""Orders from a records system's export: each line is an order, or says what is wrong with it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.inbound import decode
from schemas.orders import Order
from streams.adapters.orders_csv import ColumnMap, Line, lines, load_map
from streams.errors import BreachwatchError

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MAP = """
source = "records/norfolk"
times = ["%d/%m/%Y %H:%M", "%d/%m/%Y"]
[columns]
order_id = "Order number"
subject = "Person"
kind = "Type"
made = "Made"
protects = "Victims"
zone = "Zones"
no_contact = "No contact"
plate = "Vehicles"
risk = "Risk"
[kinds]
"Stalking Protection Order" = "spo_full"
"""
HEADER = "Order number,Person,Type,Made,Victims,Zones,No contact,Vehicles,Risk,Other\n"
GOOD = 'SPO-1,S1,Stalking Protection Order,01/07/2026 10:00,P1; P2,"52.6,1.3,200;52.7,1.3,300",Yes,BD15 DLO,high,x\n'


@pytest.fixture
def columns(tmp_path: Path) -> ColumnMap:
    (tmp_path / "map.toml").write_text(MAP, "utf-8")
    return load_map(tmp_path / "map.toml")


def read(tmp_path: Path, columns: ColumnMap, *rows: str, encoding: str = "utf-8", whole: bool = True) -> list[Line]:
    (tmp_path / "orders.csv").write_text(HEADER + "".join(rows), encoding)
    return list(lines(tmp_path / "orders.csv", columns, NOW, whole=whole))


def test_a_line_is_an_order(tmp_path: Path, columns: ColumnMap) -> None:
    [line] = read(tmp_path, columns, GOOD)
    assert (line.number, line.said) == (2, "order SPO-1 version 1")
    assert line.value is not None
    event = decode("orders", line.value)
    assert isinstance(event, Order)
    assert (event.source, event.data.kind, event.data.risk) == ("records/norfolk", "spo_full", "high")
    assert event.data.made_at == datetime(2026, 7, 1, 9, tzinfo=UTC), "London's summer time"
    assert [term.kind for term in event.data.terms] == ["exclusion_zone", "exclusion_zone", "no_contact"]
    assert [person.person_id for person in event.data.protected_persons] == ["P1", "P2"]
    assert "court" in event.data.missing


def test_a_line_that_is_wrong_stops_no_other(tmp_path: Path, columns: ColumnMap) -> None:
    wrong = GOOD.replace("01/07/2026 10:00", "31/02/2026")
    found = read(tmp_path, columns, wrong, GOOD, GOOD.replace("S1", ""), GOOD.replace("high", "huge"))
    assert [line.value is not None for line in found] == [False, True, False, False]
    assert "column 'Made': '31/02/2026' is not a time" in found[0].said
    assert "column 'Person'" in found[2].said
    assert "risk" in found[3].said
    assert "huge" not in found[3].said


def test_a_line_that_is_wrong_names_its_order_and_not_where_somebody_lives(
    tmp_path: Path, columns: ColumnMap
) -> None:
    [line] = read(tmp_path, columns, GOOD.replace("52.7,1.3,300", "12 Elm Road"))
    assert (line.order_id, line.stated) == ("SPO-1", frozenset())
    assert line.said == "column 'Zones': what stands there is not LAT,LON,METRES, such as 53.8,-1.55,200"


def test_a_line_says_of_what_it_says_something(tmp_path: Path, columns: ColumnMap) -> None:
    whole, thin = read(tmp_path, columns, GOOD, "SPO-2,S2,,01/07/2026,,,,,,\n", whole=False)
    assert whole.stated == columns.columns.keys()
    assert (thin.order_id, thin.stated) == ("SPO-2", {"order_id", "subject", "made"})


def test_a_line_to_compare_need_not_say_when_or_what(tmp_path: Path, columns: ColumnMap) -> None:
    bare = "SPO-2,S2,,,,,,,,\n"
    [refused] = read(tmp_path, columns, bare)
    assert "say what the order forbids" in refused.said
    [line] = read(tmp_path, columns, bare, whole=False)
    event = decode("orders", line.value)
    assert isinstance(event, Order)
    assert event.data.made_at < NOW.replace(year=2000), "whenever the snapshot is of, it was made before"
    assert line.stated == {"order_id", "subject"}


def test_a_no_to_until_further_order_does_not_say_when_it_ends(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(
        'source = "s"\n[columns]\norder_id = "O"\nsubject = "P"\nuntil_further_order = "U"', "utf-8"
    )
    (tmp_path / "orders.csv").write_text("O,P,U\nSPO-1,S1,no\nSPO-2,S2,yes\n", "utf-8")
    no, yes = lines(tmp_path / "orders.csv", load_map(tmp_path / "map.toml"), NOW, whole=False)
    assert "until_further_order" not in no.stated
    assert "until_further_order" in yes.stated


def test_the_same_export_twice_is_the_same_events(tmp_path: Path, columns: ColumnMap) -> None:
    first, again, changed = (
        read(tmp_path, columns, row)[0].value or b"" for row in (GOOD, GOOD, GOOD.replace("high", "low"))
    )
    names = [decode("orders", value).id for value in (first, again)]
    assert names[0] == names[1]
    assert changed == b"", "a risk that there is not"
    [moved] = read(tmp_path, columns, GOOD.replace("BD15 DLO", "AB12 CDE"))
    assert decode("orders", moved.value).id != names[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('order_id = "Order number"\n', ""), "columns.order_id must be mapped"),
        (('risk = "Risk"', 'danger = "Risk"'), "columns.danger is nothing that an order has"),
        (("[columns]", "[columns"), "not TOML"),
        (('source = "records/norfolk"', ""), "source: Field required"),
    ],
)
def test_a_map_that_is_wrong_says_how(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    (tmp_path / "map.toml").write_text(MAP.replace(*change), "utf-8")
    with pytest.raises(BreachwatchError, match=says):
        load_map(tmp_path / "map.toml")


def test_a_file_that_is_not_what_the_map_says_says_so(tmp_path: Path, columns: ColumnMap) -> None:
    with pytest.raises(BreachwatchError, match="not utf-8-sig: say the map's encoding"):
        read(tmp_path, columns, GOOD.replace("BD15 DLO", "caf\u00e9"), encoding="latin-1")
    (tmp_path / "orders.csv").write_text("Order number;Person\n", "utf-8")
    with pytest.raises(BreachwatchError, match="it has no column 'Made'"):
        list(lines(tmp_path / "orders.csv", columns, NOW))
