"""One MySQL or MariaDB side of a comparison: hashes computed by the server, in sessions of its own.

Every statement is short (a key range) or, for tables that have no key both servers order alike, one
scan; none takes a lock that a writer waits for.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal, TypeAlias

from connectors.mysql import canonical, compare_sql
from connectors.mysql.catalog import CatalogColumn, CatalogTable, read_tables
from connectors.mysql.commits import owned
from connectors.mysql.compare_sql import UNMADE, Statements
from connectors.mysql.connecting import Link, close
from connectors.mysql.errors import DRIVER_ERRORS, NO_SUCH_TABLE, error_number, source_error
from connectors.mysql.position import parse_position
from connectors.mysql.quoting import literal
from connectors.mysql.server import Server, read_head, read_server
from connectors.mysql.source_config import MysqlSourceConfig
from connectors.mysql.sql import open_session
from connectors.mysql.types import MysqlType, parse_type
from engine.config.endpoint import ZeroDate
from engine.config.replication import ReplicationConfig
from engine.config.url import ConnectionUrl
from engine.errors import ComparisonError, ConfigError, SourceError
from engine.model.compared import Digest, Part, Reading, RowKey, Span, TableShape
from engine.model.position import Position
from engine.model.relation import TableName

SESSIONS_MAX: Final = 2
"""Sessions per side: two keep a reader busy while the other side's answer is awaited."""

OWNED_WAIT_SECONDS: Final = 1.0
"""How long transactions that are just committing may take to enter the set of executed ones: rows
are visible a moment before."""

OWNED_POLL_SECONDS: Final = 0.02

PROGRAM: Final = "penstock compare"

Cells: TypeAlias = Sequence[str | None]


class MysqlComparable:
    """Implements `engine.comparable.Comparable`.

    `side` is `source` or `target`, for messages. `zero`: what a replication makes of a date that is
    none; None where it is kept.
    """

    def __init__(
        self,
        side: str,
        url: ConnectionUrl,
        zero: ZeroDate | None = None,
        sessions_max: int = SESSIONS_MAX,
    ) -> None:
        self._side = side
        self._url = url
        self._zero = zero
        self._free: list[Link] = []
        self._room = asyncio.Semaphore(sessions_max)
        self._types: dict[TableName, Mapping[str, MysqlType]] = {}
        self._server: Server | None = None

    async def open(self) -> None:
        await self._told()

    async def close(self) -> None:
        while self._free:
            await close(self._free.pop())

    # --- what there is --------------------------------------------------------------------------

    async def hash_methods(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for method, query in compare_sql.PROBES.items():
            ((value,),) = await self._all("hashing", query)
            found[method] = value or ""
        return found

    async def shape(self, table: TableName) -> TableShape | None:
        server = await self._told()
        found = await read_tables(self._ask, server, [table])
        if not found:
            return None
        types = {column.name: _type(column) for column in found[0].columns}
        known = {name: type_ for name, type_ in types.items() if type_ is not None}
        self._types[table] = known
        return _shape(table, found[0], known)

    # --- reading --------------------------------------------------------------------------------

    async def boundary(self, reading: Reading, span: Span, rows: int) -> RowKey | None:
        found = await self._of(reading, self._sql(reading).boundary(span, rows))
        return _key(found[0]) if found else None

    async def digest(self, reading: Reading, span: Span) -> Digest:
        (found,) = await self._of(reading, self._sql(reading).digest(span))
        return self._digest(reading, found)

    async def bucket_digests(self, reading: Reading) -> Mapping[int, Digest]:
        found = await self._of(reading, self._sql(reading).bucket_digests())
        return {int(row[0] or 0): self._digest(reading, row[1:]) for row in found}

    async def rows(self, reading: Reading, part: Part) -> Mapping[RowKey, Digest]:
        sql = self._sql(reading)
        query = sql.rows_of_span(part) if isinstance(part, Span) else sql.rows_of_buckets(part)
        return self._added(reading, await self._of(reading, query))

    async def find(self, reading: Reading, keys: Sequence[RowKey]) -> Mapping[RowKey, Digest]:
        wanted = set(keys)
        held: dict[RowKey, Digest] = {}
        for query in self._sql(reading).find(keys):
            found = self._added(reading, await self._of(reading, query))
            # A collation may take other keys for the same: each statement may find them again.
            held |= {key: digest for key, digest in found.items() if key in wanted}
        return held

    # --- positions ------------------------------------------------------------------------------

    async def head(self) -> Position:
        """The end of the log, once that covers the transactions that were committing at the call:
        MySQL shows their rows a moment before it counts their GTIDs as executed."""
        server = await self._told()
        if server.gtid and not server.mariadb:
            await self._wait_for_commits()
        try:
            return await read_head(self._ask, server)
        except SourceError as error:
            raise self._failed(error) from error

    async def _wait_for_commits(self) -> None:
        first = still = await owned(self._ask)
        for _ in range(round(OWNED_WAIT_SECONDS / OWNED_POLL_SECONDS)):
            if not first & still:
                return
            await asyncio.sleep(OWNED_POLL_SECONDS)
            still = await owned(self._ask)

    def position(self, text: str) -> Position:
        return parse_position(text)

    async def stored(self, replication: str, checkpoints: Sequence[str]) -> Sequence[str]:
        lanes = ", ".join(map(literal, checkpoints))
        query = (
            "SELECT position FROM penstock.checkpoint"
            f" WHERE replication = {literal(replication)} AND lane IN ({lanes})"
        )
        try:
            found = await self._all("penstock.checkpoint", query)
        except ComparisonError as error:
            if error.context.get("error") in NO_SUCH_TABLE:
                return []
            raise
        return [row[0] or "" for row in found]

    # --- results --------------------------------------------------------------------------------

    def _sql(self, reading: Reading) -> Statements:
        return Statements(reading, self._types[reading.table], self._zero)

    def _digest(self, reading: Reading, row: Cells) -> Digest:
        rows, hashed = int(row[0] or 0), int(row[1] or 0)
        if hashed >= UNMADE // 2:
            raise self._unmade(reading)
        return Digest(rows, hashed)

    def _added(self, reading: Reading, found: Sequence[Cells]) -> dict[RowKey, Digest]:
        """Rows of one key are added up."""
        held: dict[RowKey, Digest] = {}
        for row in found:
            if row[0] is None:
                raise self._unmade(reading)
            hashed = int(row[0])
            if not reading.key:
                rows = int(row[1] or 0)
                held[row[0],] = Digest(rows, hashed * rows)
                continue
            key, digest = _key(row[1:]), Digest(1, hashed)
            held[key] = held[key] + digest if key in held else digest
        return held

    def _unmade(self, reading: Reading) -> ComparisonError:
        return ComparisonError(
            f"{self._side}: {reading.table}: a value is larger than max_allowed_packet, so the"
            " server cannot hash it",
            hint="SET GLOBAL max_allowed_packet = 1073741824 there, and compare again",
        )

    # --- sessions -------------------------------------------------------------------------------

    async def _told(self) -> Server:
        if self._server is None:
            self._server = await read_server(self._ask)
        return self._server

    async def _ask(self, doing: str, query: str) -> Sequence[Cells]:
        return await self._all(doing, query)

    async def _of(self, reading: Reading, query: str) -> Sequence[Cells]:
        return await self._all(str(reading.table), query)

    async def _all(self, subject: str, query: str) -> Sequence[Cells]:
        async with self._session(subject) as link:
            rows = await link.run(query)
        return [[None if v is None else v.decode("utf-8", "replace") for v in row] for row in rows]

    @asynccontextmanager
    async def _session(self, subject: str) -> AsyncIterator[Link]:
        async with self._room:
            link: Link | None = None
            try:
                link = self._free.pop() if self._free else await self._connect()
                yield link
            except BaseException as error:
                # An answer may be half read.
                if link is not None and not error_number(error):
                    link.close()
                if isinstance(error, (SourceError, *DRIVER_ERRORS)):
                    raise self._failed(source_error(error, subject)) from error
                raise
            finally:
                if link is not None and not link.closed:
                    self._free.append(link)

    async def _connect(self) -> Link:
        link = await open_session(self._url, PROGRAM, self._side)
        try:
            mariadb = "mariadb" in str(link.server_version).lower()
            own = compare_sql.MARIADB_SETTINGS if mariadb else compare_sql.MYSQL_SETTINGS
            for statement in (*compare_sql.SETTINGS, *own):
                await link.run(statement)
        except BaseException:
            link.close()
            raise
        return link

    def _failed(self, error: SourceError) -> ComparisonError:
        return ComparisonError(
            f"{self._side}: {error.message}",
            hint=error.hint,
            context={"side": self._side, **error.context},
        )


def _key(cells: Cells) -> RowKey:
    return tuple([cell or "" for cell in cells])


def _type(column: CatalogColumn) -> MysqlType | None:
    """None for a type that is unknown here."""
    try:
        return parse_type(column.type, column.charset or None, column.collation or None)
    except ValueError:
        return None


def _shape(table: TableName, found: CatalogTable, types: Mapping[str, MysqlType]) -> TableShape:
    orders = {name: canonical.order(type_) for name, type_ in types.items()}
    return TableShape(
        table,
        columns=tuple(sorted(column.name for column in found.columns)),
        generated=frozenset(column.name for column in found.columns if column.generated),
        key=found.identity,
        orders={name: order for name, order in orders.items() if order is not None},
        indexes=frozenset(index.columns for index in found.indexes if index.whole),
        rows_estimated=found.rows,
        forms={name: canonical.forms(type_) for name, type_ in types.items()},
    )


def create(config: ReplicationConfig, side: Literal["source", "target"]) -> MysqlComparable:
    """The side of a replication. Raises ConfigError when it has no URL."""
    if side == "source":
        source = MysqlSourceConfig.of(config)
        return MysqlComparable(side, source.url, source.zero_dates)
    if config.target.url is None:
        raise ConfigError("target.url", "is needed")
    return MysqlComparable(side, config.target.url)
