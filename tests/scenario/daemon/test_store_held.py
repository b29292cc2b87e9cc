"""A store that cannot be written to: a full disk, a backup that holds it, a server that hangs."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.scenario.daemon.replicated import replicated, start
from tests.scenario.daemon.serving import Serving
from tests.servers.postgres import Database

LEASE = '[serve]\nlease = "3s"\n'


def filled(database: Database) -> Database:
    database.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
    return database


@contextmanager
def held(daemon: Serving) -> Iterator[None]:
    """Nobody else writes the store meanwhile."""
    with closing(sqlite3.connect(daemon.state / "penstock.db", isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout = 30000")
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_what_flows_goes_on_while_the_store_cannot_be_written(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path, config=LEASE) as daemon:
        it = replicated(daemon, "held", filled(source), target)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "the load")
        worker = daemon.worker()
        with held(daemon):
            renewal = "the lease could not be renewed"
            daemon.until(
                lambda: sum(renewal in str(line) for line in list(daemon.lines)) >= 2,
                "two renewals in vain, the second after the lease's time",
            )
            source.execute("INSERT INTO t VALUES (2, 'while it was held')")
            daemon.until(it.rows("t"), "what was written meanwhile")
            assert daemon.get("/readyz")[0] == 200
            assert daemon.replication(it.arn)["Status"] == "running"
        assert daemon.worker() == worker
        daemon.client().stop_replication(ReplicationConfigArn=it.arn)
        daemon.await_status(it.arn, "stopped")


def test_a_store_that_cannot_be_written_keeps_no_daemon_from_ending(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "ending", filled(source), target)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "the load")
        with held(daemon):
            began = time.monotonic()
            assert daemon.stop() == 0
            assert time.monotonic() - began < 60.0
    with Serving(tmp_path) as daemon:
        source.execute("INSERT INTO t VALUES (2, 'for the next one')")
        daemon.until(it.rows("t"), "the next daemon")
        daemon.await_status(it.arn, "running")
