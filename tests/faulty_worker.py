"""A worker whose sends to one topic do not succeed: `python faulty_worker.py NAME HOW TOPIC`.

`fails`: the send is refused; `stalls`: it is never acknowledged; `hangs`: the call does not return; `blocks`: nor
does anything else run; `interrupted`: it does not return, and the worker falls over something else meanwhile.
What is broken is the Kafka client, below everything of ours and of Faust's.
"""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import faust
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError

from streams.app import create_app
from streams.health import Health, serve
from streams.logs import configure_logging
from streams.settings import Settings


def break_sends(how: str, to: str, interrupt: Callable[[], Awaitable[None]]) -> None:
    send = AIOKafkaProducer.send

    async def broken(self: Any, topic: str, *args: Any, **kwargs: Any) -> Any:
        if topic != to:
            return await send(self, topic, *args, **kwargs)
        if how == "blocks":
            threading.Event().wait()
        sent: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if how == "fails":
            sent.set_exception(KafkaTimeoutError())
        if how == "interrupted":
            interruption = asyncio.create_task(interrupt())
            await asyncio.wait([sent, interruption])
            await sent
        if how == "hangs":
            await sent
        return sent

    AIOKafkaProducer.send = broken


if __name__ == "__main__":
    name, how, topic = sys.argv[1:]
    configure_logging()
    settings, health = Settings(), Health("worker")
    serve(settings.metrics_host, settings.metrics_port, health)
    app = create_app(settings, name, health)
    break_sends(how, topic, lambda: app.crash(RuntimeError("something else is broken")))
    faust.Worker(app, quiet=True, override_logging=False, redirect_stdouts=False).execute_from_commandline()
