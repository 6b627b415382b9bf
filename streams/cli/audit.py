"""`breachwatch audit`: verify that the record of decisions is whole and unaltered."""

from collections import defaultdict

import typer

from streams.cli import load_settings

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _audit() -> None:
    """Verify the audit's hash chains."""


@app.command()
def verify() -> None:
    """Recompute each subject's chain of hashes; exit code 1 when an entry is missing or was altered."""
    from schemas.tasks import AuditEntry
    from streams.core.chain import faults
    from streams.kafka.admin import cluster_of
    from streams.kafka.reading import read_all
    from streams.kafka.topics import full_name

    settings = load_settings()
    chains: dict[str, list[AuditEntry]] = defaultdict(list)
    unreadable = total = 0
    for message in read_all(cluster_of(settings), full_name(settings, "audit")):
        total += 1
        try:
            entry = AuditEntry.read(message.value or b"")
        except ValueError:
            unreadable += 1
            typer.echo(f"audit/{message.partition}/{message.offset}: not an audit entry", err=True)
            continue
        chains[entry.subject_id].append(entry)
    wrong = 0
    for subject, entries in sorted(chains.items()):
        for fault in faults(entries):
            wrong += 1
            typer.echo(f"{subject}: {fault}", err=True)
    typer.echo(f"{total} entries of {len(chains)} subjects; {wrong + unreadable} faults")
    if wrong or unreadable:
        raise typer.Exit(1)
