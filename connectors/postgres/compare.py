"""One PostgreSQL side of a comparison: hashes computed by the server, read in sessions of its own.

Every statement is short (a key range) or, for tables that have no key both servers order alike, one
scan; nothing is held between two of them, so the source's cleanup is never kept waiting for long.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.conninfo import conninfo_to_dict

from connectors.postgres import canonical, compare_sql
from connectors.postgres.address import conninfo, permit_known
from connectors.postgres.compare_sql import Columns, Statements
from connectors.postgres.lsn import parse_lsn
from engine.config.replication import ReplicationConfig
from engine.errors import ComparisonError, ConfigError
from engine.model.compared import Digest, Part, Reading, RowKey, Span, TableShape
from engine.model.position import LogPosition, Position
from engine.model.relation import TableName

SESSIONS_MAX: Final = 2
"""Sessions per side: two keep a reader busy while the other side's answer is awaited."""

FLUSH_WAIT_SECONDS: Final = 1.0
"""How long a commit may be visible before it is flushed (`synchronous_commit = off`): at most three
times `wal_writer_delay`, 0.2 s by default."""

FLUSH_POLL_SECONDS: Final = 0.02

PAGE_BYTES: Final = 8192
PAGE_HEADER_BYTES_MAX: Final = 40
"""`SizeOfXLogLongPHD`: an insert position just behind a page's header is the page's start."""

_SHOWN_CLASSES: Final = frozenset({"08", "25", "28", "3D", "3F", "42", "53", "55", "57", "58"})
"""SQLSTATE classes whose messages hold names, never values of a row."""

_Session = AsyncConnection[tuple[Any, ...]]


class PostgresComparable:
    """Implements `engine.contracts.Comparable`.

    `side` is `source` or `target`, for messages; `conninfo` is libpq's and never shown.
    """

    def __init__(self, side: str, conninfo: str, sessions_max: int = SESSIONS_MAX) -> None:
        self._side = side
        self._conninfo = conninfo
        self._free: list[_Session] = []
        self._room = asyncio.Semaphore(sessions_max)
        self._columns: dict[TableName, Columns] = {}

    async def open(self) -> None:
        async with self._session("connecting"):
            return

    async def close(self) -> None:
        while self._free:
            await self._free.pop().close()

    # --- what there is --------------------------------------------------------------------------

    async def hash_methods(self) -> Mapping[str, str]:
        return {
            method: str((await self._all("hashing", compare_sql.probe(method)))[0][0])
            for method in compare_sql.METHODS
        }

    async def shape(self, table: TableName) -> TableShape | None:
        found = await self._all(str(table), compare_sql.SHAPE, (table.schema, table.name))
        if not found:
            return None
        oid, kind, estimated, identities = found[0]
        columns = await self._all(str(table), compare_sql.COLUMNS, (oid,))
        indexes = dict(await self._all(str(table), compare_sql.INDEXES, (oid,)))
        keys = [tuple(indexes[i]) for i in identities if i in indexes and None not in indexes[i]]
        bases = {name: base for name, *_, base in columns}
        self._columns[table] = Columns(
            types={name: type_ for name, _, type_, *_ in columns}, bases=bases, tree=kind == "p"
        )
        return TableShape(
            table,
            columns=tuple(sorted(name for name, *_ in columns)),
            generated=frozenset(name for name, generated, *_ in columns if generated),
            key=keys[0] if keys else (),
            orders={name: order or "" for name, _, _, builtin, order, _ in columns if builtin},
            indexes=frozenset(tuple(names) for names in indexes.values() if None not in names),
            rows_estimated=estimated,
            forms={name: canonical.forms(base) for name, base in bases.items()},
        )

    # --- reading --------------------------------------------------------------------------------

    async def boundary(self, reading: Reading, span: Span, rows: int) -> RowKey | None:
        found = await self._of(reading, *self._sql(reading).boundary(span, rows))
        return tuple(found[0][0]) if found else None

    async def digest(self, reading: Reading, span: Span) -> Digest:
        rows, hashed = (await self._of(reading, *self._sql(reading).digest(span)))[0]
        return Digest(rows, int(hashed))

    async def bucket_digests(self, reading: Reading) -> Mapping[int, Digest]:
        found = await self._of(reading, self._sql(reading).bucket_digests())
        return {bucket: Digest(rows, int(hashed)) for bucket, rows, hashed in found}

    async def rows(self, reading: Reading, part: Part) -> Mapping[RowKey, Digest]:
        sql = self._sql(reading)
        if isinstance(part, Span):
            return _added(reading, await self._of(reading, *sql.rows_of_span(part)))
        return _added(reading, await self._of(reading, sql.rows_of_buckets(), (list(part),)))

    async def find(self, reading: Reading, keys: Sequence[RowKey]) -> Mapping[RowKey, Digest]:
        arrays: Sequence[Sequence[object]] = compare_sql.key_arrays(keys)
        if not reading.key:
            arrays = [[int(hashed) for (hashed,) in keys]]
        found = await self._of(reading, self._sql(reading).find(), arrays)
        wanted = set(keys)
        return {key: digest for key, digest in _added(reading, found).items() if key in wanted}

    # --- positions ------------------------------------------------------------------------------

    async def head(self) -> Position:
        """The flushed end of the log, once that covers what was inserted at the call. What stays
        unflushed after a second belongs to transactions that nobody can see yet."""
        sql = "SELECT pg_current_wal_insert_lsn()::text, pg_current_wal_flush_lsn()::text"
        inserted, flushed = map(parse_lsn, (await self._all("its log", sql))[0])
        for _ in range(round(FLUSH_WAIT_SECONDS / FLUSH_POLL_SECONDS)):
            if flushed >= page_start(inserted):
                break
            await asyncio.sleep(FLUSH_POLL_SECONDS)
            flushed = parse_lsn((await self._all("its log", sql))[0][1])
        return LogPosition(flushed)

    def position(self, text: str) -> Position:
        return LogPosition.parse(text)

    async def stored(self, replication: str, checkpoints: Sequence[str]) -> Sequence[str]:
        there = await self._all("control tables", "SELECT to_regclass('penstock.checkpoint')::text")
        if there[0][0] is None:
            return []
        sql = (
            "SELECT position FROM penstock.checkpoint"
            " WHERE replication = $1 AND lane = ANY($2::text[])"
        )
        found = await self._all("penstock.checkpoint", sql, (replication, list(checkpoints)))
        return [str(text) for (text,) in found]

    # --- sessions -------------------------------------------------------------------------------

    def _sql(self, reading: Reading) -> Statements:
        return Statements(reading, self._columns[reading.table])

    async def _of(
        self, reading: Reading, sql: str, values: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        return await self._all(str(reading.table), sql, values)

    async def _all(
        self, subject: str, sql: str, values: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        async with self._session(subject) as session:
            cursor = AsyncRawCursor(session)
            # The text is built from quoted identifiers only; values travel as parameters.
            await cursor.execute(sql, values, binary=True)
            return await cursor.fetchall()

    @asynccontextmanager
    async def _session(self, subject: str) -> AsyncIterator[_Session]:
        async with self._room:
            try:
                session = self._free.pop() if self._free else await self._connect()
            except psycopg.Error as error:
                raise self._failed("connecting", error) from None
            try:
                yield session
            except psycopg.Error as error:
                raise self._failed(subject, error) from None
            finally:
                await self._give_back(session)

    async def _connect(self) -> _Session:
        await permit_known(conninfo_to_dict(self._conninfo))
        session: _Session = await AsyncConnection.connect(self._conninfo, autocommit=True)
        calls = ", ".join(f"set_config('{k}', '{v}', false)" for k, v in _SETTINGS)
        await session.execute(f"SELECT {calls}")
        return session

    async def _give_back(self, session: _Session) -> None:
        idle = session.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        if idle and not session.closed:
            self._free.append(session)
        else:
            await session.close()

    def _failed(self, subject: str, error: psycopg.Error) -> ComparisonError:
        state = error.sqlstate or ""
        return ComparisonError(
            f"{self._side}: {subject}: {_shown(error)}",
            hint=_HINTS.get(state, ""),
            context={"side": self._side, "subject": subject, "sqlstate": state},
        )


_SETTINGS: Final = tuple(compare_sql.SETTINGS.items())

_HINTS: Final[Mapping[str, str]] = {
    "42501": "grant SELECT on the table and USAGE on its schema, or BYPASSRLS where a policy hides"
    " rows, and compare again",
    "28P01": "check user and password",
}


def create(config: ReplicationConfig, side: Literal["source", "target"]) -> PostgresComparable:
    """The side of a replication. Raises ConfigError when it has no URL."""
    url = config.source.url if side == "source" else config.target.url
    if url is None:
        raise ConfigError(f"{side}.url", "is needed")
    return PostgresComparable(side, conninfo(url))


def _shown(error: psycopg.Error) -> str:
    """What may be shown of an error: the server's message where it holds no values, and libpq's
    about connecting, which names host, port and user."""
    if (error.sqlstate or "")[:2] in _SHOWN_CLASSES and error.diag.message_primary:
        return error.diag.message_primary
    text = str(error).strip()
    if isinstance(error, psycopg.OperationalError) and text.startswith("connection failed:"):
        return " ".join(text.split())
    return f"{type(error).__name__} {error.sqlstate or ''}".strip()


def page_start(lsn: int) -> int:
    """An insert position without the page header that may stand before it: the log is flushed up to
    a page's end, and the next record's place is behind the header of a page not begun yet."""
    return lsn - lsn % PAGE_BYTES if lsn % PAGE_BYTES <= PAGE_HEADER_BYTES_MAX else lsn


def _added(reading: Reading, found: Sequence[tuple[Any, ...]]) -> dict[RowKey, Digest]:
    """Without key, rows are (hash, count); with key (key, hash), perhaps one key twice."""
    if not reading.key:
        return {(str(hashed),): Digest(rows, hashed * rows) for hashed, rows in found}
    held: dict[RowKey, Digest] = {}
    for key, hashed in found:
        name = tuple(key)
        digest = Digest(1, hashed)
        held[name] = held[name] + digest if name in held else digest
    return held
