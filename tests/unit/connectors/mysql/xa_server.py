"""A log with distributed transactions, made event by event as servers write it, and who sends it.

Rows are whole numbers of one table. What of them must reach a target, and in which order, is noted
while the log is made.
"""

import struct
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Literal

from connectors.mysql.assembler import Assembler
from connectors.mysql.binlog import codes
from connectors.mysql.binlog.events import Query, RowsEvent, XaId
from connectors.mysql.dump import Dump
from connectors.mysql.gtid import Gtid, GtidSet, Tsid
from connectors.mysql.log_stream import LogStream
from connectors.mysql.maria_gtid import MariaGtid, MariaGtids
from connectors.mysql.position import (
    AnyGtid,
    AnyPosition,
    FilePosition,
    GtidPosition,
    LogPlace,
    has_gtid,
)
from connectors.mysql.xa import PreparedGroups, name_of
from connectors.mysql.xa_log import XaLog
from engine.errors import SourceConnectionError
from engine.model.change import INSERT, Block, Change, Event, SchemaChanged, Truncate
from engine.model.relation import Relation, TableName
from engine.seams import SystemClock
from tests.unit.connectors.mysql.binlog_bytes import (
    MARIA,
    MYSQL,
    event,
    format_description,
    query,
    rotate,
    rows,
    table_map,
)

Dialect = Literal["mysql", "mysql without GTIDs", "mariadb"]

DIALECTS: Final[tuple[Dialect, ...]] = ("mysql", "mysql without GTIDs", "mariadb")

UUID: Final = bytes(range(16))

LONG: Final = 3

RELATION: Final = Relation(1, "shop", "t", ())


def xid(name: str) -> XaId:
    return XaId(1, name.encode(), b"")


@dataclass
class Group:
    gtid: AnyGtid | None
    start: LogPlace
    events: list[bytes] = field(default_factory=list[bytes])


@dataclass
class Server:
    """Writes a log; `dump` sends it. `told`: what a reader of it all has to be told, in order."""

    dialect: Dialect
    ends_inside: bool = True
    """MariaDB 11 tells no offset for events between a transaction's first and last."""
    groups: list[Group] = field(default_factory=list[Group])
    told: list[str] = field(default_factory=list[str])
    dumps: int = 0
    purged: int = 0
    """Files that are gone."""
    _file: int = 1
    _offset: int = 4
    _number: int = 0
    _prepared: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @property
    def maria(self) -> bool:
        return self.dialect == "mariadb"

    # --- writing ----------------------------------------------------------------------------------

    def transaction(self, *numbers: int) -> None:
        self._begin()
        if not self.maria:
            self._query("BEGIN")
        self._rows(numbers)
        self._add(codes.XID, bytes(8))
        self.told += map(str, numbers)

    def prepare(self, name: str, *numbers: int, inside: Sequence[str] = ()) -> None:
        """`inside`: statements behind the rows."""
        self._distributed(name, numbers, inside, one_phase=False)
        self._prepared[name] = [*map(str, numbers), *inside]

    def one_phase(self, name: str, *numbers: int) -> None:
        """As MySQL logs it; MariaDB logs an ordinary transaction."""
        self._distributed(name, numbers, (), one_phase=True)
        self.told += map(str, numbers)

    def commit(self, name: str) -> None:
        self._decide("COMMIT", name)
        self.told += self._prepared.pop(name, [])

    def rollback(self, name: str) -> None:
        self._decide("ROLLBACK", name)
        self._prepared.pop(name, None)

    def statement(self, sql: str) -> None:
        self._begin(standalone=True)
        self._query(sql)
        self.told.append(sql)

    def rotate(self) -> None:
        self._file += 1
        self._offset = 4

    @property
    def place(self) -> LogPlace:
        return LogPlace(f"binlog.{self._file:06}", self._offset)

    def _begin(self, *, standalone: bool = False, flags: int = 0, named: str = "") -> None:
        self._number += 1
        gtid: AnyGtid | None = None
        if self.maria:
            gtid = MariaGtid(0, 7, self._number)
            body = struct.pack("<QIB", self._number, 0, standalone | flags)
            name = named.encode()
            body += struct.pack("<IBB", 1, len(name), 0) + name if flags else bytes(6)
            code = codes.MARIA_GTID
        else:
            gtid = Gtid(Tsid(UUID), self._number) if self.dialect == "mysql" else None
            body = b"\0" + UUID + struct.pack("<Q", self._number if gtid else 0)
            code = codes.GTID if gtid else codes.ANONYMOUS_GTID
        self.groups.append(Group(gtid, self.place))
        self._add(code, body)

    def _distributed(
        self, name: str, numbers: Sequence[int], inside: Sequence[str], *, one_phase: bool
    ) -> None:
        self._begin(flags=0x40 if self.maria else 0, named=name)
        text = name_of(xid(name)).upper()
        if not self.maria:
            self._query(f"XA START {text}", inside=True)
        for number in numbers:
            self._rows([number])
        for sql in inside:
            self._query(sql, inside=True)
        self._query(f"XA END {text}", inside=True)
        head = struct.pack("<BIII", one_phase, 1, len(name), 0)
        self._add(codes.XA_PREPARE, head + name.encode())

    def _decide(self, verb: str, name: str) -> None:
        self._begin(standalone=True, flags=0x80 if self.maria else 0, named=name)
        self._query(f"XA {verb} {name_of(xid(name)).upper()}")

    def _rows(self, numbers: Sequence[int]) -> None:
        self._add(codes.TABLE_MAP, table_map([LONG]), inside=True)
        data = b"".join(b"\0" + struct.pack("<i", number) for number in numbers)
        self._add(codes.WRITE_ROWS, rows(1, data), inside=True)

    def _query(self, sql: str, *, inside: bool = False) -> None:
        self._add(codes.QUERY, query(sql.encode()), inside=inside)

    def _add(self, code: int, body: bytes, *, inside: bool = False) -> None:
        self._offset += 19 + len(body) + 4
        silent = inside and not self.ends_inside
        self.groups[-1].events.append(event(code, body, end=0 if silent else self._offset))

    # --- sending ----------------------------------------------------------------------------------

    def beginning(self) -> AnyPosition:
        if self.dialect == "mysql without GTIDs":
            return FilePosition(LogPlace("binlog.000001", 4))
        return GtidPosition(MariaGtids() if self.maria else GtidSet())

    def events(self, start: AnyPosition) -> Iterator[bytes]:
        """As a server sends them from a position on."""
        file = ""
        for group in self.groups:
            if isinstance(start, FilePosition):
                passed = group.start < start.place
            else:
                passed = group.gtid is not None and has_gtid(start.done, group.gtid)
            if passed or group.start.file_number <= self.purged:
                continue
            if group.start.file != file:
                file = group.start.file
                yield rotate(file, group.start.offset)
                yield format_description(MARIA if self.maria else MYSQL, end=0)
            yield from group.events

    async def dump(self, start: AnyPosition, piece: int = 1) -> Dump:
        self.dumps += 1
        return Sent(list(self.events(start)), piece)

    async def dump_at(self, place: LogPlace) -> Dump:
        return await self.dump(FilePosition(place))

    async def files(self) -> Sequence[str]:
        return [f"binlog.{number:06}" for number in range(self.purged + 1, self._file + 1)]


class Sent(Dump):
    """What a server sends, some events at a time; then the link breaks."""

    def __init__(self, events: Sequence[bytes], piece: int) -> None:
        self._pieces = iter([events[at : at + piece] for at in range(0, len(events), piece)])

    async def events(self, *, behind: bool) -> Sequence[bytes]:
        for piece in self._pieces:
            return piece
        raise SourceConnectionError("that is all")

    async def close(self) -> None:
        pass


class Tables:
    """Everybody is told of everything."""

    def rows(self, event: RowsEvent, coordinate: object) -> tuple[int, Sequence[Event] | None]:
        data = event.data[event.at : event.end]
        numbers = [data[at + 1 : at + 5] for at in range(0, len(data), 5)]
        return len(numbers), [Change(INSERT, RELATION, (number,), None) for number in numbers]

    def statement(self, query: Query, coordinate: object) -> Sequence[Event]:
        return [Truncate((Relation(2, query.sql, "", ()),))]

    def undone(self, tables: Sequence[str], coordinate: object) -> Sequence[Event]:
        return [SchemaChanged(TableName("undone", name), None, None, True) for name in tables]


def word(event: Event) -> str:
    if isinstance(event, Change):
        assert event.new is not None
        return str(struct.unpack("<i", event.new[0])[0])  # type: ignore[arg-type]
    if isinstance(event, Truncate):
        return event.relations[0].schema
    return event.table.name


@dataclass
class Reading:
    """What a reader was told, and every position at which it could have been stopped, each with how
    much it had been told then."""

    told: list[str] = field(default_factory=list[str])
    stops: list[tuple[AnyPosition, int]] = field(default_factory=list[tuple[AnyPosition, int]])

    def take(self, block: Block) -> None:
        for part in block.parts:
            for index, one in enumerate(part.events):
                self.told.append(word(one))
                position = part.transaction.at(part.first + index)
                self.stops.append((position, len(self.told)))  # type: ignore[arg-type]
            if part.end is not None:
                self.stops.append((part.end, len(self.told)))  # type: ignore[arg-type]
        if block.idle is not None:
            self.stops.append((block.idle, len(self.told)))  # type: ignore[arg-type]


async def read(
    server: Server, start: AnyPosition | None = None, *, held: int = 1 << 20, piece: int = 1
) -> Reading:
    """Read to the end of the log, as a source does. `held`: memory for prepared rows."""
    reading = Reading()
    begin = start or server.beginning()
    prepared = PreparedGroups(held)
    assembler = Assembler(Tables(), begin, prepared)
    log = XaLog(server.dump_at, server.files, prepared)
    dump = await server.dump(begin, piece)
    stream = LogStream(dump, assembler, log, SystemClock(), mariadb=server.maria)
    async with aclosing(_until_the_end(stream)) as blocks:
        async for block in blocks:
            reading.take(block)
    return reading


async def _until_the_end(stream: LogStream) -> AsyncGenerator[Block, None]:
    try:
        async with aclosing(stream.blocks()) as blocks:
            async for block in blocks:
                yield block
    except SourceConnectionError as error:
        if error.message != "that is all":
            raise
