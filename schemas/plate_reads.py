"""Plate reads checked at the speed of the national feed: the shape of `PlateRead` for msgspec.

pydantic takes some 25 µs for a read, msgspec 2 to 3, and a national feed has 5,000 a second. What this accepts is a
valid `PlateRead`, but for a time spelt with a space for its "T", with an offset without a colon, with more than nine
digits of a second, or of a year outside 1900 to 9000. What it refuses may be valid all the same (an older schema
version): `schemas.inbound.decode` has the last word, and the words for the sender.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

_Identity = Annotated[str, Meta(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*\Z")]
_Text = Annotated[str, Meta(min_length=1, max_length=200)]
_Attribute = Annotated[str, Meta(min_length=1, max_length=2000)]
_Instant = Annotated[datetime, Meta(tz=True)]
_Hash = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]
_Trace = Annotated[str, Meta(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z")]


class _Position(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    accuracy_m: Annotated[float, Meta(gt=0, le=100_000)] | None = None


class _Data(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    vrm: Annotated[str, Meta(min_length=1, max_length=16)]
    camera_id: _Identity
    position: _Position
    confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    force: _Text | None = None
    direction: _Text | None = None
    lane: Annotated[int, Meta(ge=0, le=20)] | None = None
    images: Annotated[tuple[_Hash, ...], Meta(max_length=10)] = ()


class QuickRead(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A `PlateRead`, to be checked and thrown away."""

    type: Literal["plate_read"]
    id: _Identity
    source: _Identity
    time: _Instant
    recordedtime: _Instant
    data: _Data
    specversion: Literal["1.0"] = "1.0"
    schemaversion: Literal[1] = 1
    exercise: bool = False
    traceparent: _Trace | None = None
    tracestate: _Attribute | None = None
    datacontenttype: Literal["application/json"] | None = None
    dataschema: _Attribute | None = None
    subject: _Attribute | None = None
    partitionkey: _Attribute | None = None


quick_read = msgspec.json.Decoder(QuickRead).decode
"""Bytes -> QuickRead; raises one of NOT_A_READ."""

NOT_A_READ = (msgspec.MsgspecError, UnicodeDecodeError, TypeError)
