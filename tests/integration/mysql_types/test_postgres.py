"""The same value in PostgreSQL, by the load and by the stream, for every type."""

from collections.abc import Iterator

import pytest

from tests.conftest import Clusters, MysqlServers
from tests.integration.mysql_types.carrying import SCHEMA, carry_into_postgres
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import Database

SOURCES = (
    "mariadb-10.11",
    "mysql-9",
    pytest.param("mariadb-11.8", marks=pytest.mark.nightly),
    pytest.param("mysql-8.0", marks=pytest.mark.nightly),
)


@pytest.fixture(params=SOURCES)
def server(request: pytest.FixtureRequest, mysql_servers: MysqlServers) -> Iterator[MysqlServer]:
    server = mysql_servers.need(request.param)
    yield server
    server.drop_database(SCHEMA)


@pytest.fixture
def database(clusters: Clusters, server: MysqlServer) -> Iterator[Database]:
    database = Database.create(clusters.need("18"), f"types_of_{server.name}")
    yield database
    database.drop()


async def test_every_value_arrives_as_it_was(server: MysqlServer, database: Database) -> None:
    carried = await carry_into_postgres(server, database)
    assert carried.wrong == {}
    for group in carried.groups:
        for column, case in zip(group.columns, group.cases, strict=True):
            assert carried.types[group.name][column] == case.postgres, case.declared
