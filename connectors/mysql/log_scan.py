"""(pure) Follows the log from transaction to transaction, without what they hold.

It tells every place between two of them, with the position there: what begins a transaction, what
ends a file behind the last one, and what MariaDB notes of its files stand at such a place. A file
begins with the GTIDs of all before it, so whoever begins with a file knows what was passed.
"""

from dataclasses import dataclass
from typing import Final

from connectors.mysql.binlog import codes
from connectors.mysql.binlog.decoder import EventDecoder
from connectors.mysql.binlog.events import (
    Event,
    GtidList,
    Header,
    Heartbeat,
    MariaGtidEvent,
    MysqlGtid,
    PreviousGtids,
    Rotate,
    Stop,
)
from connectors.mysql.commit_time import committed_at_us
from connectors.mysql.gtid import GtidSet
from connectors.mysql.log_walk import LogWalk
from connectors.mysql.maria_gtid import MariaGtids
from connectors.mysql.position import (
    AnyGtids,
    AnyPosition,
    FilePosition,
    GtidPosition,
    LogPlace,
    with_gtid,
)
from engine.errors import DecodeError

_TOLD: Final = frozenset(
    (codes.FORMAT_DESCRIPTION, codes.ROTATE, codes.STOP, codes.HEARTBEAT, codes.HEARTBEAT_V2,
     codes.PREVIOUS_GTIDS, codes.GTID, codes.ANONYMOUS_GTID, codes.GTID_TAGGED, codes.MARIA_GTID,
     codes.MARIA_GTID_LIST, codes.MARIA_BINLOG_CHECKPOINT)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Between:
    """A place between two transactions. `committed_at_us`: of the one that begins there; None where
    none does."""

    place: LogPlace
    position: AnyPosition
    committed_at_us: int | None


class LogScan:
    """Begins with a file. `gtids`: positions are told by them; `purged`: those of MySQL that are in
    no file any more, or never were."""

    def __init__(self, *, gtids: bool, purged: GtidSet) -> None:
        self._decoder = EventDecoder()
        self._walk = LogWalk()
        self._gtids = gtids
        self._purged = purged
        self._done: AnyGtids | None = None
        self._rested = LogPlace("", 0)

    @property
    def place(self) -> LogPlace:
        """Everything before it has come."""
        walked, rested = self._walk.place, self._rested
        return rested if walked.file == rested.file and walked < rested else walked

    def here(self) -> AnyPosition:
        """The position at `place`, which is between two transactions. Raises DecodeError."""
        return self._at(self.place)

    def feed(self, data: bytes) -> Between | None:
        """Read an event; what stands before it, where that is between two transactions. Raises
        DecodeError."""
        if self._walk.passes_by(data, _TOLD):
            return None
        header, event = self._decoder.decode(data)
        found = self._take(header, event)
        if not isinstance(event, Rotate):  # its end is in the file that it leaves
            self._walk.advance(header.end)
        return found

    def _take(self, header: Header, event: Event) -> Between | None:
        if isinstance(event, MysqlGtid | MariaGtidEvent):
            return self._begin(header, event)
        if isinstance(event, Rotate):
            ended = None if event.artificial else self._ended(header)
            self._walk.rotate(event)
            return ended
        if isinstance(event, Stop) or header.code == codes.MARIA_BINLOG_CHECKPOINT:
            return self._ended(header)
        if isinstance(event, Heartbeat):
            self._rested = LogPlace(event.file, event.offset)
        elif isinstance(event, PreviousGtids) and self._done is None:
            self._done = event.gtids | self._purged
        elif isinstance(event, GtidList) and self._done is None:
            self._done = MariaGtids.of(event.gtids)
        return None

    def _begin(self, header: Header, event: MysqlGtid | MariaGtidEvent) -> Between:
        start = self._walk.start_of(header)
        found = Between(start, self._at(start), committed_at_us(header, event))
        if self._done is not None and event.gtid is not None:
            self._done = with_gtid(self._done, event.gtid)
        return found

    def _ended(self, header: Header) -> Between:
        end = self._walk.start_of(header)
        return Between(end, self._at(end), None)

    def _at(self, place: LogPlace) -> AnyPosition:
        if not self._gtids:
            return FilePosition(place)
        if self._done is None:
            raise DecodeError(f"{place.file} of the binary log does not tell the GTIDs before it")
        return GtidPosition(self._done, log=place)
