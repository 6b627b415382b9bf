"""CloudEvents 1.0 over Kafka (Kafka protocol binding 1.0.2), in binary and in structured mode.

A plain message of ours is a structured CloudEvent already. In binary mode the attributes are in headers
`ce_<name>`, UTF-8, and the value is what structured mode has under `data` (section 3.2).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

PREFIX = "ce_"
_CONTENT_TYPE = "content-type"
# Attributes that are no text in our schemas; in a header everything is (section 3.2.3.1).
_NUMBERS, _FLAGS = {"schemaversion"}, {"true": True, "false": False}

Headers = Iterable[tuple[str, bytes | None]]


def carried(headers: Headers) -> list[tuple[str, bytes]]:
    """The headers without which a message in binary mode cannot be understood."""
    return [(name, value) for name, value in headers if value is not None and _is_ours(name)]


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) or name == _CONTENT_TYPE


def is_binary(headers: Headers) -> bool:
    """Are the attributes in the headers?"""
    return any(name == f"{PREFIX}specversion" for name, _ in headers)


def structured(value: bytes | None, headers: Headers) -> bytes | None:
    """The message in structured mode: itself, unless its headers say that it is in binary mode.

    What cannot be put together is left as it is, for the decoder to say what is wrong with it.
    """
    if value is None or not is_binary(headers):
        return value
    attributes = {
        name.removeprefix(PREFIX): _attribute(name.removeprefix(PREFIX), text.decode("utf-8", "replace"))
        for name, text in headers
        if name.startswith(PREFIX) and text is not None
    }
    return orjson.dumps(attributes)[:-1] + b',"data":' + value.strip() + b"}"


def _attribute(name: str, text: str) -> Any:
    if name in _NUMBERS and text.isascii() and text.isdigit():
        return int(text[:9])
    return _FLAGS.get(text, text) if name == "exercise" else text


def binary_headers(attributes: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """The headers that make a JSON message a CloudEvent in binary mode; its value stays as it is.

    `attributes` has at least `id`, `source` and `type`.
    """
    headers = [(f"{PREFIX}{attribute}", text.encode()) for attribute, text in attributes.items()]
    return [(f"{PREFIX}specversion", b"1.0"), *headers, (_CONTENT_TYPE, b"application/json")]
