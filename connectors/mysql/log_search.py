"""Finds places in the log: where what was committed at a moment or later begins, and the position
of a place that a person named. The log is read from the beginning of a file, over a connection of
its own.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from connectors.mysql.binlog import codes
from connectors.mysql.binlog.decoder import EventDecoder
from connectors.mysql.dump import Open, events_from
from connectors.mysql.gtid import GtidSet
from connectors.mysql.log_scan import Between, LogScan
from connectors.mysql.position import FILE_BEGINNING, AnyPosition, FilePosition, LogPlace
from engine.errors import PositionLostError
from engine.model.moment import moment_text

EARLY_US: Final = 3600 * 1_000_000
"""How much older than the moment the file must be from which the log is looked through. A file says
that it was created when the statement began that the server changed files in, and MariaDB's
transactions say the same of the statement that committed: both are late by as long as that ran."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file of the log, and when it was created, by what it says."""

    name: str
    created_us: int

    def begins_before(self, moment_us: int) -> bool:
        """Whether all that was committed since then is in it and behind it, for sure."""
        first = LogPlace(self.name, 0).file_number == 1
        return self.created_us + (0 if first else EARLY_US) <= moment_us


class LogSearch:
    """`open_dump` reads the log from a place on; `files` are its files, the oldest first. `gtids`
    and `purged`: see `LogScan`."""

    def __init__(
        self,
        open_dump: Open,
        files: Sequence[str],
        *,
        gtids: bool,
        purged: GtidSet,
    ) -> None:
        self._open_dump = open_dump
        self._files = files
        self._gtids = gtids
        self._purged = purged

    async def since(self, moment_us: int, end: LogPlace) -> AnyPosition:
        """The position before the first transaction, in the order of the log, that was committed at
        this moment or later; at `end`, where the log ends, when there is none before.

        Raises:
            PositionLostError: the log does not go back that far.
            SourceConnectionError, SourceError, DecodeError.
        """
        file = await self._file_before(moment_us)
        sure = file.begins_before(moment_us)
        found: AnyPosition = FilePosition(end)
        async with aclosing(self._betweens(file.name, end)) as betweens:
            async for between in betweens:
                found, committed = between.position, between.committed_at_us
                if committed is not None and committed >= moment_us:
                    break
                sure = sure or (committed is not None and file.created_us <= moment_us)
        if not sure:
            raise _too_young(file, moment_us)
        return found

    async def at(self, place: LogPlace, end: LogPlace) -> AnyPosition:
        """The position of a place in one of the files, which ends at `end`.

        Raises:
            PositionLostError: it stands inside a transaction.
            SourceConnectionError, SourceError, DecodeError.
        """
        begun = False
        async with aclosing(self._betweens(place.file, end)) as betweens:
            async for between in betweens:
                if between.place == place or (place < between.place and not begun):
                    return between.position
                if place < between.place:
                    break
                begun = between.committed_at_us is not None
        raise PositionLostError(
            f"{place} of the source's binary log is not between two transactions",
            hint="give the end of a transaction, as SHOW BINARY LOG STATUS and SHOW BINLOG EVENTS"
            " tell it",
        )

    async def _file_before(self, moment_us: int) -> LogFile:
        """The newest file that begins early enough, or else the oldest there is."""
        low, high = 0, len(self._files) - 1
        found = LogFile(self._files[0], await self._created_us(self._files[0]))
        while low < high:
            middle = (low + high + 1) // 2
            file = LogFile(self._files[middle], await self._created_us(self._files[middle]))
            if file.created_us + EARLY_US <= moment_us:
                low, found = middle, file
            else:
                high = middle - 1
        return found

    async def _created_us(self, file: str) -> int:
        decoder = EventDecoder()
        async with aclosing(self._events(file)) as events:
            async for data in events:
                header, _ = decoder.decode(data)
                if header.code == codes.FORMAT_DESCRIPTION:
                    return header.timestamp * 1_000_000
        raise AssertionError("a log has no end")

    async def _betweens(self, file: str, end: LogPlace) -> AsyncGenerator[Between, None]:
        """Every place between two transactions from a file's beginning on; the last one is at
        `end`, or the first behind it."""
        scan = LogScan(gtids=self._gtids, purged=self._purged)
        async with aclosing(self._events(file)) as events:
            async for data in events:
                between = scan.feed(data)
                if between is not None and end <= between.place:
                    yield Between(between.place, between.position, None)
                    return
                if between is not None:
                    yield between
                if scan.place.file and end <= scan.place:
                    yield Between(scan.place, scan.here(), None)
                    return

    def _events(self, file: str) -> AsyncGenerator[bytes, None]:
        return events_from(self._open_dump, LogPlace(file, FILE_BEGINNING))


def _too_young(file: LogFile, moment_us: int) -> PositionLostError:
    begins = LogPlace(file.name, FILE_BEGINNING)
    return PositionLostError(
        f"the source's binary log goes back to {file.name}, made at"
        f" {moment_text(file.created_us)} (UTC): what was committed since {moment_text(moment_us)}"
        " is not all in it for sure",
        hint=f"give a later time, or the position {begins} to begin with what there is; keep the"
        " log longer (binlog_expire_logs_seconds)",
    )
