"""Snapshots that find their own place in MySQL's log, while writers change the very table."""

import random
import secrets
from collections.abc import Iterator
from typing import Final

import pytest

from connectors.mysql import watermarks
from engine.errors import SourceError
from engine.model.relation import Relation
from tests.integration.mysql_source.conftest import SCHEMA, Around, Sources
from tests.integration.mysql_source.logged import (
    Content,
    log_of,
    read_chunk,
    relation_of,
    replayed,
)
from tests.integration.mysql_source.writers import TABLES, writers
from tests.servers.mysql import MysqlServer

SEED = random.SystemRandom().randrange(1 << 32)

USER: Final = "penstock_unlocked"

READINGS: Final = 4
"""Of each table."""


@pytest.fixture
def unlocked(shop: MysqlServer) -> Iterator[str]:
    """The URL of a user who may not take the lock."""
    if shop.mariadb:
        pytest.skip("MariaDB's snapshots say where they are")
    password = secrets.token_hex(8)
    shop.execute(
        f"DROP USER IF EXISTS {USER}; CREATE USER {USER} IDENTIFIED BY '{password}';"
        f"GRANT SELECT ON {SCHEMA}.* TO {USER};"
        f"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {USER}"
    )
    for name, columns in TABLES.items():
        shop.execute(f"CREATE TABLE {name} ({columns})", database=SCHEMA)
    shop.execute("INSERT INTO calm VALUES (18446744073709551615)", database=SCHEMA)
    yield shop.url(user=USER, password=password)
    shop.execute(f"DROP USER {USER}")


@pytest.mark.parametrize(
    "settings",
    [
        "",
        pytest.param("binlog_order_commits=0", marks=pytest.mark.nightly),
        pytest.param("binlog_row_image=MINIMAL", marks=pytest.mark.nightly),
    ],
)
async def test_a_chunk_is_what_the_log_comes_to_at_its_place(
    sources: Sources, shop: MysqlServer, unlocked: str, settings: str
) -> None:
    name, _, value = settings.partition("=")
    read: list[tuple[Relation, str, Content]] = []
    with shop.settings_kept():
        if name:
            shop.execute(f"SET GLOBAL {name} = {value}")
        side = await sources.open(shop, url=unlocked)
        await side.attach()
        with writers(shop, SEED):
            for _ in range(READINGS):
                for table in ("hot", "named"):
                    relation, chunk = await relation_of(side, table)
                    read.append((relation, *await read_chunk(side.source, chunk)))
    log = await log_of(side)
    assert len(log) > 10 * READINGS
    for relation, text, rows in read:
        assert rows == replayed(log, relation, text), f"seed {SEED}, {text}"


# --- what may stand in the window -----------------------------------------------------------------


async def placed(sources: Sources, server: MysqlServer, url: str, table: str) -> Content:
    """What is read of a table, at the place that it is said to be read at."""
    side = await sources.open(server, url=url)
    await side.attach()
    relation, chunk = await relation_of(side, table)
    there = server.execute(f"SELECT * FROM {table}", database=SCHEMA)
    begun: Content = {(str(row[0]).encode(),): tuple(plain_value(v) for v in row) for row in there}
    text, rows = await read_chunk(side.source, chunk)
    assert rows == replayed(await log_of(side), relation, text, begun)
    return rows


def plain_value(value: object) -> bytes | None:
    return None if value is None else str(value).encode()


async def test_what_commits_just_before_is_seen_and_what_commits_just_after_is_not(
    sources: Sources, shop: MysqlServer, unlocked: str, around: Around
) -> None:
    """What a snapshot shows and the set of executed GTIDs lacked when it was asked for."""
    shop.execute("INSERT INTO hot VALUES (1, 10, 'x'), (2, 20, 'y')", database=SCHEMA)
    opened = around(
        lambda: shop.execute("UPDATE hot SET id = 3, n = 30 WHERE id = 1", database=SCHEMA),
        lambda: shop.execute(
            "DELETE FROM hot WHERE id = 2; UPDATE hot SET n = 31 WHERE id = 3", database=SCHEMA
        ),
    )
    rows = await placed(sources, shop, unlocked, "hot")
    assert sorted(rows.values()) == [(b"2", b"20", b"y"), (b"3", b"30", b"x")]
    assert opened == [1]


MANY_ROWS: Final = (
    "INSERT INTO hot WITH RECURSIVE r AS (SELECT 2 AS i UNION ALL SELECT i + 1 FROM r"
    " WHERE i < 900) SELECT i, 0, '' FROM r; UPDATE hot SET n = n + 1"
)


@pytest.mark.parametrize(
    "statements",
    [
        "CREATE TABLE more (id int)",
        "TRUNCATE hot",
        "ALTER TABLE hot ADD INDEX (n)",
        "XA START 'w'; INSERT INTO hot VALUES (7, 7, ''); XA END 'w'; XA COMMIT 'w' ONE PHASE",
        MANY_ROWS,
    ],
    ids=["create", "truncate", "alter", "xa", "many-rows"],
)
async def test_a_window_of_which_nothing_can_be_said_is_left_for_another(
    sources: Sources,
    shop: MysqlServer,
    unlocked: str,
    around: Around,
    statements: str,
) -> None:
    shop.execute("INSERT INTO hot VALUES (1, 10, 'x')", database=SCHEMA)
    side = await sources.open(shop, url=unlocked)
    await side.attach()
    _, chunk = await relation_of(side, "hot")
    opened = around(lambda: shop.execute(statements, database=SCHEMA))
    _, rows = await read_chunk(side.source, chunk)
    assert opened == [1, 2]
    assert len(rows) == shop.execute("SELECT count(*) FROM hot", database=SCHEMA)[0][0]


async def test_a_new_log_file_in_the_window_does_not_matter(
    sources: Sources, shop: MysqlServer, unlocked: str, around: Around
) -> None:
    opened = around(
        lambda: shop.execute(
            "INSERT INTO hot VALUES (1, 1, ''); FLUSH BINARY LOGS", database=SCHEMA
        )
    )
    rows = await placed(sources, shop, unlocked, "hot")
    assert list(rows) == [(b"1",)]
    assert opened == [1]


async def test_a_table_without_key_needs_a_window_in_which_it_rests(
    sources: Sources,
    shop: MysqlServer,
    unlocked: str,
    around: Around,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop.execute("CREATE TABLE keyless (n int)", database=SCHEMA)
    side = await sources.open(shop, url=unlocked)
    await side.attach()
    _, chunk = await relation_of(side, "keyless")

    def insert() -> None:
        shop.execute("INSERT INTO keyless VALUES (1)", database=SCHEMA)

    opened = around(insert, times=2)
    await read_chunk(side.source, chunk)
    assert opened == [1, 2, 3]
    monkeypatch.setattr(watermarks, "ATTEMPTS", 3)
    around(insert, times=3)
    with pytest.raises(SourceError, match="no key") as caught:
        await read_chunk(side.source, chunk)
    assert "GRANT RELOAD" in caught.value.hint
