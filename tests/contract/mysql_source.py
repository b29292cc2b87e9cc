"""A MySQL or MariaDB source's bench: the laws' tables on a server that all laws of a run share."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import pymysql

from connectors.mysql.source import MysqlSource
from connectors.mysql.source_config import MysqlSourceConfig
from engine.config.url import parse_url
from engine.contracts import SnapshotSource
from engine.model.chunk import Chunk
from engine.model.relation import Relation, TableName
from engine.model.snapshot import Snapshot
from engine.model.value import Row
from engine.seams import SystemClock
from tests.contract.bench import SCHEMA, SourceFeatures, Text
from tests.contract.mysql_server import fresh
from tests.servers.mysql import MysqlServer, quoted

FORM: Final = "postgres-text"

SERVER_ID_FIRST: Final = 900_000_000
"""Each client is a replica of its own: the server would end one of the same name."""


class MysqlWriter:
    """A transaction of the application. A long value that did not change is not in the log."""

    def __init__(self, connection: "pymysql.Connection[Any]") -> None:
        self._connection = connection

    async def insert(self, table: str, *values: Text) -> None:
        places = ", ".join(["%s"] * len(values))
        await self._run(f"INSERT INTO {quoted(table)} VALUES ({places})", *values)

    async def update(self, table: str, key: str, values: Mapping[str, Text]) -> None:
        sets = ", ".join(f"{quoted(column)} = %s" for column in values)
        await self._run(f"UPDATE {quoted(table)} SET {sets} WHERE id = %s", *values.values(), key)

    async def delete(self, table: str, key: str) -> None:
        await self._run(f"DELETE FROM {quoted(table)} WHERE id = %s", key)

    async def truncate(self, *tables: str) -> None:
        for table in tables:
            await self._run(f"TRUNCATE {quoted(table)}")

    async def savepoint(self) -> None:
        await self._run("SAVEPOINT law")

    async def rollback_to_savepoint(self) -> None:
        await self._run("ROLLBACK TO SAVEPOINT law")

    async def commit(self) -> None:
        await self._run("COMMIT")
        self.close()

    async def rollback(self) -> None:
        await self._run("ROLLBACK")
        self.close()

    def close(self) -> None:
        if self._connection.open:
            self._connection.close()

    async def _run(self, statement: str, *values: Text) -> None:
        """In a thread: a statement may wait for what a law does meanwhile."""
        await asyncio.to_thread(self._execute, statement, values)

    def _execute(self, statement: str, values: Sequence[Text]) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)


class MysqlSourceBench:
    def __init__(self, server: str) -> None:
        self._server: MysqlServer = fresh(server)
        self.features = SourceFeatures(
            snapshots=True,
            many_events=12_000,
            slot=False,
            identities=False,
            transactional_truncate=False,
            publishing_waits=False,
            shared_snapshot=not self._server.mariadb,
        )
        self._clients: list[MysqlSource] = []
        self._writers: list[MysqlWriter] = []
        self._known: Mapping[TableName, Relation] = {}

    async def source(self) -> SnapshotSource:
        """A client that was told what the tables were like when the law began."""
        number = len(self._clients)
        config = MysqlSourceConfig(
            replication=f"law-{number}",
            engine="mysql",
            url=parse_url(self._server.url()),
            server_id=SERVER_ID_FIRST + number,
        )
        client = MysqlSource(config, SystemClock())
        self._clients.append(client)
        await client.open()
        if not self._known:
            self._known = {r.table: r for r in await client.relations() if r.schema == SCHEMA}
        client.remember(self._known)
        return client

    async def begin(self) -> MysqlWriter:
        connection = self._server.connect(SCHEMA)
        writer = MysqlWriter(connection)
        self._writers.append(writer)
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION binlog_row_image = NOBLOB")
            cursor.execute("BEGIN")
        return writer

    async def rows(self, source: SnapshotSource, chunk: Chunk, snapshot: Snapshot) -> Sequence[Row]:
        data = b"".join([bytes(buffer) async for buffer in source.rows(chunk, snapshot, FORM)])
        return [tuple(map(_value, line.split(b"\t"))) for line in data.splitlines()]

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
        for client in self._clients:
            await client.close()


def _value(field: bytes) -> bytes | None:
    return None if field == b"\\N" else field


@asynccontextmanager
async def _bench(server: str) -> AsyncIterator[MysqlSourceBench]:
    bench = MysqlSourceBench(server)
    try:
        yield bench
    finally:
        await bench.close()


def mariadb_bench() -> AbstractAsyncContextManager[MysqlSourceBench]:
    return _bench("mariadb-10.11")


def mysql_bench() -> AbstractAsyncContextManager[MysqlSourceBench]:
    return _bench("mysql-9")
