"""uvicorn with the daemon's limits: it owns neither signals nor the log, and waits for no one.

uvicorn bounds headers in bytes and idle connections in time, but not the time that headers take;
`PatientProtocol` does. It speaks HTTP/1.1 by h11, which is Python: a parser of bytes from anybody.
"""

import asyncio
import contextlib
import errno
import math
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.config.limits import Limits
from engine.errors import ConfigError, PenstockError
from engine.observe.http import Address


class Server(uvicorn.Server):
    """A server that leaves signals to the daemon: `should_exit = True` stops it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield


class AddressTakenError(PenstockError):
    """Something listens there already. It may be a daemon that is about to end: starting again may
    help, so it is no mistake in the configuration, after which a service manager stops trying."""


def bound(key: str, text: str) -> socket.socket:
    """A socket that listens on the address that a key of the configuration names.

    Answers leave at once. An answer's head and body are two writes, and where the system may wait
    with the second for the client's acknowledgement of the first (Nagle), which clients delay by
    40 ms, every answer takes that long. asyncio switches it off for sockets that say they are of
    TCP, which those of `socket.create_server` do not; what is accepted inherits it from here.

    Raises:
        AddressTakenError: something else listens there.
        ConfigError: the text is no address, or none that can be listened on here.
    """
    try:
        address = Address.parse(text)
    except ConfigError as error:
        raise ConfigError(key, error.constraint) from None
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server((address.host, address.port), family=family, backlog=512)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        if error.errno == errno.EADDRINUSE:
            raise AddressTakenError(
                f"{key}: cannot listen on {address}: {why}",
                hint="choose a free port, or stop what listens there",
            ) from error
        raise ConfigError(key, f"cannot listen on {address}: {why}") from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def server(app: Starlette, limits: Limits, *, tls: ssl.SSLContext | None = None) -> Server:
    """A server for `await server.serve(sockets=[...])`, on sockets that are bound already."""
    config = uvicorn.Config(
        app,
        http=_protocol(limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=math.ceil(limits.idle_seconds),
        timeout_graceful_shutdown=math.ceil(limits.stop_seconds),
        limit_concurrency=limits.connections,
        h11_max_incomplete_event_size=limits.header_bytes,
    )
    config.load()
    config.ssl = tls
    return Server(config)


def _protocol(limits: Limits) -> type[asyncio.Protocol]:
    class Bounded(PatientProtocol):
        header_seconds = limits.header_seconds

    return Bounded


class PatientProtocol(H11Protocol):
    """Closes a connection whose client does not bring the headers of a request to their end."""

    header_seconds: float

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A new client is waited for as one that has begun."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Bytes begin the time, and end it where they complete the headers."""
        if self._waiting is None and self._between_requests():
            self._wait()
        super().data_received(data)
        if not self._between_requests():
            self._wait_no_longer()

    def on_response_complete(self) -> None:
        """The time between requests is uvicorn's to bound."""
        super().on_response_complete()
        self._wait_no_longer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def _between_requests(self) -> bool:
        cycle: object = self.cycle  # None before the first request, whatever its type says.
        return cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(self.header_seconds, self.transport.close)

    def _wait_no_longer(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
