"""What the server is told about our progress, on a clock of its own.

A silent reader is cut off after `wal_sender_timeout`. Updates therefore hang on timers of the event
loop, not on the reading of the stream: they go on while the consumer of the stream is slow and
nothing is read, and while the server is busy and sends nothing.
"""

import asyncio
from typing import Final

from connectors.postgres.replication import ReplicationConnection
from engine.errors import SourceError
from engine.machine import Clock

REST_SECONDS: Final = 0.1
"""Time after which an update that did not fit into the socket is tried again."""


class Feedback:
    """Sends standby status updates: every `interval` seconds, and at once when there is a reason.

    `flushed` is what the server knew to be flushed when the stream began; it only grows.
    """

    def __init__(
        self, connection: ReplicationConnection, clock: Clock, interval: float, flushed: int
    ) -> None:
        self.written = flushed
        self.flushed = flushed
        self._connection = connection
        self._clock = clock
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._ask = False
        self._soon: asyncio.Handle | None = None
        self._error: SourceError | None = None
        self._timer = self._loop.call_later(interval, self._tick)
        self._closed = False

    def acknowledge(self, lsn: int) -> None:
        """Everything up to here is durable on our side; told soon, several at once."""
        if lsn > self.flushed:
            self.flushed = lsn
            self.soon()

    def ask(self) -> None:
        """Ask the server for its position; told at once by a keepalive."""
        self._ask = True
        self.soon()

    def soon(self) -> None:
        """Send an update in this turn of the loop."""
        if self._soon is None and not self._closed:
            self._soon = self._loop.call_soon(self._send)

    def check(self) -> None:
        """Raise what the last update met."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Tell the last position and stop. Idempotent."""
        if self._closed:
            return
        self._send()
        self._closed = True
        self._timer.cancel()
        if self._soon is not None:
            self._soon.cancel()

    def _tick(self) -> None:
        # An answer each time: a sign of life, and what an idle server keeps log for may be let go.
        self._ask = True
        self._send()
        if not self._closed:
            self._timer = self._loop.call_later(self._interval, self._tick)

    def _send(self) -> None:
        self._soon = None
        if self._error is not None or self._closed:
            return
        ask, self._ask = self._ask, False
        now_us = int(self._clock.wall() * 1_000_000)
        written = max(self.written, self.flushed)
        try:
            if not self._connection.send_status(written, self.flushed, now_us, ask):
                self._loop.call_later(REST_SECONDS, self._rest)
        except SourceError as error:
            self._error = error

    def _rest(self) -> None:
        if self._closed or self._error is not None:
            return
        try:
            if not self._connection.flush():
                self._loop.call_later(REST_SECONDS, self._rest)
        except SourceError as error:
            self._error = error
