"""A PostgreSQL source's bench: a fresh database on a server that all laws of a run share."""

import itertools
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import psycopg
from psycopg import sql

from connectors.postgres.config import PostgresSourceConfig
from connectors.postgres.source import PostgresSource
from engine.contracts import SnapshotSource
from engine.model.chunk import Chunk
from engine.model.snapshot import Snapshot
from engine.model.value import Row
from tests.contract.bench import SourceFeatures, Text
from tests.contract.postgres_server import TABLES, cluster
from tests.servers.postgres import Database

FORM = "postgres-text"

_numbers = itertools.count(1)


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


class PostgresWriter:
    """A transaction of the application."""

    def __init__(self, connection: "psycopg.AsyncConnection[tuple[object, ...]]") -> None:
        self._connection = connection

    async def insert(self, table: str, *values: Text) -> None:
        places = sql.SQL(", ").join([sql.Placeholder()] * len(values))
        text = sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(table), places)
        await self._connection.execute(text, values)

    async def update(self, table: str, key: str, values: Mapping[str, Text]) -> None:
        sets = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(c)) for c in values)
        text = sql.SQL("UPDATE {} SET {} WHERE id = %s").format(sql.Identifier(table), sets)
        await self._connection.execute(text, [*values.values(), key])

    async def delete(self, table: str, key: str) -> None:
        text = sql.SQL("DELETE FROM {} WHERE id = %s").format(sql.Identifier(table))
        await self._connection.execute(text, [key])

    async def truncate(self, *tables: str) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, tables))
        await self._connection.execute(sql.SQL("TRUNCATE {}").format(names))

    async def savepoint(self) -> None:
        await self._connection.execute("SAVEPOINT law")

    async def rollback_to_savepoint(self) -> None:
        await self._connection.execute("ROLLBACK TO SAVEPOINT law")

    async def commit(self) -> None:
        await self._connection.commit()
        await self._connection.close()

    async def rollback(self) -> None:
        await self._connection.rollback()
        await self._connection.close()


class PostgresSourceBench:
    features = SourceFeatures(exclusive_reader=True, snapshots=True)

    def __init__(self, major: str) -> None:
        self._database = Database.create(cluster(major), f"law_source_{next(_numbers)}")
        self._database.execute(TABLES)
        self._clients: list[PostgresSource] = []
        self._writers: list[psycopg.AsyncConnection[tuple[object, ...]]] = []

    async def source(self) -> SnapshotSource:
        # A slot's name is the server's, not the database's.
        config = PostgresSourceConfig.of(
            f"law-{self._database.name}", self._database.dsn, insert_only=True,
            block_bytes_max=16_384,
        )  # fmt: skip
        client = PostgresSource(config, SystemClock())
        self._clients.append(client)
        await client.open()
        return client

    async def begin(self) -> PostgresWriter:
        connection = await psycopg.AsyncConnection.connect(self._database.dsn)
        self._writers.append(connection)
        return PostgresWriter(connection)

    async def rows(self, source: SnapshotSource, chunk: Chunk, snapshot: Snapshot) -> Sequence[Row]:
        data = b"".join([bytes(buffer) async for buffer in source.rows(chunk, snapshot, FORM)])
        return [tuple(map(_value, line.split(b"\t"))) for line in data.splitlines()]

    async def close(self) -> None:
        for writer in self._writers:
            await writer.close()
        for client in self._clients:
            await client.close()
        self._database.drop()


@asynccontextmanager
async def source_bench(major: str) -> AsyncIterator[PostgresSourceBench]:
    bench = PostgresSourceBench(major)
    try:
        yield bench
    finally:
        await bench.close()


def _value(field: bytes) -> bytes | None:
    return None if field == b"\\N" else field
