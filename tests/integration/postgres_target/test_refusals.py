"""What the server refuses becomes the error that says what to do."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from connectors.postgres.target import PostgresTarget
from engine.errors import (
    PenstockError,
    RowRejectedError,
    SchemaMismatchError,
    TargetBusyError,
    TargetConnectionError,
    TargetError,
)
from engine.model.batch import Run
from engine.model.change import INSERT, UPDATE
from engine.model.finding import Finding, Severity
from engine.model.relation import Relation
from engine.model.table import TableDefinition
from tests.integration.postgres_target.conftest import Rig, config
from tests.servers.ports import free_port
from tests.servers.postgres import Cluster, Database

pytestmark = pytest.mark.in_turn


async def failing(dsn: str) -> PenstockError:
    target = PostgresTarget(config(dsn))
    with pytest.raises(PenstockError) as caught:
        await target.open()
    await target.close()
    return caught.value


async def test_nobody_answers(target_database: Database) -> None:
    dsn = target_database.cluster.dsn("x", port=free_port())
    assert isinstance(await failing(dsn), TargetConnectionError)


async def test_a_database_that_is_not_there(target_database: Database) -> None:
    error = await failing(target_database.cluster.dsn("no such"))
    assert type(error) is TargetError


async def test_a_wrong_password_is_said_without_it(
    private_cluster: Callable[..., Cluster],
) -> None:
    cluster = private_cluster()
    cluster.execute("CREATE ROLE app LOGIN PASSWORD 'right'")
    cluster.access("host all all 127.0.0.1/32 scram-sha-256")
    error = await failing(cluster.dsn(user="app", password="wrong-secret"))
    assert type(error) is TargetError
    assert "check user and password" in str(error)
    assert "wrong-secret" not in str(error)


async def test_a_server_that_is_full(private_cluster: Callable[..., Cluster]) -> None:
    # Three for superusers, two for others; the session that makes the role stays.
    cluster = private_cluster(settings={"max_connections": 6, "max_wal_senders": 0})
    cluster.execute("CREATE ROLE app LOGIN")
    target = PostgresTarget(config(cluster.dsn(user="app")))
    async with target.session(), target.session():
        with pytest.raises(TargetConnectionError):
            async with target.session():
                pass
    await target.close()


async def test_a_read_only_target_is_waited_for(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY)")
    relation = await rig.relation()
    await rig.session.run("SET default_transaction_read_only = on")
    with pytest.raises(TargetConnectionError):
        await rig.apply(Run(INSERT, relation, rig.wire("SELECT 1")))


async def test_a_lock_that_is_not_had_is_a_busy_target(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)")
    relation = await rig.relation()
    run = Run(UPDATE, relation, rig.wire("SELECT 1, 2"), (0, 1))
    async with rig.target.session() as other:
        await other.run("BEGIN; UPDATE public.t SET v = 3")
        with pytest.raises(TargetBusyError):
            await rig.apply(run)
        await other.run("ROLLBACK")
    await rig.apply(run)
    assert rig.rows() == [(1, 2)]


async def test_a_deadlock_is_a_busy_target(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1), (2, 2)")
    relation = await rig.relation()
    one, two = rig.wire("SELECT 1, 9"), rig.wire("SELECT 2, 9")
    await rig.session.run("SET deadlock_timeout = '50ms'; SET lock_timeout = 0")
    async with rig.target.session() as other, other.begin() as second:
        await other.run("SET deadlock_timeout = '10s'; SET lock_timeout = 0")
        await second.write([Run(UPDATE, relation, two, (0, 1))])
        await second.lanes()
        async with asyncio.TaskGroup() as tasks, rig.session.begin() as first:
            await first.write([Run(UPDATE, relation, one, (0, 1))])
            await first.tables()
            await second.write([Run(UPDATE, relation, one, (0, 1))])
            waiting = tasks.create_task(second.tables())
            await asyncio.sleep(0.1)
            await first.write([Run(UPDATE, relation, two, (0, 1))])
            with pytest.raises(TargetBusyError):
                await first.tables()
            await first.rollback()
            await waiting


async def test_a_standing_transaction_is_ended_by_the_server(rig: Rig) -> None:
    await rig.session.run("SET idle_in_transaction_session_timeout = '50ms'")
    async with rig.session.begin() as transaction:
        await transaction.lanes()
        await asyncio.sleep(0.3)
        with pytest.raises(TargetConnectionError):
            await transaction.lanes()
    assert rig.session.broken


@pytest.mark.parametrize("count", [1, 300])
async def test_a_trigger_that_refuses_a_row_does_not_speak_of_it(rig: Rig, count: int) -> None:
    rig.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE FUNCTION no() RETURNS trigger"
        " LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not %', NEW.v; END $$;"
        "CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no()"
    )
    rows = rig.wire(f"SELECT g, 'secret' FROM generate_series(1, {count}) g")
    with pytest.raises(RowRejectedError) as caught:
        await rig.apply(Run(INSERT, await rig.relation(), rows, net=True))
    assert caught.value.sqlstate == "P0001"
    assert "secret" not in str(caught.value)


async def test_a_chatty_trigger_stops_nothing(rig: Rig) -> None:
    rig.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE FUNCTION say() RETURNS trigger"
        " LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', repeat('x', 1000); RETURN NEW; END $$;"
        "CREATE TRIGGER say BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION say()"
    )
    rows = rig.wire("SELECT g, repeat('y', 1000) FROM generate_series(1, 5000) g")
    async with asyncio.timeout(30):
        await rig.apply(Run(INSERT, await rig.relation(), rows, net=True))
    assert len(rig.rows()) == 5000


async def test_a_missing_privilege_says_so(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY); DROP ROLE IF EXISTS weak;"
                "CREATE ROLE weak LOGIN; GRANT USAGE ON SCHEMA penstock TO weak")  # fmt: skip
    relation = await rig.relation()
    target = PostgresTarget(config(rig.database.cluster.dsn(rig.database.name, user="weak")))
    async with target.session() as session, session.begin() as transaction:
        await transaction.savepoint()
        with pytest.raises(TargetError, match="permission denied"):
            await transaction.write([Run(INSERT, relation, rig.wire("SELECT 1"))])
    await target.close()
    rig.execute("DROP OWNED BY weak; DROP ROLE weak")


# --- preflight ------------------------------------------------------------------------------------


def named(findings: list[Finding], check: str) -> list[Finding]:
    return [finding for finding in findings if finding.check == check]


async def preflight(rig: Rig, *relations: Relation) -> list[Finding]:
    return list(await rig.target.preflight(relations))


async def test_a_good_target_has_nothing_that_blocks(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY)")
    findings = await preflight(rig, await rig.relation())
    assert {finding.check for finding in findings} <= {"target-durability"}


async def test_findings_about_a_table(rig: Rig) -> None:
    rig.execute(
        "CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, a int, b int);"
        "CREATE TABLE s.absent (id int); CREATE TABLE t (id int, a real, x int NOT NULL);"
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;"
        "CREATE TRIGGER tell BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no()"
    )
    findings = await preflight(
        rig, await rig.relation("t", like="s.t"), await rig.relation("absent", like="s.absent")
    )
    shapes = named(findings, "target-shape")
    assert [finding.severity for finding in shapes] == [Severity.BLOCKS] * 3
    (key,) = named(findings, "target-key")
    assert "CREATE UNIQUE INDEX" in key.remedy
    assert named(findings, "target-trigger")
    (absent,) = named(findings, "target-table")
    assert absent.severity is Severity.TELLS


async def test_names_that_the_server_would_cut_are_refused_before_anything_is_made(
    rig: Rig,
) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY)")
    plain = await rig.relation()
    longest, too_long = "é" * 31 + "n", "é" * 32
    fits = replace(plain, name=longest)
    cut = [
        replace(plain, name=too_long),
        replace(plain, name="u", columns=(replace(plain.columns[0], name=too_long),)),
    ]
    assert not named(await preflight(rig, fits), "target-names")
    blocking = named(await preflight(rig, *cut), "target-names")
    assert [finding.severity for finding in blocking] == [Severity.BLOCKS] * 2
    with pytest.raises(SchemaMismatchError, match="at most 63 bytes") as caught:
        await rig.target.ensure([TableDefinition(each, ()) for each in cut], "do-nothing")
    assert caught.value.message.count(too_long) == 3
    assert rig.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname <> 't'"
                       " AND relnamespace = 'public'::regnamespace") == []  # fmt: skip


OTHER_KINDS = {
    "view": ("CREATE VIEW t AS SELECT 1 AS id", "is a view"),
    "materialized view": ("CREATE MATERIALIZED VIEW t AS SELECT 1 AS id", "a materialized view"),
    "foreign table": ("CREATE FOREIGN TABLE t (id int) SERVER elsewhere", "is a foreign table"),
    "foreign partition": (
        """CREATE TABLE t (id int) PARTITION BY LIST (id);
        CREATE FOREIGN TABLE t1 PARTITION OF t FOR VALUES IN (1) SERVER elsewhere""",
        "has one as a partition",
    ),
}


@pytest.mark.parametrize(("sql", "word"), OTHER_KINDS.values(), ids=OTHER_KINDS.keys())
async def test_what_is_no_table_of_the_target_is_refused_by_name(
    rig: Rig, sql: str, word: str
) -> None:
    rig.execute("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER elsewhere FOREIGN DATA WRAPPER w")
    rig.execute(f"CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); {sql}")
    relation = await rig.relation("t", like="s.t")
    (found,) = named(await preflight(rig, relation), "target-kind")
    assert found.severity is Severity.BLOCKS
    assert "public.t" in found.message
    assert word in found.message
    assert "rename or drop it" in found.remedy
    with pytest.raises(SchemaMismatchError, match=word) as raised:
        await rig.apply(Run(INSERT, relation, rig.wire("SELECT 1")))
    assert "rename or drop it" in raised.value.hint


async def test_what_an_old_server_takes_as_text_only_is_told_before_its_table_is_made(
    rig: Rig,
) -> None:
    rig.execute(
        "CREATE SCHEMA s; CREATE TYPE s.mood AS ENUM ('ok');"
        "CREATE TABLE s.absent (id int, v s.mood[], w s.mood)"
    )
    relation = await rig.relation("absent", like="s.absent")
    shapes = named(await preflight(rig, relation), "target-shape")
    if int(rig.database.cluster.major) >= 14:
        assert shapes == []
        return
    (finding,) = shapes
    assert finding.severity is Severity.BLOCKS
    assert "column v is s.mood[], which a server before 14 does not take" in finding.message
    assert 'stream_form = "text"' in finding.remedy


async def test_findings_about_a_weak_role(rig: Rig) -> None:
    rig.execute(
        "DROP ROLE IF EXISTS weak; CREATE ROLE weak LOGIN; CREATE TABLE t (id int PRIMARY KEY);"
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT ON t TO weak;"
        f'REVOKE ALL ON DATABASE "{rig.database.name}" FROM PUBLIC;'
        f'GRANT CONNECT ON DATABASE "{rig.database.name}" TO weak; DROP SCHEMA penstock CASCADE;'
        "CREATE SCHEMA s; CREATE TABLE s.absent (id int);"
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    )
    relation, absent = await rig.relation(), await rig.relation("absent", like="s.absent")
    target = PostgresTarget(config(rig.database.cluster.dsn(rig.database.name, user="weak")))
    findings = list(await target.preflight([relation, absent]))
    await target.close()
    assert len(named(findings, "target-privilege")) == 3
    assert any("INSERT, UPDATE, DELETE, TRUNCATE" in finding.message for finding in findings)
    assert named(findings, "target-row-security")
    assert named(findings, "target-table")[0].severity is Severity.BLOCKS
    rig.execute("DROP OWNED BY weak; DROP ROLE weak")


async def test_a_role_that_may_not_be_replica_is_a_finding(rig: Rig) -> None:
    rig.execute("DROP ROLE IF EXISTS weak; CREATE ROLE weak LOGIN")
    dsn = rig.database.cluster.dsn(rig.database.name, user="weak")
    target = PostgresTarget(config(dsn, session_replication_role="replica"))
    with pytest.raises(TargetError, match="session_replication_role"):
        await target.open()
    (finding,) = named(list(await target.preflight([])), "replica-role")
    assert finding.severity is Severity.BLOCKS
    await target.close()
    rig.execute("DROP ROLE weak")
