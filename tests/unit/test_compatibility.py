"""What would break senders or readers is found, and what would not is let by."""

from typing import Annotated, Any, Literal

import jsonschema
import pytest
from polyfactory.factories.pydantic_factory import ModelFactory
from pydantic import BaseModel, ConfigDict, Field, create_model

from streams import contract
from streams.compatibility import breaks


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Cat(Closed):
    kind: Literal["cat"]
    lives: int = 9


class Dog(Closed):
    kind: Literal["dog"]


def message(**fields: Any) -> type[BaseModel]:
    return create_model("Message", __base__=Closed, **fields)


BEFORE: dict[str, Any] = {
    "name": (Annotated[str, Field(max_length=10)], ...),
    "age": (Annotated[int, Field(ge=0)], 0),
    "colour": (Literal["red", "blue"], "red"),
    "pets": (list[Cat], []),
    "note": (str | None, None),
}
OLD = message(**BEFORE).model_json_schema()


def changed(**fields: Any) -> type[BaseModel]:
    return message(**{name: field for name, field in (BEFORE | fields).items() if field is not None})


@pytest.mark.parametrize(
    ("fields", "senders", "readers"),
    [
        ({}, [], []),
        ({"more": (str, "x")}, [], []),
        ({"more": (str, ...)}, ["more: must be there"], []),
        ({"note": None}, ["note: is not taken"], []),
        ({"name": None}, ["name: is not taken"], ["name: must be there"]),
        ({"name": (Annotated[str, Field(max_length=5)], ...)}, ["name: maxLength is 5, and was 10"], []),
        ({"name": (Annotated[str, Field(max_length=20)], ...)}, [], ["name: maxLength is 10, and was 20"]),
        ({"name": (int, ...)}, ["name: string is not taken"], ["name: "]),
        ({"age": (Annotated[int, Field(ge=1)], 1)}, ["age: minimum is 1, and was 0"], []),
        ({"colour": (Literal["red"], "red")}, ["colour: blue is not taken"], []),
        ({"colour": (Literal["red", "blue", "green"], "red")}, [], ["colour: green is not taken"]),
        ({"pets": (list[Annotated[Cat | Dog, Field(discriminator="kind")]], [])}, [], ["pets[]"]),
        ({"note": (str, "")}, ["note: null is not taken"], []),
    ],
)
def test_what_breaks_whom(fields: dict[str, Any], senders: list[str], readers: list[str]) -> None:
    new = changed(**fields).model_json_schema()
    for who, expected in (("senders", senders), ("readers", readers)):
        found = breaks(OLD, new, who)  # type: ignore[arg-type]
        assert len(found) >= bool(expected)
        assert all(any(text.startswith(one) for one in expected) for text in found), found


def test_a_change_further_down_is_found() -> None:
    def nested(name: Any) -> dict[str, Any]:
        inner = create_model("Inner", __base__=Closed, name=(name, ...))
        outer = create_model("Outer", __base__=Closed, inner=(inner, ...))
        return message(outer=(outer, ...), maybe=(outer | None, None)).model_json_schema()

    old, new = nested(str), nested(int)
    assert old["$defs"]["Outer"] == new["$defs"]["Outer"], "only what it refers to differs"
    found = breaks(old, new, "senders")
    assert found == ["outer.inner.name: string is not taken", "maybe.inner.name: string is not taken"]


@pytest.mark.parametrize("name", contract.json_schemas())
def test_a_contract_breaks_nobody_by_staying_as_it_is(name: str) -> None:
    own = contract.json_schemas()[name]
    assert breaks(own, own, "senders") == breaks(own, own, "readers") == []


ALTERNATIVES: list[dict[str, Any]] = [
    {},
    {"more": (int, 1)},
    {"name": (Annotated[str, Field(max_length=20)], ...)},
    {"age": (Annotated[int, Field(ge=-5)], 0)},
    {"age": (Annotated[int, Field(ge=5)], 5)},
    {"colour": (str, "red")},
    {"note": (str, "")},
    {"pets": (list[Annotated[Cat | Dog, Field(discriminator="kind")]], [])},
]


@pytest.mark.parametrize("before", ALTERNATIVES)
@pytest.mark.parametrize("after", ALTERNATIVES)
def test_what_breaks_no_sender_takes_all_that_was_sent(before: dict[str, Any], after: dict[str, Any]) -> None:
    old, new = changed(**before), changed(**after).model_json_schema()
    if breaks(old.model_json_schema(), new, "senders"):
        return
    factory = ModelFactory.create_factory(old)
    factory.seed_random(1)
    for sent in factory.batch(30):
        jsonschema.Draft202012Validator(new).validate(sent.model_dump(mode="json"))
