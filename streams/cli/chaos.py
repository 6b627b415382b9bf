"""`breachwatch chaos`: break a pipeline on purpose, and see that nothing is lost."""

import tempfile
from pathlib import Path

import typer


def command(
    minutes: float = typer.Option(5.0, min=0.5, help="Minutes of faults."),
    seed: int = typer.Option(1, help="Names the world and the schedule: the same seed, the same run."),
    every: float = typer.Option(5.0, min=0.5, help="Seconds between faults, on average."),
    keep: Path | None = typer.Option(None, help="An empty folder for Kafka's data and the logs, to be kept."),
) -> None:
    """Break a local pipeline of three brokers, two workers and a gate, and compare with an undisturbed run.

    Exit code 1 when anything was lost, doubled or came out otherwise.
    """
    from streams.chaos.run import chaos

    def say(text: str) -> None:
        typer.echo(text)

    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        report = chaos(seed, minutes, every, keep, say)
    else:
        with tempfile.TemporaryDirectory(prefix="breachwatch-chaos-") as directory:
            report = chaos(seed, minutes, every, Path(directory), say)
    say(f"{report.messages} messages in {report.seconds:.0f} s, {report.subject_events} subject events")
    say(f"{report.tasks} tasks, {report.alerts} alerts, and {report.alert_repeats} repeats under the same id")
    say(f"{report.kills} kill -9 of worker or gate, {report.failovers} broker failovers")
    say("all faults: " + ", ".join(f"{fault} {times}" for fault, times in sorted(report.faults.items())))
    say(f"processes that ended by themselves, by exit code: {dict(report.ended_by_themselves)}")
    say(f"errors that publishers were told: {dict(report.send_errors)}")
    for wrong in report.wrong:
        typer.echo(f"WRONG: {wrong}", err=True)
    if report.wrong:
        raise typer.Exit(1)
    say("equal: nothing lost, nothing doubled by id")
