"""A worker for which the canary's ten minutes are a few seconds."""

import sys
from datetime import timedelta

import faust

from streams.app import create_app
from streams.core import canary
from streams.health import Health
from streams.logs import configure_logging
from streams.settings import Settings

KEPT = timedelta(seconds=4)

if __name__ == "__main__":
    canary.KEPT = KEPT
    configure_logging()
    app = create_app(Settings(), sys.argv[1], Health("worker"))
    faust.Worker(app, quiet=True, override_logging=False, redirect_stdouts=False).execute_from_commandline()
