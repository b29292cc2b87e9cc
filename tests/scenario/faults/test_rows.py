"""Rows that the target refuses, and a target without room."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from engine.overflow import STOP_SECONDS
from tests.scenario.conftest import one_pair
from tests.scenario.faults.conftest import Replicate
from tests.scenario.faults.watched import ROW, assert_last_line_tells, scrape
from tests.scenario.running import until
from tests.servers.postgres import Cluster, Database

TABLES: Final = f"""
CREATE TABLE item (id int PRIMARY KEY, note text);
INSERT INTO item SELECT g, '{ROW}' FROM generate_series(1, 10) g;
CREATE TABLE other (id int PRIMARY KEY)
"""


def test_a_row_that_violates_a_constraint_stops_its_table_only(
    source: Database, target: Database, replicate: Replicate
) -> None:
    source.execute(TABLES)
    replication = replicate(apply={"mend_interval": "2s"})
    with replication.run("--metrics=127.0.0.1:0") as run:
        address = run.event("listening")["address"]
        run.state("streaming")
        target.execute("ALTER TABLE item ADD CONSTRAINT small CHECK (id < 100)")
        source.execute(f"INSERT INTO item VALUES (11, '{ROW}'), (100, '{ROW}')")
        run.table("public.item", "suspended")
        line = run.says("table stopped")
        assert "small" in line
        assert "public.item" in line
        assert '"hint"' in line, line
        source.execute(f"INSERT INTO other VALUES (1); INSERT INTO item VALUES (12, '{ROW}')")
        replication.await_applied(run)
        assert replication.differences(["other"]) == []
        kept = target.execute("SELECT sqlstate, position FROM penstock.quarantine")
        assert [state for state, _ in kept] == ["23514"]
        assert ROW not in scrape(address)
        target.execute("ALTER TABLE item DROP CONSTRAINT small")
        mark = run.mark
        run.table("public.item", "streaming", after=mark)
        replication.await_tables(["item", "other"], run)
        assert run.stop() == 0


SLOW: Final = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql
  AS 'BEGIN PERFORM pg_sleep(3600); RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION slow()
"""

MORE_THAN_MEMORY: Final = f"""
INSERT INTO item SELECT g, repeat('{ROW}', 1000 / length('{ROW}'))
FROM generate_series(1000, 31000) g
"""


@one_pair
@pytest.mark.nightly
def test_a_table_whose_writes_do_not_end_stops_when_there_is_no_room_for_what_waits(
    source: Database, target: Database, replicate: Replicate
) -> None:
    """A minute after the source had to wait for it."""
    source.execute(TABLES)
    replication = replicate(capacity={"unit_memory": "128MiB", "spool_max": "1KiB"})
    with replication.run() as run:
        run.state("streaming")
        target.execute(SLOW)
        source.execute(MORE_THAN_MEMORY)
        source.execute("INSERT INTO other VALUES (1)")
        run.says("there is no room on disk for what waits in it")
        run.table("public.item", "needs-reload", patience=2 * STOP_SECONDS)
        assert "public.item" in run.says("a table that did not move was stopped")
        replication.await_tables(["other"], run)
        replication.await_applied(run)
        target.execute("DROP TRIGGER slow ON item")
        code, text = replication.command("reload", "public.item")
        assert code == 0, text
        replication.await_tables(["item", "other"], run)
        assert run.stop() == 0


def _encoded(cluster: Cluster, name: str, encoding: str) -> Database:
    cluster.execute(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C'"
        " LC_CTYPE 'C'"
    )
    return Database(cluster, name)


@pytest.fixture
def encoded(source_server: Cluster) -> Iterator[Callable[[str], Database]]:
    made: list[Database] = []

    def make(encoding: str) -> Database:
        made.append(_encoded(source_server, f"in_{encoding.lower()}", encoding))
        return made[-1]

    yield make
    for database in made:
        database.drop()


BYTES: Final = r"convert_from('\xe9746f696c65'::bytea, 'LATIN1')"


def test_latin1_text_arrives_as_the_same_text(
    encoded: Callable[[str], Database], target: Database, replicate: Replicate
) -> None:
    source = encoded("LATIN1")
    source.execute(f"CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t SELECT 1, {BYTES}")
    replication = replicate(source_dsn=source.dsn)
    with replication.run() as run:
        run.state("streaming")
        source.execute(f"INSERT INTO t SELECT 2, {BYTES}")
        text = "SELECT id, x FROM t ORDER BY 1"
        until(lambda: target.execute(text) == [(1, "étoile"), (2, "étoile")], "both rows", run=run)
        assert run.stop() == 0


INVALID: Final = rf"convert_from(decode('{ROW.encode().hex()}e9ff', 'hex'), 'SQL_ASCII')"


def test_bytes_that_are_no_text_end_the_load_with_the_tables_name(
    encoded: Callable[[str], Database], replicate: Replicate
) -> None:
    source = encoded("SQL_ASCII")
    source.execute(TABLES)
    source.execute(f"INSERT INTO item SELECT 11, {INVALID}")
    last = replicate(source_dsn=source.dsn).refused()
    assert "public.item" in last
    assert "no text" in last


def test_bytes_that_are_no_text_end_the_stream(
    encoded: Callable[[str], Database], target: Database, replicate: Replicate
) -> None:
    """The server refuses to send them, so nothing behind them can be had."""
    source = encoded("SQL_ASCII")
    source.execute(TABLES)
    replication = replicate(source_dsn=source.dsn)
    with replication.run() as run:
        run.state("streaming")
        source.execute(f"INSERT INTO item SELECT 11, {INVALID}")
        assert run.wait() == 1, run.story()
        assert_last_line_tells(run)
        assert "no text" in run.ending


# --- no room --------------------------------------------------------------------------------------


@pytest.fixture
def small_target(target_server: Cluster, tmp_path: Path) -> Iterator[tuple[Database, Path]]:
    """A database whose tables live on a file system of 32 MB."""
    place = target_server.directory / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m,mode=0777", "none", str(place)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        place.rmdir()
        pytest.skip("file systems cannot be mounted here")
    try:
        inside = place / "tables"
        inside.mkdir()
        target_server._account.give(inside)
        target_server.execute(f"CREATE TABLESPACE small LOCATION '{inside}'")
        target_server.execute("CREATE DATABASE confined TEMPLATE template0 TABLESPACE small")
        database = Database(target_server, "confined")
        yield database, place
        database.drop()
        target_server.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
        place.rmdir()


@pytest.mark.parametrize("when", ["load", "stream"])
def test_a_full_target_is_waited_for(
    source: Database, small_target: tuple[Database, Path], replicate: Replicate, when: str
) -> None:
    target, place = small_target
    source.execute("CREATE TABLE item (id int PRIMARY KEY, note text)")
    fill = (
        f"INSERT INTO item SELECT g, '{ROW}' || repeat('x', 1000) FROM generate_series(1, 40000) g"
    )
    if when == "load":
        source.execute(fill)
    replication = replicate(target_dsn=target.dsn, load={"rows_per_chunk": 5000})
    replication.target = target
    with replication.run() as run:
        if when == "stream":
            run.state("streaming")
            source.execute(fill)
        line = run.says("disk_full")
        assert "make room" in line
        assert run.process.poll() is None
        subprocess.run(["mount", "-o", "remount,size=200m", str(place)], check=True)
        run.state("streaming", after=run.mark)
        replication.await_applied(run)
        replication.await_tables(["item"], run)
        assert run.stop() == 0
        assert not [e for e in run.events if e["event"] == "restarting"], run.story()
