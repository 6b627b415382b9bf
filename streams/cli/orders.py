"""`breachwatch orders`: entered by hand from a paper copy, loaded from an export, compared with a snapshot."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.by_hand import publish
from streams.entered import order_event

app = typer.Typer(no_args_is_help=True)

Many = list[str] | None


@app.callback()
def _orders() -> None:
    """Orders: enter one by hand, load an export, compare a snapshot with what is known."""


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


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="The export, CSV.")],
    columns: Annotated[Path, typer.Option(help="The map of its columns, TOML: see the docstring of orders_csv.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would come of it; send nothing.")] = False,
) -> None:
    """Load orders from a records system's export, and say what became of each line; exit code 1 if any was refused.

    The same export may be loaded as often as you like.
    """
    from schemas.inbound import decode
    from streams.adapters.orders_csv import lines, load_map
    from streams.cli import load_settings
    from streams.core.keys import message_key
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import Outgoing, send_all
    from streams.kafka.topics import full_name

    settings = load_settings()
    found = list(lines(file, load_map(columns), datetime.now(UTC)))
    good = [line.value for line in found if line.value is not None]
    if not dry_run:
        topic = full_name(settings, "orders")
        send_all(cluster_of(settings), [Outgoing(topic, message_key(decode("orders", v)), v) for v in good])
    done = "would be sent" if dry_run else "sent"
    for line in found:
        typer.echo(f"line {line.number}: {line.said}: {done if line.value is not None else 'NOT SENT'}")
    typer.echo(f"{len(good)} of {len(found)} {done}")
    if len(good) < len(found):
        raise typer.Exit(1)


@app.command()
def reconcile(
    file: Annotated[
        Path, typer.Argument(help="The snapshot: CSV with --columns, else JSON lines of `order` events.")
    ],
    columns: Annotated[
        Path | None, typer.Option(help="The map of its columns, TOML, as `orders import` has it.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="It has only orders of this source, or of one below it; without, all orders.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="The moment that it is of: 2026-11-25 03:10, London time; without, now.")
    ] = None,
    ignore: Annotated[Many, typer.Option(help="A field not to compare, such as court; may be repeated.")] = None,
    every: Annotated[bool, typer.Option("--all", help="An alert for each order, however many differ.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds for workers to take in what lies in `orders`.")] = 60.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what differs; send nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Compare a snapshot of the orders that there are with those in force here; exit code 1 if anything differs.

    An order that is missing here, in force here alone, or not the same raises an alert; run it as often as you like,
    on one day the same alerts have the same ids. That it ran is on the audit trail, also where nothing differs.
    """
    import orjson

    from streams import reconcile as reconciling
    from streams.cli import load_settings
    from streams.cli.user import on_record
    from streams.core.reconcile import COMPARED
    from streams.core.reconcile import reconcile as compare
    from streams.entered import moment
    from streams.errors import BreachwatchError
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import send_all

    if unknown := set(ignore or ()) - COMPARED:
        raise BreachwatchError(f"--ignore {min(unknown)}: not a field; those are {', '.join(sorted(COMPARED))}")
    settings, now = load_settings(), datetime.now(UTC)
    at = now if as_of is None else moment(as_of, "--as-of")
    snapshot = reconciling.read_snapshot(file, columns, now)
    reconciling.taken_in(settings, wait)
    found = compare(
        snapshot.stated,
        reconciling.known(settings, at),
        at,
        source=source,
        unread=snapshot.unread_ids,
        ignored=frozenset(ignore or ()),
    )
    told = reconciling.alerts(found, snapshot, at, now, every=every)
    if not dry_run:
        why = reconciling.ran(found, snapshot, at, source)
        record = on_record(settings, "reconciled", why, snapshot.name, reconciling.SNAPSHOT, ("-", 0, 0))
        entries = reconciling.audits(snapshot, told)
        send_all(cluster_of(settings), [*reconciling.messages(settings, told, entries), record])
    if json:
        typer.echo(orjson.dumps(reconciling.as_object(found, snapshot, told, at)).decode())
    else:
        for line in reconciling.report(found, snapshot):
            typer.echo(line)
        typer.echo(f"{len(told)} alerts {'would be ' if dry_run else ''}sent")
    if found.differences or snapshot.unread:
        raise typer.Exit(1)
