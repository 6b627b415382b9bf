"""Orders as a records system exports them: a CSV file, and a map of its columns that the force writes once.

The map is TOML:

    source = "records/norfolk"        # the `source` of the events; for ever the same for one system
    delimiter = ","                   # between cells
    separator = ";"                   # between several things in one cell
    encoding = "utf-8-sig"
    times = ["%d/%m/%Y %H:%M", "%d/%m/%Y"]   # how times are written, London time; ISO 8601 is read without being told

    [columns]                         # what `breachwatch orders add` asks for -> the column that has it
    order_id = "Order number"
    subject = "Person reference"
    kind = "Order type"
    made = "Date made"

    [kinds]                           # the export's words -> kinds of order; others are taken as they are
    "Stalking Protection Order" = "spo_full"

| column | here | |
| --- | --- | --- |
| `subject`, `order_id` | whom, and which order | must be mapped |
| `version` | `version` | 1 where it is not mapped |
| `kind` | `kind` | through `[kinds]`; `spo_full` where it is not mapped |
| `made`, `expires`, `served` | times | |
| `court`, `name`, `born`, `force`, `risk`, `certified_copy` | texts | an empty cell is not stated, and is marked |
| `protects`, `zone`, `term`, `plate`, `tag`, `phone`, `marker` | lists | `zone` is LAT,LON,METRES |
| `no_contact`, `in_court`, `until_further_order` | yes or no | `yes`, `y`, `true`, `1`, `x` |

The id of an event comes from source, order, version and what the row says: the same export twice is the same events,
and a row that was changed without a new version is found out as a conflict.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from schemas.inbound import BadMessageError, decode
from streams.core.effects import cause_id
from streams.entered import NOT_STATED, order_event
from streams.errors import BreachwatchError
from streams.toml_file import read_toml

_LISTS = ("protects", "zone", "zone_file", "term", "plate", "tag", "phone", "marker")
_FLAGS = ("no_contact", "in_court", "until_further_order")
_TIMES = ("made", "expires", "served")
_TEXTS = ("subject", "order_id", "version", "kind", "court", "name", "born", "force", "risk", "certified_copy")
FIELDS = {*_LISTS, *_FLAGS, *_TIMES, *_TEXTS} - {"zone_file"}
_YES = {"yes", "y", "true", "1", "x"}
# What makes an event of a line that does not say when or what: in force until it ends, forbidding something.
_OF_ANY_ORDER = {"made": "1970-01-01T00:00:00+00:00", "term": NOT_STATED}


class ColumnMap(BaseModel):
    """How one system's export is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Annotated[str, Field(min_length=1, max_length=120)]
    columns: dict[str, str]
    kinds: dict[str, str] = {}
    times: list[str] = []
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    separator: Annotated[str, Field(min_length=1, max_length=3)] = ";"
    encoding: str = "utf-8-sig"


@dataclass(frozen=True)
class Line:
    """What became of one line: an event of `orders`, or what is wrong with it."""

    number: int
    """As an editor counts it; the header is 1."""
    value: bytes | None
    said: str
    order_id: str | None = None
    """The order that it is about, as far as the line tells, also where something else on it is wrong."""
    stated: frozenset[str] = frozenset()
    """Of the map's names those that the line says something of; of a line that is wrong, none."""


def load_map(path: Path) -> ColumnMap:
    """Raises BreachwatchError that names what is wrong with the map."""
    found = read_toml(ColumnMap, path)
    if unknown := found.columns.keys() - FIELDS:
        raise BreachwatchError(f"{path}: columns.{min(unknown)} is nothing that an order has")
    if missing := {"subject", "order_id"} - found.columns.keys():
        raise BreachwatchError(f"{path}: columns.{min(missing)} must be mapped")
    return found


def lines(path: Path, columns: ColumnMap, now: datetime, *, whole: bool = True) -> Iterator[Line]:
    """Each line of the file; raises BreachwatchError where the file as a whole cannot be read.

    `whole` lines are orders that can be loaded. For one that is only compared it need not be said what the order
    forbids, nor when it was made; what stands in the event in their place means nothing, and is not in `stated`.
    """
    try:
        with path.open(encoding=columns.encoding, newline="") as file:
            reader = csv.DictReader(file, delimiter=columns.delimiter, strict=True)
            absent = sorted(set(columns.columns.values()) - set(reader.fieldnames or ()))
            if absent:
                raise BreachwatchError(f"{path}: it has no column {absent[0]!r}; its first line names the columns")
            for row in reader:
                yield _line(reader.line_num, row, columns, now, whole)
    except OSError as error:
        raise BreachwatchError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, LookupError) as error:
        raise BreachwatchError(f"{path}: not {columns.encoding}: say the map's encoding ({error})") from None
    except csv.Error as error:
        raise BreachwatchError(f"{path}: not CSV with {columns.delimiter!r} between cells: {error}") from None


def _line(number: int, row: Mapping[str, Any], columns: ColumnMap, now: datetime, whole: bool) -> Line:
    cells = {name: _text(row.get(column)) for name, column in columns.columns.items()}
    order_id, stated = cells["order_id"] or None, {name for name, cell in cells.items() if cell}
    if not whole:
        cells |= {name: cell for name, cell in _OF_ANY_ORDER.items() if not cells.get(name)}
    said = {name: _said(name, cells.get(name, ""), columns) for name in (*FIELDS, "zone_file")}
    if not said["until_further_order"]:
        stated.discard("until_further_order")  # a "no" does not say when it ends
    try:
        said |= {"version": int(said["version"] or 1), "kind": said["kind"] or "spo_full"}
        body = order_event(said, now, exercise=False)
        data = body["data"]
        content = orjson.dumps(data, option=orjson.OPT_SORT_KEYS).decode()
        body |= {"source": columns.source, "id": cause_id("order-row", columns.source, content)}
        value = orjson.dumps(body)
        decode("orders", value)
    except (BreachwatchError, BadMessageError) as error:
        return Line(number, None, _in_its_words(str(error), columns, said["zone"]), order_id)
    except ValueError:
        return Line(number, None, f"column {columns.columns['version']!r}: not a whole number", order_id)
    return Line(number, value, f"order {data['order_id']} version {data['version']}", order_id, frozenset(stated))


def _text(cell: object) -> str:
    return cell.strip() if isinstance(cell, str) else ""


def _said(name: str, text: str, columns: ColumnMap) -> Any:
    if name in _LISTS:
        return [part.strip() for part in text.split(columns.separator) if part.strip()]
    if name in _FLAGS:
        return text.lower() in _YES
    if name in _TIMES:
        return _iso(text, columns.times) or None
    return (columns.kinds.get(text, text) if name == "kind" else text) or None


def _iso(text: str, forms: list[str]) -> str:
    """The time as ISO 8601 where it is written in one of these ways; else as it is."""
    for form in forms:
        try:
            return datetime.strptime(text, form).isoformat()  # noqa: DTZ007 - London time, which `moment` makes of it
        except ValueError:
            continue
    return text


def _in_its_words(error: str, columns: ColumnMap, places: list[str]) -> str:
    """Options of the command line by the names of the columns; where a protected person lives is not repeated."""
    for place in places:
        error = error.replace(repr(place), "what stands there")
    for name, column in columns.columns.items():
        error = error.replace(f"--{name.replace('_', '-')}", f"column {column!r}")
    return error
