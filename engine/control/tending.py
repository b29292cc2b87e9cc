"""Housekeeping in the maintenance window: the store, old log files, old events.

The window is the daemon's own, drawn once as AWS draws one, and kept in the store for good.
"""

import asyncio
from datetime import UTC, datetime
from typing import Final

from engine.config.serve import ServeConfig
from engine.control.logs.files import LogFiles
from engine.control.store.contract import Store
from engine.control.store.records import Record
from engine.control.window import Window
from engine.machine import Clock, Random
from engine.observe.log import Log

KIND: Final = "daemon"
ID: Final = "maintenance"
WINDOW: Final = "window"

LOOK_SECONDS: Final = 60.0

PAUSE_SECONDS: Final = 12 * 3_600.0
"""Longer than a window, so that it is done once in each; shorter than the week between two."""


class Tending:
    """Does it once in each window, for the daemon that acts."""

    def __init__(
        self,
        store: Store,
        logs: LogFiles,
        config: ServeConfig,
        clock: Clock,
        random: Random,
        log: Log,
    ) -> None:
        self._store = store
        self._logs = logs
        self._config = config
        self._clock = clock
        self._random = random
        self._log = log
        self._done: float | None = None

    async def run(self) -> None:
        """Look again and again whether it is time. Raises StateError."""
        window = await self._window()
        while True:
            now = self._clock.monotonic()
            rested = self._done is None or now - self._done > PAUSE_SECONDS
            if rested and window.holds(datetime.fromtimestamp(self._clock.wall(), UTC)):
                await self.tend()
                self._done = self._clock.monotonic()
            await asyncio.sleep(LOOK_SECONDS)

    async def tend(self) -> None:
        """Do all of it now. Raises StateError."""
        now = self._clock.wall()
        await self._store.tend()
        files = await asyncio.to_thread(
            self._logs.drop_older, now - self._config.log_retention_seconds
        )
        async with self._store.write() as writing:
            before = await writing.now() - self._config.event_retention_seconds
            events = await writing.drop_events(before)
        self._log.info("tended", action="maintenance.done", files=files, events=events)

    async def _window(self) -> Window:
        async with self._store.write() as writing:
            record = await writing.get(KIND, ID)
            if record is not None:
                return Window.parse(str(record.document[WINDOW]))
            window = Window.drawn(self._random.uniform(0.0, 1.0))
            await writing.insert(Record(KIND, ID, ID, {WINDOW: str(window)}))
        return window
