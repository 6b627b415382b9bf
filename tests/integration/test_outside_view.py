"""The contract from outside: who knows the AsyncAPI document alone can send what is taken, and is told what is not.

Messages come from a generator for JSON Schema that is not ours (outside_view/generate.mjs); each mutant of them has
one required field that is gone, null or of another type; and AsyncAPI's own parser reads the document.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from harness import Pipeline, order, quick
from mutants import Document, Field, Mutant

from schemas.inbound import BadMessageError, decode
from streams import contract

SCRIPTS = Path(__file__).with_name("outside_view")
DOCUMENT = contract.DIRECTORY / "asyncapi.json"
COUNT = 40
"""Of each message of each channel: so many that every field which some message requires is in one of them."""
WARNING = 1
"""The parser's severities: 0 is an error, 2 says that there is a newer AsyncAPI."""


class Generated(NamedTuple):
    channel: str
    message: str
    payload: dict[str, Any]


class Faulty(NamedTuple):
    channel: str
    mutant: Mutant


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts with the packages that they need, outside of the checkout."""
    if shutil.which("npm") is None:
        pytest.skip("needs Node.js with npm")
    folder = tmp_path_factory.mktemp("outside") / SCRIPTS.name
    shutil.copytree(SCRIPTS, folder)
    # No script of a package runs: one of them reports who installs it.
    run(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    return folder


def run(folder: Path, *command: str | Path) -> str:
    """What it writes; its errors are shown where it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def document() -> Document:
    return Document(json.loads(DOCUMENT.read_text("utf-8")))


@pytest.fixture(scope="module")
def generated(outside: Path) -> list[Generated]:
    made = json.loads(run(outside, "node", "generate.mjs", DOCUMENT, str(COUNT)))
    return [Generated(**each) for each in made]


@pytest.fixture(scope="module")
def faulty(document: Document, generated: list[Generated]) -> list[Faulty]:
    """Each fault of each required field once, on each channel that takes the message."""
    found: dict[tuple[str, str, Field, str], Faulty] = {}
    for channel, message, payload in generated:
        for mutant in document.mutants(message, payload):
            found.setdefault((channel, message, mutant.field, mutant.fault), Faulty(channel, mutant))
    return list(found.values())


def is_told(mutant: Mutant, reason: str, detail: str) -> bool:
    """The reason is the right one, and the detail says which field is wrong and how."""
    if mutant.path == ("type",):
        return reason == "unknown_type" and detail.startswith("type is missing or unknown")
    # Between two steps may stand which alternative was tried: data.terms.0.curfew.area.
    place = r"(\.\w+)?\.".join(str(step) for step in mutant.path)
    said = re.fullmatch(rf"not a valid {mutant.message}: {place}: (?P<what>[^;]+)", detail)
    return (
        reason == "invalid_field"
        and said is not None
        and (said["what"] == "Field required") == (mutant.fault == "gone")
    )


# -- the document ------------------------------------------------------------------------------------------


def test_the_parser_of_asyncapi_takes_the_document(outside: Path) -> None:
    found = json.loads(run(outside, "node", "parse.mjs", DOCUMENT))
    assert [each for each in found if each["severity"] <= WARNING] == []


@pytest.mark.parametrize(
    ("place", "value", "code"),
    [
        (("info",), {}, "asyncapi-document-resolved"),
        (("components", "schemas", "Position", "type"), "place", "asyncapi-document-resolved"),
        (("operations", "receive-orders", "channel", "$ref"), "#/channels/none", "invalid-ref"),
    ],
    ids=["no title", "no type of JSON", "a reference to nothing"],
)
def test_the_parser_finds_what_is_wrong(
    outside: Path, tmp_path: Path, place: tuple[str, ...], value: Any, code: str
) -> None:
    body = json.loads(DOCUMENT.read_text("utf-8"))
    *way, last = place
    part = body
    for step in way:
        part = part[step]
    part[last] = value
    wrong = tmp_path / "asyncapi.json"
    wrong.write_text(json.dumps(body), "utf-8")
    assert code in [each["code"] for each in json.loads(run(outside, "node", "parse.mjs", wrong))]


# -- what is made from it ----------------------------------------------------------------------------------


def test_what_is_generated_is_the_same_each_time(outside: Path, generated: list[Generated]) -> None:
    again = json.loads(run(outside, "node", "generate.mjs", DOCUMENT, str(COUNT)))
    assert [Generated(**each) for each in again] == generated


def test_what_is_generated_fits_and_is_taken(document: Document, generated: list[Generated]) -> None:
    for channel, message, payload in generated:
        assert document.fits(message, payload)
        assert decode(channel, json.dumps(payload).encode()).id == payload["id"]


def test_every_message_of_every_channel_is_there(generated: list[Generated]) -> None:
    body = json.loads(DOCUMENT.read_text("utf-8"))
    received = {each["channel"]["$ref"] for each in body["operations"].values() if each["action"] == "receive"}
    due = {
        (name, message)
        for name, channel in body["channels"].items()
        if f"#/channels/{name}" in received
        for message in channel["messages"]
    }
    assert {(each.channel, each.message) for each in generated} == due


def test_every_required_field_is_wrong_once(
    document: Document, generated: list[Generated], faulty: list[Faulty]
) -> None:
    wrong = {(channel, mutant.message, mutant.field, mutant.fault) for channel, mutant in faulty}
    due = {
        (channel, message, field, fault)
        for channel, message in {(each.channel, each.message) for each in generated}
        for field in document.required(message)
        for fault in ("gone", "null", "of another type")
    }
    assert wrong == due, "with a larger COUNT a message may have the fields that none has"


def test_what_is_faulty_does_not_fit_and_is_told(document: Document, faulty: list[Faulty]) -> None:
    for channel, mutant in faulty:
        assert not document.fits(mutant.message, mutant.payload)
        with pytest.raises(BadMessageError) as refused:
            decode(channel, json.dumps(mutant.payload).encode())
        assert is_told(mutant, refused.value.reason, refused.value.detail), (mutant.path, mutant.fault, refused.value)


# -- through Kafka -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pipeline(module_pipeline: Pipeline) -> Iterator[Pipeline]:
    # Each letter one by one: a thousand mutants are more than one source may have in a minute.
    settings = quick(module_pipeline.settings, dead_letters_per_minute=10**6)
    module_pipeline.worker(settings=settings)
    module_pipeline.gate(settings=settings)
    yield module_pipeline
    for process in module_pipeline.processes:
        process.stop()


def test_what_fits_goes_on_and_what_does_not_comes_back(
    pipeline: Pipeline, generated: list[Generated], faulty: list[Faulty]
) -> None:
    know_the_plates(pipeline, generated)
    good = {each.payload["id"] for each in generated}
    goods = [pipeline.send(each.channel, each.payload) for each in generated]
    bads = [pipeline.send(each.channel, each.mutant.payload) for each in faulty]
    for send in goods:
        send.get(30)
    bad = {where(each.channel, send.get(30)): each.mutant for each, send in zip(faulty, bads, strict=True)}

    def left() -> str:
        return f"not gone on: {sorted(good - gone_on(pipeline))}; not come back: {bad.keys() - come_back(pipeline)}"

    pipeline.until(lambda: good <= gone_on(pipeline) and bad.keys() <= come_back(pipeline).keys(), left, 120)
    pipeline.drained()
    letters = come_back(pipeline)
    assert letters.keys() == bad.keys(), "what fits came back"
    for place, mutant in bad.items():
        reason, detail, value = letters[place]
        assert is_told(mutant, reason, detail), (mutant.path, mutant.fault, reason, detail)
        assert json.loads(value) == mutant.payload


def know_the_plates(pipeline: Pipeline, generated: list[Generated]) -> None:
    """Put the plates that cameras will read on an order: the gate passes over all others, as it should."""
    plates = {each.payload["data"]["vrm"] for each in generated if each.channel == "anpr-reads"}
    identifiers = [{"kind": "plate", "value": plate} for plate in sorted(plates)]
    pipeline.publish("orders", order("S-plates", identifiers=identifiers))
    # The order and its subject are identifiers too.
    known = len(plates) + 2
    pipeline.until(lambda: len(pipeline.outputs.records["identifiers"]) >= known, "the plates are known")


def gone_on(pipeline: Pipeline) -> set[str]:
    """The ids of events that are on their way to a subject's row, or are held until it is known whom they name."""
    records = [*pipeline.outputs.records["subject-events"], *pipeline.outputs.records["unresolved"]]
    return {json.loads(record.value)["event"]["id"] for record in records if record.value is not None}


def come_back(pipeline: Pipeline) -> dict[tuple[str, int, int], tuple[str, str, bytes]]:
    """Where each dead letter lay -> its reason, its detail and its bytes."""
    return {
        (letter.headers.topic, letter.headers.partition, letter.headers.offset): (
            letter.headers.reason,
            letter.headers.detail,
            letter.value,
        )
        for letter in pipeline.outputs.dead_letters()
    }


def where(channel: str, sent: Any) -> tuple[str, int, int]:
    return channel, sent.partition, sent.offset
