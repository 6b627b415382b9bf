"""`breachwatch bench`: how fast the pipeline is, as ratios to what the parts below it can do."""

import logging
import tempfile
from pathlib import Path

import orjson
import typer

from streams.errors import BreachwatchError


def command(
    only: list[str] = typer.Option(
        [], help="A part to run, of gate, assess, latency, overload and growth; may be given again."
    ),
    orders: int = typer.Option(50_000, min=1, help="Orders whose identifiers the gate has."),
    repeats: int = typer.Option(3, min=1, help="Times that each ratio is measured."),
    quick: bool = typer.Option(False, help="A small load: whether it works, not how fast it is."),
    json: bool = typer.Option(False, "--json", help="One JSON object on standard output, and progress on the other."),
    history: Path | None = typer.Option(None, help="A file to add the run to, and to compare with its last one."),
) -> None:
    """Measure gate, assess, latency and overload on a Kafka of its own, each beside its floor in the same run.

    Takes some ten minutes; nothing else should run meanwhile. `--only growth` takes half an hour more: how the
    figures change from 1,000 to 200,000 orders, and with 1, 2 and 4 workers.
    """
    from streams.bench.run import PARTS, RATIO_PARTS, Size, bench, compared, previous, remember

    if unknown := set(only) - set(PARTS):
        raise BreachwatchError(f"--only {', '.join(sorted(unknown))}: the parts are {', '.join(PARTS)}")
    size = Size(orders=orders, repeats=repeats)
    if quick:
        size = Size(
            orders=min(orders, 500),
            reads=60_000,
            subjects=20,
            fixes=1000,
            reports=10,
            rates=(0, 200),
            waiting_reads=60_000,
            overload_reports=10,
            repeats=repeats,
            growth_orders=(20, 200),
            growth_processes=(1, 2),
        )
    # Brokers refuse the first sends to a topic that has just been made; they are sent again, and it is no news.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    before = previous(history) if history is not None else None
    with tempfile.TemporaryDirectory(prefix="breachwatch-bench-") as directory:
        results = bench(only or RATIO_PARTS, size, Path(directory), lambda text: typer.echo(text, err=json))
    run = results.as_json()
    if history is not None:
        remember(history, run)
    if json:
        typer.echo(orjson.dumps(run).decode())
        return
    for line in results.lines():
        typer.echo(line)
    for line in compared(run, before) if before is not None else ():
        typer.echo(line)
