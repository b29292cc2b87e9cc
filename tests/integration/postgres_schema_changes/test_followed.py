"""Changes that are followed exactly because the event triggers tell what happened."""

import pytest

from tests.integration.postgres_schema_changes.conftest import Pipe

pytestmark = pytest.mark.in_turn

USE = "INSERT INTO t (id) VALUES (90); UPDATE t SET id = id + 1000 WHERE id = 2"

FOLLOWED = {
    "constant default": "ALTER TABLE t ADD d int DEFAULT 7",
    "stable default": "ALTER TABLE t ADD d timestamptz NOT NULL DEFAULT now()",
    "no default": "ALTER TABLE t ADD d text",
    "default only for new rows": "ALTER TABLE t ADD d int, ALTER d SET DEFAULT 9",
    "another default for new rows": "ALTER TABLE t ADD d int DEFAULT 1, ALTER d SET DEFAULT 2",
    "quotes in the default": "ALTER TABLE t ADD d text DEFAULT 'it''s \\ \"1\"'",
    "array default": "ALTER TABLE t ADD d int[] DEFAULT '{1,2}', ADD e text[] DEFAULT '{\"a,b\"}'",
    "default in a rewrite": "ALTER TABLE t ADD d numeric DEFAULT 1.50, ALTER b TYPE bigint",
    "several at once": "ALTER TABLE t ADD d int DEFAULT 1, DROP a, ADD e text DEFAULT 'e'",
    "strange name": 'ALTER TABLE t ADD "Ä ""q"" $penstock$" text DEFAULT \'ä\'',
    "rename": "ALTER TABLE t RENAME b TO renamed",
    "swap": "BEGIN; ALTER TABLE t RENAME a TO tmp; ALTER TABLE t RENAME b TO a;"
    "ALTER TABLE t RENAME tmp TO b; COMMIT",
    "drop": "ALTER TABLE t DROP a",
    "drop and add the same": "ALTER TABLE t DROP a; ALTER TABLE t ADD a int",
    "drop and add the last again": "ALTER TABLE t DROP c; ALTER TABLE t ADD c varchar(5)",
    "drop and add another type": "ALTER TABLE t DROP a; ALTER TABLE t ADD a text DEFAULT 'new'",
    "drop and rename into its place": "ALTER TABLE t DROP a; ALTER TABLE t RENAME b TO a",
    "wider integer": "ALTER TABLE t ALTER a TYPE bigint",
    "longer text": "ALTER TABLE t ALTER c TYPE varchar(50)",
    "unlimited text": "ALTER TABLE t ALTER c TYPE text",
    "in a function": "DO $$ BEGIN ALTER TABLE t RENAME a TO inside; ALTER TABLE t ADD d int"
    " DEFAULT 4; END $$",
    "not null": "ALTER TABLE t ALTER b SET NOT NULL, ALTER b SET DEFAULT 0",
    "identity": "ALTER TABLE t REPLICA IDENTITY FULL",
    "another key": "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, b),"
    " ALTER b SET DEFAULT 0",
    "rolled back": "BEGIN; ALTER TABLE t ADD gone int DEFAULT 1; INSERT INTO t VALUES (5);ROLLBACK",
    "savepoints": "BEGIN; SAVEPOINT s; ALTER TABLE t ADD gone int; ROLLBACK TO s;"
    "ALTER TABLE t ADD d int DEFAULT 3; INSERT INTO t (id, d) VALUES (6, 6); SAVEPOINT s;"
    "ALTER TABLE t RENAME d TO e; RELEASE s; INSERT INTO t (id, e) VALUES (7, 7); COMMIT",
    "between rows": "BEGIN; INSERT INTO t VALUES (5, 5, 5, '5'); ALTER TABLE t RENAME a TO aa;"
    "INSERT INTO t VALUES (6, 6, 6, '6'); UPDATE t SET aa = 0 WHERE id = 5;"
    "ALTER TABLE t DROP c; DELETE FROM t WHERE id = 1; ALTER TABLE t ADD c int DEFAULT 1;"
    "INSERT INTO t VALUES (7, 7, 7, 7); COMMIT",
    "enum": "CREATE TYPE mood AS ENUM ('sad', 'ok');"
    "ALTER TABLE t ADD d mood DEFAULT 'ok', ADD e mood[] DEFAULT '{sad,NULL}'",
    "domain in a schema of its own": 'CREATE SCHEMA "My own";'
    "CREATE DOMAIN \"My own\".short AS varchar(20) NOT NULL CHECK (VALUE <> 'it''s');"
    "ALTER TABLE t ADD d \"My own\".short DEFAULT 'x'",
    "composite of an enum and a domain": "CREATE TYPE mood AS ENUM ('ok');"
    "CREATE DOMAIN few AS int CHECK (VALUE < 9); CREATE TYPE pair AS (a mood, b few[]);"
    "ALTER TABLE t ADD d pair DEFAULT '(ok,{1})', ADD e few",
    "range": "CREATE TYPE span AS RANGE (SUBTYPE = float8);"
    "ALTER TABLE t ADD d span DEFAULT '[1,2)'",
    "type that is dropped again": "CREATE TYPE mood AS ENUM ('ok'); ALTER TABLE t ADD d mood;"
    "INSERT INTO t (id, d) VALUES (8, 'ok'); ALTER TABLE t DROP d; ALTER TABLE t ADD d int",
    "other things": "COMMENT ON TABLE t IS 'x'; ALTER TABLE t SET (fillfactor = 50);"
    "CREATE INDEX ON t (a); VACUUM FULL t",
}


BACKLOG = (
    "ALTER TABLE t RENAME b TO b2",
    FOLLOWED["swap"].replace(" b ", " b2 ").replace(" b;", " b2;"),
    "ALTER TABLE t ADD d int DEFAULT 1, DROP a, ADD e text DEFAULT 'e'",
    "UPDATE t SET b2 = id; ALTER TABLE t DROP b2; ALTER TABLE t ADD b2 text DEFAULT 'new'",
    "UPDATE t SET c = 'late'; ALTER TABLE t RENAME c TO last; DELETE FROM t WHERE id = 1",
)
"""Made one after the other while nobody reads; the catalog then shows only where it ended."""


@pytest.mark.parametrize("sql", FOLLOWED.values(), ids=FOLLOWED.keys())
async def test_a_change_is_followed_while_the_stream_runs(pipe: Pipe, sql: str) -> None:
    async with pipe.running():
        for statement in sql.split("; ") if "VACUUM" in sql else [sql]:
            assert await pipe.execute(statement) < 1.0
        await pipe.execute(USE)
        await pipe.passed()
        await pipe.equal()
    assert pipe.record()[0] == "streaming"


async def test_changes_made_while_stopped_are_followed_in_their_order(pipe: Pipe) -> None:
    async with pipe.running():
        await pipe.equal()
    for number, sql in enumerate(BACKLOG):
        await pipe.execute(f"{sql}; INSERT INTO t (id) VALUES ({100 + number})")
    async with pipe.running():
        await pipe.equal()
    assert pipe.record()[0] == "streaming"


async def test_changes_are_followed_after_the_stream_began_again(pipe: Pipe) -> None:
    async with pipe.running():
        await pipe.execute("ALTER TABLE t RENAME a TO a1; INSERT INTO t VALUES (4, 4, 4, '4')")
        await pipe.equal()
    async with pipe.running():
        await pipe.execute("ALTER TABLE t RENAME a1 TO a2; INSERT INTO t VALUES (5, 5, 5, '5')")
        await pipe.execute("ALTER TABLE t DROP b, ADD b int DEFAULT 8")
        await pipe.equal()
    assert pipe.record()[0] == "streaming"


async def test_new_labels_of_an_enum_reach_the_target_before_their_rows(pipe: Pipe) -> None:
    await pipe.execute(
        "CREATE TYPE color AS ENUM ('red', 'blue');"
        "ALTER TABLE t ADD color color DEFAULT 'red', ADD colors color[]"
    )
    async with pipe.running():
        await pipe.equal()
        await pipe.execute("ALTER TYPE color ADD VALUE 'green' BEFORE 'blue'")
        await pipe.execute("ALTER TYPE color ADD VALUE 'it''s'")
        await pipe.execute("UPDATE t SET color = 'green', colors = '{green,\"it''s\"}'")
        await pipe.equal()
    labels = "SELECT enum_range(NULL::color)::text"
    assert pipe.target.execute(labels) == pipe.source.execute(labels)


@pytest.mark.parametrize("mode", ["table-parallel", "transactional"])
async def test_tables_that_get_columns_of_a_new_type_at_once(pipe: Pipe, mode: str) -> None:
    names = [f"t{number}" for number in range(4)]
    for name in names:
        await pipe.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)")
    async with pipe.running(mode=mode):
        await pipe.execute(
            "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (a mood, b int);"
            + "".join(
                f"ALTER TABLE {name} ADD a mood, ADD b pair;"
                f"INSERT INTO {name} VALUES (1, 'ok', '(sad,1)');"
                for name in names
            )
        )
        for name in names:
            await pipe.equal(name)
            await pipe.state("streaming", name)


async def test_a_type_of_the_target_is_left_as_it_is(pipe: Pipe) -> None:
    pipe.target.execute("CREATE TYPE mood AS ENUM ('sad', 'ok', 'more')")
    async with pipe.running():
        await pipe.execute("CREATE TYPE mood AS ENUM ('sad', 'ok'); ALTER TABLE t ADD d mood")
        await pipe.execute("UPDATE t SET d = 'ok'")
        await pipe.equal()
    labels = "SELECT enum_range(NULL::mood)::text"
    assert pipe.target.execute(labels) == [("{sad,ok,more}",)]


async def test_a_column_made_on_the_target_beforehand_is_taken(pipe: Pipe) -> None:
    async with pipe.running():
        await pipe.equal()
        pipe.target.execute("ALTER TABLE t ADD d bigint; CREATE INDEX early ON t (d)")
        await pipe.execute("ALTER TABLE t ADD d int")
        await pipe.execute("UPDATE t SET d = id")
        await pipe.equal()
    assert pipe.target.execute("SELECT pg_get_indexdef('early'::regclass)")[0][0].endswith("(d)")


async def test_a_dropped_column_stays_on_the_target_and_makes_room(pipe: Pipe) -> None:
    async with pipe.running():
        await pipe.execute("ALTER TABLE t DROP b; INSERT INTO t VALUES (4, 4, 'x')")
        await pipe.equal()
        kept = pipe.target.execute("SELECT b FROM t WHERE id < 4 ORDER BY id")
        assert kept == [(100,), (200,), (300,)]
        await pipe.execute("ALTER TABLE t ADD b int DEFAULT 1")
        await pipe.execute("INSERT INTO t (id) VALUES (5)")
        await pipe.equal()
    assert pipe.target.execute("SELECT b_kept_1 FROM t WHERE id < 4 ORDER BY id") == kept


async def test_columns_may_stand_in_another_order_on_the_target(pipe: Pipe) -> None:
    pipe.target.execute(
        "CREATE TABLE t (c varchar(5), b int, extra text, id int PRIMARY KEY, a int)"
    )
    async with pipe.running():
        await pipe.equal()
        await pipe.execute("ALTER TABLE t RENAME a TO z; ALTER TABLE t ADD d int DEFAULT 2")
        await pipe.execute(USE)
        await pipe.equal()


async def test_a_role_that_may_nothing_else_changes_its_own_table(pipe: Pipe) -> None:
    cluster = pipe.source.cluster
    cluster.execute("DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN")
    await pipe.execute(
        "ALTER TABLE t OWNER TO plain; REVOKE ALL ON SCHEMA public FROM PUBLIC;"
        "GRANT USAGE, CREATE ON SCHEMA public TO plain"
    )
    async with pipe.running():
        await pipe.execute("SET ROLE plain; SET search_path = pg_temp, public; ALTER TABLE t RENAME"
                           " a TO mine; SET datestyle = 'German'; ALTER TABLE t ADD d date DEFAULT"
                           " '01.02.2026'")  # fmt: skip
        await pipe.execute(USE)
        await pipe.equal()
    await pipe.execute("REASSIGN OWNED BY plain TO postgres; DROP OWNED BY plain; DROP ROLE plain")
