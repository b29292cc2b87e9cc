"""`FaultProxy` for tests that block: its event loop runs in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from tests.servers.proxy import FaultProxy


class Served(Protocol):
    """A server that listens."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...


class Proxied:
    """A proxy in front of a server. `do(FaultProxy.cut)` runs a command in the proxy's loop."""

    def __init__(self, server: Served) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._proxy = FaultProxy(server.host, server.port)

    def do(self, command: Callable[[FaultProxy], None]) -> None:
        async def run() -> None:
            command(self._proxy)

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    @property
    def port(self) -> int:
        return self._proxy.port

    @property
    def accepted(self) -> int:
        return self._proxy.accepted

    @contextmanager
    def running(self) -> Iterator["Proxied"]:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._proxy.__aenter__(), self._loop).result(10)
        try:
            yield self
        finally:
            leaving = self._proxy.__aexit__(None, None, None)
            asyncio.run_coroutine_threadsafe(leaving, self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


@contextmanager
def proxied(server: Served) -> Iterator[Proxied]:
    with Proxied(server).running() as proxy:
        yield proxy
