"""Rows of distributed transactions from earlier places of the log, over a connection of its own.

It is needed for transactions that are too large to be held until they are committed, and for those
that were prepared before the stream began: a start, a restart, a snapshot, or a fail-over stood
between. Of these nobody knows the place, so the log is looked through from the newest file back.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Final

from connectors.mysql.binlog.events import Event, XaId
from connectors.mysql.dump import Open, events_from
from connectors.mysql.errors import LOAD_AGAIN
from connectors.mysql.log_walk import OFFSET_MAX
from connectors.mysql.position import FILE_BEGINNING, LogPlace
from connectors.mysql.xa import PreparedGroups, XaGroup, name_of, size_of
from connectors.mysql.xa_reading import XaReading
from engine.errors import PositionLostError, SourceConnectionError

SLICE_BYTES: Final = 1 << 18
"""Rows handed on at a time."""

Events = tuple[list[Event], int]
"""Events, and their size in bytes."""


class XaLog:
    """Reads transactions out of the log. `open_dump` reads it from a place on; `files` names its
    files, the oldest first."""

    def __init__(
        self,
        open_dump: Open,
        files: Callable[[], Awaitable[Sequence[str]]],
        known: PreparedGroups,
    ) -> None:
        self._open_dump = open_dump
        self._files = files
        self._known = known

    async def find(self, xid: XaId, before: LogPlace) -> XaGroup:
        """The group that was prepared last under this name, before a place.

        Raises:
            PositionLostError: it is nowhere in the log.
            SourceConnectionError, SourceError, DecodeError.
        """
        newest = before.file_number
        there = await self._files()
        files = [file for file in there if LogPlace(file, 0).file_number <= newest]
        for file in reversed(files):
            prepared = await self._prepared(file, before)
            found = prepared.pop(xid, None)
            self._known.learn(prepared.values())
            if found is not None:
                return found
        raise _lost(xid, there)

    async def _prepared(self, file: str, before: LogPlace) -> dict[XaId, XaGroup]:
        """Transactions that are prepared where a file ends, or at `before`."""
        reading = XaReading(rows=False)
        begun = None
        async with aclosing(events_from(self._open_dump, LogPlace(file, FILE_BEGINNING))) as events:
            async for data in events:
                for _ in reading.feed(data):
                    pass
                if reading.begun is not begun:
                    begun = reading.begun
                    if begun is not None and (begun.file != file or before <= begun):
                        break
        return reading.prepared

    async def rows(self, group: XaGroup) -> AsyncGenerator[Events, None]:
        """What a group holds, in slices.

        Raises:
            PositionLostError: the log does not go back that far any more.
            SourceConnectionError: another group stands there now; or the link broke.
            SourceError, DecodeError.
        """
        there = await self._files()
        if group.start.file not in there:
            raise _lost(group.xid, there)
        start = group.start
        if start.offset > OFFSET_MAX:  # no server can be asked for it
            start = LogPlace(start.file, FILE_BEGINNING)
        reading = XaReading(rows=True)
        found: list[Event] = []
        size = 0
        async with aclosing(events_from(self._open_dump, start)) as events:
            async for data in events:
                for event in reading.feed(data):
                    if _stands_there(reading.group, group):
                        found.append(event)
                        size += size_of(event)
                    if size > SLICE_BYTES:
                        yield found, size
                        found, size = [], 0
                if _stands_there(reading.ended, group):
                    break
                if reading.begun is not None and group.start < reading.begun:
                    raise _another(group)
        yield found, size


def _stands_there(found: XaGroup | None, group: XaGroup) -> bool:
    """Whether that is the group. Raises SourceConnectionError where another stands in its place."""
    if found is None or found.start != group.start:
        return False
    if (found.xid, found.gtid) != (group.xid, group.gtid):
        raise _another(group)
    return True


def _lost(xid: XaId, files: Sequence[str]) -> PositionLostError:
    oldest = files[0] if files else "nothing"
    return PositionLostError(
        f"the source has committed the distributed transaction {name_of(xid)}, whose rows are not"
        f" in its binary log, which goes back to {oldest}",
        hint="it was prepared earlier, or in a session that did not log (sql_log_bin):"
        f" {LOAD_AGAIN}; keep the log longer than transactions stay prepared",
    )


def _another(group: XaGroup) -> SourceConnectionError:
    return SourceConnectionError(
        f"the distributed transaction {name_of(group.xid)} does not stand at {group.start} of the"
        " source's binary log any more",
        hint="another server answers, or the log was reset: it is looked for again",
    )
