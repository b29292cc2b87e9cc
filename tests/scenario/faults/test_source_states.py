"""What a source can be in the middle of: prepared transactions, open ones, rights that are taken
away, a slot given up under a load."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.scenario.faults.conftest import Replicate
from tests.scenario.faults.watched import ROW, Watched, assert_last_line_tells, scrape
from tests.scenario.running import until
from tests.servers.postgres import Cluster, Database

TABLE = f"""
CREATE TABLE item (id int PRIMARY KEY, note text);
INSERT INTO item SELECT g, '{ROW}' FROM generate_series(1, 10) g
"""


@contextmanager
def open_transaction(database: Database) -> Iterator[psycopg.Connection]:
    """One that has written and not ended."""
    with psycopg.connect(database.dsn) as connection:
        connection.execute(f"INSERT INTO item VALUES (1000, '{ROW}')")
        yield connection


def test_a_slot_that_waits_for_an_open_transaction_says_so(
    source: Database, replicate: Replicate
) -> None:
    source.execute(TABLE)
    replication = replicate()
    with open_transaction(source) as writer, replication.run("--stop-at=caught-up") as run:
        assert "transaction that was open" in run.says("still being prepared")
        writer.commit()
        assert run.wait() == 0, run.story()
    assert replication.differences() == []


def test_the_wait_for_an_open_transaction_can_be_stopped(
    source: Database, replicate: Replicate
) -> None:
    source.execute(TABLE)
    replication = replicate()
    making = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE_REPLICATION_SLOT%'"
    with open_transaction(source) as writer, replication.run() as run:
        until(lambda: bool(source.execute(making)), "the slot being made", run=run)
        assert run.stop() == 0  # while the transaction is open: it was not waited for
        writer.commit()
    until(lambda: not source.execute(making), "the server to have given it up or made it")
    replication.catch_up()
    assert replication.differences() == []


def test_prepared_transactions_arrive_when_they_are_committed_and_only_then(
    source: Database, replicate: Replicate
) -> None:
    """Prepared before the slot, while streaming, while stopped; committed or rolled back after a
    restart of ours."""
    source.execute(TABLE)
    replication = replicate()
    replication.catch_up()
    for number, name in ((21, "kept"), (22, "undone")):
        with psycopg.connect(source.dsn, autocommit=True) as writer:
            writer.execute("BEGIN")
            writer.execute(f"INSERT INTO item VALUES ({number}, '{ROW}')")
            writer.execute(f"PREPARE TRANSACTION '{source.name}_{name}'")
    source.execute(f"INSERT INTO item VALUES (23, '{ROW}')")
    with replication.run() as run:
        run.state("streaming")
        replication.await_applied(run)
        assert replication.differences() == []
        run.kill_worker()
        source.execute(f"COMMIT PREPARED '{source.name}_kept'")
        source.execute(f"ROLLBACK PREPARED '{source.name}_undone'")
        replication.await_tables(["item"], run)
        assert run.stop() == 0
    found = replication.target.execute("SELECT id FROM item WHERE id > 20 ORDER BY 1")
    assert found == [(21,), (23,)]


def test_a_replication_right_that_is_taken_away_ends_it_by_name_and_keeps_the_slot(
    source: Database, source_server: Cluster, replicate: Replicate
) -> None:
    source_server.execute("CREATE ROLE reader LOGIN REPLICATION")
    source.execute(TABLE)
    source.execute("ALTER TABLE item OWNER TO reader")
    source.execute(f"GRANT CREATE ON DATABASE {source.name} TO reader")
    dsn = source_server.dsn(source.name, user="reader")
    replication = replicate(source_dsn=dsn)
    try:
        replication.catch_up()
        source_server.execute("ALTER ROLE reader NOREPLICATION")
        source.execute(f"INSERT INTO item VALUES (11, '{ROW}')")
        assert "REPLICATION" in replication.refused()
        source_server.execute("ALTER ROLE reader REPLICATION")
        replication.catch_up()
        assert replication.differences() == []
        code, text = replication.command("cleanup", "--yes")
        assert code == 0, text
    finally:
        source.execute("DROP OWNED BY reader")
        source_server.execute("DROP ROLE reader")


def test_a_table_taken_from_the_role_under_the_stream_goes_on_or_is_named(
    source: Database, source_server: Cluster, replicate: Replicate
) -> None:
    """The log needs no SELECT. What does (a reload) is refused by name."""
    source_server.execute("CREATE ROLE reader LOGIN REPLICATION")
    source.execute(TABLE)
    source.execute("ALTER TABLE item OWNER TO reader")
    source.execute(f"GRANT CREATE ON DATABASE {source.name} TO reader")
    replication = replicate(source_dsn=source_server.dsn(source.name, user="reader"))
    try:
        with replication.run() as run:
            run.state("streaming")
            source.execute("ALTER TABLE item OWNER TO postgres")
            source.execute("REVOKE ALL ON item FROM reader")
            source.execute(f"INSERT INTO item VALUES (11, '{ROW}')")
            replication.await_tables(["item"], run)
            assert run.stop() == 0
    finally:
        source.execute("DROP OWNED BY reader")
        source_server.execute("DROP ROLE reader")


HOSTILE = {
    "datestyle": "'SQL, DMY'",
    "intervalstyle": "'iso_8601'",
    "timezone": "'Asia/Kolkata'",
    "extra_float_digits": "'0'",
    "bytea_output": "'escape'",
    "statement_timeout": "'50ms'",
    "lock_timeout": "'10ms'",
    "idle_in_transaction_session_timeout": "'50ms'",
    "search_path": "'nowhere'",
    "standard_conforming_strings": "'off'",
    "row_security": "'on'",
    "default_transaction_isolation": "'serializable'",
}


@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
def test_settings_of_roles_and_databases_change_no_value(
    source: Database, target: Database, replicate: Replicate, text: bool
) -> None:
    forced = "x aclitem[]," if text else ""
    source.execute(
        "CREATE TABLE item (id int PRIMARY KEY, d date, t timestamptz, i interval, f float8,"
        f" b bytea, {forced} m money, s text)"
    )
    for database in (source, target):
        for name, value in HOSTILE.items():
            database.execute(f'ALTER DATABASE "{database.name}" SET {name} = {value}')
    row = (
        "'2026-02-01', '2026-02-01 10:00+02', '1 year 2 mons -3 days 04:05:06.7', 0.1 + 0.2,"
        " decode('00ff5c27', 'hex'), " + ("NULL," if text else "") + " 1234.5, chr(92) || 'b''c'"
    )
    source.execute(f"INSERT INTO public.item SELECT 1, {row}")
    replication = replicate(target={"session_replication_role": "origin"})
    replication.catch_up()
    source.execute(
        f"INSERT INTO public.item SELECT 2, {row}; UPDATE public.item SET s = s || 'x' WHERE id = 1"
    )
    replication.catch_up()
    columns = "id, d::text, t::text, i::text, f::text, b::text, m::text, s"
    for database in (source, target):
        for name in HOSTILE:
            database.execute(f'ALTER DATABASE "{database.name}" RESET {name}')
    query = f"SELECT {columns} FROM item ORDER BY id"
    assert source.execute(query) == target.execute(query)
    assert len(target.execute(query)) == 2


def _given_up(replication: Watched) -> bool:
    """Write log until the server has invalidated the slot."""
    source = replication.source
    for _ in range(3):
        source.execute("CREATE TABLE IF NOT EXISTS noise (); DROP TABLE noise")
        source.execute("SELECT pg_switch_wal()")
    source.execute("CHECKPOINT")
    lost = "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND wal_status = 'lost'"
    return bool(source.execute(lost, replication.slot))


def test_a_slot_given_up_by_the_server_during_the_load_is_told(
    source: Database, target: Database, replicate: Replicate
) -> None:
    """The load stands still before a locked table of the target."""
    source.execute(TABLE)
    target.execute("CREATE TABLE item (id int PRIMARY KEY, note text)")
    replication = replicate()
    source.cluster.configure(max_slot_wal_keep_size="1MB")
    source.cluster.reload()
    try:
        with psycopg.connect(target.dsn) as holder, replication.run() as run:
            holder.execute("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
            until(lambda: _given_up(replication), "the server to give the slot up", run=run)
            holder.rollback()
            assert run.wait() == 3, run.story()
        assert_last_line_tells(run)
        assert replication.slot in run.ending
        assert "max_slot_wal_keep_size" in run.ending
    finally:
        source.cluster.configure(max_slot_wal_keep_size="-1")
        source.cluster.reload()


GIVE_UP = {
    "wal_retained_warn": "16MiB",
    "wal_retained_max": "32MiB",
    "wal_retained_policy": "give-up-slot",
}
"""More log than a test makes by itself, and little enough to make."""


def write_log(source: Database) -> None:
    source.execute(
        "SELECT count(pg_logical_emit_message(false, 'filler', repeat('x', 1 << 20)))"
        " FROM generate_series(1, 40)"
    )


def assert_slot_given_up(replication: Watched, last: str) -> None:
    assert "wal_retained_max" in last
    assert "penstock cleanup" in last
    assert replication.source.execute("SELECT slot_name FROM pg_replication_slots") == []


@pytest.mark.parametrize("phase", ["load", "stream"])
def test_a_declared_limit_of_retained_log_holds_while_a_table_is_stuck(
    source: Database, target: Database, replicate: Replicate, phase: str
) -> None:
    source.execute(TABLE)
    target.execute("CREATE TABLE item (id int PRIMARY KEY, note text)")
    replication = replicate(source=GIVE_UP)
    if phase == "stream":
        replication.catch_up()
        source.execute(f"INSERT INTO item VALUES (11, '{ROW}')")
    with psycopg.connect(target.dsn) as user:
        user.execute("LOCK item IN EXCLUSIVE MODE")
        with replication.run() as run:
            run.state("loading" if phase == "load" else "streaming")
            write_log(source)
            assert run.wait() == 3, run.story()
    assert_last_line_tells(run)
    assert_slot_given_up(replication, run.ending)


BURN = "DO $$ BEGIN FOR i IN 1..300 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
"""Three hundred transactions that change nothing."""


def test_how_long_the_slot_holds_the_catalogs_is_measured_and_told(
    source: Database, replicate: Replicate
) -> None:
    source.execute(TABLE)
    replication = replicate(source={"catalog_xmin_age_warn": 250})
    with replication.run("--metrics=127.0.0.1:0") as run:
        address = run.event("listening")["address"]
        run.state("streaming")
        with open_transaction(source) as writer:
            source.execute(BURN)
            line = run.says("keeps dead rows of its catalogs")
            assert '"limit":250' in line
            until(lambda: _xmin_age(scrape(address)) > 250, "the age to be shown", run=run)
            code, text = replication.command("check")
            assert code == 0, text
            assert f"{replication.slot} has held back the source's catalogs" in text
            writer.rollback()

        def let_go() -> bool:
            source.execute("CHECKPOINT")  # tells what runs, from which the slot moves on
            return _xmin_age(scrape(address)) < 250

        until(let_go, "the slot to let go", run=run)
        assert run.stop() == 0
    assert replication.differences() == []


def _xmin_age(metrics: str) -> float:
    (line,) = [
        line for line in metrics.splitlines() if line.startswith("penstock_source_catalog_xmin_age")
    ]
    return float(line.rpartition(" ")[2])
