"""A daemon on the state that an earlier version left when it was killed with work pending.

`recorded/` is the state of the first version that had a daemon: its store, its key, its control
rows on the target, what it made on the source, an overflow. It is never changed: a later format
gets a folder beside it. Positions, oids and ports are marks there, for those of a test's servers.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import Clusters
from tests.scenario.conftest import Majors
from tests.scenario.daemon.replicated import Replicated
from tests.scenario.daemon.serving import Serving
from tests.servers.postgres import Database

RECORDED: Final = Path(__file__).parent / "recorded"

ARN: Final = "arn:aws:dms:us-east-1:000000000000:replication-config:orders"

TABLES: Final = """
CREATE TABLE t (id int PRIMARY KEY, v text, n int);
INSERT INTO t VALUES (1, 'loaded'), (2, 'loaded'), (3, 'streamed'), (4, 'altered');
UPDATE t SET n = 4 WHERE id = 4;
CREATE TABLE u (id int PRIMARY KEY, v text);
INSERT INTO u VALUES (1, 'loaded')"""
"""On both sides, as far as they were durable. `u` was stopped by a row that was refused."""

PENDING: Final = """
INSERT INTO u VALUES (2, 'bad');
INSERT INTO u SELECT g, 'behind it' FROM generate_series(3, 29) g;
INSERT INTO t VALUES (5, 'pending');
UPDATE t SET v = 'changed' WHERE id = 1"""
"""What was committed behind the stored positions; the constraint has gone meanwhile."""

SLOT: Final = (
    "SELECT lsn::text FROM pg_create_logical_replication_slot('penstock_orders', 'pgoutput')"
)


@pytest.fixture
def databases(clusters: Clusters, majors: Majors) -> Iterator[tuple[Database, Database]]:
    """Of the names that were recorded: a position belongs to its source's."""
    both = [
        Database.create(clusters.need(major), name)
        for major, name in zip(majors, ("recorded_source", "recorded_target"), strict=True)
    ]
    yield both[0], both[1]
    for database in both:
        database.drop()


def restored(folder: Path, source: Database, target: Database) -> Replicated:
    """The recorded state, between these databases."""
    source.execute(TABLES)
    ((system, snapshot, t, u),) = source.execute(
        "SELECT system_identifier::text, pg_current_snapshot()::text,"
        " 't'::regclass::oid::text, 'u'::regclass::oid::text FROM pg_control_system()"
    )
    marks = {
        "SYSTEM": system,
        "SNAPSHOT": snapshot,
        "T": t,
        "U": u,
        "SOURCE_PORT": f"{source.cluster.port}",
        "TARGET_PORT": f"{target.cluster.port}",
    }
    source.execute(_filled_in("source.sql", marks))
    ((marks["POSITION"],),) = source.execute(SLOT)
    target.execute(TABLES)
    target.execute(_filled_in("target.sql", marks))
    state = folder / "state"
    (state / "overflow" / "orders").mkdir(mode=0o700, parents=True)
    shutil.copy(RECORDED / "spool-000001", state / "overflow" / "orders")
    shutil.copy(RECORDED / "penstock.key", state)
    (state / "penstock.key").chmod(0o600)
    with closing(sqlite3.connect(state / "penstock.db")) as store:
        store.executescript(_filled_in("store.sql", marks))
    return Replicated(ARN, source, target)


def _filled_in(name: str, marks: dict[str, str]) -> str:
    text = (RECORDED / name).read_text()
    for mark, value in marks.items():
        text = text.replace(f"@{mark}@", value)
    return text


def states(daemon: Serving) -> dict[str, str]:
    """Of its tables, as AWS calls them."""
    answer = daemon.client().describe_replication_table_statistics(ReplicationConfigArn=ARN)
    return {each["TableName"]: each["TableState"] for each in answer["ReplicationTableStatistics"]}


def test_what_was_pending_goes_on(tmp_path: Path, databases: tuple[Database, Database]) -> None:
    it = restored(tmp_path, *databases)
    source = it.source
    source.execute(PENDING)
    with Serving(tmp_path) as daemon:
        for table in ("t", "u"):
            daemon.until(it.rows(table), f"what was pending in {table}")
        daemon.await_status(ARN, "running")
        source.execute("ALTER TABLE t ADD COLUMN later int; INSERT INTO t VALUES (6, 'new', 6, 6)")
        daemon.until(it.rows("t"), "what came later")
        completed = {"t": "Table completed", "u": "Table completed"}
        daemon.until(lambda: states(daemon) == completed, "its tables to be completed")
        assert not list((tmp_path / "state" / "overflow").rglob("spool-*"))
        daemon.client().stop_replication(ReplicationConfigArn=ARN)
        assert daemon.await_status(ARN, "stopped")["RecoveryCheckpoint"]
        assert len(it.slots()) == 1
        assert daemon.stop() == 0


def test_a_newer_version_of_it_is_refused_with_what_to_do(
    tmp_path: Path, databases: tuple[Database, Database]
) -> None:
    """The control rows are those of a version to come: the start fails, and they stay."""
    it = restored(tmp_path, *databases)
    it.target.execute("INSERT INTO penstock.version VALUES (1000)")
    before = it.target.execute("SELECT lane, seq FROM penstock.checkpoint ORDER BY lane")
    with Serving(tmp_path) as daemon:
        found = daemon.await_status(ARN, "failed")
        assert "newer" in str(found["FailureMessages"])
        assert daemon.stop() == 0
    assert it.target.execute("SELECT lane, seq FROM penstock.checkpoint ORDER BY lane") == before
    with closing(sqlite3.connect(tmp_path / "state" / "penstock.db")) as store:
        store.execute("INSERT INTO format SELECT max(number) + 1, 0 FROM format")
        store.commit()
    with Serving(tmp_path) as daemon:
        assert daemon.wait() == 3
        assert "start that version again" in daemon.story()
