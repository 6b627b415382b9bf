"""A TCP proxy before a broker, on loopback, whose connections can be cut, or made slow."""

import asyncio
import threading
from contextlib import suppress

from streams.kafka.local import HOST

_CHUNK_BYTES = 65_536


class Proxy:
    """Listens on one port and passes everything on to another, from a thread of its own. `start`, then `close`."""

    def __init__(self, listens_on: int, goes_to: int) -> None:
        self._listens_on, self._goes_to = listens_on, goes_to
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{listens_on}", daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._cut = False
        self._delay_s = 0.0

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def cut(self) -> None:
        """Break every connection, and take no new one until `mend`."""
        self._loop.call_soon_threadsafe(self._set, True, 0.0)

    def slow(self, delay_s: float) -> None:
        """Each piece of data, in both directions, waits so long."""
        self._loop.call_soon_threadsafe(self._set, False, delay_s)

    def mend(self) -> None:
        self._loop.call_soon_threadsafe(self._set, False, 0.0)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _set(self, cut: bool, delay_s: float) -> None:
        self._cut, self._delay_s = cut, delay_s
        if cut:
            self._abort()

    def _abort(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self._listens_on)

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        self._abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        beyond: asyncio.StreamWriter | None = None
        try:
            if self._cut:
                return
            back, beyond = await asyncio.open_connection(HOST, self._goes_to)
            self._open.add(beyond)
            await asyncio.wait(
                [asyncio.ensure_future(self._pass(reader, beyond)), asyncio.ensure_future(self._pass(back, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
        except OSError:  # the broker is down, as it may be
            pass
        finally:
            for end in (writer, beyond):
                if end is not None:
                    end.transport.abort()
                    self._open.discard(end)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await source.read(_CHUNK_BYTES):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                sink.write(piece)
                await sink.drain()
