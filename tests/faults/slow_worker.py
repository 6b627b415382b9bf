"""A worker whose recovery takes so many seconds longer, as of a large table: `python slow_worker.py NAME SECONDS`."""

import asyncio
import sys
from typing import Any

import faust
from faust.tables.recovery import Recovery

from streams.app import create_app
from streams.health import Health, serve
from streams.logs import configure_logging
from streams.settings import Settings

if __name__ == "__main__":
    name, seconds = sys.argv[1:]
    build = Recovery._build_highwaters

    async def later(self: Any, *args: Any, **kwargs: Any) -> None:
        await asyncio.sleep(float(seconds))
        await build(self, *args, **kwargs)

    Recovery._build_highwaters = later
    configure_logging()
    settings, health = Settings(), Health("worker")
    serve(settings.metrics_host, settings.metrics_port, health)
    app = create_app(settings, name, health)
    faust.Worker(app, quiet=True, override_logging=False, redirect_stdouts=False).execute_from_commandline()
