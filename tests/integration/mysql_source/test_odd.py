"""Servers and tables that are set up otherwise than most."""

from collections.abc import Callable

import pytest

from engine.model.change import SchemaChanged, Truncate
from tests.conftest import MysqlServers
from tests.integration.mysql_source.conftest import SCHEMA, Sources, new_rows
from tests.servers.mysql import MysqlServer


async def test_a_table_that_keeps_its_old_rows_is_left_out(
    sources: Sources, shop: MysqlServer
) -> None:
    if not shop.mariadb:
        pytest.skip("MySQL has no such tables")
    shop.execute("CREATE TABLE t (id int PRIMARY KEY) WITH SYSTEM VERSIONING", database=SCHEMA)
    side = await sources.open(shop)
    (relation,) = [r for r in await side.source.relations() if r.schema == SCHEMA]
    assert not relation.published
    (finding,) = [f for f in await side.source.preflight([relation]) if f.subject]
    assert finding.check == "left-out"
    assert "system versioning" in finding.message


@pytest.mark.nightly
@pytest.mark.parametrize("form", ["postgres", "mysql"])
async def test_generated_columns_that_are_not_logged_leave_their_table_out(
    sources: Sources, mysql_servers: MysqlServers, form: str
) -> None:
    server = mysql_servers.need("mariadb-11.8")
    server.create_database(SCHEMA)
    server.execute("CREATE TABLE t (id int PRIMARY KEY, twice int AS (id * 2))", database=SCHEMA)
    side = await sources.open(server, form=form)
    (relation,) = [r for r in await side.source.relations() if r.schema == SCHEMA]
    findings = [f.check for f in await side.source.preflight([relation]) if f.subject]
    server.drop_database(SCHEMA)
    assert relation.published is (form == "mysql")
    assert findings == ([] if form == "mysql" else ["left-out"])


async def test_a_table_that_begins_to_keep_its_old_rows_stops(
    sources: Sources, shop: MysqlServer
) -> None:
    if not shop.mariadb:
        pytest.skip("MySQL has no such tables")
    shop.execute("CREATE TABLE t (id int PRIMARY KEY)", database=SCHEMA)
    side = await sources.open(shop)
    await side.attach()
    shop.execute("ALTER TABLE t ADD SYSTEM VERSIONING; INSERT INTO t VALUES (1)", database=SCHEMA)
    told = await side.read(1)  # of its rows too: they do not fit any more
    stops = [event for event in told if isinstance(event, SchemaChanged)]
    assert stops == told
    assert "SYSTEM VERSIONING" in stops[0].steps[0].detail


async def test_statements_may_spell_names_as_they_like_where_case_does_not_count(
    sources: Sources, private_mysql: Callable[..., MysqlServer], mysql_version: str
) -> None:
    if mysql_version.startswith("mysql"):
        pytest.skip("MySQL takes lower_case_table_names at its first start alone")
    server = private_mysql(mysql_version, settings={"lower_case_table_names": 1})
    server.create_database("SHOP")
    server.execute("CREATE TABLE Item (id int PRIMARY KEY)", database=SCHEMA)
    side = await sources.open(server)
    await side.attach()
    assert [relation.name for relation in side.relations] == ["item"]
    server.execute("ALTER TABLE SHOP.ITEM ADD n int; INSERT INTO Shop.Item VALUES (1, 2)")
    server.execute("TRUNCATE Shop.iTem")
    altered, row, truncate = await side.read(3)
    assert isinstance(altered, SchemaChanged)
    assert new_rows([row]) == [("1", "2")]
    assert isinstance(truncate, Truncate)


@pytest.mark.parametrize("before", ["int", "enum('x', 'y')"])
async def test_a_table_that_was_described_anew_is_read_by_that(
    sources: Sources, shop: MysqlServer, before: str
) -> None:
    """Loaded again after a change that was not followed: what the target was told of last is of
    older rows. The log does not always tell that a row does not fit to it."""
    with shop.settings_kept():
        shop.execute("SET GLOBAL binlog_row_metadata = 'MINIMAL'")
        shop.execute(f"CREATE TABLE t (id int PRIMARY KEY, a {before})", database=SCHEMA)
        older = await sources.open(shop)
        await older.attach()
        (stale,) = older.relations
        shop.execute("ALTER TABLE t MODIFY COLUMN a enum('y', 'x')", database=SCHEMA)
        side = await sources.open(shop)
        side.source.remember({stale.table: stale})
        await side.attach()
        shop.execute("INSERT INTO t VALUES (3, 'y'), (4, 'x')", database=SCHEMA)
        told = await side.read(1)
    assert new_rows(told) == [("3", "y"), ("4", "x")]


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ("CHANGE a b int", ("2", "20")),
        ("MODIFY a varchar(20)", ("2", "20")),
        ("ADD COLUMN b int DEFAULT 3 FIRST", ("3", "2", "20")),
    ],
)
async def test_rows_that_come_again_from_before_a_known_change_take_no_later_one_with_them(
    sources: Sources, shop: MysqlServer, change: str, row: tuple[str, ...]
) -> None:
    """After a restart the log is read from before what the stored description says."""
    shop.execute("CREATE TABLE t (id int PRIMARY KEY, a int)", database=SCHEMA)
    side = await sources.open(shop)
    start = await side.attach()
    written = "INSERT INTO t (id, {}) VALUES ({}, {}0)"
    name = "b" if change.startswith("CHANGE") else "a"
    shop.execute(
        f"{written.format('a', 1, 1)}; ALTER TABLE t {change}; {written.format(name, 2, 2)}",
        database=SCHEMA,
    )
    (changed,) = [event for event in await side.read(3) if isinstance(event, SchemaChanged)]
    assert changed.after is not None
    again = sources.make(shop)
    again.source.remember({changed.table: changed.after})
    await again.source.open()
    await again.attach()
    again.at = start
    events = await again.read(1)
    assert new_rows(events) == [row]
    assert len(events) == 1


async def test_a_rename_that_comes_again_leaves_the_table_that_is_known_by_the_name(
    sources: Sources, shop: MysqlServer
) -> None:
    shop.execute("CREATE TABLE t (id int PRIMARY KEY)", database=SCHEMA)
    side = await sources.open(shop)
    start = await side.attach()
    shop.execute("RENAME TABLE t TO u", database=SCHEMA)
    (relation,) = [r for r in await side.source.relations() if r.schema == SCHEMA]
    shop.execute("INSERT INTO u VALUES (1)", database=SCHEMA)
    again = sources.make(shop)
    again.source.remember({relation.table: relation})
    await again.source.open()
    await again.attach()
    again.at = start
    assert new_rows(await again.read(1)) == [("1",)]
