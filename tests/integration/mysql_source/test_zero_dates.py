"""Dates without a day, by the setting, from the load and from the stream: the same, and counted."""

import asyncio
from contextlib import aclosing

import pytest

from connectors.mysql.source import MysqlSource
from connectors.mysql.source_config import MysqlSourceConfig
from engine.config.endpoint import ZeroDate
from engine.config.url import parse_url
from engine.model.change import Change
from engine.model.value import Misfit, Value
from engine.seams import SystemClock
from tests.servers.mysql import MysqlDatabase

TABLE = "CREATE TABLE t (id int PRIMARY KEY, d date, m datetime(3), s timestamp NULL)"
NONE = "('0000-00-00', '2020-00-10 01:00:00.5', '0000-00-00 00:00:00')"
RIGHT = "('2020-02-29', '0000-03-01 00:00:00', '2021-01-01 00:00:00')"


def insert(database: MysqlDatabase, number: int, values: str) -> None:
    connection = database.server.connect(database.name)
    with connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = '', time_zone = '+00:00'")
        cursor.execute(f"INSERT INTO t VALUES ({number}, {values[1:]}")
        connection.commit()


async def loaded(source: MysqlSource, database: MysqlDatabase) -> list[list[bytes]]:
    (relation,) = [r for r in await source.relations() if r.schema == database.name]
    async with source.snapshot() as snapshot:
        (chunk,) = await source.chunks(relation, 1000)
        data = b"".join([b async for b in source.rows(chunk, snapshot, "postgres-text")])
    return [line.split(b"\t")[1:] for line in data.splitlines()]


async def streamed(source: MysqlSource, database: MysqlDatabase) -> list[tuple[Value, ...]]:
    (relation,) = [r for r in await source.relations() if r.schema == database.name]
    start = (await source.attach([relation.table], [])).start
    insert(database, 11, NONE)
    insert(database, 12, RIGHT)
    rows: list[tuple[Value, ...]] = []
    async with asyncio.timeout(20), aclosing(source.blocks(start)) as blocks:
        async for block in blocks:
            for part in block.parts:
                rows += [e.new[1:] for e in part.events if isinstance(e, Change) and e.new]
            if len(rows) == 2:
                return rows
    raise AssertionError


def source_of(database: MysqlDatabase, zero: ZeroDate) -> MysqlSource:
    config = MysqlSourceConfig(
        replication="zero",
        engine="mariadb" if database.server.mariadb else "mysql",
        url=parse_url(database.server.url()),
        server_id=3_000_000_000,
        zero_dates=zero,
        execute_timeout_seconds=20,
    )
    return MysqlSource(config, SystemClock())


EARLIEST = [b"0001-01-01", b"0001-01-01 00:00:00", b"0001-01-01 00:00:00+00"]


@pytest.mark.parametrize(
    ("zero", "expected"), [(ZeroDate.NULL, [rb"\N"] * 3), (ZeroDate.EARLIEST, EARLIEST)]
)
async def test_they_become_what_the_setting_says(
    mysql_database: MysqlDatabase, zero: ZeroDate, expected: list[bytes]
) -> None:
    mysql_database.execute(TABLE)
    insert(mysql_database, 1, NONE)
    insert(mysql_database, 2, RIGHT)
    source = source_of(mysql_database, zero)
    await source.open()
    try:
        none, right = await loaded(source, mysql_database)
        assert none == expected
        assert right[0] == b"2020-02-29"
        assert right[1].endswith(b" BC")
        assert source.coerced() == {"zero-date": 3}
        told, known = await streamed(source, mysql_database)
        assert (told == (None, None, None)) is (zero is ZeroDate.NULL)
        assert not any(isinstance(value, Misfit) for value in (*told, *known))
        assert source.coerced() == {"zero-date": 3}
    finally:
        await source.close()


async def test_by_default_their_row_is_refused(mysql_database: MysqlDatabase) -> None:
    mysql_database.execute(TABLE)
    insert(mysql_database, 1, NONE)
    source = source_of(mysql_database, ZeroDate.ERROR)
    await source.open()
    try:
        ((date, moment, instant),) = await loaded(source, mysql_database)
        assert (date, moment[:10], instant[:10]) == (b"0000-00-00", b"2020-00-10", b"0000-00-00")
        told, known = await streamed(source, mysql_database)
        assert all(isinstance(value, Misfit) for value in told)
        assert not any(isinstance(value, Misfit) for value in known)
        assert source.coerced() == {}
    finally:
        await source.close()
