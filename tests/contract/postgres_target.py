"""A PostgreSQL target's bench: a fresh database on a server that all laws of a run share."""

import itertools
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from connectors.postgres.compare import PostgresComparable
from connectors.postgres.target import PostgresTarget
from connectors.postgres.target_config import PostgresTargetConfig
from engine.comparable import Comparable
from engine.model.relation import Relation
from engine.model.value import Row
from tests.contract.bench import LawTarget, TargetFeatures, Text, name
from tests.contract.postgres_server import TABLES, cluster
from tests.servers.postgres import Database

LOCK_TIMEOUT_SECONDS: Final = 5.0
"""Longer than any law lets somebody wait on purpose."""

_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"
"""PostgreSQL manual, COPY, "Binary Format"."""

_numbers = itertools.count(1)


class PostgresTargetBench:
    features = TargetFeatures()

    def __init__(self, major: str) -> None:
        self._database = Database.create(cluster(major), f"law_target_{next(_numbers)}")
        self._database.execute(TABLES)
        self._clients: list[PostgresTarget | PostgresComparable] = []
        self._relations: dict[str, Relation] = {}

    async def target(self, replication: str = "law") -> LawTarget:
        config = PostgresTargetConfig(
            replication=replication,
            conninfo=self._database.dsn,
            lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
        )
        client = PostgresTarget(config)
        self._clients.append(client)
        await client.open()
        await client.prepare_control()
        return client

    async def relation(self, table: str) -> Relation:
        if table not in self._relations:
            found = await (await self.target()).relation(name(table))
            assert found is not None
            self._relations[table] = found
        return self._relations[table]

    async def read(self, table: str) -> Sequence[tuple[Text, ...]]:
        return sorted(self._database.execute(f"SELECT * FROM {table}"), key=repr)

    async def quarantined(self, replication: str = "law") -> int:
        found = self._database.execute(
            "SELECT count(*) FROM penstock.quarantine WHERE replication = %s", replication
        )
        return int(found[0][0])

    async def comparable(self) -> Comparable:
        client = PostgresComparable("target", self._database.dsn)
        self._clients.append(client)
        await client.open()
        return client

    async def load_data(self, relation: Relation, rows: Sequence[Row]) -> Sequence[bytes]:
        data = b"".join([_HEAD, *map(_copied, rows), _END])
        return [data[i : i + 3] for i in range(0, len(data), 3)]

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        self._database.drop()


@asynccontextmanager
async def target_bench(major: str) -> AsyncIterator[PostgresTargetBench]:
    bench = PostgresTargetBench(major)
    try:
        yield bench
    finally:
        await bench.close()


def _copied(row: Row) -> bytes:
    fields = [_field(value) for value in row]
    return struct.pack(">h", len(row)) + b"".join(fields)


def _field(value: object) -> bytes:
    if value is None:
        return struct.pack(">i", -1)
    assert isinstance(value, bytes)
    return struct.pack(">i", len(value)) + value
