"""`breachwatch doctor`: look at everything a pipeline stands on, and name the mend of what is wrong."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from streams.doctor.finding import State
from streams.errors import BreachwatchError

if TYPE_CHECKING:
    from streams.doctor.examine import Grounded

_WORST_LAST: tuple[State, ...] = ("ok", "warn", "fail")


def command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
    watch: Annotated[float, typer.Option(min=0, help="Seconds between two looks at what moves.")] = 5.0,
    role: Annotated[
        str | None,
        typer.Option(help="What our user is to be, as `access roles` has it; if not said, what it is most."),
    ] = None,
    metrics_url: Annotated[
        list[str] | None, typer.Option(help="Where a process serves its metrics, http://HOST:PORT; for each one.")
    ] = None,
) -> None:
    """Check machine, settings, brokers, topics, rights and who is at work; exit code 1 when one check fails.

    Writes nothing, and gives up a look after 15 seconds.
    """
    import orjson

    from streams.cli import load_settings
    from streams.doctor.examine import examine
    from streams.kafka.access import ROLES

    if role is not None and role not in ROLES:
        raise BreachwatchError(f"there is no role {role!r}: one of {', '.join(sorted(ROLES))}")
    findings = list(examine(os.environ, load_settings, watch_s=watch, role=role, urls=metrics_url or ()))
    if as_json:
        typer.echo(orjson.dumps([{"ground": ground} | asdict(finding) for ground, finding in findings]).decode())
    else:
        typer.echo("\n".join(lines(findings)))
    if any(finding.state == "fail" for _, finding in findings):
        raise typer.Exit(1)


def lines(findings: "Sequence[Grounded]") -> list[str]:
    """For people: by ground, and the worst last, where the eye is when it is through."""
    worst: dict[str, int] = {}
    for ground, finding in findings:
        worst[ground] = max(worst.get(ground, 0), _WORST_LAST.index(finding.state))
    shown = []
    for ground in sorted(worst, key=worst.__getitem__):
        shown.append(ground)
        mine = [finding for where, finding in findings if where == ground]
        for finding in sorted(mine, key=lambda finding: _WORST_LAST.index(finding.state)):
            shown.append(f"  {finding.state:4}  {finding.what}: {finding.detail}")
            if finding.mend:
                shown.append(f"        -> {finding.mend}")
    counts = Counter(finding.state for _, finding in findings)
    return [*shown, ", ".join(f"{counts[state]} {state}" for state in reversed(_WORST_LAST))]
