"""Would a change of the contract break anybody? Two JSON Schemas (2020-12, as pydantic writes them) are compared.

What senders wrote before must still be taken: the new schema takes all that the old one took. What readers were made
for must still come: the new schema allows nothing that the old one did not, but for fields that are new.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Literal

Schema = Mapping[str, Any]
Who = Literal["senders", "readers"]

# (keyword, whether a larger number takes more)
_BOUNDS = (
    ("minimum", False),
    ("exclusiveMinimum", False),
    ("minLength", False),
    ("minItems", False),
    ("maximum", True),
    ("exclusiveMaximum", True),
    ("maxLength", True),
    ("maxItems", True),
)


def breaks(old: Schema, new: Schema, who: Who) -> list[str]:
    """What of the change breaks them, each with its place; empty when nothing does."""
    if who == "senders":
        return list(_Comparison(old, new, new_fields=False).narrower(old, new, ""))
    return list(_Comparison(new, old, new_fields=True).narrower(new, old, ""))


class _Comparison:
    """Of what `given` allows, what does `taken` not take? With `new_fields` it may have fields that `taken` lacks."""

    def __init__(self, given: Schema, taken: Schema, *, new_fields: bool) -> None:
        self._given, self._taken, self._new_fields = given, taken, new_fields
        self._under_way: set[tuple[int, int]] = set()

    def narrower(self, given: Schema, taken: Schema, at: str) -> Iterator[str]:
        given, taken = _resolved(given, self._given), _resolved(taken, self._taken)
        pair = (id(given), id(taken))
        # Two that are equal may still refer to definitions that are not: only what is under way is passed over.
        if pair in self._under_way:
            return
        self._under_way.add(pair)
        try:
            yield from self._compared(given, taken, at)
        finally:
            self._under_way.discard(pair)

    def _compared(self, given: Schema, taken: Schema, at: str) -> Iterator[str]:
        wanted, offered = _alternatives(given), _alternatives(taken)
        if len(wanted) > 1 or len(offered) > 1:
            for number, alternative in enumerate(wanted):
                found = [list(self.narrower(alternative, other, at)) for other in offered]
                if all(found):
                    named = _name(_resolved(alternative, self._given), number)
                    closest = min(found, key=len)
                    yield from (closest if len(closest) < 3 else [f"{at or 'message'}: {named} is not taken"])
            return
        yield from self._values(given, taken, at)
        yield from self._fields(given, taken, at)
        yield from self._members(given, taken, at)

    def _values(self, given: Schema, taken: Schema, at: str) -> Iterator[str]:
        place = at or "message"
        missing = _types(given) - _types(taken)
        if missing:
            yield f"{place}: {', '.join(sorted(missing))} is not taken"
        allowed = _constants(taken)
        if allowed is not None:
            stated = _constants(given)
            gone = ["anything else"] if stated is None else [value for value in stated if value not in allowed]
            if gone:
                yield f"{place}: {', '.join(map(str, gone))} is not taken"
        for keyword, larger_takes_more in _BOUNDS:
            limit, before = taken.get(keyword), given.get(keyword)
            if limit is None or (before is not None and (before <= limit if larger_takes_more else before >= limit)):
                continue
            yield f"{place}: {keyword} is {limit}, and was {before}"
        if "pattern" in taken and taken["pattern"] != given.get("pattern"):
            yield f"{place}: the pattern is another"

    def _fields(self, given: Schema, taken: Schema, at: str) -> Iterator[str]:
        fields, others = given.get("properties", {}), taken.get("properties", {})
        for name, field in fields.items():
            place = f"{at}.{name}" if at else name
            if name in others:
                yield from self.narrower(field, others[name], place)
            elif taken.get("additionalProperties") is False and not self._new_fields:
                yield f"{place}: is not taken"
        for name in taken.get("required", ()):
            if name not in given.get("required", ()):
                yield f"{at}.{name}: must be there".removeprefix(".")

    def _members(self, given: Schema, taken: Schema, at: str) -> Iterator[str]:
        place = f"{at}[]"
        if "items" in given and "items" in taken:
            yield from self.narrower(given["items"], taken["items"], place)
        pairs = zip(given.get("prefixItems", ()), taken.get("prefixItems", ()), strict=False)
        yield from chain.from_iterable(self.narrower(one, other, place) for one, other in pairs)
        one, other = given.get("additionalProperties"), taken.get("additionalProperties")
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from self.narrower(one, other, f"{at}.*")


def _resolved(schema: Schema, whole: Schema) -> Schema:
    while "$ref" in schema:
        found = whole["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        schema = found
    return schema


def _alternatives(schema: Schema) -> list[Schema]:
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema and "properties" not in schema:
            return list(schema[keyword])
    return [schema]


_ANY = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


def _types(schema: Schema) -> frozenset[str]:
    """What JSON types it allows; a number may be an integer."""
    stated = schema.get("type")
    if stated is None:
        return _ANY if _constants(schema) is None else frozenset()
    found = frozenset([stated] if isinstance(stated, str) else stated)
    return found | {"integer"} if "number" in found else found


def _constants(schema: Schema) -> list[Any] | None:
    """The values that it allows, where it names them."""
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _name(schema: Schema, number: int) -> str:
    for field in schema.get("properties", {}).values():
        if "const" in field:
            return str(field["const"])
    return str(schema.get("title", f"alternative {number + 1}"))
