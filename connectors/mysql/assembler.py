"""(pure) Events of the binary log to parts of transactions.

A group of events begins with a GTID (anonymous where the server has none) and holds one statement,
or rows up to its XID or COMMIT. What a group means for tables is `LogTables`' to say; here is where
it begins, what its rows are numbered, where it ends, and how the position grows by it.

Every row of the log is counted, also of tables that nobody asked for: a position inside a
transaction means the same whatever is selected.

A distributed transaction that is prepared tells nothing; its rows are those of the transaction that
has its XA COMMIT. They are told from memory, or, where they are not held (`xa.py`), by who reads
them from the log again: `due`, `replay`, `settle`.

See: MySQL internals, "Binlog Event"; `connectors/mysql/position.py` for positions.
"""

import re
from collections.abc import Sequence
from typing import Final, Protocol

from connectors.mysql.binlog.decoder import EventDecoder
from connectors.mysql.binlog.events import (
    Event,
    Header,
    Heartbeat,
    MariaGtidEvent,
    MysqlGtid,
    Query,
    Rotate,
    RowsEvent,
    Statement,
    TransactionPayload,
    XaId,
    XaPrepare,
    Xid,
)
from connectors.mysql.commit_time import committed_at_us
from connectors.mysql.log_walk import LogWalk
from connectors.mysql.position import (
    AnyGtid,
    AnyPosition,
    FileCoordinate,
    FilePosition,
    GtidCoordinate,
    GtidPosition,
    LogPlace,
)
from connectors.mysql.xa import (
    Due,
    PreparedGroups,
    XaGroup,
    holds_changes,
    read_statement,
    size_of,
)
from engine.errors import DecodeError, SourceError
from engine.model.change import Event as Told
from engine.model.change import Part, Transaction

_WORDS: Final = re.compile(r"(?:\s|/\*(?!M?!).*?\*/)*([A-Za-z]+)(?:\s+([A-Za-z]+))?", re.DOTALL)
"""The first two words of a statement, behind comments."""

_ATOMIC_CREATE: Final = re.compile(r"\bSTART\s+TRANSACTION\s*\Z", re.IGNORECASE)
"""Ends CREATE TABLE ... SELECT in MySQL's log: the rows follow as a transaction."""


class LogTables(Protocol):
    """What statements and rows of the log are for the tables that are read."""

    def rows(self, event: RowsEvent, coordinate: object) -> tuple[int, Sequence[Told] | None]:
        """How many rows an event has, and their changes; None for a table nobody wants. Schema
        changes that come to light stand before them."""
        ...

    def statement(self, query: Query, coordinate: object) -> Sequence[Told]:
        """What a statement does to tables. Raises SourceError for one whose rows are not known."""
        ...

    def undone(self, tables: Sequence[str], coordinate: object) -> Sequence[Told]:
        """Rows of these tables were told and then rolled back."""
        ...


class Assembler:
    """Takes events in the log's order; `take` gives what they came to."""

    def __init__(self, tables: LogTables, start: AnyPosition, prepared: PreparedGroups) -> None:
        self._decoder = EventDecoder()
        self._tables = tables
        self._walk = LogWalk()
        self._prepared = prepared
        self._group: XaGroup | None = None
        self._waiting: Sequence[bytes] = ()
        self.due: Due | None = None
        self.replayed_bytes = 0
        """What was held of the parts that were not taken so far."""
        self._done = start.done if isinstance(start, GtidPosition) else None
        self._inside = start.ordinal > 0
        self._parts: list[Part] = []
        self._transaction: Transaction | None = None
        self._part: Part | None = None
        self._told = False
        self._in_rows = False
        self._touched: set[str] = set()
        self._ordinal = 0
        self._begun: tuple[LogPlace, AnyGtid | None] = LogPlace("", 0), None
        self._idle: AnyPosition | None = None
        self.committed_at_us = 0
        """When the newest transaction was committed, by the server's clock."""

    @property
    def open(self) -> bool:
        """Whether a transaction has begun whose end has not come."""
        return self._transaction is not None

    def feed(self, events: Sequence[bytes]) -> None:
        """Take events. Those behind a transaction that is `due` wait for `settle`. Raises
        DecodeError, SourceError."""
        decode, handle, advance = self._decoder.decode, self._handle, self._walk.advance
        for index, data in enumerate(events):
            header, event = decode(data)
            handle(header, event)
            advance(header.end)
            if self.due is not None:
                self._waiting = events[index + 1 :]
                return

    def replay(self, events: Sequence[Event]) -> None:
        """Take what the transaction that is due holds, in order. Raises as `feed`."""
        assert self.due is not None
        for event in events:
            self._handle(self.due.header, event)

    def settle(self) -> None:
        """The transaction that is due was replayed to its end. Raises as `feed`."""
        assert self.due is not None
        header, self.due = self.due.header, None
        self._end(header)
        waiting, self._waiting = self._waiting, ()
        self.feed(waiting)

    def take(self) -> tuple[list[Part], AnyPosition | None]:
        """The parts so far, and the position behind everything when it is beyond the last part and
        no transaction is open."""
        parts, self._parts = self._parts, []
        idle, self._idle = self._idle, None
        self._part = None
        return parts, (None if self.open else idle)

    # --- events -----------------------------------------------------------------------------------

    def _handle(self, header: Header, event: Event) -> None:
        kind = event.__class__
        if self._group is not None and holds_changes(event):
            self._hold(self._group, event)
        elif kind is RowsEvent:
            assert isinstance(event, RowsEvent)
            self._rows(event)
        elif isinstance(event, MysqlGtid | MariaGtidEvent):
            self._begin(header, event)
        elif kind is Xid:
            self._end(header)
        elif isinstance(event, Query):
            self._query(header, event)
        else:
            self._handle_rare(header, event)

    def _handle_rare(self, header: Header, event: Event) -> None:
        if isinstance(event, Rotate):
            self._walk.rotate(event)
        elif isinstance(event, TransactionPayload):
            for inner, unpacked in self._decoder.unpacked(event):
                self._handle(inner, unpacked)
        elif isinstance(event, Heartbeat):
            self._rest(event)
        elif isinstance(event, XaPrepare):
            self._ends_group(header, event)
        elif isinstance(event, Statement):
            raise _in_statement_form(event.what)

    def _rest(self, event: Heartbeat) -> None:
        """The server has nothing more, or has passed over what we have, before it sends the rest
        (rpl_binlog_sender.cc, send_events): either way everything up to there has come; but for the
        transaction inside of which we began."""
        place = LogPlace(event.file, event.offset)
        if self._inside:
            return
        if self._done is not None:
            self._idle = GtidPosition(self._done, log=place)
        elif place.file == self._walk.file:
            self._idle = FilePosition(place)

    def _begin(self, header: Header, event: MysqlGtid | MariaGtidEvent) -> None:
        if self._transaction is not None:
            raise DecodeError(
                f"a transaction of the binary log has no end before {self._walk.start_of(header)}"
            )
        start = self._walk.start_of(header)
        gtid = event.gtid
        self._begun = start, gtid
        if gtid is None or self._done is None:
            coordinate: object = FileCoordinate(start)
        else:
            coordinate = GtidCoordinate(gtid, self._done, start)
        self.committed_at_us = committed = committed_at_us(header, event)
        self._transaction = Transaction(coordinate, committed_at_us=committed)
        self._ordinal = 0
        self._told = False
        self._touched.clear()
        self._in_rows = isinstance(event, MariaGtidEvent) and not event.standalone
        if isinstance(event, MariaGtidEvent) and event.prepared and event.xid is not None:
            self._group = XaGroup(event.xid, start, gtid)

    def _rows(self, event: RowsEvent) -> None:
        if event.table is None:
            return
        transaction = self._opened()
        count, changes = self._tables.rows(event, transaction.coordinate)
        if changes is None:
            self._ordinal += count
            self._part = None  # what follows is numbered anew
            return
        self._touched.add(event.table.qualified)
        self._tell(changes)
        self._ordinal += count
        if len(changes) != count:
            self._part = None  # not every row was told

    def _tell(self, events: Sequence[Told]) -> None:
        part = self._part
        if part is None:
            part = self._part = Part(self._opened(), self._ordinal + 1)
            self._parts.append(part)
            self._told = True
        part.events += events

    def _opened(self) -> Transaction:
        if self._transaction is None:
            raise DecodeError("the binary log has rows outside of any transaction")
        return self._transaction

    def _query(self, header: Header, query: Query) -> None:
        match = _WORDS.match(query.sql)
        first, second = (
            (word.upper() if word else "" for word in match.groups()) if match else ("", "")
        )
        if first == "BEGIN":
            self._in_rows = True
        elif first == "XA":
            self._distributed(header, query)
        elif not self._in_rows:
            self._alone(header, query)
        elif first == "COMMIT":
            self._end(header)
        elif first == "ROLLBACK":
            self._rolled_back()
            if second != "TO":
                self._end(header)
        elif first != "SAVEPOINT":
            self._tell_if_any(self._tables.statement(query, self._opened().coordinate))

    def _alone(self, header: Header, query: Query) -> None:
        """A statement that is a transaction by itself."""
        transaction = self._opened()
        if not query.void:
            self._tell_if_any(self._tables.statement(query, transaction.coordinate))
        if _ATOMIC_CREATE.search(query.sql):
            self._in_rows = True
        else:
            self._end(header)

    # --- distributed transactions -----------------------------------------------------------------

    def _distributed(self, header: Header, query: Query) -> None:
        """A statement that begins a group of MySQL, or decides on a transaction."""
        verb, xid = read_statement(query.sql)
        self._opened()
        if verb == "START":
            start, gtid = self._begun
            self._group = XaGroup(xid, start, gtid)
        elif verb == "COMMIT":
            self._commit(header, xid, self._prepared.take(xid))
        elif verb == "ROLLBACK":
            self._prepared.take(xid)
            self._end(header)

    def _hold(self, group: XaGroup, event: Event) -> None:
        if isinstance(event, Query) and event.sql.startswith("XA "):
            verb, xid = read_statement(event.sql)
            if verb != "END" or xid != group.xid:
                raise DecodeError(f"a distributed transaction of the log goes on with XA {verb}")
        else:
            self._prepared.hold(group, event)

    def _ends_group(self, header: Header, event: XaPrepare) -> None:
        group, self._group = self._group, None
        if group is None or group.xid != event.xid:
            raise DecodeError("a distributed transaction ends in the log that did not begin there")
        if event.one_phase:
            self._prepared.settle(group)
            self._commit(header, group.xid, group)
        else:
            self._prepared.keep(group)
            self._end(header)

    def _commit(self, header: Header, xid: XaId, group: XaGroup | None) -> None:
        self._in_rows = True
        if group is None or group.held is None:
            committed, _ = self._begun
            self.due = Due(xid, committed, group, header)
            return
        for event in group.held:
            self._handle(header, event)
            self.replayed_bytes += size_of(event)
        self._end(header)

    # --- parts ------------------------------------------------------------------------------------

    def _tell_if_any(self, events: Sequence[Told]) -> None:
        if events:
            self._tell(events)

    def _rolled_back(self) -> None:
        """Rows stand in the log before a ROLLBACK where a table without transactions has some of
        them: which of the others are void, nothing tells."""
        tables = sorted(self._touched)
        self._tell_if_any(self._tables.undone(tables, self._opened().coordinate))

    def _end(self, header: Header) -> None:
        transaction = self._opened()
        self._inside = False
        end = self._end_position(transaction.coordinate, self._walk.end_of(header))
        self._transaction = None
        self._in_rows = False
        if not self._told:
            self._idle = end
            return
        self._idle = None
        if self._part is None and not (self._parts and self._parts[-1].transaction is transaction):
            self._parts.append(Part(transaction, self._ordinal + 1))
        self._parts[-1].end = end
        self._part = None

    def _end_position(self, coordinate: object, place: LogPlace) -> AnyPosition:
        if isinstance(coordinate, GtidCoordinate):
            end = coordinate.end(place)
            self._done = end.done
            return end
        return FilePosition(place)


def _in_statement_form(what: str) -> SourceError:
    return SourceError(
        f"the source's binary log has a change in statement form ({what}): its rows are not known",
        hint="set binlog_format = ROW on the source, for every session; then load again",
    )
