"""(pure) Reads a stretch of the binary log for its distributed transactions alone."""

from collections.abc import Iterator
from typing import Final

from connectors.mysql.binlog import codes
from connectors.mysql.binlog.decoder import EventDecoder
from connectors.mysql.binlog.events import (
    Event,
    Header,
    MariaGtidEvent,
    MysqlGtid,
    Query,
    Rotate,
    TransactionPayload,
    XaId,
    XaPrepare,
)
from connectors.mysql.log_walk import LogWalk
from connectors.mysql.position import AnyGtid, LogPlace
from connectors.mysql.xa import XaGroup, holds_changes, read_statement
from engine.errors import DecodeError

_TOLD: Final = frozenset(
    (codes.FORMAT_DESCRIPTION, codes.ROTATE, codes.GTID, codes.ANONYMOUS_GTID, codes.GTID_TAGGED,
     codes.MARIA_GTID, codes.QUERY, codes.MARIA_QUERY_COMPRESSED, codes.XA_PREPARE,
     codes.TRANSACTION_PAYLOAD)
)  # fmt: skip
"""Events that tell where distributed transactions begin and end."""


class XaReading:
    """Begins with a file or with a group. `rows`: events between are wanted too; without them only
    `prepared` is filled, which is several times as fast."""

    def __init__(self, *, rows: bool) -> None:
        self._decoder = EventDecoder()
        self._walk = LogWalk()
        self._rows = rows
        self._gtid: AnyGtid | None = None
        self.begun: LogPlace | None = None
        """Where the last group of any kind begins."""
        self.group: XaGroup | None = None
        """The one that goes on."""
        self.ended: XaGroup | None = None
        """The one that ended last."""
        self.prepared: dict[XaId, XaGroup] = {}
        """Those that nothing has ended so far."""

    def feed(self, data: bytes) -> Iterator[Event]:
        """Read an event: what it tells of the transaction in `group`, if anything. Raises
        DecodeError."""
        if not self._rows and self._walk.passes_by(data, _TOLD):
            return
        header, event = self._decoder.decode(data)
        if isinstance(event, TransactionPayload):
            yield from self._payload(event)
        else:
            yield from self._take(header, event)
        self._walk.advance(header.end)

    def _payload(self, payload: TransactionPayload) -> Iterator[Event]:
        """A compressed transaction is unpacked no further than to see that it is another kind."""
        for header, event in self._decoder.unpacked(payload):
            yield from self._take(header, event)
            if self.group is None:
                return

    def _take(self, header: Header, event: Event) -> Iterator[Event]:
        if isinstance(event, MysqlGtid | MariaGtidEvent):
            self._begin(header, event)
        elif isinstance(event, Rotate):
            self._walk.rotate(event)
        elif isinstance(event, XaPrepare):
            self._end(event)
        elif isinstance(event, Query) and event.sql.startswith("XA "):
            self._statement(event)
        elif self.group is not None and holds_changes(event):
            yield event

    def _begin(self, header: Header, event: MysqlGtid | MariaGtidEvent) -> None:
        start = self._walk.start_of(header)
        self.begun, self._gtid, self.group = start, event.gtid, None
        if isinstance(event, MariaGtidEvent) and event.prepared and event.xid is not None:
            self.group = XaGroup(event.xid, start, event.gtid, held=None)

    def _statement(self, query: Query) -> None:
        verb, xid = read_statement(query.sql)
        if verb == "START" and self.begun is not None:
            self.group = XaGroup(xid, self.begun, self._gtid, held=None)
        elif verb in ("COMMIT", "ROLLBACK"):
            self.prepared.pop(xid, None)
            self.group = None

    def _end(self, event: XaPrepare) -> None:
        group, self.group = self.group, None
        if group is None or group.xid != event.xid:
            raise DecodeError("a distributed transaction ends in the log that did not begin there")
        self.ended = group
        self.prepared.pop(group.xid, None)
        if not event.one_phase:
            self.prepared[group.xid] = group
