"""Both stores, each test with an empty one."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from engine.config.secret import Secret
from engine.control.store.contract import Store
from engine.control.store.postgres import PostgresStore
from engine.control.store.sqlite import SqliteStore
from tests.conftest import Clusters
from tests.servers.postgres import Cluster, Database
from tests.servers.versions import VERSIONS

_numbers = itertools.count(1)

MakeStore = Callable[[], Store]

NEWEST = f"postgres-{VERSIONS[-1]}"

STORES = (
    "sqlite",
    NEWEST,
    *(pytest.param(f"postgres-{name}", marks=pytest.mark.nightly) for name in VERSIONS[:-1]),
)


class Databases:
    """One database for stores on each cluster: every store has a schema of its own."""

    def __init__(self) -> None:
        self._made: dict[str, Database] = {}

    def url(self, cluster: Cluster) -> Secret:
        if cluster.major not in self._made:
            self._made[cluster.major] = Database.create(cluster, f"store_{next(_numbers)}")
        return Secret(cluster.dsn(self._made[cluster.major].name))

    def drop(self) -> None:
        for database in self._made.values():
            database.drop()


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    databases = Databases()
    yield databases
    databases.drop()


@pytest.fixture
def schema() -> str:
    return f'A "store" {next(_numbers)}'


@pytest.fixture(params=STORES)
def make_store(
    request: pytest.FixtureRequest, tmp_path: Path, clusters: Clusters, schema: str
) -> MakeStore:
    """Another store on the same data with each call, not opened yet."""
    kind, _, version = request.param.partition("-")
    if kind == "sqlite":
        return lambda: SqliteStore(tmp_path / "state" / "penstock.db")
    databases: Databases = request.getfixturevalue("databases")
    url = databases.url(clusters.need(version))
    return lambda: PostgresStore(url, schema=schema)


@pytest.fixture
async def store(make_store: MakeStore) -> AsyncIterator[Store]:
    async with make_store() as store:
        yield store
