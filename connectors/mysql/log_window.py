"""(pure) What a short stretch of MySQL's log does to one table.

The stretch ends at a known place and may hold transactions that are passed already. Of the others
it is told which have rows of the table, with the position before each. What could have changed the
table in a way that its rows do not tell makes the stretch obscure: nothing can be said of it then.

A prepared distributed transaction changes nothing before it is committed, and its rows stand where
it was prepared.

See: MySQL internals, "Binlog Event"; MySQL manual, "Restrictions on XA Transactions".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors.mysql.binlog.columns import Form
from connectors.mysql.binlog.decoder import EventDecoder
from connectors.mysql.binlog.events import (
    Event,
    FormatDescription,
    Header,
    Heartbeat,
    MysqlGtid,
    Query,
    Rotate,
    RowsEvent,
    Statement,
    TransactionPayload,
    XaPrepare,
    Xid,
)
from connectors.mysql.binlog.rows import RowsDecoder
from connectors.mysql.binlog.table_map import TableMap
from connectors.mysql.description import Description
from connectors.mysql.gtid import Gtid, GtidSet
from connectors.mysql.position import FILE_BEGINNING, GtidPosition, LogPlace
from engine.errors import DecodeError
from engine.model.change import Change
from engine.model.relation import Relation, TableName

ROWS_MAX: Final = 1_000
"""Changed rows of the table that are looked at: a window takes milliseconds, and each row is asked
for in the snapshot. A window with more is obscure."""

_OFFSET_BITS: Final = 32
_LOW: Final = (1 << _OFFSET_BITS) - 1

_WORDS: Final = re.compile(r"(?:\s|/\*(?!M?!).*?\*/)*([A-Za-z]+)(?:\s+([A-Za-z]+))?", re.DOTALL)
"""The first two words of a statement, behind comments."""

_ENDS: Final = (("COMMIT", ""), ("XA", "ROLLBACK"))
"""Statements that end a group without a change of their own. What XA ROLLBACK ends was prepared,
never committed."""

_BEGINS: Final = (("BEGIN", ""), ("XA", "START"))

_HARMLESS: Final = (("SAVEPOINT", ""), ("XA", "END"))


@dataclass(frozen=True, slots=True)
class Touching:
    """A transaction with rows of the table. `before`: everything that the log has before it."""

    before: GtidPosition
    changes: Sequence[Change]


@dataclass(slots=True)
class LogWindow:
    """Takes events in the log's order. `done`: what is passed at its beginning, later all that came
    too. `until` is the place where it ends, between two transactions."""

    description: Description
    relation: Relation
    done: GtidSet
    until: LogPlace
    obscure: str = ""
    """Why nothing can be said; empty where something can."""
    reached: bool = False
    touching: list[Touching] = field(default_factory=list[Touching])
    _decoder: EventDecoder = field(default_factory=EventDecoder)
    _rows: dict[int, tuple[TableMap, RowsDecoder]] = field(
        default_factory=dict[int, tuple[TableMap, RowsDecoder]]
    )
    _file: str = ""
    _offset: int = 0
    _gtid: Gtid | None = None
    _before: GtidPosition | None = None
    _in_rows: bool = False
    _changes: list[Change] = field(default_factory=list[Change])
    _count: int = 0

    def feed(self, events: Sequence[bytes]) -> None:
        """Take events; those behind the end are left. Raises DecodeError."""
        for data in events:
            if self.reached or self.obscure:
                return
            header, event = self._decoder.decode(data)
            if isinstance(event, Rotate):
                if event.artificial:  # one follows each other kind
                    self._file, self._offset = event.file, event.offset
                continue
            if isinstance(event, FormatDescription) and self._offset > FILE_BEGINNING:
                continue  # sent first, wherever in the file is begun
            self._handle(header, event)
            self._advance(header)
            self._look(event)

    @property
    def end(self) -> GtidPosition:
        """The position behind all that came."""
        return GtidPosition(self.done, log=self.until)

    # --- places -----------------------------------------------------------------------------------

    def _advance(self, header: Header) -> None:
        """Offsets in headers have 32 bits; files may be longer."""
        if header.end:
            end = self._offset & ~_LOW | header.end
            self._offset = end if end >= self._offset else end + (1 << _OFFSET_BITS)

    def _look(self, event: Event) -> None:
        """Whether the end is reached. A server with nothing left to send tells how far that is."""
        if self._before is not None or not self._file:
            return
        if isinstance(event, Heartbeat):
            self.reached = self.until <= LogPlace(event.file, event.offset)
        else:
            self.reached = self.until <= LogPlace(self._file, self._offset)

    # --- events -----------------------------------------------------------------------------------

    def _handle(self, header: Header, event: Event) -> None:
        if isinstance(event, RowsEvent):
            self._take(event)
        elif isinstance(event, MysqlGtid):
            self._begin(event)
        elif isinstance(event, Xid):
            self._end()
        elif isinstance(event, Query):
            self._query(event)
        elif isinstance(event, TransactionPayload):
            for inner, unpacked in self._decoder.unpacked(event):
                self._handle(inner, unpacked)
        elif isinstance(event, XaPrepare):
            self._prepared(event)
        elif isinstance(event, Statement):
            self._hide("a change in statement form")

    def _begin(self, event: MysqlGtid) -> None:
        if event.gtid is None:
            self._hide("a transaction without GTID")
            return
        self._gtid = event.gtid
        self._before = GtidPosition(self.done, log=LogPlace(self._file, self._offset))
        self._in_rows = False
        self._changes = []

    @property
    def _passed(self) -> bool:
        """Whether the transaction that has begun was passed before."""
        return self._gtid is not None and self._gtid in self.done

    def _take(self, event: RowsEvent) -> None:
        table = event.table
        if table is None or self._gtid is None or self._passed:
            return
        if TableName(table.schema, table.name) != self.relation.table:
            return
        try:
            changes = self._rows_of(table).decode(event, self.relation)
        except DecodeError:
            self._hide("rows of another shape")  # it was altered since
            return
        self._changes += changes
        self._count += len(changes)
        if self._count > ROWS_MAX:
            self._hide(f"more than {ROWS_MAX} changed rows")

    def _rows_of(self, table: TableMap) -> RowsDecoder:
        known = self._rows.get(id(table))
        if known is None or known[0] is not table:
            types = [column.type for column in self.description.columns]
            known = self._rows[id(table)] = table, RowsDecoder(table, types, Form.NATIVE)
        return known[1]

    def _query(self, query: Query) -> None:
        match = _WORDS.match(query.sql)
        first, second = ((word or "").upper() for word in match.groups()) if match else ("", "")
        words = (first, second if first in ("XA", "ROLLBACK") else "")
        if words in _BEGINS:
            self._in_rows = True
        elif words in _ENDS:
            self._end()
        elif words not in _HARMLESS:
            self._hide("a statement")
            if not self._in_rows or words == ("ROLLBACK", ""):
                self._end()

    def _prepared(self, event: XaPrepare) -> None:
        """Ends a group. What is only prepared is not there yet."""
        if event.one_phase:
            self._hide("a distributed transaction")
        self._changes = []
        self._end()

    def _end(self) -> None:
        gtid, before = self._gtid, self._before
        if gtid is None or before is None:
            return
        if self._changes:
            self.touching.append(Touching(before, self._changes))
        self.done = self.done.with_(gtid)
        self._gtid = self._before = None
        self._changes = []

    def _hide(self, why: str) -> None:
        """Of what was passed before, everything is known."""
        if not self._passed:
            self.obscure = self.obscure or why
