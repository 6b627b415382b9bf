"""A worker whose sends to one topic do not succeed: `python faulty_worker.py NAME fails|stalls TOPIC`.

What is broken is the Kafka client, below everything of ours and of Faust's.
"""

import asyncio
import sys
from typing import Any

import faust
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError

from streams.app import create_app
from streams.logs import configure_logging
from streams.settings import Settings


def break_sends(how: str, to: str) -> None:
    send = AIOKafkaProducer.send

    async def broken(self: Any, topic: str, *args: Any, **kwargs: Any) -> Any:
        if topic != to:
            return await send(self, topic, *args, **kwargs)
        sent: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if how == "fails":
            sent.set_exception(KafkaTimeoutError())
        return sent

    AIOKafkaProducer.send = broken


if __name__ == "__main__":
    name, how, topic = sys.argv[1:]
    break_sends(how, topic)
    configure_logging()
    app = create_app(Settings(), name)
    faust.Worker(app, quiet=True, override_logging=False, redirect_stdouts=False).execute_from_commandline()
