"""The same value in another MySQL-compatible server, by the load and by the stream."""

from collections.abc import Iterator

import pytest

from tests.conftest import MysqlServers
from tests.integration.mysql_types.carrying import SCHEMA, carry_into_mysql
from tests.servers.mysql import MysqlServer

PAIRS = (
    ("mariadb-10.11", "mysql-9"),
    ("mysql-9", "mariadb-10.11"),
    pytest.param(("mariadb-11.8", "mysql-8.0"), marks=pytest.mark.nightly),
    pytest.param(("mysql-8.0", "mariadb-11.8"), marks=pytest.mark.nightly),
    pytest.param(("mysql-9", "mysql-8.0"), marks=pytest.mark.nightly),
    pytest.param(("mariadb-11.8", "mariadb-10.11"), marks=pytest.mark.nightly),
)


@pytest.fixture(params=PAIRS, ids="-to-".join)
def pair(
    request: pytest.FixtureRequest, mysql_servers: MysqlServers
) -> Iterator[tuple[MysqlServer, MysqlServer]]:
    source, target = map(mysql_servers.need, request.param)
    yield source, target
    source.drop_database(SCHEMA)
    target.drop_database(SCHEMA)


async def test_every_value_arrives_as_it_was(pair: tuple[MysqlServer, MysqlServer]) -> None:
    carried = await carry_into_mysql(*pair)
    assert carried.wrong == {}
