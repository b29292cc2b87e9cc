"""One consistent view of the source, shared by every reader of the full load.

A *keeper* session holds the view open: a REPEATABLE READ transaction that imports the snapshot the
slot exported (so that the replication connection is free for its next command), or takes a new one,
and exports it again. *Readers* import it, one transaction per chunk, so that no table stays locked
longer than one chunk takes. When the keeper is gone, so is the snapshot: nobody can import it, and
the remaining chunks need a new one.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final

from connectors._sql.quoting import literal, qualified
from connectors.postgres.chunk_check import changed, check, hold_still
from connectors.postgres.chunk_sql import rows_query
from connectors.postgres.copy_out import CopyFormat, copy_out
from connectors.postgres.errors import DRIVER_ERRORS, source_error
from connectors.postgres.load_connection import Connect, Connection, close, prepare
from engine.config.capacity import COPIERS_MAX
from engine.errors import SnapshotLostError, SourceError
from engine.model.chunk import Chunk
from engine.model.position import LogPosition
from engine.model.snapshot import Snapshot

FORMATS: Final[dict[str, CopyFormat]] = {"postgres-binary": "binary", "postgres-text": "text"}
"""Load forms to COPY formats."""

READERS_IDLE_MAX: Final = COPIERS_MAX
"""Reader connections kept for the next chunk; more than that many at once are never read."""

_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

_NOT_THERE: Final = frozenset({"42703", "42P01"})
"""SQLSTATEs of a column or table that is not there."""

_NO_SNAPSHOT: Final = frozenset({"22023", "42704", "55000", "72000"})
"""SQLSTATEs of an import that comes too late: invalid identifier, undefined object, source
transaction gone, snapshot too old."""


class SnapshotReader:
    """Opens snapshots and reads chunks at them. `connect` opens one connection to the source."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._keepers: dict[str, Connection] = {}
        self._idle: list[Connection] = []

    @asynccontextmanager
    async def snapshot(self, exported: str | None = None) -> AsyncIterator[Snapshot]:
        """A snapshot, alive inside the context: the `exported` one, else a new one.

        Raises:
            SnapshotLostError: `exported` is no longer there to import.
            SourceConnectionError, SourceError.
        """
        keeper = await self._open("opening a snapshot")
        snapshot = None
        try:
            snapshot = await _hold(keeper, exported)
            self._keepers[snapshot.token] = keeper
            yield snapshot
        finally:
            if snapshot is not None:
                del self._keepers[snapshot.token]
            await self._close_idle()
            await close(keeper)

    async def rows(
        self, chunk: Chunk, snapshot: Snapshot, form: str
    ) -> AsyncGenerator[bytes, None]:
        """A chunk's rows at the snapshot, as COPY data of the given load form.

        Closing the iterator early cancels the read and releases its connection.

        Raises:
            SnapshotLostError: the snapshot's context has ended, or its keeper was cut off, or (with
                `table` in its context) the table cannot be read at it any more.
            SourceConnectionError: only this read broke; the snapshot is still good.
            SourceError: the source refuses it.
        """
        doing = f"reading chunk {chunk.ordinal} of {chunk.relation.qualified}"
        try:
            async with self._reader(snapshot.token) as reader:
                await hold_still(reader, chunk.relation)
                await check(reader, chunk.relation)
                query = rows_query(chunk, partitioned=await _partitioned(reader, chunk))
                async with aclosing(copy_out(reader, query, FORMATS[form])) as buffers:
                    async for buffer in buffers:
                        yield buffer
        except DRIVER_ERRORS as error:
            if getattr(error, "sqlstate", None) in _NOT_THERE:
                raise changed(
                    chunk.relation, "was renamed or dropped, or a column of it,"
                ) from error
            raise self._read_error(error, snapshot.token, doing) from error

    @asynccontextmanager
    async def _reader(self, token: str) -> AsyncIterator[Connection]:
        """A connection inside a transaction at the snapshot; one that failed is not used again."""
        self._check_keeper(token)
        reader = self._idle.pop() if self._idle else await self._open("opening a reader")
        usable = False
        try:
            await reader.execute(f"{_BEGIN}; SET TRANSACTION SNAPSHOT {literal(token)}")
            yield reader
            await reader.execute("COMMIT")
            usable = token in self._keepers and len(self._idle) < READERS_IDLE_MAX
        finally:
            if usable:
                self._idle.append(reader)
            else:
                await close(reader)

    def _check_keeper(self, token: str) -> None:
        keeper = self._keepers.get(token)
        if keeper is None or keeper.is_closed():
            raise SnapshotLostError("the session that held the snapshot is gone")

    def _read_error(self, error: Exception, token: str, doing: str) -> SourceError:
        keeper = self._keepers.get(token)
        gone = keeper is None or keeper.is_closed()
        if gone or getattr(error, "sqlstate", None) in _NO_SNAPSHOT:
            return SnapshotLostError(f"{doing}: the snapshot is gone")
        return source_error(error, doing)

    async def _open(self, doing: str) -> Connection:
        try:
            connection = await self._connect()
            try:
                await prepare(connection)
            except BaseException:
                connection.terminate()
                raise
        except DRIVER_ERRORS as error:
            raise source_error(error, doing) from error
        return connection

    async def _close_idle(self) -> None:
        while self._idle:
            await close(self._idle.pop())


async def _hold(keeper: Connection, exported: str | None) -> Snapshot:
    """Begin the keeper's transaction and describe its snapshot."""
    doing = "holding a snapshot"
    try:
        await keeper.execute(_BEGIN)
        if exported is not None:
            await keeper.execute(f"SET TRANSACTION SNAPSHOT {literal(exported)}")
        row = await keeper.fetchrow(
            "SELECT pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_export_snapshot()"
        )
        # Asked last: whatever the snapshot sees had written its commit record before this.
        until = await keeper.fetchval("SELECT pg_catalog.pg_current_wal_insert_lsn()::text")
    except DRIVER_ERRORS as error:
        if exported is not None and getattr(error, "sqlstate", None) in _NO_SNAPSHOT:
            raise SnapshotLostError("the slot's exported snapshot is gone") from error
        raise source_error(error, doing) from error
    assert row is not None
    return Snapshot(text=row[0], until=LogPosition.parse(until), token=row[1])


async def _partitioned(reader: Connection, chunk: Chunk) -> bool:
    relation = chunk.relation
    kind = await reader.fetchval(
        "SELECT relkind FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)",
        qualified(relation.schema, relation.name),
    )
    return bool(kind == b"p")
