"""What happens to a source: its log purged or reset, its server killed, frozen, or misused."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

import pytest

from engine.errors import (
    PositionLostError,
    SourceConnectionError,
    SourceError,
    SourceIdentityError,
    SourceSwitchedError,
)
from engine.model.change import DELETE, UPDATE, Block, Change, SchemaChanged
from engine.model.relation import TableName
from engine.model.value import UNCHANGED
from tests.integration.mysql_source.conftest import (
    PATIENCE_SECONDS,
    SCHEMA,
    Side,
    Sources,
    new_rows,
    plain,
)
from tests.scenario.running import until
from tests.servers.mysql import MysqlServer
from tests.servers.proxy import FaultProxy

Private = Callable[..., MysqlServer]


def started(private_mysql: Private, name: str, **settings: object) -> MysqlServer:
    server = private_mysql(name, settings=settings)
    server.create_database(SCHEMA)
    execute(server, "CREATE TABLE t (id int PRIMARY KEY, n int)")
    return server


def execute(server: MysqlServer, sql: str) -> None:
    server.execute(sql, database=SCHEMA)


def newest_log(server: MysqlServer) -> str:
    return str(server.execute("SHOW BINARY LOGS")[-1][0])


def purge(server: MysqlServer) -> None:
    """All but the newest file. MariaDB keeps one for as long as a recovery may need it."""
    until(lambda: _purged(server), "the log to be purged")


def _purged(server: MysqlServer) -> bool:
    execute(server, f"PURGE BINARY LOGS TO '{newest_log(server)}'")
    return len(server.execute("SHOW BINARY LOGS")) == 1


def reset(server: MysqlServer) -> None:
    server.execute("RESET MASTER" if server.mariadb else "RESET BINARY LOGS AND GTIDS")


async def read_on(blocks: AsyncGenerator[Block, None]) -> None:
    """Until the stream breaks."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for _ in blocks:
            pass


# --- the position ---------------------------------------------------------------------------------


async def test_a_log_purged_past_the_position_needs_a_person(
    sources: Sources, private_mysql: Private, mysql_version: str
) -> None:
    server = started(private_mysql, mysql_version)
    side = await sources.open(server)
    await side.attach()
    execute(server, "INSERT INTO t VALUES (1, 1); FLUSH LOGS; INSERT INTO t VALUES (2, 2)")
    purge(server)
    with pytest.raises(PositionLostError) as caught:
        await side.read(1)
    assert "purged" in caught.value.message
    assert "load again" in caught.value.hint


@pytest.mark.parametrize("written", [0, 1])
async def test_a_log_that_was_reset_needs_a_person(
    sources: Sources, private_mysql: Private, mysql_version: str, written: int
) -> None:
    server = started(private_mysql, mysql_version)
    side = await sources.open(server)
    await side.attach()
    reset(server)
    for number in range(written):
        execute(server, f"INSERT INTO t VALUES ({number}, 1)")
    with pytest.raises(PositionLostError, match="does not have what was read"):
        await side.read(1)


async def test_a_position_that_the_server_never_reached_needs_a_person(
    sources: Sources, private_mysql: Private, mysql_version: str
) -> None:
    server = started(private_mysql, mysql_version)
    side = await sources.open(server)
    at = str(await side.attach())
    number = at.split(";", maxsplit=1)[0].rpartition("-")[2]
    ahead = at.replace(f"-{number};", f"-{int(number) + 5};")
    side.at = side.source.position(ahead)
    with pytest.raises(PositionLostError, match="does not have what was read"):
        await side.read(1)


# --- the server -----------------------------------------------------------------------------------


async def test_after_a_crash_of_the_server_rows_are_read_with_the_columns_they_have(
    sources: Sources, private_mysql: Private, mysql_version: str
) -> None:
    """Also those of a table that was altered since the source was opened."""
    server = started(private_mysql, mysql_version)
    side = await sources.open(server)
    await side.attach()
    side.source.remember({})
    execute(server, "INSERT INTO t VALUES (1, 1); ALTER TABLE t ADD m int FIRST")
    execute(server, "INSERT INTO t VALUES (0, 2, 2)")
    assert new_rows(await side.read(3)) == [("1", "1"), ("0", "2", "2")]
    server.kill9()
    with pytest.raises(SourceConnectionError):
        await side.read(1)
    server.start()
    execute(server, "INSERT INTO t VALUES (0, 3, 3)")
    assert new_rows(await side.read(1)) == [("0", "3", "3")]


async def test_a_server_that_is_frozen_is_noticed_and_read_on(
    sources: Sources, private_mysql: Private, mysql_version: str
) -> None:
    server = started(private_mysql, mysql_version)
    side = await sources.open(server, execute_timeout_seconds=2)
    start = await side.attach()
    async with aclosing(side.source.blocks(start)) as blocks:
        await anext(blocks)
        server.sigstop()
        with pytest.raises(SourceConnectionError, match="silent for 3 s"):
            await read_on(blocks)
    server.sigcont()
    execute(server, "INSERT INTO t VALUES (1, 1)")
    assert new_rows(await side.read(1)) == [("1", "1")]


async def test_two_readers_of_one_server_id_are_told_of_it(
    sources: Sources, private_mysql: Private, mysql_version: str
) -> None:
    server = started(private_mysql, mysql_version)
    first = await sources.open(server, replication="one", server_id=77)
    second = await sources.open(server, replication="one", server_id=77)
    start, _ = await first.attach(), await second.attach()
    async with (
        aclosing(first.source.blocks(start)) as blocks,
        aclosing(second.source.blocks(start)) as others,
    ):
        await anext(blocks)
        await anext(others)
        with pytest.raises(SourceError, match="same server_uuid/server_id") as caught:
            await read_on(blocks)
    assert not isinstance(caught.value, PositionLostError | SourceConnectionError)
    assert "server_id" in caught.value.hint


@pytest.mark.parametrize("gtids", [True, False])
async def test_another_server_behind_the_address_is_not_read_as_if_it_were_the_same(
    sources: Sources, private_mysql: Private, mysql_version: str, gtids: bool
) -> None:
    if mysql_version.startswith("mariadb") and not gtids:
        pytest.skip("MariaDB always has GTIDs")
    off = {} if gtids else {"gtid_mode": False, "enforce_gtid_consistency": False}
    one, other = (started(private_mysql, mysql_version, **off) for _ in range(2))
    async with FaultProxy(one.host, one.port) as address:
        side = await sources.open(one, url=one.url(port=address.port))
        await side.attach()
        execute(one, "INSERT INTO t VALUES (1, 1)")
        await side.read(1)
        address.lead_to(other.host, other.port)
        address.cut()
        execute(other, "INSERT INTO t VALUES (1, 1), (2, 2); INSERT INTO t VALUES (3, 3)")
        with pytest.raises(SourceSwitchedError if gtids else SourceIdentityError):
            await side.read(1)


# --- what the log has -----------------------------------------------------------------------------


@pytest.mark.parametrize("write", ["INSERT INTO t VALUES (2, 2)", "UPDATE t SET n = 3"])
async def test_a_change_in_statement_form_ends_it_with_the_reason(
    sources: Sources, private_mysql: Private, mysql_version: str, write: str
) -> None:
    server = started(private_mysql, mysql_version)
    side = await sources.open(server)
    await side.attach()
    execute(server, f"INSERT INTO t VALUES (1, 1); SET SESSION binlog_format = STATEMENT; {write}")
    with pytest.raises(SourceError, match="in statement form") as caught:
        await side.read(2)
    assert "binlog_format = ROW" in caught.value.hint


IMAGES = """
CREATE TABLE wide (id int, n int, body longtext, note varchar(20), PRIMARY KEY (id));
CREATE TABLE loose (id int, body longtext);
INSERT INTO wide VALUES (1, 1, 'body', 'note');
INSERT INTO loose VALUES (1, 'body');
"""

CHANGES = """
SET SESSION binlog_row_image = '{image}';
UPDATE wide SET n = 2 WHERE id = 1;
UPDATE wide SET body = NULL WHERE id = 1;
UPDATE wide SET id = 5 WHERE id = 1;
INSERT INTO wide VALUES (2, 2, NULL, NULL);
DELETE FROM wide WHERE id = 2;
UPDATE loose SET body = 'new' WHERE id = 1;
DELETE FROM loose
"""

U = UNCHANGED


@pytest.mark.parametrize("image", ["FULL", "NOBLOB", "MINIMAL"])
async def test_what_a_row_image_lacks_is_absent_and_never_null(
    sources: Sources, shop: MysqlServer, image: str
) -> None:
    execute(shop, IMAGES)
    side = await sources.open(shop)
    await side.attach()
    execute(shop, CHANGES.format(image=image))
    changes = [event for event in await side.read(7) if isinstance(event, Change)]
    minimal = image == "MINIMAL"
    body = "body" if image == "FULL" else U
    last = None if image == "FULL" else U
    n, note = ("2", "note") if not minimal else (U, U)
    assert [plain(change.new) for change in changes if change.new is not None] == [
        ("1", "2", body, note),
        ("1", n, None, note),
        ("5", n, last, note),
        ("2", "2", None, None),
        ("1", "new"),
    ]
    olds = [None if change.old is None else plain(change.old) for change in changes]
    assert olds == [None, None, ("1", U, U, U), None, ("2", U, U, U), ("1", "body"), ("1", "new")]
    assert [change.kind for change in changes][-1] == DELETE


async def test_of_several_unique_keys_the_server_s_choice_is_followed(
    sources: Sources, shop: MysqlServer
) -> None:
    """The first that was made, whatever its name, and whichever cannot be NULL."""
    execute(
        shop,
        "CREATE TABLE u (x int NOT NULL, y int NOT NULL, z int, UNIQUE c (z), UNIQUE b (x),"
        " UNIQUE a (y))",
    )
    execute(shop, "INSERT INTO u VALUES (1, 1, 1)")
    side: Side = await sources.open(shop)
    await side.attach()
    execute(shop, "UPDATE u SET y = 2")
    (change,) = await side.read(1)
    assert isinstance(change, Change)
    assert (change.kind, plain(change.new), change.old) == (UPDATE, ("1", "2", "1"), None)
    execute(shop, "SET SESSION binlog_row_image = 'MINIMAL'; UPDATE u SET y = 3; DELETE FROM u")
    updated, deleted = await side.read(2)
    assert isinstance(updated, Change)
    assert isinstance(deleted, Change)
    assert (plain(updated.new), updated.old) == (("1", "3", U), None)
    assert plain(deleted.old) == ("1", U, U)


async def test_an_old_row_without_its_key_stops_its_table_alone(
    sources: Sources, shop: MysqlServer
) -> None:
    """The order of keys was another one when the target was told of them."""
    execute(shop, "CREATE TABLE u (x int NOT NULL, y int NOT NULL, UNIQUE b (x), UNIQUE a (y))")
    execute(shop, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO u VALUES (1, 1)")
    side = await sources.open(shop)
    await side.attach()
    told = {r.table: r for r in side.relations}
    name = TableName(SCHEMA, "u")
    told[name] = replace(
        told[name],
        native=told[name].native.replace('{"b":["x"],"a":["y"]}', '{"a":["y"],"b":["x"]}'),
    )
    side.source.remember(told)
    execute(
        shop,
        "SET SESSION binlog_row_image = 'MINIMAL'; UPDATE u SET y = 3; UPDATE u SET y = 4;"
        "INSERT INTO t VALUES (1)",
    )
    stopped, *_, row = await side.read(3)
    assert isinstance(stopped, SchemaChanged)
    assert "key" in stopped.steps[0].detail
    assert new_rows([row]) == [("1",)]


DEFAULTS = """
CREATE TABLE d (id int AUTO_INCREMENT PRIMARY KEY, n int DEFAULT 7, none int, must int NOT NULL,
  price decimal(10,2) DEFAULT 1.5, word varchar(20) DEFAULT 'it''s', note text, flag bit(1)
  DEFAULT b'1', kind enum('a','b') DEFAULT 'b', kinds set('a','b','c') DEFAULT 'a,c',
  born date DEFAULT '2020-02-29', seen datetime(3) DEFAULT '2020-02-29 01:02:03.5',
  real_ float DEFAULT 0.1, big bigint unsigned DEFAULT 18446744073709551615, y year DEFAULT 2020,
  long_ time DEFAULT '-12:00:00', made datetime DEFAULT CURRENT_TIMESTAMP, other int DEFAULT (3));
CREATE TABLE untouched (id int PRIMARY KEY)
"""

ALTERED = """
ALTER TABLE d ALTER n SET DEFAULT 8, ALTER word SET DEFAULT 'new', ADD added int DEFAULT 9,
  MODIFY price decimal(12,3) DEFAULT 2.5, CHANGE kind type_ enum('a','b','c') DEFAULT 'c'
"""


@pytest.mark.parametrize("form", ["mysql", "postgres"])
@pytest.mark.parametrize("image", ["NOBLOB", "MINIMAL"])
async def test_a_new_row_has_the_defaults_that_its_image_lacks(
    sources: Sources, shop: MysqlServer, image: str, form: str
) -> None:
    """Compared with the same row as a full image has it; before and after they are altered, and
    with those that the log itself told."""
    execute(shop, DEFAULTS)
    side = await sources.open(shop, form=form)
    await side.attach()
    insert = "INSERT INTO {} (id, made) VALUES ({}, '2020-01-01')"
    for table, first in (("d", 1), ("d", 3)):
        execute(
            shop,
            f"SET SESSION sql_mode = ''; {insert.format(table, first)};"
            f"SET SESSION binlog_row_image = '{image}'; {insert.format(table, first + 1)}",
        )
        if first == 1:
            execute(shop, ALTERED)
    found = [event for event in await side.read(5) if isinstance(event, Change)]
    rows = [change.new for change in found]
    for full, partial in ((rows[0], rows[1]), (rows[2], rows[3])):
        assert full is not None
        assert partial is not None
        assert full[1:] == partial[1:]
    assert rows[0] != rows[2]


async def test_a_default_that_is_altered_is_known_after_a_restart(
    sources: Sources, shop: MysqlServer
) -> None:
    """The version that the target is given tells it, and one without the fact does not guess."""
    execute(shop, "CREATE TABLE d (id int PRIMARY KEY, n int DEFAULT 7)")
    side = await sources.open(shop)
    at = await side.attach()
    execute(shop, "ALTER TABLE d ALTER n SET DEFAULT 8")
    (changed,) = await side.read(1)
    assert isinstance(changed, SchemaChanged)
    assert changed.after is not None
    execute(shop, "SET SESSION binlog_row_image = 'MINIMAL'; INSERT INTO d (id) VALUES (1)")
    execute(shop, "ALTER TABLE d ALTER n SET DEFAULT 9")
    restarted = sources.make(shop)
    restarted.source.remember({changed.after.table: changed.after})
    await restarted.source.open()
    await restarted.source.attach([changed.after.table], ())
    restarted.at = side.at
    (row, _) = await restarted.read(2)
    assert new_rows([row]) == [("1", "8")]
    assert at is not None


async def test_a_new_row_whose_default_is_not_known_stops_its_table_alone(
    sources: Sources, shop: MysqlServer
) -> None:
    """What a column has that lost its default depends on the session."""
    execute(shop, "CREATE TABLE d (id int PRIMARY KEY, n int DEFAULT 7)")
    execute(shop, "CREATE TABLE t (id int PRIMARY KEY)")
    side = await sources.open(shop)
    await side.attach()
    execute(
        shop,
        "SET SESSION sql_mode = '', binlog_row_image = 'MINIMAL';"
        "ALTER TABLE d ALTER n DROP DEFAULT;"
        "INSERT INTO d (id) VALUES (1); INSERT INTO d (id) VALUES (2); INSERT INTO t VALUES (1)",
    )
    *_, stopped, missed, row = await side.read(4)
    assert isinstance(stopped, SchemaChanged)
    assert "column n" in stopped.steps[0].detail
    assert isinstance(missed, SchemaChanged)
    assert missed.after is None
    assert new_rows([row]) == [("1",)]


REPLACES = """
SET SESSION binlog_row_image = 'MINIMAL';
UPDATE r SET n = 2 WHERE id = 1;
UPDATE r SET id = 2 WHERE id = 1;
{statement};
INSERT INTO t VALUES (1)
"""


@pytest.mark.parametrize(
    "statement",
    ["REPLACE INTO r (id) VALUES (2)", "INSERT INTO r (id) VALUES (2) ON DUPLICATE KEY UPDATE k=5"],
)
async def test_an_update_that_may_be_a_replace_stops_its_table_alone(
    sources: Sources, shop: MysqlServer, statement: str
) -> None:
    """MariaDB does not log which columns went back to their defaults; MySQL logs the whole row."""
    execute(shop, "CREATE TABLE r (id int PRIMARY KEY, n int DEFAULT 7, k int)")
    execute(shop, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO r VALUES (1, 1, 1)")
    side = await sources.open(shop)
    await side.attach()
    execute(shop, REPLACES.format(statement=statement))
    first, moved, last, row = await side.read(4)
    assert new_rows([first, moved]) == [("1", "2", U), ("2", U, U)]
    assert new_rows([row]) == [("1",)]
    if shop.mariadb:
        assert isinstance(last, SchemaChanged)
        assert "REPLACE" in last.steps[0].detail
    else:
        kept = statement.startswith("INSERT")
        assert new_rows([last]) == [("2", "2", "5") if kept else ("2", "7", None)]
