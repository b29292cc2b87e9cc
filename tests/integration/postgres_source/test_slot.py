"""What must stop a stream before it skips anything: slots, publications, servers."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import psycopg
import pytest

from connectors.postgres import running_transactions
from connectors.postgres.config import PostgresSourceConfig
from connectors.postgres.source import PostgresSource
from engine.errors import (
    PositionLostError,
    ReplicaIdentityError,
    SlotBusyError,
    SourceBusyError,
    SourceConnectionError,
    SourceError,
    SourceIdentityError,
    SourceSwitchedError,
)
from engine.model.position import LogPosition
from engine.model.retained import Retained
from tests.integration.postgres_source.conftest import Client, Connect, SystemClock, exhaust, name
from tests.servers.postgres import Cluster, Database
from tests.servers.versions import VERSIONS


def slot(client: Client) -> str:
    return f"penstock_{client.database.name}"


async def ready(database: Database, connect: Connect, **options: object) -> Client:
    """A client with table t attached, and one row already read."""
    database.execute("CREATE TABLE t (id text PRIMARY KEY)")
    client = await connect(database, **options)
    await client.attach("t")
    database.execute("INSERT INTO t VALUES ('1')")
    assert len(await client.rows()) == 1
    return client


async def test_a_second_reader_is_told_who_holds_the_slot(
    source_database: Database, connect: Connect
) -> None:
    client = await ready(source_database, connect)
    other = await connect(source_database)
    async with aclosing(client.source.blocks(client.after)) as blocks:
        source_database.execute("INSERT INTO t VALUES ('0')")
        reading = asyncio.ensure_future(anext(blocks))
        while await other.source.reader() is None:
            await asyncio.sleep(0.01)
        with pytest.raises(SlotBusyError, match=r"pid \d+, application penstock .* 127.0.0.1"):
            await anext(other.source.blocks(client.after))
        await other.source.evict()
        await reading
        with pytest.raises(SourceConnectionError):
            await exhaust(blocks)
    source_database.execute("INSERT INTO t VALUES ('2')")
    other.after = client.after
    assert [row.new for row in await other.rows()] == [(b"0",), (b"2",)]


@pytest.mark.parametrize("loads", [True, False])
async def test_a_new_slot_keeps_rows_from_being_cleaned_up_only_for_a_load(
    source_database: Database, connect: Connect, *, loads: bool
) -> None:
    await ready(source_database, connect, loads=loads, failover=True)  # from 17 on
    (keeping,) = source_database.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL"
    )
    assert keeping == (int(loads),)


async def test_of_two_that_make_the_slot_at_once_the_slower_tries_again(
    source_database: Database, connect: Connect
) -> None:
    """One of them lost the claim to the other while it stood still, and learns so by claiming."""
    source_database.execute("CREATE TABLE t (id text PRIMARY KEY)")
    clients = [await connect(source_database) for _ in range(4)]
    ends = await asyncio.gather(
        *[client.source.attach([name("t")], []) for client in clients], return_exceptions=True
    )
    made = [end for end in ends if not isinstance(end, BaseException)]
    assert [attached.created for attached in made].count(True) == 1
    assert {type(end) for end in ends if isinstance(end, BaseException)} <= {SourceConnectionError}


async def test_a_closed_stream_leaves_the_slot_free_and_told(
    source_database: Database, connect: Connect
) -> None:
    client = await ready(source_database, connect)
    ((active, confirmed),) = source_database.execute(
        "SELECT active, confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s",
        slot(client),
    )
    assert not active
    assert LogPosition.parse(confirmed) == client.after


async def test_a_slot_made_again_under_the_same_name_is_refused(
    source_database: Database, connect: Connect
) -> None:
    client = await ready(source_database, connect)
    source_database.execute("SELECT pg_drop_replication_slot(%s)", slot(client))
    source_database.execute("INSERT INTO t VALUES ('lost')")
    with pytest.raises(PositionLostError, match="does not exist"):
        await client.rows()
    with pytest.raises(PositionLostError, match="does not exist"):
        await client.source.attach([name("t")], [], create=False)
    source_database.execute(
        "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", slot(client)
    )
    with pytest.raises(PositionLostError, match="made again"):
        await client.rows()


async def test_a_slot_moved_past_the_stored_position_is_refused(
    source_database: Database, connect: Connect
) -> None:
    client = await ready(source_database, connect)
    source_database.execute("INSERT INTO t VALUES ('skipped')")
    source_database.execute(
        "SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", slot(client)
    )
    with pytest.raises(PositionLostError, match="past the stored position"):
        await client.rows()


async def test_a_position_beyond_the_log_is_refused(
    source_database: Database, connect: Connect
) -> None:
    client = await ready(source_database, connect)
    client.after = LogPosition(1 << 60)
    with pytest.raises(PositionLostError, match="log ends at"):
        await client.rows()


async def test_a_slot_of_another_kind_is_refused(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id text PRIMARY KEY)")
    client = await connect(source_database)
    source_database.execute(
        "SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", slot(client)
    )
    with pytest.raises(SourceError, match="test_decoding"):
        await client.attach("t")


async def test_a_publication_of_somebody_else_is_refused_and_left_alone(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id text PRIMARY KEY)")
    client = await connect(source_database)
    source_database.execute(f"CREATE PUBLICATION {slot(client)}")
    with pytest.raises(SourceError, match="not made for this replication"):
        await client.attach("t")
    await client.source.detach()
    assert source_database.execute("SELECT pubname FROM pg_publication") == [(slot(client),)]


async def test_a_dropped_publication_is_named(source_database: Database, connect: Connect) -> None:
    client = await ready(source_database, connect)
    source_database.execute(f"DROP PUBLICATION {slot(client)}")
    with pytest.raises(SourceError, match="is missing"):
        await client.rows()
    with pytest.raises(SourceError, match="is missing"):
        await client.attach("t")


async def test_a_table_taken_out_of_the_publication_is_named(
    source_database: Database, connect: Connect
) -> None:
    client = await ready(source_database, connect)
    source_database.execute(f"ALTER PUBLICATION {slot(client)} DROP TABLE t")
    other = await connect(source_database)
    for attempt in (client.rows(), client.attach("t"), other.attach("t")):
        with pytest.raises(SourceError, match=r"no longer holds public\.t"):
            await attempt


async def test_a_dropped_table_is_no_reason_to_stop(
    source_database: Database, connect: Connect
) -> None:
    client = await ready(source_database, connect)
    source_database.execute("DROP TABLE t")
    assert await client.rows() == []
    await client.attach("t")


async def test_a_row_filter_on_our_publication_is_refused(
    source_database: Database, connect: Connect
) -> None:
    if int(source_database.cluster.major) < 15:
        pytest.skip("row filters are PostgreSQL 15's")
    client = await ready(source_database, connect)
    source_database.execute(f"ALTER PUBLICATION {slot(client)} SET TABLE t WHERE (id > 'a')")
    with pytest.raises(SourceError, match="was altered"):
        await client.rows()


async def test_a_table_whose_updates_would_fail_is_never_published(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE n (id text)")
    client = await connect(source_database)
    with pytest.raises(ReplicaIdentityError, match=r"public\.n"):
        await client.attach("n")
    source_database.execute("INSERT INTO n VALUES ('1'); UPDATE n SET id = '2'; DELETE FROM n")


async def test_given_names_are_used_checked_and_never_dropped(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute(
        "CREATE TABLE t (id text PRIMARY KEY); CREATE TABLE u (id text PRIMARY KEY);"
        'CREATE PUBLICATION "Their Own" FOR TABLE t'
    )
    given = f"given_{source_database.name}"
    client = await connect(source_database, slot=given, publication="Their Own")
    with pytest.raises(SourceError, match=r"does not hold public\.u"):
        await client.attach("t", "u")
    await client.attach("t")
    source_database.execute("INSERT INTO t VALUES ('1')")
    assert len(await client.rows()) == 1
    await client.source.detach()
    left = "SELECT pubname, slot_name FROM pg_publication, pg_replication_slots WHERE database = %s"
    assert source_database.execute(left, source_database.name) == [("Their Own", given)]


async def test_detach_drops_what_attach_made_and_nothing_is_left(
    source_database: Database, connect: Connect
) -> None:
    client = await ready(source_database, connect, insert_only=True)
    await client.source.detach()
    await client.source.detach()
    assert source_database.execute("SELECT pubname FROM pg_publication") == []
    assert await client.source.retained() == Retained()


async def test_a_table_added_while_the_stream_runs_is_told_from_then_on(
    source_database: Database, connect: Connect
) -> None:
    client = await ready(source_database, connect)
    source_database.execute("CREATE TABLE u (id text PRIMARY KEY)")
    await client.source.publish([name("t"), name("u")], [])
    source_database.execute("INSERT INTO u VALUES ('u')")
    await client.source.publish([name("u")], [])
    source_database.execute("INSERT INTO t VALUES ('gone'); INSERT INTO u VALUES ('v')")
    assert [row.new for row in await client.rows()] == [(b"u",), (b"v",)]


async def test_publishing_waits_for_transactions_that_began_before(
    source_database: Database, connect: Connect
) -> None:
    client = await ready(source_database, connect)
    source_database.execute("CREATE TABLE u (id text PRIMARY KEY); CREATE TABLE v (id text)")
    with psycopg.connect(source_database.dsn) as older:
        older.execute("INSERT INTO v VALUES ('1')")
        publishing = asyncio.ensure_future(client.source.publish([name("t"), name("u")], []))
        await asyncio.sleep(0.6)
        assert not publishing.done()
        older.commit()
        async with asyncio.timeout(10):
            await publishing


async def test_publishing_what_is_published_waits_though_nothing_has_ended_since(
    source_database: Database, connect: Connect
) -> None:
    """The end of a snapshot is then not past the transaction that runs."""
    client = await ready(source_database, connect)
    source_database.execute("CREATE TABLE v (id text)")
    with psycopg.connect(source_database.dsn) as older:
        older.execute("INSERT INTO v VALUES ('1')")
        publishing = asyncio.ensure_future(client.source.publish([name("t")], []))
        await asyncio.sleep(0.6)
        assert not publishing.done()
        older.rollback()
        async with asyncio.timeout(10):
            await publishing


async def test_a_long_wait_says_for_whom_and_ends_at_its_limit(
    source_database: Database, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_transactions, "OLDER_TOLD_SECONDS", 0.3)
    client = await ready(source_database, connect, older_seconds_max=1.5)
    source_database.execute("CREATE TABLE u (id text PRIMARY KEY); CREATE TABLE v (id text)")
    told: list[tuple[float, str]] = []

    def waiting(seconds: float, who: Sequence[str]) -> None:
        told.append((seconds, " ".join(who)))

    with psycopg.connect(source_database.dsn) as older:
        older.execute("INSERT INTO v VALUES ('secret')")
        pid = f"pid {older.info.backend_pid} (idle in transaction, for "
        with pytest.raises(SourceBusyError) as raised:
            await client.source.publish([name("t"), name("u")], [], waiting=waiting)
        assert pid in raised.value.message
        assert "snapshot_wait" in raised.value.hint
        assert len(told) >= 2
        assert all(pid in who and "secret" not in who for _, who in told)
        assert [seconds for seconds, _ in told] == sorted(seconds for seconds, _ in told)
        older.rollback()
    await client.source.publish([name("t"), name("u")], [], waiting=waiting)
    source_database.execute("INSERT INTO u VALUES ('u')")
    assert [row.new for row in await client.rows()] == [(b"u",)]


async def test_a_locked_table_is_not_queued_behind_for_a_second(
    source_database: Database, connect: Connect
) -> None:
    client = await ready(source_database, connect)
    source_database.execute("CREATE TABLE u (id text PRIMARY KEY)")
    with psycopg.connect(source_database.dsn) as holder:
        holder.execute("LOCK TABLE u IN SHARE ROW EXCLUSIVE MODE")
        publishing = asyncio.ensure_future(client.source.publish([name("t"), name("u")], []))
        waited = 0
        for _ in range(30):
            await asyncio.sleep(0.1)
            ((waiting,),) = source_database.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'u'::regclass"
            )
            waited = waited + 1 if waiting else 0
            assert waited <= 12
        holder.rollback()
        async with asyncio.timeout(10):
            await publishing


async def test_an_invalidated_slot_is_a_lost_position(private_cluster: object) -> None:
    cluster: Cluster = private_cluster(  # type: ignore[operator]
        settings={"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}
    )
    database = Database.create(cluster, "lost")
    database.execute("CREATE TABLE t (id text PRIMARY KEY)")
    source = PostgresSource(PostgresSourceConfig.of("lost", database.dsn), SystemClock())
    await source.open()
    start = (await source.attach([name("t")], [])).start
    for _ in range(4):
        database.execute("SELECT pg_switch_wal()")
        database.execute("CREATE TABLE x AS SELECT generate_series(1, 100); DROP TABLE x")
        database.execute("CHECKPOINT")
    with pytest.raises(PositionLostError, match="given up by the server"):
        await anext(source.blocks(start))
    with pytest.raises(PositionLostError, match="given up by the server"):
        await source.attach([name("t")], [])
    await source.close()


async def test_a_restarted_server_sends_again_what_was_not_acknowledged(
    private_cluster: object,
) -> None:
    cluster: Cluster = private_cluster()  # type: ignore[operator]
    database = Database.create(cluster, "again")
    database.execute("CREATE TABLE t (id text PRIMARY KEY)")
    source = PostgresSource(PostgresSourceConfig.of("again", database.dsn), SystemClock())
    await source.open()
    client = Client(database, source)
    await client.attach("t")
    database.execute("INSERT INTO t VALUES ('1')")
    async with aclosing(source.blocks(client.after)) as blocks:
        async for block in blocks:
            if block.parts:
                break
        cluster.restart("immediate")
        with pytest.raises(SourceConnectionError):
            await exhaust(blocks)
    assert [row.new for row in await client.rows()] == [(b"1",)]
    await source.close()


async def test_a_standby_is_refused_with_the_reason(private_cluster: object) -> None:
    cluster: Cluster = private_cluster()  # type: ignore[operator]
    cluster.stop()
    (cluster.data / "standby.signal").touch()
    cluster.start()
    source = PostgresSource(PostgresSourceConfig.of("standby", cluster.dsn()), SystemClock())
    await source.open()
    with pytest.raises(SourceError, match="standby"):
        await source.attach([], [])
    await source.close()


@pytest.mark.parametrize("major", VERSIONS)
async def test_a_standby_that_took_over_is_read_on_if_it_had_everything(
    private_cluster: object, major: str
) -> None:
    cluster: Cluster = private_cluster(major)  # type: ignore[operator]
    database = Database.create(cluster, "promoted")
    database.execute("CREATE TABLE t (id text PRIMARY KEY)")
    source = PostgresSource(PostgresSourceConfig.of("promoted", database.dsn), SystemClock())
    await source.open()
    client = Client(database, source)
    await client.attach("t")
    database.execute("INSERT INTO t VALUES ('1')")
    assert len(await client.rows()) == 1
    cluster.stop()
    (cluster.data / "standby.signal").touch()
    cluster.start()
    assert cluster.execute("SELECT pg_promote()") == [(True,)]
    database.execute("INSERT INTO t VALUES ('2')")
    # What a reader of the lost end of the old timeline would hold.
    beyond = await source.head()
    with pytest.raises(SourceSwitchedError, match="timeline 2"):
        await anext(source.blocks(client.after))
    with pytest.raises(PositionLostError, match="took over at"):
        await source.check_branch("1", [client.after, beyond])
    with pytest.raises(SourceIdentityError, match="did not come from timeline 7"):
        await source.check_branch("7", [client.after])
    await source.check_branch("1", [client.after])
    assert await source.branch() == "2"
    assert [row.new for row in await client.rows()] == [(b"2",)]
    await source.close()


async def test_a_table_that_lost_its_key_is_taken_out_before_the_stream_stops(
    source_database: Database, connect: Connect
) -> None:
    client = await ready(source_database, connect)
    source_database.execute("ALTER TABLE t DROP CONSTRAINT t_pkey")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        source_database.execute("UPDATE t SET id = '2'")
    with pytest.raises(ReplicaIdentityError, match=r"public\.t"):
        await client.rows()
    source_database.execute("UPDATE t SET id = '2'")
    await client.attach()
    assert await client.rows() == []
