"""What the demonstration shows of its story: lines for people, in colour at a terminal and plain elsewhere."""

import textwrap
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from schemas.internal import DeadLetterHeaders
from schemas.tasks import Alert, ArrestTask
from streams.demo.story import Step
from streams.demo.teller import Shown

WIDTH = 118
_STYLES = {"immediate": "bold red", "priority": "bold yellow"}


class Screen:
    """Prints to `console`; a task in full when it opens, afterwards only what has changed of it."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, markup=False, emoji=False)
        if not self._console.is_terminal:
            self._console.width = WIDTH

    def show(self, shown: Shown) -> None:
        """One step, task, alert or dead letter."""
        thing = shown.thing
        if isinstance(thing, Step):
            self.line("")
            self._line(thing.says, "bold cyan")
        elif isinstance(thing, ArrestTask):
            self._task(thing, shown.before, shown.took_ms)
        elif isinstance(thing, Alert):
            self._line(f"alert, {thing.severity}: {thing.text}", "yellow", 2)
        elif isinstance(thing, DeadLetterHeaders):
            where = f"{thing.topic}/{thing.partition}/{thing.offset}"
            self._line(f"dead letter {where}, {thing.reason}: {thing.detail}", "magenta", 2)

    def line(self, text: str) -> None:
        """A line of text as it is, never broken: it may be for copying."""
        self._console.print(Text(text), soft_wrap=True)

    def _task(self, task: ArrestTask, before: ArrestTask | None, took_ms: float | None) -> None:
        took = "" if took_ms is None else f"   ({took_ms:.0f} ms)"
        assigned = f", {task.assigned_to}" if task.assigned_to else ""
        due = "" if task.state == "arrested" else f", act by {task.deadline:%H:%M:%S}Z"
        head = f"TASK {task.grade.upper()}, score {task.priority.score}, {task.state}{assigned}"
        self._line(f"{head}: {task.subject_name or task.subject_id}{due}{took}", _style(task), 2)
        known = {breach.breach_id: breach for breach in before.breaches} if before else {}
        for breach in task.breaches:
            if breach.breach_id not in known:
                self._line(f"{breach.certainty}: {breach.reason}", "", 4)
        seen = task.last_seen
        if seen is not None and (before is None or before.last_seen != seen):
            ago = max(0, int((datetime.now(UTC) - seen.time).total_seconds()))
            kind = seen.source.replace("_", " ")
            self._line(f"last seen {ago} s ago {seen.place or ''} ({kind})", "green", 4)
        for flag in task.flags:
            if before is None or flag not in before.flags:
                self._line(f"! {flag}", "", 4)
        if task.court_deadline is not None and (before is None or before.court_deadline is None):
            self._line(f"before a court by {task.court_deadline:%d %b %H:%M}Z", "", 4)

    def _line(self, text: str, style: str = "", indent: int = 0) -> None:
        # Wrapped here: rich would fill the rest of each line with spaces.
        margin = " " * indent
        for line in textwrap.wrap(text, self._console.width, initial_indent=margin, subsequent_indent=margin):
            self._console.print(Text(line, style), soft_wrap=True)


def _style(task: ArrestTask) -> str:
    return "bold green" if task.state == "arrested" else _STYLES.get(task.grade, "bold")
