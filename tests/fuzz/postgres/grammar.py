"""Streams of pgoutput as a server writes them, versions 1 to 4, and what they mean.

See: PostgreSQL manual, Logical Replication Message Formats; replication/logical/proto.c.
"""

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final, NamedTuple, TypeAlias

from connectors.postgres.ddl_capture_sql import VERSION
from connectors.postgres.pgoutput import MESSAGE_PREFIX
from connectors.postgres.rowcode import FIXED_WIDTH_BYTES
from engine.model.change import DELETE, INSERT, UPDATE
from engine.model.value import UNCHANGED, Row, Value

ACLITEM: Final = 1033
"""A type without a send function: its values come as text in a binary stream too."""

TYPES: Final = (
    *FIXED_WIDTH_BYTES,
    17,
    19,
    25,
    114,
    1007,
    1009,
    1043,
    1700,
    3802,
    3904,
    16999,
    ACLITEM,
)

NAMES: Final = ("t", "T", "a b", 'quo"te', "ünïcode", "penstock", "x" * 63, "select", "t.u")

SIZES: Final = (0, 1, 2, 5, 17, 120, 1000)
LARGE: Final = 70_000
"""Past what a 16-bit length could say."""

WIDE: Final = 0.02
"""Share of tables with very many columns; they cost the most."""

ORIGINS: Final = ("penstock_x_1", "elsewhere", "")

STREAMED_MESSAGES: Final = "RYIUDTM"
"""Messages that name their transaction between Stream Start and Stream Stop."""

Truncated: TypeAlias = tuple[tuple[int, ...], bool, bool]
"""OIDs, cascade, restart identity."""


class RowEvent(NamedTuple):
    """A row event."""

    kind: int
    oid: int
    new: Row | None
    old: Row | None


Meant: TypeAlias = RowEvent | Truncated


class Transaction(NamedTuple):
    """What a transaction of the stream means."""

    final: int
    end: int
    xid: int
    events: tuple[Meant, ...]


class Cell(NamedTuple):
    wire: bytes
    value: Value


@dataclass(frozen=True)
class Column:
    name: str
    oid: int
    modifier: int
    identity: bool
    cells: tuple[Cell, ...]
    """Values that it may hold, NULL among them, on the wire and off."""


@dataclass(frozen=True)
class Table:
    oid: int
    schema: str
    name: str
    identity: str
    """The letter of its replica identity."""
    columns: tuple[Column, ...]

    @property
    def full(self) -> bool:
        return self.identity == "f"

    @property
    def keyed(self) -> bool:
        return self.full or any(column.identity for column in self.columns)

    @property
    def relation_message(self) -> bytes:
        parts = [b"R", struct.pack(">I", self.oid), _text(self.schema), _text(self.name)]
        parts += [self.identity.encode(), struct.pack(">H", len(self.columns))]
        for column in self.columns:
            parts += [bytes([column.identity]), _text(column.name)]
            parts.append(struct.pack(">Ii", column.oid, column.modifier))
        return b"".join(parts)


@dataclass
class Stream:
    """Messages, and the transactions they mean. `refused`: the decoder must stop behind the first
    `sound` of them, because what begins there is of a protocol that was not asked for."""

    version: int
    messages: list[bytes] = field(default_factory=list[bytes])
    transactions: list[Transaction] = field(default_factory=list[Transaction])
    origins: list[str | None] = field(default_factory=list[str | None])
    """Where each of them was made, as far as the server knows."""
    refused: bool = False
    sound: int = 0
    token: bytes | None = None
    text: bool = False


def tables(random: Random, count: int, *, text: bool) -> list[Table]:
    """Tables of every shape. `text`: all values travel as text."""
    return [_table(random, 16384 + 9 * n + random.randrange(9), text=text) for n in range(count)]


def _table(random: Random, oid: int, *, text: bool) -> Table:
    identity = random.choice("dddffin")
    count = random.choice((40, 210) if random.random() < WIDE else (0, 1, 1, 2, 2, 3, 3, 4, 5, 8))
    keys = {random.randrange(count) for _ in range(random.randint(1, 3))} if count else set()
    columns = [
        Column(
            f"c{n}" if random.random() < 0.9 else random.choice(NAMES) + str(n),
            kind := random.choice(TYPES),
            random.choice((-1, -1, 4, 655366)),
            identity == "f" or (identity != "n" and n in keys),
            _cells(random, kind, text=text or kind == ACLITEM),
        )
        for n in range(count)
    ]
    schema = random.choice(("public", "", "s", "Schéma"))
    return Table(oid, schema, random.choice(NAMES), identity, tuple(columns))


def _cells(random: Random, kind: int, *, text: bool) -> tuple[Cell, ...]:
    width = FIXED_WIDTH_BYTES.get(kind)
    cells = [Cell(b"n", None)]
    for _ in range(7):
        if width is not None and not text:
            value = random.randbytes(width)
        else:
            value = random.randbytes(LARGE if random.random() < 0.002 else random.choice(SIZES))
            value = value.replace(b"\0", b"0") if text else value
        cells.append(Cell((b"t" if text else b"b") + struct.pack(">I", len(value)) + value, value))
    return tuple(cells)


def changed(table: Table, random: Random, *, text: bool) -> Table:
    """The table after a command: columns added, dropped, renamed, or another identity."""
    columns = list(table.columns)
    what = random.randrange(4)
    if what == 0 or not columns:
        columns += _table(random, 1, text=text).columns[:2]
    elif what == 1:
        del columns[random.randrange(len(columns))]
    elif what == 2:
        at = random.randrange(len(columns))
        columns[at] = replace(columns[at], name=columns[at].name + "_")
    full = random.random() < 0.3
    if full:
        columns = [replace(column, identity=True) for column in columns]
    elif table.full:
        columns = [replace(column, identity=n == 0) for n, column in enumerate(columns)]
    letter = "f" if full else "d" if table.full else table.identity
    return replace(table, identity=letter, columns=tuple(columns))


# --- messages -------------------------------------------------------------------------------------


def begin(final: int, time_us: int, xid: int) -> bytes:
    return struct.pack(">cQqI", b"B", final, time_us, xid)


def commit(final: int, end: int, time_us: int) -> bytes:
    return struct.pack(">cBQQq", b"C", 0, final, end, time_us)


def origin(name: str) -> bytes:
    return struct.pack(">cQ", b"O", 77) + _text(name)


def type_message(oid: int, schema: str, name: str) -> bytes:
    return struct.pack(">cI", b"Y", oid) + _text(schema) + _text(name)


def truncate(oids: Sequence[int], options: int) -> bytes:
    return struct.pack(f">cIB{len(oids)}I", b"T", len(oids), options, *oids)


def logical(prefix: bytes, content: bytes, flags: int, lsn: int) -> bytes:
    head = struct.pack(">cBQ", b"M", flags, lsn) + prefix + b"\0"
    return head + struct.pack(">I", len(content)) + content


def stream_start(xid: int, first: bool) -> bytes:
    return struct.pack(">cIB", b"S", xid, first)


def stream_stop() -> bytes:
    return b"E"


def stream_commit(xid: int, final: int, end: int, time_us: int) -> bytes:
    return struct.pack(">cIBQQq", b"c", xid, 0, final, end, time_us)


def stream_abort(xid: int, subxid: int, told: tuple[int, int] | None) -> bytes:
    """`told`: where and when it was aborted, which parallel streaming adds (version 4)."""
    end = b"" if told is None else struct.pack(">Qq", *told)
    return struct.pack(">cII", b"A", xid, subxid) + end


def begin_prepare(prepared: int, end: int, time_us: int, xid: int, gid: str) -> bytes:
    return struct.pack(">cQQqI", b"b", prepared, end, time_us, xid) + _text(gid)


def prepare(letter: bytes, prepared: int, end: int, time_us: int, xid: int, gid: str) -> bytes:
    """Prepare (`P`), Commit Prepared (`K`) or Stream Prepare (`p`), which look the same."""
    return struct.pack(">cBQQqI", letter, 0, prepared, end, time_us, xid) + _text(gid)


def rollback_prepared(prepared: int, end: int, time_us: int, xid: int, gid: str) -> bytes:
    head = struct.pack(">cBQQqqI", b"r", 0, prepared, end, time_us, time_us, xid)
    return head + _text(gid)


def streamed(message: bytes, xid: int) -> bytes:
    """The message as it stands between Stream Start and Stream Stop."""
    if chr(message[0]) not in STREAMED_MESSAGES:
        return message
    return message[:1] + struct.pack(">I", xid) + message[1:]


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


# --- rows -----------------------------------------------------------------------------------------


class Rows:
    """Row messages of one table, and what each means."""

    def __init__(self, table: Table, random: Random) -> None:
        self._table = table
        self._random = random.random
        self._oid = struct.pack(">I", table.oid)
        self._count = struct.pack(">H", len(table.columns))
        self._cells = [column.cells for column in table.columns]
        self._identity = [column.identity for column in table.columns]
        kept = Cell(b"u", UNCHANGED)
        self._kept = [(*column.cells, kept) for column in table.columns]

    def any(self) -> tuple[bytes, RowEvent]:
        chance = self._random()
        if chance < 0.45 or not self._table.keyed:
            return self.insert()
        return self.delete() if chance > 0.85 else self.update()

    def insert(self) -> tuple[bytes, RowEvent]:
        wire, row = self._tuple(self._cells)
        return b"I" + self._oid + b"N" + wire, RowEvent(INSERT, self._table.oid, row, None)

    def update(self) -> tuple[bytes, RowEvent]:
        wire, row = self._tuple(self._kept)
        if not self._table.full and self._random() < 0.7:
            return b"U" + self._oid + b"N" + wire, RowEvent(UPDATE, self._table.oid, row, None)
        letter, before, old = self._old()
        if UNCHANGED in row:
            row = tuple([o if v is UNCHANGED else v for v, o in zip(row, old, strict=True)])
        message = b"U" + self._oid + letter + before + b"N" + wire
        return message, RowEvent(UPDATE, self._table.oid, row, old)

    def delete(self) -> tuple[bytes, RowEvent]:
        letter, before, old = self._old()
        return b"D" + self._oid + letter + before, RowEvent(DELETE, self._table.oid, None, old)

    def _old(self) -> tuple[bytes, bytes, Row]:
        if self._table.full:
            return b"O", *self._tuple(self._cells)
        null = (Cell(b"n", UNCHANGED),)
        columns = zip(self._identity, self._cells, strict=True)
        wire, row = self._tuple([cells if sent else null for sent, cells in columns])
        return b"K", wire, row

    def _tuple(self, columns: Sequence[Sequence[Cell]]) -> tuple[bytes, Row]:
        random = self._random
        row = [cells[int(random() * len(cells))] for cells in columns]
        return self._count + b"".join([wire for wire, _ in row]), tuple([value for _, value in row])


# --- streams --------------------------------------------------------------------------------------


class Server:
    """Writes streams: a walsender's state is what it has described and where it stands."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._sets = [tables(random, 8, text=False), tables(random, 4, text=True)]
        self._rows: dict[int, Rows] = {}

    def stream(self) -> Stream:
        """A few transactions, of which later ones may be of a protocol beyond the first."""
        random = self._random
        text = random.random() < 0.25
        token = random.randbytes(8) if random.random() < 0.3 else None
        stream = Stream(random.choice((1, 1, 1, 2, 3, 4)), token=token, text=text)
        self._known = list(self._sets[text])
        self._described: set[int] = set()
        self._at = random.choice((1, 1 << 33, (1 << 63) + 5))
        for _ in range(random.randint(1, 4)):
            self._transaction(stream)
        stream.sound = len(stream.messages)
        if stream.version > 1 and random.random() < 0.7:
            self._beyond(stream)
            stream.refused = True
        if random.random() < 0.05:
            self._renew(text=text)
        return stream

    def _renew(self, *, text: bool) -> None:
        """Another table in place of one of the set."""
        of = self._sets[text]
        at = self._random.randrange(len(of))
        of[at] = _table(self._random, of[at].oid, text=text)
        self._rows.clear()

    def _step(self) -> int:
        self._at = (self._at + self._random.randint(1, 1 << 20)) % (1 << 64)
        return self._at

    def _transaction(self, stream: Stream) -> None:
        random = self._random
        final, end, xid = self._step(), self._step(), random.getrandbits(32)
        events: list[Meant] = []
        messages = stream.messages
        messages.append(begin(final, random.getrandbits(50), xid))
        made_by = random.choice(ORIGINS) if random.random() < 0.15 else None
        if made_by is not None:
            messages.append(origin(made_by))
        stream.origins.append(made_by)
        for message, meant in self._body(stream, random.choice((0, 1, 2, 5, 40, 60))):
            messages.append(message)
            if meant is not None:
                events.append(meant)
        messages.append(commit(final, end, random.getrandbits(50)))
        stream.transactions.append(Transaction(final, end, xid, tuple(events)))

    def _body(self, stream: Stream, count: int) -> Iterator[tuple[bytes, Meant | None]]:
        random = self._random
        at = random.randrange(len(self._known))
        for _ in range(count):
            chance = random.random()
            if chance < 0.06:
                at = random.randrange(len(self._known))
            if chance > 0.99:
                yield from self._rare(stream, at)
                continue
            table = self._known[at]
            yield from self._describe(table)
            yield self._rows_of(table).any()

    def _rows_of(self, table: Table) -> Rows:
        rows = self._rows.get(id(table))
        if rows is None or rows._table is not table:
            if len(self._rows) > 500:
                self._rows.clear()
            rows = self._rows[id(table)] = Rows(table, self._random)
        return rows

    def _describe(self, table: Table) -> Iterator[tuple[bytes, None]]:
        if table.oid in self._described:
            return
        self._described.add(table.oid)
        if any(column.oid >= 16384 for column in table.columns):
            yield type_message(16999, "public", "mood"), None
        yield table.relation_message, None

    def _rare(self, stream: Stream, at: int) -> Iterator[tuple[bytes, Meant | None]]:
        random = self._random
        what = random.randrange(4)
        if what == 0:
            several = random.sample(self._known, random.randint(1, 3))
            for table in several:
                yield from self._describe(table)
            oids, options = tuple([table.oid for table in several]), random.randrange(4)
            yield truncate(oids, options), (oids, bool(options & 1), bool(options & 2))
        elif what == 1:
            prefix = random.choice((MESSAGE_PREFIX, b"other", b""))
            yield logical(prefix, random.randbytes(random.choice((0, 3, 300))), 0, self._at), None
        else:
            table = changed(self._known[at], random, text=stream.text)
            self._known[at] = table
            self._described.discard(table.oid)
            if stream.token is not None:
                yield logical(MESSAGE_PREFIX, stream.token + told(table, random), 1, self._at), None
            yield from self._describe(table)

    # --- beyond version 1 -------------------------------------------------------------------------

    def _beyond(self, stream: Stream) -> None:
        """Streamed and two-phase transactions, which version 1 does not have."""
        ways: list[Callable[[Stream], None]] = [self._streamed]
        if stream.version >= 3:
            ways += [self._prepared, self._prepared_end]
        for _ in range(self._random.randint(1, 2)):
            self._random.choice(ways)(stream)

    def _streamed(self, stream: Stream) -> None:
        random = self._random
        xid, final, end = random.getrandbits(32), self._step(), self._step()
        for first in (True, False)[: random.randint(1, 2)]:
            stream.messages.append(stream_start(xid, first))
            body = self._body(stream, random.randint(0, 6))
            stream.messages += [streamed(message, xid) for message, _ in body]
            stream.messages.append(stream_stop())
        time_us = random.getrandbits(50)
        ends = [stream_commit(xid, final, end, time_us)]
        told_end = (self._at, time_us) if stream.version >= 4 else None
        ends.append(stream_abort(xid, random.getrandbits(32), told_end))
        if stream.version >= 3:
            ends.append(prepare(b"p", final, end, time_us, xid, "gid"))
        stream.messages.append(random.choice(ends))

    def _prepared(self, stream: Stream) -> None:
        random = self._random
        xid, prepared, end = random.getrandbits(32), self._step(), self._step()
        stream.messages.append(begin_prepare(prepared, end, 5, xid, "gid"))
        stream.messages += [message for message, _ in self._body(stream, random.randint(0, 6))]
        stream.messages.append(prepare(b"P", prepared, end, 5, xid, "gid"))

    def _prepared_end(self, stream: Stream) -> None:
        end, xid = self._step(), self._random.getrandbits(32)
        committed = prepare(b"K", end, end + 1, 5, xid, "gïd")
        rolled_back = rollback_prepared(end, end + 1, 5, xid, "")
        stream.messages.append(self._random.choice((committed, rolled_back)))


# --- messages of the event triggers ---------------------------------------------------------------


def told_facts(table: Table, random: Random) -> dict[str, object]:
    """What the event triggers tell of a table after a command."""
    key = [n + 1 for n, column in enumerate(table.columns) if column.identity]
    defaults = (None, None, {"value": "x'y"}, {"expression": "now()"}, {"computed": True})
    return {
        "v": VERSION,
        "event": "table",
        "oid": table.oid,
        "schema": table.schema,
        "name": table.name,
        "identity": table.identity,
        "primary": key[:1] or None,
        "key": (None if table.full else key) or None,
        "columns": [
            {
                "number": n + 1,
                "name": column.name,
                "type": "integer",
                "oid": column.oid,
                "mod": column.modifier,
                "nullable": not column.identity,
                "new": random.random() < 0.3,
                "default": random.choice((*defaults, {"long": True})),
            }
            for n, column in enumerate(table.columns)
        ],
    }


def other_facts(table: Table, random: Random) -> dict[str, object]:
    """What they tell of other commands."""
    head = {"v": VERSION, "oid": table.oid}
    ways: tuple[dict[str, object], ...] = (
        {"event": "drop", "schema": table.schema, "name": table.name},
        {"event": "rewrite", "reason": random.randrange(8), "plain": random.random() < 0.5},
        {"event": "partition", "what": "attached"},
        {"event": "emptied", "schema": table.schema, "name": table.name, "by": [7, 9]},
        {"event": "unread", "sqlstate": "54000"},
    )
    return {**head, **random.choice(ways)}


def told(table: Table, random: Random) -> bytes:
    return json.dumps(told_facts(table, random)).encode()
