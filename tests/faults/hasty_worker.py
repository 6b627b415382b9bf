"""A worker with the fault that we guard against planted: it commits before its sends are acknowledged.

Sends are held back for a while, so that a kill between the commit and the send loses what was decided.
"""

import asyncio
import sys
from typing import Any

import faust
from aiokafka import AIOKafkaProducer

from streams import transport
from streams.app import create_app
from streams.health import Health
from streams.logs import configure_logging
from streams.settings import Settings

HELD_BACK_S = 2.5


async def no_barrier(_: transport.Sends, __: float) -> None:
    """Commit whatever is in flight."""


def hold_back() -> None:
    send = AIOKafkaProducer.send

    async def later(self: Any, *args: Any, **kwargs: Any) -> Any:
        async def run() -> Any:
            await asyncio.sleep(HELD_BACK_S)
            return await (await send(self, *args, **kwargs))

        return asyncio.ensure_future(run())

    AIOKafkaProducer.send = later


if __name__ == "__main__":
    transport.Sends.barrier = no_barrier  # type: ignore[method-assign]
    hold_back()
    configure_logging()
    app = create_app(Settings(), sys.argv[1], Health("worker"))
    faust.Worker(app, quiet=True, override_logging=False, redirect_stdouts=False).execute_from_commandline()
