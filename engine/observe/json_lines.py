"""What a run shows where there is no terminal: its events as JSON lines."""

from collections.abc import Mapping
from typing import Final, TextIO

import orjson

from engine.machine import Clock
from engine.observe.writer import stamp

METRICS_INTERVAL_SECONDS: Final = 5.0
"""Time between two metrics lines; a log collector needs no more, `/metrics` has them finer."""


class JsonLines:
    """Writes every event as a JSON line with its time; metrics at most every few seconds."""

    takes_log = False

    def __init__(self, stream: TextIO, replication: str, clock: Clock) -> None:
        self._stream = stream
        self._replication = replication
        self._clock = clock
        self._metrics_at: float | None = None

    def event(self, event: Mapping[str, object]) -> None:
        """Write one event."""
        if event["event"] == "metrics" and not self._due():
            return
        line = {"time": stamp(self._clock.wall()), "replication": self._replication, **event}
        self._stream.write(orjson.dumps(line).decode() + "\n")
        self._stream.flush()

    def log_line(self, line: str) -> None:
        """Never called: log lines go to standard error by themselves."""

    def close(self) -> None:
        """Nothing is held back."""

    def _due(self) -> bool:
        now = self._clock.monotonic()
        if self._metrics_at is not None and now - self._metrics_at < METRICS_INTERVAL_SECONDS:
            return False
        self._metrics_at = now
        return True
