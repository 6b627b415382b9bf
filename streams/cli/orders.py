"""`breachwatch orders add`: an order entered by hand, from a paper copy, with what is missing marked as such."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli.by_hand import by_hand, moment, place, publish
from streams.errors import BreachwatchError

app = typer.Typer(no_args_is_help=True)
NOT_STATED = "not stated"

Many = list[str] | None


@app.callback()
def _orders() -> None:
    """Orders, by hand."""


@app.command()
def add(
    subject: Annotated[str | None, typer.Option(help="The police's reference of the respondent.")] = None,
    order_id: Annotated[
        str | None, typer.Option(help="The order's own number; made from subject and date if not.")
    ] = None,
    version: Annotated[int, typer.Option(min=1, help="2 or more completes or varies an earlier entry.")] = 1,
    kind: Annotated[
        str, typer.Option(help="spo_full, spo_interim, dapo, non_molestation, restraining ...")
    ] = "spo_full",
    court: Annotated[str | None, typer.Option()] = None,
    made: Annotated[str | None, typer.Option(help="When it was made: 2026-11-25 14:00, London time.")] = None,
    expires: Annotated[str | None, typer.Option(help="When it ends; without, until further order.")] = None,
    until_further_order: Annotated[bool, typer.Option(help="The paper says so: it has no end.")] = False,
    name: Annotated[str | None, typer.Option(help="The respondent's name.")] = None,
    born: Annotated[str | None, typer.Option(help="The respondent's date of birth, YYYY-MM-DD.")] = None,
    served: Annotated[str | None, typer.Option(help="When it was served in person.")] = None,
    in_court: Annotated[bool, typer.Option(help="The respondent was in court when it was made.")] = False,
    protects: Annotated[Many, typer.Option(help="Reference of a protected person; may be repeated.")] = None,
    zone: Annotated[Many, typer.Option(help="LAT,LON,METRES that must not be entered; may be repeated.")] = None,
    zone_file: Annotated[Many, typer.Option(help="A GeoJSON polygon that must not be entered.")] = None,
    no_contact: Annotated[bool, typer.Option("--no-contact", help="Must not contact the protected persons.")] = False,
    term: Annotated[Many, typer.Option(help="Any other term, in the order's words; may be repeated.")] = None,
    plate: Annotated[Many, typer.Option(help="A vehicle of the respondent's; may be repeated.")] = None,
    tag: Annotated[Many, typer.Option(help="A tag that the respondent wears; may be repeated.")] = None,
    phone: Annotated[Many, typer.Option(help="A number of the respondent's; may be repeated.")] = None,
    force: Annotated[str | None, typer.Option(help="The force that owns it.")] = None,
    risk: Annotated[str | None, typer.Option(help="standard, medium or high; without, it counts as high.")] = None,
    marker: Annotated[Many, typer.Option(help="weapons, violence, dogs ...; may be repeated.")] = None,
    certified_copy: Annotated[str | None, typer.Option(help="Where the certified copy is.")] = None,
    exercise: Annotated[bool, typer.Option("--exercise", help="An exercise: it never dispatches.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the event; send nothing.")] = False,
) -> None:
    """Enter an order by hand. What the paper does not say is marked as missing, for a person to complete."""
    asks = sys.stdin.isatty()
    if subject is None and asks:
        subject = typer.prompt("the respondent's reference")
    if not (zone or zone_file or no_contact or term) and asks:
        no_contact = typer.confirm("must they not contact the protected persons?", default=True)
        words = typer.prompt("any other term, in the order's words (empty: none)", default="", show_default=False)
        term = [words] if words else []
    body = order_event(
        {
            "subject": subject,
            "order_id": order_id,
            "version": version,
            "kind": kind,
            "court": court,
            "made": made,
            "expires": expires,
            "until_further_order": until_further_order,
            "name": name,
            "born": born,
            "served": served,
            "in_court": in_court,
            "protects": protects or [],
            "zone": zone or [],
            "zone_file": zone_file or [],
            "no_contact": no_contact,
            "term": term or [],
            "plate": plate or [],
            "tag": tag or [],
            "phone": phone or [],
            "force": force,
            "risk": risk,
            "marker": marker or [],
            "certified_copy": certified_copy,
        },
        datetime.now(UTC),
        exercise=exercise,
    )
    typer.echo(publish("orders", body, dry_run=dry_run))
    missing = body["data"].get("missing", [])
    if missing and not dry_run:
        data = body["data"]
        typer.echo(f"not stated: {', '.join(missing)}; the order is in force all the same, and flagged")
        typer.echo(
            f"complete it: breachwatch orders add --order-id {data['order_id']} --version {data['version'] + 1} ..., "
            "with every term again"
        )


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
        from schemas.base import format_time

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
        "made_at": _text(made),
        "expires_at": _text(moment(said["expires"], "--expires")) if said["expires"] else None,
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


def _text(at: datetime) -> str:
    from schemas.base import format_time

    return format_time(at)


def _protected(said: dict[str, Any]) -> list[str]:
    return said["protects"] or [f"not-stated/{said['subject']}"]


def _terms(said: dict[str, Any]) -> list[dict[str, Any]]:
    import orjson

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
