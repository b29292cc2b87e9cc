"""A role that may not do on the target what one table needs: that table stops, no other."""

import time
from collections.abc import Iterator

import pytest

from tests.scenario.faults.conftest import Replicate
from tests.scenario.faults.watched import ROW, Watched, assert_last_line_tells
from tests.scenario.running import until
from tests.servers.postgres import Cluster, Database

TABLES = """
CREATE TABLE item (id int PRIMARY KEY, note text);
CREATE TABLE other (id int PRIMARY KEY, note text)
"""


@pytest.fixture
def writer(target: Database, target_server: Cluster) -> Iterator[str]:
    """A role that may write two tables of somebody else's; its address."""
    target_server.execute("CREATE ROLE writer LOGIN")
    target.execute(TABLES)
    target.execute(
        "CREATE SCHEMA penstock AUTHORIZATION writer;"
        f"GRANT TEMPORARY ON DATABASE {target.name} TO writer;"
        "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON item, other TO writer"
    )
    yield target_server.dsn(target.name, user="writer")
    target.execute("DROP OWNED BY writer")
    target_server.execute("DROP ROLE writer")


def _streaming(source: Database, replicate: Replicate, dsn: str, mode: str) -> Watched:
    source.execute(TABLES)
    replication = replicate(target_dsn=dsn, apply={"mode": mode, "mend_interval": "1s"})
    replication.catch_up()
    return replication


def _both_change(source: Database) -> None:
    source.execute(f"ALTER TABLE item ADD more int; INSERT INTO item VALUES (1, '{ROW}', 3)")
    source.execute(f"INSERT INTO other VALUES (1, '{ROW}')")


def test_a_schema_change_that_the_role_may_not_make_stops_its_table(
    source: Database, target: Database, replicate: Replicate, writer: str
) -> None:
    replication = _streaming(source, replicate, writer, "table-parallel")
    _both_change(source)
    with replication.run() as run:
        stopped = run.table("public.item", "suspended")
        assert "must be owner of table item" in stopped["reason"]
        assert "ALTER TABLE public.item OWNER TO" in stopped["remedy"]
        assert stopped["remedy"] in run.says("table stopped")
        replication.await_tables(["other"], run)
        assert replication.state("public.item") == "suspended"
        mark = run.mark
        target.execute("ALTER TABLE item OWNER TO writer")
        run.table("public.item", "streaming", after=mark)
        replication.await_tables(["item"], run)
        assert run.stop() == 0


def test_a_role_that_gets_no_more_connections_goes_on_with_those_it_has(
    source: Database, target_server: Cluster, replicate: Replicate, writer: str
) -> None:
    """Foreign keys are asked for over a new one five times a second."""
    source.execute(TABLES)
    replication = replicate(target_dsn=writer, intervals={"foreign_keys": "200ms"})
    with replication.run() as run:
        run.state("streaming")
        mark, began = run.mark, time.monotonic()
        target_server.execute("ALTER ROLE writer CONNECTION LIMIT 0")
        number = 0
        while time.monotonic() - began < 1.5:
            number += 1
            source.execute(f"INSERT INTO item VALUES ({number}, '{ROW}')")
            replication.await_tables(["item"], run)
        assert run.stop() == 0, run.story()
    again = [e for e in run.events[mark:] if e.get("state") == "retrying"]
    assert again == [], run.story()


def test_in_transactional_mode_it_ends_the_replication(
    source: Database, target: Database, replicate: Replicate, writer: str
) -> None:
    replication = _streaming(source, replicate, writer, "transactional")
    _both_change(source)
    with replication.run() as run:
        assert run.wait() == 1, run.story()
    assert_last_line_tells(run)
    assert "item" in run.ending
    assert "must be owner" in run.ending
    target.execute("ALTER TABLE item OWNER TO writer")
    replication.catch_up()
    assert replication.differences() == []


@pytest.mark.parametrize("policy", ["stop-table", "quarantine"])
def test_a_table_that_may_not_be_written_any_more_stops_alone(
    source: Database, target: Database, replicate: Replicate, writer: str, policy: str
) -> None:
    source.execute(TABLES)
    apply = {"on_row_error": policy, "mend_interval": "1s"}
    replication = replicate(target_dsn=writer, apply=apply)
    replication.catch_up()
    target.execute("REVOKE INSERT ON item FROM writer")
    source.execute(f"INSERT INTO item SELECT g, '{ROW}' FROM generate_series(1, 100) g")
    source.execute(f"INSERT INTO other VALUES (1, '{ROW}')")
    with replication.run() as run:
        stopped = run.table("public.item", "suspended")
        assert "permission denied for table item" in stopped["reason"]
        assert "GRANT" in run.says("table stopped")
        replication.await_tables(["other"], run)
        target.execute("GRANT INSERT ON item TO writer")
        until(lambda: replication.state("public.item") == "streaming", "item to be back", run=run)
        replication.await_tables(["item"], run)
        assert run.stop() == 0
    assert target.execute("SELECT count(*) FROM penstock.quarantine") == [(0,)]


def test_a_change_that_something_on_the_target_forbids_stops_its_table(
    source: Database, target: Database, replicate: Replicate
) -> None:
    source.execute(TABLES)
    replication = replicate(apply={"drop_columns": True, "mend_interval": "1s"})
    replication.catch_up()
    target.execute("CREATE VIEW notes AS SELECT note FROM item")
    source.execute("ALTER TABLE item DROP note; INSERT INTO item VALUES (1)")
    source.execute(f"INSERT INTO other VALUES (1, '{ROW}')")
    with replication.run() as run:
        stopped = run.table("public.item", "suspended")
        assert "other objects depend on it" in stopped["reason"]
        assert "by hand" in stopped["remedy"]
        replication.await_tables(["other"], run)
        mark = run.mark
        target.execute("DROP VIEW notes")
        run.table("public.item", "streaming", after=mark)
        replication.await_tables(["item"], run)
        assert run.stop() == 0
