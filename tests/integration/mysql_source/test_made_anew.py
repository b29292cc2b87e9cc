"""Changes of columns on real servers: where values become others, the log's reader says so."""

from collections.abc import Sequence
from typing import Final

from engine.model.change import Change, Event, SchemaChanged
from tests.integration.mysql_source.conftest import SCHEMA, Side, Sources
from tests.servers.mysql import MysqlServer

STRICT: Final = "STRICT_TRANS_TABLES"
BLANKS: Final = "CONCAT('abc', REPEAT(' ', {}))"

Case = tuple[str, str, str, str]
"""Columns, values of a row, what column `c` becomes (or an action), and the `sql_mode`."""

TEXT: Final = "SELECT c, CHAR_LENGTH(c), HEX(CONVERT(c USING utf8mb4)) FROM {}"

CHANGING: Final[Sequence[Case]] = (
    ("c varchar(64) CHARACTER SET utf8mb4", BLANKS.format(61), "varchar(63)", STRICT),
    ("c varchar(256) CHARACTER SET latin1", BLANKS.format(253),
     "varchar(255) CHARACTER SET latin1", STRICT),
    ("c varchar(50) CHARACTER SET latin1", BLANKS.format(40),
     "varchar(9) CHARACTER SET utf8mb4", STRICT),
    ("c varchar(50) CHARACTER SET latin1", BLANKS.format(40),
     "varchar(9) CHARACTER SET latin1 COLLATE latin1_bin", STRICT),
    ("c text", BLANKS.format(40), "varchar(9)", STRICT),
    ("c varchar(300) CHARACTER SET latin1", BLANKS.format(290),
     "tinytext CHARACTER SET latin1", STRICT),
    ("c float", "1.23456", "double(8, 2)", STRICT),
    ("c float", "1.6", "double(8, 0)", STRICT),
    ("b int, c int AS (b * 2) STORED", "3, DEFAULT", "int AS (b * 3) STORED", STRICT),
    ("b int, c int", "3, 4", "int AS (b * 3) STORED", STRICT),
    ("c int NULL", "NULL", "int NOT NULL AUTO_INCREMENT, ADD KEY (c)", STRICT),
    ("c int NOT NULL", "0", "int NOT NULL AUTO_INCREMENT, ADD KEY (c)", STRICT),
    ("c int NULL", "NULL", "int NOT NULL", ""),
    ("c varchar(9) NULL", "NULL", "varchar(9) NOT NULL DEFAULT 'x'", ""),
    ("c timestamp NULL", "NULL", "timestamp NOT NULL DEFAULT '2020-01-01'", ""),
    ("c int NULL", "NULL", "ADD PRIMARY KEY (c)", ""),
)  # fmt: skip

KEPT: Final[Sequence[Case]] = (
    ("c varchar(50)", "'abc'", "varchar(9)", STRICT),
    ("c text CHARACTER SET utf8mb3", "'日'", "text CHARACTER SET utf8mb4", STRICT),
    ("c longtext CHARACTER SET latin1", "'é'", "longtext CHARACTER SET utf8mb4", STRICT),
    ("c text CHARACTER SET ascii", "'a'", "text CHARACTER SET utf8mb3", STRICT),
    ("c enum('é') CHARACTER SET latin1", "'é'", "enum('é', '日') CHARACTER SET utf8mb3", STRICT),
    ("c float", "1.5", "double", STRICT),
    ("c int NULL", "5", "bigint NOT NULL", STRICT),
    ("c int NOT NULL AUTO_INCREMENT, KEY (c)", "5", "bigint NOT NULL AUTO_INCREMENT", STRICT),
    ("b int, c int AS (b * 2) STORED", "3, DEFAULT", "int", STRICT),
)


async def test_what_gives_rows_other_values_is_told(sources: Sources, shop: MysqlServer) -> None:
    changed, told = await altered(sources, shop, CHANGING)
    assert len(changed) == len(CHANGING)
    assert told == changed


async def test_what_leaves_every_value_as_it_is_stops_no_table(
    sources: Sources, shop: MysqlServer
) -> None:
    assert await altered(sources, shop, KEPT) == (set(), set())


async def test_both_tables_between_which_rows_are_exchanged_stop(
    sources: Sources, shop: MysqlServer
) -> None:
    execute(
        shop,
        "CREATE TABLE whole (id int PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2;"
        "CREATE TABLE apart (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY)",
    )
    side = await sources.open(shop)
    await side.attach()
    execute(shop, "ALTER TABLE whole EXCHANGE PARTITION p0 WITH TABLE apart")
    assert await stopped(side, shop) == {"whole", "apart"}


async def altered(
    sources: Sources, shop: MysqlServer, cases: Sequence[Case]
) -> tuple[set[str], set[str]]:
    """Tables whose rows became others, and those that are to be loaded again."""
    execute(shop, "CREATE TABLE t (id int PRIMARY KEY)")
    for number, (columns, values, _, _) in enumerate(cases):
        execute(
            shop, f"CREATE TABLE c{number} ({columns}); INSERT INTO c{number} VALUES ({values})"
        )
    side = await sources.open(shop)
    await side.attach()
    changed: set[str] = set()
    for number, (_, _, change, mode) in enumerate(cases):
        action = change if change.startswith("ADD ") else f"MODIFY c {change}"
        texts = TEXT.format(f"{SCHEMA}.c{number}")
        before = shop.execute(texts)
        execute(shop, f"SET SESSION sql_mode = '{mode}'; ALTER TABLE c{number} {action}")
        if shop.execute(texts) != before:
            changed.add(f"c{number}")
    return changed, await stopped(side, shop)


async def stopped(side: Side, shop: MysqlServer) -> set[str]:
    """Tables of whose changes rows have what the log does not carry."""
    execute(shop, "INSERT INTO t VALUES (1)")
    events: list[Event] = []
    while not any(isinstance(event, Change) for event in events):
        events += await side.read(1)
    told = [event for event in events if isinstance(event, SchemaChanged)]
    kinds = ("rewrite", "other")
    return {e.table.name for e in told if any(step.kind in kinds for step in e.steps)}


def execute(server: MysqlServer, sql: str) -> None:
    server.execute(sql, database=SCHEMA)
