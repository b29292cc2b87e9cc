"""(pure) What the binary log holds, as values.

Names and fields are the servers' own; of what a reader has no use for nothing is kept. Texts of
statements may hold values of rows: they are never to be shown.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from connectors.mysql.binlog.table_map import TableMap
from connectors.mysql.gtid import Gtid, GtidSet
from connectors.mysql.maria_gtid import MariaGtid


class Header(NamedTuple):
    """What stands before every event.

    `end` is the offset behind it in its file, modulo 2^32; 0 for an event that stands in none, and,
    from MariaDB 11, for those between a transaction's first and last. Events out of a compressed
    transaction have that of the whole transaction. `timestamp` is in seconds since the Unix epoch:
    when the statement began.
    """

    timestamp: int
    code: int
    server_id: int
    size: int
    end: int
    flags: int


@dataclass(frozen=True, slots=True)
class FormatDescription:
    """Begins a file: how what follows is to be read."""

    server_version: str
    checksums: bool
    post_header_sizes: bytes

    @property
    def maria(self) -> bool:
        return "mariadb" in self.server_version.lower()


@dataclass(frozen=True, slots=True)
class Rotate:
    """The log goes on in `file` at `offset`. An artificial one is sent when a stream begins and at
    every change of file; the other kind ends a file."""

    file: str
    offset: int
    artificial: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """The server ended in good order; its log goes on in the next file."""


@dataclass(frozen=True, slots=True)
class PreviousGtids:
    """All transactions of the files before this one."""

    gtids: GtidSet


@dataclass(frozen=True, slots=True)
class GtidList:
    """MariaDB: of every domain and server the newest transaction in the files before this one; of
    a domain's the last one is its newest."""

    gtids: tuple[MariaGtid, ...]


@dataclass(frozen=True, slots=True)
class MysqlGtid:
    """Begins a transaction of MySQL.

    `gtid` is None for an anonymous one. Commit times are microseconds since the Unix epoch, 0 when
    unknown: on the server whose log it is, and on the one where it was first made. `statements`:
    some of it may be in statement form. `size` is the whole transaction's in the log, in bytes, 0
    when unknown.
    """

    gtid: Gtid | None
    statements: bool
    committed_at_us: int = 0
    first_committed_at_us: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Xid:
    """Ends a transaction: it is committed."""

    xid: int


class XaId(NamedTuple):
    """The name that a distributed transaction's coordinator gave it."""

    format_id: int
    transaction: bytes
    branch: bytes


@dataclass(frozen=True, slots=True)
class XaPrepare:
    """Ends the events of a distributed transaction, which is committed or rolled back later (by an
    XA statement in a QUERY), or, with `one_phase`, is committed here."""

    xid: XaId
    one_phase: bool


@dataclass(frozen=True, slots=True)
class MariaGtidEvent:
    """Begins a transaction of MariaDB.

    `standalone`: it is one event, mostly DDL, and nothing ends it. `xid` is set for XA: with
    `prepared` the transaction's rows follow, with `completed` it is what ends it.
    """

    gtid: MariaGtid
    standalone: bool
    transactional: bool
    ddl: bool
    prepared: bool
    completed: bool
    xid: XaId | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A statement: DDL, the beginning or end of a transaction, or a change in statement form.

    `sql_mode` None: not told. `xid` is the transaction's for DDL that commits atomically, else 0.
    `void`: an ALTER of MariaDB that has only begun (its end is logged as another one) or that was
    given up; nothing has changed.
    """

    thread_id: int
    error_code: int
    schema: str
    sql: str
    sql_mode: int | None
    collation_client: int
    """Number of the collation whose charset the statement was written in; 0: not told."""
    xid: int = 0
    void: bool = False

    @property
    def ansi_quotes(self) -> bool:
        """Whether double quotes stand around names."""
        return bool((self.sql_mode or 0) & 0x4)

    @property
    def no_backslash_escapes(self) -> bool:
        return bool((self.sql_mode or 0) & 0x100000)


@dataclass(frozen=True, slots=True)
class Statement:
    """A change, or what belongs to one, that is in the log in statement form: no rows follow.
    `what` is the event's name."""

    what: str


class RowsQuery(NamedTuple):
    """The statement that the following rows come from, where the server was told to say it."""

    sql: bytes


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The server has nothing to send, up to this place."""

    file: str
    offset: int


class RowsEvent(NamedTuple):
    """Rows of one table that were inserted, updated or deleted.

    `kind` is INSERT, UPDATE or DELETE (`engine.model.change`). `table` is None for an event without
    rows that only ends a statement. `before` and `after` have a bit for each column, least
    significant first: whether old and new rows hold it. Rows stand in `data` from `at` to `end`.
    `partial`: new rows may hold changes of JSON documents. `ends_statement`: table numbers are
    forgotten behind it.
    """

    kind: int
    table: TableMap | None
    before: bytes
    after: bytes
    data: bytes
    at: int
    end: int
    partial: bool
    ends_statement: bool


@dataclass(frozen=True, slots=True)
class TransactionPayload:
    """A transaction's events, compressed: see `EventDecoder.unpacked`. `size` is what they come to,
    in bytes."""

    header: Header
    compressed: bool
    data: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing for a reader of rows. `known`: a type that we know of, not only one marked so."""

    code: int
    known: bool


Event: TypeAlias = (
    FormatDescription | Rotate | Stop | PreviousGtids | GtidList | MysqlGtid | MariaGtidEvent | Xid
    | XaPrepare | Query | Statement | RowsQuery | Heartbeat | TableMap | RowsEvent
    | TransactionPayload | Ignored
)  # fmt: skip
