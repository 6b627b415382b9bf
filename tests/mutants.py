"""Messages that are wrong in one required field each, made from an AsyncAPI document and messages that fit it."""

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import jsonschema

Json = Any


class Field(NamedTuple):
    """A required field, as the document has it."""

    place: tuple[str, ...]
    """The names on the way to it, without the numbers of items."""
    owner: str
    """The schema that requires it: of two terms of an order, the kinds may differ."""


class Mutant(NamedTuple):
    message: str
    field: Field
    fault: str
    """`gone`, `null` or `of another type`."""
    path: tuple[str | int, ...]
    """The way to the field in this payload."""
    payload: Json


_GONE = object()
_OF_ANOTHER_TYPE: dict[type, Json] = {str: 17, int: "17", float: "17", list: 17, dict: 17}


class Document:
    """An AsyncAPI document, asked for required fields."""

    def __init__(self, document: Json) -> None:
        self._components = document["components"]

    def fits(self, message: str, payload: Json) -> bool:
        return self._takes(self._payload(message), payload)

    def required(self, message: str) -> set[Field]:
        """All required fields of a message, of whatever alternative."""
        return set(self._required(self._payload(message), (), message))

    def mutants(self, message: str, payload: Json) -> Iterator[Mutant]:
        """The payload with each required field that it has wrong in turn."""
        for field, path in self._found(self._payload(message), payload, (), (), message):
            value = payload
            for step in path:
                value = value[step]
            faults = {"gone": _GONE, "null": None, "of another type": _OF_ANOTHER_TYPE[type(value)]}
            for fault, wrong in faults.items():
                yield Mutant(message, field, fault, path, _changed(payload, path, wrong))

    def _payload(self, message: str) -> Json:
        return self._components["messages"][message]["payload"]

    def _takes(self, schema: Json, value: Json) -> bool:
        return jsonschema.Draft7Validator(schema | {"components": self._components}).is_valid(value)

    def _resolved(self, schema: Json, owner: str) -> tuple[Json, str]:
        while "$ref" in schema:
            owner = schema["$ref"].rsplit("/", 1)[1]
            schema = self._components["schemas"][owner]
        return schema, owner

    def _required(self, schema: Json, place: tuple[str, ...], owner: str) -> Iterator[Field]:
        schema, owner = self._resolved(schema, owner)
        for name in schema.get("required", ()):
            yield Field((*place, name), owner)
        for name, inner in schema.get("properties", {}).items():
            yield from self._required(inner, (*place, name), owner)
        for inner in (*_alternatives(schema), *_items(schema)):
            yield from self._required(inner, place, owner)

    def _found(
        self, schema: Json, value: Json, place: tuple[str, ...], path: tuple[str | int, ...], owner: str
    ) -> Iterator[tuple[Field, tuple[str | int, ...]]]:
        """The required fields that a value has, each with the way to it."""
        schema, owner = self._resolved(schema, owner)
        for inner in _alternatives(schema):
            if self._takes(inner, value):
                yield from self._found(inner, value, place, path, owner)
        if isinstance(value, dict):
            for name in schema.get("required", ()):
                yield Field((*place, name), owner), (*path, name)
            for name, inner in schema.get("properties", {}).items():
                if name in value:
                    yield from self._found(inner, value[name], (*place, name), (*path, name), owner)
        if isinstance(value, list):
            for inner in _items(schema):
                for number, item in enumerate(value):
                    yield from self._found(inner, item, place, (*path, number), owner)


def _alternatives(schema: Json) -> list[Json]:
    """Beside the properties of an object stand cases of how they are filled, which require nothing in themselves."""
    return [] if "properties" in schema else schema.get("anyOf", schema.get("oneOf", []))


def _items(schema: Json) -> list[Json]:
    """Of a tuple none: its items are no fields."""
    items = schema.get("items")
    return [items] if isinstance(items, dict) else []


def _changed(payload: Json, path: tuple[str | int, ...], wrong: Json) -> Json:
    """A copy of the payload with another value there, or with none."""
    changed = copy.deepcopy(payload)
    *way, last = path
    owner = changed
    for step in way:
        owner = owner[step]
    if wrong is _GONE:
        del owner[last]
    else:
        owner[last] = wrong
    return changed
