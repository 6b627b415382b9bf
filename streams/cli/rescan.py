"""`breachwatch rescan`: the retro-search, for orders that were known late."""

import asyncio

import typer

from streams.cli import load_settings
from streams.errors import BreachwatchError


def command(
    order: list[str] = typer.Option([], help="An order whose vehicles are searched for; may be repeated."),
    since: str | None = typer.Option(None, "--from", help="From when on: 2026-11-25 03:10, London time."),
    authority: str | None = typer.Option(None, help="What authorises the search: a reference for the auditor."),
    reason: str | None = typer.Option(None, help="Why it is made."),
    automatic: bool = typer.Option(
        False, "--automatic", help="Search for each late order as it is proposed, where the policy authorises it."
    ),
) -> None:
    """Search the retained plate reads for vehicles of orders that were not known when the reads came.

    Matches go on to the pipeline, marked as retrospective; what breached an order becomes a task. The search is on
    the audit trail of each subject. One that was broken off goes on where it ended when the same is asked for again.
    It waits while the gate is behind.
    """
    from streams.core.policy import load_policy
    from streams.entered import moment
    from streams.kafka import admin
    from streams.rescan import Search, follow, rescan

    settings = load_settings()
    if automatic:
        if order or since or authority or reason:
            raise BreachwatchError("--automatic takes orders from the alerts, and the authority from the policy")
        asyncio.run(follow(settings, load_policy(settings.policy_file).retro_search, typer.echo))
        return
    if not order or since is None or authority is None or reason is None:
        raise BreachwatchError("say --order, --from, --authority and --reason: a search is on the record")
    admin.require(settings, "rescan")
    search = Search(tuple(sorted(set(order))), moment(since, "--from"), authority, reason)
    found = asyncio.run(rescan(settings, search, typer.echo))
    typer.echo(f"search {search.search_id}: {found.reads:,} reads searched, {found.matches:,} passed on")
    if found.retained_from is not None:
        typer.echo(f"reads before {found.retained_from:%Y-%m-%d %H:%M}Z are not retained any more", err=True)
