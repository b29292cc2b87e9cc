"""What a target cannot hold is refused by name, by the load as by the stream."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from typing import Final

import pytest

from connectors.mysql.source import MysqlSource
from engine.apply.fold import arrange
from engine.apply.misfits import refuse_misfits
from engine.errors import RowRejectedError
from engine.model.change import Change
from engine.model.relation import Relation
from tests.conftest import Clusters, MysqlServers
from tests.integration.mysql_types.carrying import (
    PATIENCE_SECONDS,
    SCHEMA,
    Session,
    Target,
    into_mysql,
    into_postgres,
    load,
    relations_of,
    source_of,
)
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import Database

UNDECODABLE: Final = (
    ("varchar(9) character set greek", "x'41a4'"),
    ("text character set big5", "x'a3e1'"),
    ("varchar(9) character set cp1257", "x'a1'"),
)
TO_POSTGRES: Final = (*UNDECODABLE, ("varchar(9)", "x'610062'"), ("longtext", "x'00'"))
NO_LABEL: Final = ("enum('a','b')", "0")


@pytest.fixture
def server(mysql: MysqlServer) -> Iterator[MysqlServer]:
    mysql.drop_database(SCHEMA)
    mysql.create_database(SCHEMA)
    yield mysql
    mysql.drop_database(SCHEMA)


def _inserted(number: int, value: str) -> str:
    return f"SET sql_mode = ''; INSERT INTO t VALUES ({number}, {value})"


async def _streamed(source: MysqlSource, relation: Relation, server: MysqlServer, work: str,
                    session: Session) -> None:  # fmt: skip
    start = (await source.attach([relation.table], ())).start
    server.execute(work, database=SCHEMA)
    changes: list[Change] = []
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(source.blocks(start)) as blocks:
        async for block in blocks:
            for part in block.parts:
                changes += [event for event in part.events if isinstance(event, Change)]
            if changes:
                break
    runs = arrange(changes, grouped=True)
    refuse_misfits(runs)
    async with session.begin() as transaction:
        await transaction.write(runs)
        await transaction.commit()


async def _refused(
    source: MysqlSource, target: Target, session: Session, server: MysqlServer, value: str
) -> None:
    (relation,) = await relations_of(source, SCHEMA)
    await target.ensure(await source.definitions([relation.table]), "do-nothing")
    with pytest.raises(RowRejectedError, match=f"{SCHEMA}.t"):
        await load(source, target, session, relation)
    with pytest.raises(RowRejectedError, match=f"{SCHEMA}.t"):
        await _streamed(source, relation, server, _inserted(2, value), session)


@pytest.mark.parametrize(("declared", "value"), TO_POSTGRES)
async def test_by_postgres(
    server: MysqlServer, clusters: Clusters, declared: str, value: str
) -> None:
    server.execute(f"CREATE TABLE t (id int PRIMARY KEY, v {declared})", database=SCHEMA)
    server.execute(_inserted(1, value), database=SCHEMA)
    database = Database.create(clusters.need("18"), f"refused_{server.name}")
    try:
        async with (
            source_of(server, "postgres") as source,
            into_postgres(database) as (target, session),
        ):
            await _refused(source, target, session, server, value)
    finally:
        database.drop()


@pytest.mark.parametrize(("declared", "value"), [*UNDECODABLE, NO_LABEL])
async def test_by_another_server_of_the_family(
    server: MysqlServer, mysql_servers: MysqlServers, declared: str, value: str
) -> None:
    other = mysql_servers.need("mysql-9" if server.mariadb else "mariadb-10.11")
    server.execute(f"CREATE TABLE t (id int PRIMARY KEY, v {declared})", database=SCHEMA)
    server.execute(_inserted(1, value), database=SCHEMA)
    async with source_of(server, "mysql") as source, into_mysql(other) as (target, session):
        await _refused(source, target, session, server, value)
    other.drop_database(SCHEMA)


async def test_an_enum_s_empty_text_for_no_label_is_refused_by_its_column(
    server: MysqlServer, mysql_servers: MysqlServers
) -> None:
    other = mysql_servers.need("mysql-9" if server.mariadb else "mariadb-10.11")
    declared, value = NO_LABEL
    server.execute(f"CREATE TABLE t (id int PRIMARY KEY, v {declared})", database=SCHEMA)
    async with source_of(server, "mysql") as source, into_mysql(other) as (target, session):
        (relation,) = await relations_of(source, SCHEMA)
        await target.ensure(await source.definitions([relation.table]), "do-nothing")
        with pytest.raises(RowRejectedError, match=f"{SCHEMA}.t, column v: its value does not fit"):
            await _streamed(source, relation, server, _inserted(2, value), session)
    other.drop_database(SCHEMA)


PARTIAL: Final = "binlog_row_image = 'MINIMAL', binlog_row_value_options = 'PARTIAL_JSON'"
DOCUMENT: Final = f"""'{{"long": "{"x" * 100}", "v": 1}}'"""


async def test_a_document_of_which_only_changes_were_logged(
    server: MysqlServer, clusters: Clusters
) -> None:
    if server.mariadb:
        pytest.skip("only MySQL changes documents in part")
    server.execute("CREATE TABLE t (id int PRIMARY KEY, v json)", database=SCHEMA)
    server.execute(_inserted(1, DOCUMENT), database=SCHEMA)
    database = Database.create(clusters.need("18"), f"refused_{server.name}")
    try:
        async with (
            source_of(server, "postgres") as source,
            into_postgres(database) as (target, session),
        ):
            (relation,) = await relations_of(source, SCHEMA)
            await target.ensure(await source.definitions([relation.table]), "do-nothing")
            await load(source, target, session, relation)
            work = f"SET {PARTIAL}; UPDATE t SET v = JSON_SET(v, '$.v', 2)"
            with pytest.raises(RowRejectedError, match="column v is a JSON document of which only"):
                await _streamed(source, relation, server, work, session)
    finally:
        database.drop()
