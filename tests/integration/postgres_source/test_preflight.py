"""Each finding of the preflight, made to happen."""

from collections.abc import Sequence

import psycopg

from connectors.postgres.config import PostgresSourceConfig
from connectors.postgres.source import PostgresSource
from engine.model.finding import Finding, Severity
from tests.integration.postgres_source.conftest import Connect, SystemClock
from tests.servers.postgres import Cluster, Database


async def findings(database: Database, connect: Connect, **options: object) -> Sequence[Finding]:
    client = await connect(database, **options)
    return await client.source.preflight(await client.source.relations())


def blocking(found: Sequence[Finding]) -> set[str]:
    return {finding.check for finding in found if finding.severity is Severity.BLOCKS}


async def test_a_good_source_has_nothing_that_blocks(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    found = await findings(source_database, connect)
    assert {finding.severity for finding in found} <= {Severity.TELLS}


async def test_tables_are_judged_one_by_one(source_database: Database, connect: Connect) -> None:
    source_database.execute(
        "CREATE TABLE nokey (a int, r regclass); CREATE UNLOGGED TABLE u (id int PRIMARY KEY);"
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY HASH (id);"
        "CREATE TABLE g (id int PRIMARY KEY, b int GENERATED ALWAYS AS (id) STORED);"
        "CREATE SEQUENCE s; SELECT lo_create(0)"
    )
    found = {finding.check: finding for finding in await findings(source_database, connect)}
    binary = source_database.cluster.major >= "14"
    assert 'ALTER TABLE "public"."nokey" REPLICA IDENTITY FULL' in found["replica-identity"].remedy
    assert 'ALTER TABLE "public"."u" SET LOGGED' in found["unlogged"].remedy
    assert found["partitions"].subject == "public.p"
    assert found["partitions"].severity is (Severity.TELLS if binary else Severity.WARNS)
    untold = await findings(source_database, connect, capture_ddl=False)
    assert [f.severity for f in untold if f.check == "partitions"] == [Severity.WARNS]
    unwatched = await findings(source_database, connect, watch_partitions=False)
    assert [f.severity for f in unwatched if f.check == "partitions"] == [Severity.WARNS]
    assert "b" in found["generated-columns"].message
    assert found["text-mode"].subject == ("public.nokey" if binary else "")
    assert {"sequences", "large-objects"} <= found.keys()
    assert not blocking(list(found.values()))


async def test_a_generated_column_in_the_identity_blocks_with_the_statement_that_mends_it(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute(
        "CREATE TABLE t (a int NOT NULL UNIQUE, b int,"
        " g int GENERATED ALWAYS AS (b / 10) STORED, PRIMARY KEY (a, g));"
        "CREATE TABLE f (a int NOT NULL UNIQUE, g int GENERATED ALWAYS AS (a) STORED);"
        "ALTER TABLE f REPLICA IDENTITY FULL"
    )

    async def found(**options: object) -> dict[str, Finding]:
        every = await findings(source_database, connect, **options)
        return {one.subject: one for one in every if one.check == "replica-identity"}

    late = int(source_database.cluster.major) >= 18
    told = await found()
    assert told.keys() == {"public.t", *(["public.f"] * late)}
    assert "(g)" in told["public.t"].message
    assert ("REPLICA IDENTITY FULL" in told["public.t"].remedy) is not late
    assert {one.severity for one in told.values()} == {Severity.BLOCKS}
    assert {one.severity for one in (await found(insert_only=True)).values()} == {Severity.WARNS}
    for table in ("t", "f"):
        source_database.execute(f"ALTER TABLE {table} REPLICA IDENTITY USING INDEX {table}_a_key")
    assert await found() == {}
    source_database.execute("ALTER TABLE t REPLICA IDENTITY FULL")
    assert (await found() == {}) is not late


NO_TABLES = """
CREATE TABLE t (id int PRIMARY KEY);
CREATE VIEW v AS SELECT * FROM t; CREATE MATERIALIZED VIEW m AS SELECT * FROM t;
CREATE FOREIGN DATA WRAPPER w; CREATE SERVER elsewhere FOREIGN DATA WRAPPER w;
CREATE FOREIGN TABLE f (id int) SERVER elsewhere;
CREATE TABLE p (id int) PARTITION BY LIST (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE FOREIGN TABLE p2 PARTITION OF p FOR VALUES IN (2) SERVER elsewhere;
CREATE TABLE q (id int PRIMARY KEY) PARTITION BY LIST (id);
CREATE UNLOGGED TABLE q1 PARTITION OF q FOR VALUES IN (1);
"""


async def test_what_has_no_rows_or_no_log_of_its_own_is_named_and_left_out(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute(NO_TABLES)
    client = await connect(source_database)
    relations = await client.source.relations()
    assert [relation.name for relation in relations] == ["t"]
    found = await client.source.preflight(relations)
    told = [finding.message for finding in found if finding.check == "no-table"]
    assert [text.partition(" (")[2] for text in told] == ["public.v)", "public.m)", "public.f)"]
    kept = {f.subject: f for f in found if f.check == "partition-without-log"}
    assert kept.keys() == {"public.p", "public.q"}
    assert "(p2)" in kept["public.p"].message
    assert "(q1)" in kept["public.q"].message
    assert {finding.severity for finding in kept.values()} == {Severity.WARNS}


async def test_a_transaction_that_would_hold_up_the_slot_is_named(
    source_database: Database, connect: Connect
) -> None:
    import connectors.postgres.preflight_source as module

    source_database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    before = module.LONG_TRANSACTION_SECONDS
    with psycopg.connect(source_database.dsn) as holder:
        holder.execute("INSERT INTO t VALUES (1)")
        module.LONG_TRANSACTION_SECONDS = 0  # type: ignore[misc]
        try:
            found = await findings(source_database, connect)
        finally:
            module.LONG_TRANSACTION_SECONDS = before  # type: ignore[misc]
    (long,) = [finding for finding in found if finding.check == "long-transaction"]
    assert "pg_terminate_backend" in long.remedy


async def test_a_role_without_rights_is_told_what_to_grant(private_cluster: object) -> None:
    cluster: Cluster = private_cluster()  # type: ignore[operator]
    database = Database.create(cluster, "rights")
    database.execute(
        "CREATE ROLE app LOGIN; CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY)"
    )
    source = PostgresSource(
        PostgresSourceConfig.of("rights", cluster.dsn("rights", user="app")), SystemClock()
    )
    await source.open()
    relations = await source.relations()
    found = await source.preflight(relations)
    assert blocking(found) == {"replication-connection", "create-publication", "owner", "select"}
    remedies = " ".join(finding.remedy for finding in found)
    for text in ("REPLICATION", 'GRANT CREATE ON DATABASE "rights"', 'GRANT SELECT ON "s"."t"'):
        assert text in remedies
    database.execute(
        'ALTER ROLE app REPLICATION; GRANT CREATE ON DATABASE "rights" TO app;'
        "ALTER SCHEMA s OWNER TO app; ALTER TABLE s.t OWNER TO app"
    )
    assert blocking(await source.preflight(relations)) == set()
    attached = await source.attach([relation.table for relation in relations], [])
    assert attached.created
    await source.detach()
    await source.close()


async def test_the_owners_publication_is_all_that_a_reading_role_needs(
    private_cluster: object,
) -> None:
    """The remedies as they are printed, run by who they name; nothing wider is granted."""
    cluster: Cluster = private_cluster()  # type: ignore[operator]
    database = Database.create(cluster, "narrow")
    database.execute(
        "CREATE ROLE boss LOGIN; GRANT CREATE ON DATABASE narrow TO boss;"
        "CREATE SCHEMA s AUTHORIZATION boss; CREATE ROLE app LOGIN REPLICATION;"
        'SET ROLE boss; CREATE TABLE s.t (id int PRIMARY KEY); CREATE TABLE s."Odd" (id int)'
    )
    options: dict[str, object] = {"insert_only": True, "capture_ddl": False}
    dsn = cluster.dsn("narrow", user="app")
    source = PostgresSource(PostgresSourceConfig.of("narrow", dsn, **options), SystemClock())
    await source.open()
    relations = await source.relations()
    found = [f for f in await source.preflight(relations) if f.severity is Severity.BLOCKS]
    await source.close()
    owners = [finding for finding in found if finding.check == "owner"]
    with psycopg.connect(cluster.dsn("narrow", user="boss"), autocommit=True) as boss:
        for finding in owners:
            statement, where, _ = finding.remedy.splitlines()
            boss.execute(statement.encode())
            assert "run that as boss or a superuser" in where
            key, _, name = where.removesuffix(" into [source]").rpartition("write ")[2].split()
            options[{"publication_inserts": "insert_only_publication"}.get(key, key)] = name[1:-1]
    database.execute(next(f.remedy for f in found if f.check == "select"))
    database.execute('GRANT SELECT ON s."Odd" TO app')

    source = PostgresSource(PostgresSourceConfig.of("narrow", dsn, **options), SystemClock())
    await source.open()
    assert blocking(await source.preflight(relations)) == set()
    with_key = [r.table for r in relations if r.name == "t"]
    without = [r.table for r in relations if r.name != "t"]
    assert (await source.attach(with_key, without)).created
    await source.detach()
    await source.close()


async def test_a_server_that_cannot_stream_is_told_what_to_set(private_cluster: object) -> None:
    cluster: Cluster = private_cluster(  # type: ignore[operator]
        settings={"wal_level": "replica", "max_replication_slots": 0, "wal_sender_timeout": "1s"}
    )
    source = PostgresSource(PostgresSourceConfig.of("replica", cluster.dsn()), SystemClock())
    await source.open()
    found = await source.preflight([])
    assert blocking(found) == {"server", "room"}
    assert "wal_level = logical" in found[0].remedy
    assert "sender-timeout" in {finding.check for finding in found}
    await source.close()
