"""A worker of a release to come: `python next_worker.py NAME`. Its rows have a field more, and it reads ours.

It also reads messages of a schema version before the first, as a release with a second version reads the first.
"""

import sys
from typing import Any

import faust

from schemas import versions
from streams.app import create_app
from streams.core import rows
from streams.core.state import SubjectState
from streams.health import Health
from streams.logs import configure_logging
from streams.settings import Settings


class NextState(SubjectState):
    """A row of the next version."""

    remark: str = ""


def from_before(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"remark": "from before"}


def report_of_old(event: dict[str, Any]) -> dict[str, Any]:
    data = dict(event["data"])
    data["nature"] = data.pop("kind")
    return event | {"data": data}


if __name__ == "__main__":
    [name] = sys.argv[1:]
    rows.UPGRADES[rows.VERSION] = from_before
    rows.VERSION += 1
    rows.SubjectState = NextState
    versions.UPCASTS[0] = report_of_old
    configure_logging()
    app = create_app(Settings(), name, Health("worker"))
    faust.Worker(app, quiet=True, override_logging=False, redirect_stdouts=False).execute_from_commandline()
