"""The memory connector's benches: the laws' first subject."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from connectors.memory import rows
from connectors.memory.compare import MemoryComparable
from connectors.memory.control import QUARANTINE
from connectors.memory.database import MemoryDatabase
from connectors.memory.definitions import References, table
from connectors.memory.source import MemorySource
from connectors.memory.storage import Cells, Table, Version
from connectors.memory.target import MemoryTarget
from connectors.memory.transaction import ServerTransaction
from engine.comparable import Comparable
from engine.contracts import SnapshotSource
from engine.model.chunk import Chunk
from engine.model.relation import Relation, ReplicaIdentity
from engine.model.snapshot import Snapshot
from engine.model.value import UNCHANGED, Row, Value
from tests.contract.bench import LawTarget, SourceFeatures, TargetFeatures, Text, name


def tables() -> list[Table]:
    full = ReplicaIdentity.FULL
    return [
        table("public.accounts", ["id", "value"], key=["id"]),
        table("public.documents", ["id", "body", "note"], key=["id"], toasted=["body"]),
        table("public.copies", ["id", "note"], identity=full),
        table("public.mirrors", ["id", "value"], key=["id"], identity=full),
        table("public.audit", ["id", "note"]),
        table("public.hidden", ["id", "value"], key=["id"]),
        table("public.named", ["id", "name"], key=["id"], unique=[["name"]], required=["name"]),
        table("public.parents", ["id"], key=["id"]),
        table(
            "public.children",
            ["id", "parent"],
            key=["id"],
            references=[References(("parent",), "public.parents")],
        ),
        table(
            "public.owned",
            ["id", "parent"],
            key=["id"],
            references=[References(("parent",), "public.parents", cascade=True)],
        ),
    ]


def _database(identity: str, *, logging: bool) -> MemoryDatabase:
    database = MemoryDatabase(identity, logging=logging)
    for made in tables():
        database.put_table(made.relation.table, made)
    return database


class MemoryWriter:
    """The application's transaction, straight on the server."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._server: ServerTransaction = database.begin()

    async def insert(self, table: str, *values: Text) -> None:
        self._server.insert(name(table), tuple(map(_bytes, values)))

    async def update(self, table: str, key: str, values: Mapping[str, Text]) -> None:
        columns = self._server.table(name(table)).relation.columns
        for version in self._rows(table, key):
            row = [
                _bytes(values[column.name]) if column.name in values else value
                for column, value in zip(columns, version.row, strict=True)
            ]
            self._server.update(name(table), version, tuple(row))

    async def delete(self, table: str, key: str) -> None:
        for version in self._rows(table, key):
            self._server.delete(name(table), version)

    def _rows(self, table: str, key: str) -> list[Version]:
        return [v for v in self._server.scan(name(table)) if v.row[0] == key.encode()]

    async def truncate(self, *tables: str) -> None:
        self._server.truncate([name(table) for table in tables])

    async def savepoint(self) -> None:
        self._server.savepoint()

    async def rollback_to_savepoint(self) -> None:
        self._server.rollback_to_savepoint()

    async def commit(self) -> None:
        self._database.commit(self._server)

    async def rollback(self) -> None:
        self._database.rollback(self._server)


class MemorySourceBench:
    features = SourceFeatures(exclusive_reader=True, snapshots=True)

    def __init__(self) -> None:
        self._database = _database("memory source", logging=True)
        self._clients: list[MemorySource] = []

    async def source(self) -> SnapshotSource:
        client = MemorySource(self._database, keepalive_seconds=0.02)
        self._clients.append(client)
        await client.open()
        return client

    async def begin(self) -> MemoryWriter:
        return MemoryWriter(self._database)

    async def rows(self, source: SnapshotSource, chunk: Chunk, snapshot: Snapshot) -> Sequence[Row]:
        apart = rows.MemoryRows(len(chunk.relation.columns))
        read: list[Row] = []
        async for buffer in source.rows(chunk, snapshot, rows.FORM):
            read += [apart.values(row) for row in apart.feed(buffer)]
        apart.finish()
        return read

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


class MemoryTargetBench:
    features = TargetFeatures(immediate_fence=True)

    def __init__(self) -> None:
        self._database = _database("memory target", logging=False)
        self._clients: list[MemoryTarget | MemoryComparable] = []

    async def target(self, replication: str = "law") -> LawTarget:
        client = MemoryTarget(self._database, replication, lock_timeout_seconds=2.0)
        self._clients.append(client)
        await client.open()
        await client.prepare_control()
        return client

    async def relation(self, table: str) -> Relation:
        return self._database.tables[name(table)].relation

    async def read(self, table: str) -> Sequence[tuple[Text, ...]]:
        stored = self._database.visible_rows(name(table))
        return sorted((tuple(map(_text, row)) for row in stored), key=repr)

    async def quarantined(self, replication: str = "law") -> int:
        stored = self._database.visible_rows(QUARANTINE)
        return sum(row[0] == replication for row in stored)

    async def comparable(self) -> Comparable:
        client = MemoryComparable("target", self._database)
        self._clients.append(client)
        await client.open()
        return client

    async def load_data(self, relation: Relation, rows_: Sequence[Row]) -> Sequence[bytes]:
        data = b"".join(rows.encode(row) for row in rows_)
        return [data[i : i + 3] for i in range(0, len(data), 3)]

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


@asynccontextmanager
async def source_bench() -> AsyncIterator[MemorySourceBench]:
    bench = MemorySourceBench()
    yield bench
    await bench.close()


@asynccontextmanager
async def target_bench() -> AsyncIterator[MemoryTargetBench]:
    bench = MemoryTargetBench()
    yield bench
    await bench.close()


def _bytes(text: Text) -> bytes | None:
    return None if text is None else text.encode()


def _text(value: object) -> Text:
    assert value is None or isinstance(value, bytes)
    return None if value is None else value.decode()


def _row(cells: Cells) -> Row:
    row: list[Value] = []
    for value in cells:
        assert value is None or isinstance(value, bytes) or value is UNCHANGED
        row.append(value)
    return tuple(row)
