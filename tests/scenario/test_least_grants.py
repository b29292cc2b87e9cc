"""The guide's grants are enough: a whole replication as exactly those roles, nobody a superuser."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import Clusters, MysqlServers
from tests.deployed import ROOT
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import MysqlSide, PostgresSide, Side
from tests.scenario.running import until
from tests.servers.mysql import MysqlDatabase, MysqlServer
from tests.servers.postgres import Cluster, Database

GUIDE = (ROOT / "docs" / "guide" / "roles-and-permissions.md").read_text()

READER, WRITER, OWNER, SHOP = "penstock_reader", "penstock_writer", "shop_owner", "shop"

PASSWORD = "a-password"

TABLES = ("customers", "orders")

ROWS = {
    "customers": "CREATE TABLE customers (id int PRIMARY KEY, v varchar(20))",
    "orders": "CREATE TABLE orders (id int PRIMARY KEY, v varchar(20))",
}


BLOCKS = re.findall(r"^```sql\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def grants(beginning: str) -> list[str]:
    """The blocks of the guide that begin so, with a password."""
    found = [block for block in BLOCKS if block.startswith(beginning)]
    return [block.replace("'...'", f"'{PASSWORD}'") for block in found]


NARROW, WIDE = grants(f"CREATE ROLE {READER}")
"""Of a PostgreSQL source: the owner publishes, or we do."""

(POSTGRES_TARGET,) = grants(f"CREATE ROLE {WRITER}")
(MYSQL_SOURCE,) = grants(f"CREATE USER {READER}")
(MYSQL_TARGET,) = grants(f"CREATE USER {WRITER}")


@contextmanager
def postgres(cluster: Cluster, *, user: str) -> Iterator[tuple[PostgresSide, Database]]:
    """Database `shop` of somebody who owns it and is no superuser; a side for our role."""
    cluster.execute(f"CREATE ROLE {OWNER} LOGIN")
    database = Database.create(cluster, SHOP)
    try:
        database.execute(f"GRANT ALL ON SCHEMA public TO {OWNER}")
        side = PostgresSide(database)
        side.url = cluster.dsn(SHOP, user=user, password=PASSWORD)
        yield side, database
    finally:
        database.drop()
        for role in (user, OWNER):
            cluster.execute(f"DROP ROLE IF EXISTS {role}")


@contextmanager
def postgres_source(cluster: Cluster, block: str) -> Iterator[Side]:
    with postgres(cluster, user=READER) as (side, database):
        for table in TABLES:
            database.execute(f"SET ROLE {OWNER}; {ROWS[table]}; RESET ROLE")
            database.execute(f"INSERT INTO {table} SELECT g, 'row' FROM generate_series(1, 50) g")
        database.execute(block)
        yield side


@contextmanager
def postgres_target(cluster: Cluster) -> Iterator[Side]:
    with postgres(cluster, user=WRITER) as (side, database):
        database.execute(POSTGRES_TARGET)
        yield side


@contextmanager
def mysql(server: MysqlServer, *, user: str, block: str) -> Iterator[MysqlSide]:
    database = MysqlDatabase.create(server, SHOP)
    try:
        if server.mariadb:
            block = block.replace("REPLICATION CLIENT", "BINLOG MONITOR")
        for line in block.splitlines():
            server.execute(line.partition("--")[0].rstrip().removesuffix(";"))
        side = MysqlSide(database, "mariadb" if server.mariadb else "mysql")
        side.url = server.url(user=user, password=PASSWORD)
        yield side
    finally:
        database.drop()
        server.execute(f"DROP USER IF EXISTS {user}")
        server.execute("DROP DATABASE IF EXISTS penstock")


@contextmanager
def mysql_source(server: MysqlServer) -> Iterator[Side]:
    with mysql(server, user=READER, block=MYSQL_SOURCE) as side:
        for table in TABLES:
            side.execute(ROWS[table])
            rows = ", ".join(f"({n}, 'row')" for n in range(50))
            side.execute(f"INSERT INTO {table} VALUES {rows}")
        yield side


def carry(folder: Path, source: Side, target: Side, publication: str = "") -> None:
    """Nothing blocks; rows are loaded and changes applied; the end leaves nothing."""
    schema = SHOP if isinstance(source, MysqlSide) else "public"
    sections: dict[str, dict[str, object]] = {"mapping": {"include": [f"{schema}.%"]}}
    if publication:
        sections["source"] = {"publication": publication}
    it = PairReplication.between(folder, "least", source, target, **sections)
    code, said = it.command("check")
    assert code == 0, said

    def same() -> bool:
        try:
            return all(rows(source, table) == rows(target, table) for table in TABLES)
        except Exception:  # noqa: BLE001 - no such table yet, in either dialect
            return False

    def rows(side: Side, table: str) -> object:
        return side.execute(f"SELECT id, v FROM {schema}.{table} ORDER BY id")

    with it.run() as run:
        run.state("streaming")
        source.execute("UPDATE orders SET v = 'later' WHERE id < 10")
        source.execute("DELETE FROM customers WHERE id > 40")
        until(same, "both sides to be equal", run=run)
        assert run.stop() == 0
    code, said = it.command("cleanup", "--yes")
    assert code == 0, said


@pytest.mark.parametrize("way", ["narrow", "wide"])
def test_between_two_postgresql_servers(clusters: Clusters, tmp_path: Path, way: str) -> None:
    with ExitStack() as stack:
        source = postgres_source(clusters.need("15"), NARROW if way == "narrow" else WIDE)
        there = postgres_target(clusters.need("18"))
        ends = stack.enter_context(source), stack.enter_context(there)
        carry(tmp_path, *ends, publication="for_penstock" if way == "narrow" else "")


def test_from_mariadb_to_postgresql(
    clusters: Clusters, mysql_servers: MysqlServers, tmp_path: Path
) -> None:
    with (
        mysql_source(mysql_servers.need("mariadb-10.11")) as source,
        postgres_target(clusters.need("18")) as target,
    ):
        carry(tmp_path, source, target)


def test_from_postgresql_to_mariadb(
    clusters: Clusters, mysql_servers: MysqlServers, tmp_path: Path
) -> None:
    server = mysql_servers.need("mariadb-10.11")
    server.execute("CREATE DATABASE IF NOT EXISTS public")
    block = MYSQL_TARGET.replace("shop.*", "public.*")
    try:
        with (
            postgres_source(clusters.need("18"), WIDE) as source,
            mysql(server, user=WRITER, block=block) as target,
        ):
            carry(tmp_path, source, target)
    finally:
        server.execute("DROP DATABASE public")
