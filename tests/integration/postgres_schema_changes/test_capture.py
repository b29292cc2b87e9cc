"""The event triggers: made, looked after, removed, and never in the application's way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from connectors.postgres.ddl_capture import DdlCapture
from connectors.postgres.ddl_capture_sql import FUNCTION, TRIGGERS, script
from connectors.postgres.sql import Sql
from engine.model.finding import Severity
from tests.integration.postgres_schema_changes.conftest import Pipe
from tests.servers.postgres import Database

VERSION = 150_000


@asynccontextmanager
async def capture_of(
    database: Database, *, schema: str = "penstock", user: str = "postgres"
) -> AsyncIterator[DdlCapture]:
    sql = Sql(database.cluster.dsn(database.name, user=user), "test")
    try:
        yield DdlCapture(sql, schema, ["mine"], "mine")
    finally:
        await sql.close()


def triggers(database: Database) -> list[str]:
    rows = database.execute(
        "SELECT evtname::text || evtenabled::text FROM pg_event_trigger ORDER BY 1"
    )
    return [row[0] for row in rows]


async def test_they_are_made_once_and_removed_with_their_schema(source_database: Database) -> None:
    async with capture_of(source_database, schema='Odd "name"') as capture:
        assert await capture.find() is None
        assert await capture.ensure()
        assert await capture.ensure()
        assert triggers(source_database) == [f"{name}A" for name in sorted(TRIGGERS)]
        await capture.remove()
    assert triggers(source_database) == []
    left = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'Odd%'"
    assert source_database.execute(left) == [(0,)]


async def test_disabled_or_older_ones_are_made_again(source_database: Database) -> None:
    async with capture_of(source_database) as capture:
        await capture.ensure()
        source_database.execute("ALTER EVENT TRIGGER penstock_drop DISABLE")
        found = await capture.find()
        assert found is not None
        assert not found.current
        assert await capture.ensure()
        source_database.execute(f"COMMENT ON FUNCTION penstock.{FUNCTION}() IS 'older'")
        assert await capture.ensure()
    assert triggers(source_database) == [f"{name}A" for name in sorted(TRIGGERS)]


async def test_another_replication_keeps_them(source_database: Database) -> None:
    source_database.execute(
        'CREATE PUBLICATION other; COMMENT ON PUBLICATION other IS \'{"penstock": "o"}\''
    )
    async with capture_of(source_database) as capture:
        await capture.ensure()
        await capture.remove()
        assert len(triggers(source_database)) == len(TRIGGERS)
        source_database.execute("DROP PUBLICATION other")
        await capture.remove()
    assert triggers(source_database) == []


async def test_a_role_that_may_not_goes_on_without_and_is_told(source_database: Database) -> None:
    source_database.cluster.execute("DROP ROLE IF EXISTS nobody; CREATE ROLE nobody LOGIN")
    source_database.execute(f"GRANT CREATE ON DATABASE {source_database.name} TO nobody")
    async with capture_of(source_database, user="nobody") as capture:
        assert not await capture.ensure()
        (finding,) = await capture.findings(VERSION)
        assert finding.severity is Severity.WARNS
        assert "docs/guide/schema-changes.md" in finding.remedy
        assert source_database.execute("SELECT to_regnamespace('penstock')") == [(None,)]
        source_database.execute(script())
        assert await capture.ensure() is None
        (finding,) = await capture.findings(VERSION)
        assert "may not read the event triggers' token" in finding.message
        source_database.execute(finding.remedy)
        assert await capture.findings(VERSION) == []
        assert await capture.ensure()
        await capture.remove()
    assert len(triggers(source_database)) == len(TRIGGERS)
    source_database.execute("DROP OWNED BY nobody")
    source_database.cluster.execute("DROP ROLE nobody")


async def test_the_token_stays_when_they_are_made_again(source_database: Database) -> None:
    async with capture_of(source_database) as capture:
        token = await capture.ensure()
        source_database.execute("ALTER EVENT TRIGGER penstock_drop DISABLE")
        assert await capture.token() is None
        assert await capture.ensure() == token


async def test_what_another_role_has_put_in_their_place_is_not_trusted(
    source_database: Database,
) -> None:
    """A role that may make schemas has made ours beforehand, with its own function and token."""
    source_database.cluster.execute("DROP ROLE IF EXISTS sly; CREATE ROLE sly LOGIN")
    source_database.execute(f"GRANT CREATE ON DATABASE {source_database.name} TO sly")
    known = "00000000-0000-0000-0000-000000000000"
    with psycopg.connect(
        source_database.cluster.dsn(source_database.name, user="sly"), autocommit=True
    ) as sly:
        sly.execute("CREATE SCHEMA penstock")
        sly.execute(f"CREATE TABLE penstock.ddl_token AS SELECT '{known}'::uuid AS token")
        sly.execute(
            f"CREATE FUNCTION penstock.{FUNCTION}() RETURNS event_trigger LANGUAGE plpgsql"
            " AS 'BEGIN RAISE EXCEPTION ''mine''; END'"
        )
    async with capture_of(source_database) as capture:
        token = await capture.ensure()
    assert token is not None
    assert token.decode() != known
    owners = source_database.execute(
        "SELECT pg_get_userbyid(proowner)::text FROM pg_proc WHERE proname = %s UNION"
        " SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'ddl_token'",
        FUNCTION,
    )
    assert owners == [("postgres",)]
    source_database.execute("DROP OWNED BY sly CASCADE")
    source_database.cluster.execute("DROP ROLE sly")


async def test_nobody_else_can_read_the_token_whatever_the_default_privileges(
    source_database: Database,
) -> None:
    source_database.cluster.execute("DROP ROLE IF EXISTS curious; CREATE ROLE curious LOGIN")
    source_database.execute(
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC, curious;"
        "ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO PUBLIC"
    )
    source_database.execute(script())
    dsn = source_database.cluster.dsn(source_database.name, user="curious")
    with psycopg.connect(dsn) as curious, pytest.raises(psycopg.errors.InsufficientPrivilege):
        curious.execute("SELECT last_value FROM penstock.ddl_token")
    source_database.execute("DROP OWNED BY curious")
    source_database.cluster.execute("DROP ROLE curious")


async def test_a_publication_for_all_tables_gets_nothing_of_ours(
    source_database: Database,
) -> None:
    """Its subscribers would stop at a table that they do not have."""
    source_database.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    async with capture_of(source_database) as capture:
        assert await capture.ensure()
        assert source_database.execute("SELECT tablename FROM pg_publication_tables") == []


async def test_another_replication_with_a_publication_of_the_users_keeps_them(
    source_database: Database,
) -> None:
    other = "SELECT pg_create_logical_replication_slot('other', 'pgoutput')"
    source_database.execute(other)
    async with capture_of(source_database) as capture:
        await capture.ensure()
        await capture.remove()
        assert len(triggers(source_database)) == len(TRIGGERS)
        source_database.execute("SELECT pg_drop_replication_slot('other')")
        await capture.remove()
    assert triggers(source_database) == []


async def test_version_13_is_told_that_there_is_no_way(source_database: Database) -> None:
    async with capture_of(source_database) as capture:
        (finding,) = await capture.findings(130_012)
    assert finding.severity is Severity.TELLS


async def test_their_own_failure_never_fails_the_application(source_database: Database) -> None:
    """Without the token they cannot do anything."""
    source_database.execute(script())
    source_database.execute("DROP SEQUENCE penstock.ddl_token")
    source_database.cluster.execute("DROP ROLE IF EXISTS barred; CREATE ROLE barred LOGIN")
    source_database.execute("CREATE SCHEMA barred AUTHORIZATION barred")
    dsn = source_database.cluster.dsn(source_database.name, user="barred")
    notices: list[str] = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
        connection.execute("CREATE TABLE barred.x (id int PRIMARY KEY, v int)")
        connection.execute("ALTER TABLE barred.x ALTER v TYPE bigint USING v * 2, ADD w int")
        connection.execute("DROP TABLE barred.x")
    parts = [notice for notice in notices if "could not note a dropped partition" in notice]
    assert len(parts) == 1
    assert len(notices) == 5
    assert all("penstock could not note a" in notice for notice in notices)
    source_database.execute("DROP OWNED BY barred")
    source_database.cluster.execute("DROP ROLE barred")


async def test_what_is_not_ours_is_left_alone(source_database: Database) -> None:
    source_database.execute(script())
    source_database.execute("SELECT pg_create_logical_replication_slot('watch', 'test_decoding')")
    for sql in (
        "CREATE TEMP TABLE a (id int)",
        "CREATE UNLOGGED TABLE b (id int)",
        "CREATE TABLE penstock.c (id int)",
        "CREATE VIEW d AS SELECT 1 AS x",
        "CREATE MATERIALIZED VIEW e AS SELECT 1 AS x",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE INDEX g ON b (id)",
        "DROP MATERIALIZED VIEW e; DROP VIEW d",
    ):
        source_database.execute(sql)
    changes = "SELECT data FROM pg_logical_slot_get_changes('watch', NULL, NULL)"
    told = [row[0] for row in source_database.execute(changes) if "message" in row[0]]
    assert told == []


async def test_the_statement_is_not_told(source_database: Database) -> None:
    source_database.execute(script())
    source_database.execute("SELECT pg_create_logical_replication_slot('watch', 'test_decoding')")
    source_database.execute("CREATE TABLE s (id int, v text); INSERT INTO s VALUES (1, 'secret-1')")
    source_database.execute("ALTER TABLE s ALTER v TYPE text USING 'secret-2'")
    source_database.execute("ALTER TABLE s ADD CHECK (v <> 'secret-3')")
    source_database.execute("CREATE TABLE copy AS SELECT 'secret-4' AS v")
    changes = "SELECT data FROM pg_logical_slot_get_changes('watch', NULL, NULL)"
    told = [row[0] for row in source_database.execute(changes) if row[0].startswith("message")]
    assert len([text for text in told if "prefix: penstock," in text]) == 5
    assert not [text for text in told if "secret" in text]


async def test_columns_that_went_with_their_type_are_told(pipe: Pipe) -> None:
    await pipe.execute("CREATE TYPE mood AS ENUM ('good'); ALTER TABLE t ADD m mood, ADD z int")
    async with pipe.running():
        await pipe.equal()
        await pipe.execute("DROP TYPE mood CASCADE; ALTER TABLE t RENAME z TO m")
        await pipe.execute("UPDATE t SET m = id")
        await pipe.equal()
    assert pipe.record()[0] == "streaming"


async def test_children_and_partitions_follow_their_parent(pipe: Pipe) -> None:
    await pipe.execute(
        "CREATE TABLE r (id int, k int, PRIMARY KEY (id, k)) PARTITION BY LIST (k);"
        "CREATE TABLE r1 PARTITION OF r FOR VALUES IN (1); INSERT INTO r VALUES (1, 1);"
        "CREATE TABLE parent (id int PRIMARY KEY, v int);"
        "CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent); INSERT INTO child VALUES (1, 2)"
    )
    async with pipe.running():
        await pipe.equal("r")
        await pipe.equal("child")
        await pipe.execute(
            "ALTER TABLE parent RENAME v TO w; ALTER TABLE parent ADD x int DEFAULT 3"
        )
        await pipe.execute("ALTER TABLE r ADD d int DEFAULT 4; ALTER TABLE r RENAME d TO e")
        await pipe.execute("INSERT INTO r VALUES (2, 1, 2); INSERT INTO child VALUES (2, 3, 4)")
        await pipe.equal("r")
        await pipe.equal("child")
        await pipe.execute("ALTER TABLE r ADD f float8 DEFAULT random()")
        await pipe.execute("INSERT INTO r VALUES (3, 1, 2)")
        assert "computed default" in await pipe.state("needs-reload", "r")
    assert pipe.record("child")[0] == "streaming"
