"""What people state of orders and reports, on the command line or in a row of an export, as events of ours."""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from schemas.base import format_time
from streams.errors import BreachwatchError

LONDON = ZoneInfo("Europe/London")
SOURCE = "breachwatch/by-hand"
NOT_STATED = "not stated"


def moment(text: str, option: str) -> datetime:
    """A time as written on paper, `2026-11-25 03:10` in Europe/London, or with an offset; in UTC.

    Raises BreachwatchError for a local time that the clocks skipped, or had twice: say the offset then.
    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BreachwatchError(f"{option}: {text!r} is not a time such as 2026-11-25 03:10") from None
    if at.tzinfo is not None:
        return at.astimezone(UTC)
    first, second = at.replace(tzinfo=LONDON, fold=0), at.replace(tzinfo=LONDON, fold=1)
    if first.utcoffset() != second.utcoffset():
        gone = first.astimezone(UTC).astimezone(LONDON).replace(tzinfo=None) != at
        what = "does not exist: the clocks went forward" if gone else "was twice: the clocks went back"
        raise BreachwatchError(f"{option}: {text} {what}; write it with its offset, as in {text}+00:00")
    return first.astimezone(UTC)


def place(text: str, option: str, numbers: int) -> list[float]:
    """`LAT,LON` or `LAT,LON,METRES` as numbers; raises BreachwatchError for anything else."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != numbers:
        shape = "LAT,LON, such as 53.8,-1.55" if numbers == 2 else "LAT,LON,METRES, such as 53.8,-1.55,200"
        raise BreachwatchError(f"{option}: {text!r} is not {shape}")
    return found


def by_hand(kind: str, data: dict[str, Any], at: datetime, *, exercise: bool) -> dict[str, Any]:
    """The JSON object of an event that a person enters now."""
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": SOURCE,
        "type": kind,
        "time": format_time(at),
        "recordedtime": format_time(datetime.now(UTC)),
        "schemaversion": 1,
        "exercise": exercise,
        "data": {name: value for name, value in data.items() if value not in (None, [])},
    }


def order_event(said: dict[str, Any], now: datetime, *, exercise: bool) -> dict[str, Any]:
    """The order event of what was said on the command line, with the names of what was not in `missing`."""
    if said["subject"] is None:
        raise BreachwatchError("say whom the order restrains: --subject")
    terms = _terms(said)
    if not terms:
        raise BreachwatchError("say what the order forbids: --zone, --zone-file, --no-contact or --term")
    made = moment(said["made"], "--made") if said["made"] else now
    if made > now:
        raise BreachwatchError("--made is in the future")
    order_id = said["order_id"] or f"by-hand/{said['subject']}/{made:%Y-%m-%d}"
    service = None
    if said["served"]:
        service = {"served_at": format_time(moment(said["served"], "--served")), "method": "personal"}
    missing = [
        name
        for name, stated in {
            "court": said["court"],
            "when it was made": said["made"],
            "when it ends": said["expires"] or said["until_further_order"],
            "name": said["name"],
            "date of birth": said["born"],
            "service": said["served"] or said["in_court"],
            "protected persons": said["protects"],
            "owning force": said["force"],
            "risk": said["risk"],
            "certified copy": said["certified_copy"],
            "vehicles, tags or phones": said["plate"] or said["tag"] or said["phone"],
        }.items()
        if not stated
    ]
    data = {
        "order_id": order_id,
        "version": said["version"],
        "kind": said["kind"],
        "court": said["court"] or NOT_STATED,
        "made_at": format_time(made),
        "expires_at": format_time(moment(said["expires"], "--expires")) if said["expires"] else None,
        "respondent": {
            key: value
            for key, value in (
                ("subject_id", said["subject"]),
                ("name", said["name"]),
                ("date_of_birth", said["born"]),
            )
            if value is not None
        },
        "present_in_court": said["in_court"],
        "service": service,
        "protected_persons": [{"person_id": person} for person in _protected(said)],
        "terms": terms,
        "identifiers": [{"kind": kind, "value": value} for kind in ("plate", "tag", "phone") for value in said[kind]],
        "owning_force": said["force"] or NOT_STATED,
        "risk": said["risk"],
        "markers": said["marker"],
        "certified_copy": said["certified_copy"],
        "missing": missing,
    }
    return by_hand("order", data, made, exercise=exercise)


def _protected(said: dict[str, Any]) -> list[str]:
    return said["protects"] or [f"not-stated/{said['subject']}"]


def _terms(said: dict[str, Any]) -> list[dict[str, Any]]:
    protects = _protected(said)
    terms: list[dict[str, Any]] = []
    for number, text in enumerate(said["zone"], 1):
        latitude, longitude, radius_m = place(text, "--zone", 3)
        area = {"type": "Circle", "centre": {"latitude": latitude, "longitude": longitude}, "radius_m": radius_m}
        terms.append({"term_id": f"zone-{number}", "kind": "exclusion_zone", "area": area, "protects": protects})
    for number, path in enumerate(said["zone_file"], 1):
        try:
            area = orjson.loads(Path(path).read_bytes())
        except OSError as error:
            raise BreachwatchError(f"--zone-file {path}: {error.strerror}") from None
        except orjson.JSONDecodeError:
            raise BreachwatchError(f"--zone-file {path}: not JSON") from None
        terms.append({"term_id": f"area-{number}", "kind": "exclusion_zone", "area": area, "protects": protects})
    if said["no_contact"]:
        terms.append({"term_id": "no-contact", "kind": "no_contact", "protects": protects})
    terms += [
        {"term_id": f"other-{number}", "kind": "other", "text": text, "protects": protects}
        for number, text in enumerate(said["term"], 1)
    ]
    return terms
