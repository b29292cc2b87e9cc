"""Whole tables through source and target as the engine calls them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import pytest

from connectors.postgres.config import PostgresSourceConfig
from connectors.postgres.source import PostgresSource
from connectors.postgres.target import PostgresTarget
from connectors.postgres.target_config import PostgresTargetConfig
from engine.model.relation import Relation
from tests.servers.postgres import Database

pytestmark = pytest.mark.in_turn


class StillClock:
    """No time passes; a load asks for none."""

    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return 0.0


LONG: Final = "Ünïcödé " + "x" * (63 - len("Ünïcödé ".encode()))
"""A name of 63 bytes, the longest there is."""

TABLES: Final = {
    "names": (
        (
            f'CREATE TABLE "A ""b"" \'c\'" ("{LONG}" text COLLATE "C" PRIMARY KEY, "select" int,'
            ' "$1" text)'
        ),
        """INSERT INTO "A ""b"" 'c'" SELECT 'k''\\' || g, g, NULL FROM generate_series(1, 999) g""",
        "A \"b\" 'c'",
    ),
    "identity, generated and dropped columns": (
        (
            "CREATE TABLE t (gone int, k int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " g int GENERATED ALWAYS AS (k * 2) STORED, v text); ALTER TABLE t DROP COLUMN gone"
        ),
        "INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 3000)",
        "t",
    ),
    "text form": (
        "CREATE TABLE t (k int PRIMARY KEY, c regclass, v text)",
        "INSERT INTO t SELECT g, 't', E'\\\\N\\n\\t' || g FROM generate_series(1, 3000) g",
        "t",
    ),
    "partitions": (
        (
            "CREATE TABLE t (k int, v text, PRIMARY KEY (k)) PARTITION BY HASH (k);"
            "CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
            "CREATE TABLE t1 (v text, k int NOT NULL);"
            "ALTER TABLE t ATTACH PARTITION t1 FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
        ),
        "INSERT INTO t SELECT g, 'v' FROM generate_series(1, 3000) g",
        "t",
    ),
    "no key": (
        "CREATE TABLE t (v text, w numeric)",
        "INSERT INTO t SELECT 'same', 1.50 FROM generate_series(1, 3000)",
        "t",
    ),
    "nothing in it": ("CREATE TABLE t (k int PRIMARY KEY, v text)", "", "t"),
    "many columns": (
        f"CREATE TABLE t (k int PRIMARY KEY, {', '.join(f'c{i} int' for i in range(1500))})",
        "INSERT INTO t (k, c0, c1499) SELECT g, g, g FROM generate_series(1, 300) g",
        "t",
    ),
    "a large value": (
        "CREATE TABLE t (k int PRIMARY KEY, v bytea)",
        (
            "INSERT INTO t SELECT g, decode(repeat(md5(g::text), 300000), 'hex')"
            " FROM generate_series(1, 3) g"
        ),
        "t",
    ),
}


@dataclass(frozen=True, slots=True)
class Road:
    source: PostgresSource
    target: PostgresTarget

    async def load(self, relation: Relation, rows_per_chunk: int) -> int:
        """Load a table chunk by chunk; rows written."""
        form = await self.target.load_form(relation)
        written = 0
        async with self.source.snapshot() as snapshot, self.target.session() as session:
            for chunk in await self.source.chunks(relation, rows_per_chunk):
                async with session.begin() as transaction:
                    rows = self.source.rows(chunk, snapshot, form)
                    written += (await transaction.load(relation, form, rows)).rows
                    await transaction.commit()
        return written


@pytest.fixture
async def road(source_database: Database, target_database: Database) -> AsyncIterator[Road]:
    config = PostgresSourceConfig.of("load", source_database.dsn)
    road = Road(
        PostgresSource(config, StillClock()),
        PostgresTarget(PostgresTargetConfig(replication="load", conninfo=target_database.dsn)),
    )
    await road.source.open()
    await road.target.open()
    await road.target.prepare_control()
    yield road
    await road.source.close()
    await road.target.close()


@pytest.mark.parametrize("name", TABLES)
async def test_a_table_arrives_as_it_is(
    source_database: Database, target_database: Database, road: Road, name: str
) -> None:
    create, insert, table = TABLES[name]
    source_database.execute(f"{create};{insert};ANALYZE")
    (relation,) = await road.source.relations()
    assert relation.name == table
    definitions = await road.source.definitions([relation.table])
    await road.target.ensure(definitions, "do-nothing")
    assert await road.target.empty(relation.table)
    written = await road.load(relation, 500)
    assert await road.target.finish(definitions) == []
    quoted = '"' + table.replace('"', '""') + '"'
    content = f"SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {quoted} t"
    ours, theirs = source_database.execute(content), target_database.execute(content)
    assert theirs == ours
    assert ours[0][0] == written
