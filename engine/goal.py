"""Where a stream ends by itself: what `--stop-at` says.

A commit time is a place of the log that only the log tells: before the first transaction, in the
order of the log, that was committed later. Commit times do not only grow in a log, since a
transaction's is taken before it has its place there; what stands behind that first one is not
carried, whatever its own time. Where no later transaction comes, the end is where the log ended
when the source's clock was past the moment: what comes behind that was committed later.
"""

import asyncio
from typing import Final

from engine.abilities import DatedSource, NamingSource
from engine.contracts import Source
from engine.errors import ConfigError, SourceConnectionError
from engine.model.moment import moment_us
from engine.model.position import Position
from engine.outcome import CAUGHT_UP, COMMIT_TIME, POSITION

FIELD: Final = "--stop-at"

PREFIX: Final = "commit_time:"
"""Begins a `--stop-at` that is a commit time; AWS's word."""

MARGIN_US: Final = 1_000_000
"""How far a clock must be past a moment for every transaction with an earlier commit time to be in
the log: the time is taken a little before it is written, and PostgreSQL's asynchronous commits are
flushed within three `wal_writer_delay` (200 ms by default)."""

CLOCK_SECONDS_MAX: Final = 60.0
"""Most time between two looks at the source's clock, which may be set."""

AGAIN_SECONDS: Final = 1.0
"""After which a source that did not answer is asked again."""


def stop_time_us(text: str) -> int | None:
    """The moment of a `--stop-at` that is a commit time, None for another. Raises ValueError."""
    return moment_us(text.removeprefix(PREFIX)) if text.startswith(PREFIX) else None


def check_kind(source: Source, position: Position, field: str) -> None:
    """Check a position that a person gave, which stands in `field`, once its source is open. Raises
    ConfigError."""
    if not isinstance(source, NamingSource):
        return
    try:
        source.check_kind(position)
    except ValueError as error:
        raise ConfigError(field, str(error)) from None


class Goal:
    """One of a stream. `position` is where it is, None while that is not known. `until_us`: nothing
    that was committed later is carried. `cut`: the stream ends before such a transaction, and
    nothing that it has not read so far will be."""

    def __init__(self, source: Source, text: str | None) -> None:
        """Raises ConfigError where the source's log tells no commit times."""
        self._source = source
        self._text = text
        self.position: Position | None = None
        self.until_us = stop_time_us(text) if text is not None else None
        self.cut = False
        if self.until_us is not None and not isinstance(source, DatedSource):
            raise ConfigError(FIELD, "the source's log tells no commit times")

    @property
    def set(self) -> bool:
        """Whether there is one."""
        return self._text is not None

    @property
    def reason(self) -> str:
        """What an end there is called."""
        if self.until_us is not None:
            return COMMIT_TIME
        return CAUGHT_UP if self._text == CAUGHT_UP else POSITION

    async def aim(self) -> None:
        """Find out where it is; again, when rows newer than that were loaded. Raises
        SourceConnectionError, SourceError; ConfigError where no stream of this source comes."""
        if self._text == CAUGHT_UP:
            self.position = await self._source.head()
        elif self._text is not None and self.until_us is None:
            position = self._source.position(self._text)
            check_kind(self._source, position, FIELD)
            self.position = position

    def cut_at(self, position: Position) -> None:
        """The next transaction was committed too late."""
        self.position = position
        self.cut = True

    async def watch_clock(self) -> None:
        """Wait until the source's clock is past the moment, and take the log's end as it is then.
        Returns at once where no commit time was given. Raises SourceError."""
        source, until_us = self._source, self.until_us
        if until_us is None or not isinstance(source, DatedSource):
            return
        while self.position is None:
            try:
                head = await past(source, until_us)
            except SourceConnectionError:  # who reads the stream tells of it
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if self.position is None:
                self.position = head


async def past(source: DatedSource, moment_us: int) -> Position:
    """Wait until every transaction that was committed up to a moment is in the log; its end then.

    Raises:
        SourceConnectionError, SourceError.
    """
    while True:
        ahead_us = moment_us + MARGIN_US - await source.now_us()
        if ahead_us <= 0:
            return await source.head()
        await asyncio.sleep(min(ahead_us / 1e6, CLOCK_SECONDS_MAX))
