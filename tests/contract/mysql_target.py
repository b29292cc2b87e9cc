"""A MySQL or MariaDB target's bench: the laws' tables on a server that all laws of a run share."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from connectors.mysql.compare import MysqlComparable
from connectors.mysql.target import MysqlTarget
from connectors.mysql.target_config import MysqlTargetConfig
from engine.comparable import Comparable
from engine.config.url import parse_url
from engine.model.relation import Relation
from engine.model.value import Row
from engine.seams import SystemRandom
from tests.contract.bench import SCHEMA, LawTarget, TargetFeatures, Text, name
from tests.contract.mysql_server import fresh

LOCK_TIMEOUT_SECONDS: Final = 5
"""Longer than any law lets somebody wait on purpose."""

_ESCAPES: Final = {b"\\": rb"\\", b"\t": rb"\t", b"\n": rb"\n"}


class MysqlTargetBench:
    features = TargetFeatures(
        sqlstates={"23505": "23000", "23502": "23000", "23503": "23000"},
    )

    def __init__(self, server: str) -> None:
        self._server = fresh(server)
        self._clients: list[MysqlTarget | MysqlComparable] = []
        self._relations: dict[str, Relation] = {}

    async def target(self, replication: str = "law") -> LawTarget:
        config = MysqlTargetConfig(
            replication=replication,
            url=parse_url(self._server.url(SCHEMA)),
            lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
        )
        client = MysqlTarget(config, SystemRandom())
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
        return sorted(self._server.execute(f"SELECT * FROM {table}", database=SCHEMA), key=repr)

    async def quarantined(self, replication: str = "law") -> int:
        found = self._server.execute(
            "SELECT count(*) FROM penstock.quarantine WHERE replication = %s", replication
        )
        return int(found[0][0])

    async def comparable(self) -> Comparable:
        client = MysqlComparable("target", parse_url(self._server.url(SCHEMA)))
        self._clients.append(client)
        await client.open()
        return client

    async def load_data(self, relation: Relation, rows: Sequence[Row]) -> Sequence[bytes]:
        data = b"".join([b"\t".join(map(_field, row)) + b"\n" for row in rows])
        return [data[i : i + 3] for i in range(0, len(data), 3)]

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


def _field(value: object) -> bytes:
    if value is None:
        return rb"\N"
    assert isinstance(value, bytes)
    for plain, escaped in _ESCAPES.items():
        value = value.replace(plain, escaped)
    return value


@asynccontextmanager
async def _bench(server: str) -> AsyncIterator[MysqlTargetBench]:
    bench = MysqlTargetBench(server)
    try:
        yield bench
    finally:
        await bench.close()


def mariadb_bench() -> AbstractAsyncContextManager[MysqlTargetBench]:
    return _bench("mariadb-10.11")


def mysql_bench() -> AbstractAsyncContextManager[MysqlTargetBench]:
    return _bench("mysql-9")
