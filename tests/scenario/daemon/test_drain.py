"""SIGTERM to a daemon whose worker has much to do."""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg

from engine.control.leading import LEAVE_SECONDS
from engine.control.supervisor import STOP_SECONDS
from tests.scenario import workload
from tests.scenario.daemon.processes import of_session
from tests.scenario.daemon.replicated import Replicated, replicated, start
from tests.scenario.daemon.serving import Serving
from tests.scenario.running import Replication, until
from tests.scenario.writers import Writers
from tests.servers.postgres import Database

ROWS: Final = 150_000
"""Of one transaction: some seconds of work for a worker."""

SEED: Final = 20_261_130

SLACK_SECONDS: Final = 10.0
"""For a machine with much else to do."""


def seconds(daemon: Serving) -> float:
    """From the signal to the end, as it said."""
    at = {
        str(line.get("action")): datetime.fromisoformat(str(line["time"]))
        for line in daemon.lines
        if "time" in line
    }
    return (at["serve.stopped"] - at["serve.stop"]).total_seconds()


def life(daemon: Serving) -> dict[str, Any]:
    """What the store says of its only replication."""
    with closing(sqlite3.connect(daemon.state / "penstock.db")) as store:
        ((document,),) = store.execute("SELECT document FROM record WHERE kind = 'replication'")
    found: dict[str, Any] = msgspec.json.decode(document)["life"]
    return found


def running(daemon: Serving, source: Database, target: Database) -> Replicated:
    workload.create(source)
    source.execute("CREATE TABLE big (id int PRIMARY KEY, v text)")
    it = replicated(daemon, "orders", source, target)
    start(daemon, it.arn)
    daemon.await_status(it.arn, "running")
    daemon.until(it.rows("big"), "the load")
    return it


def burden(it: Replicated, first: int) -> None:
    """Much to do for its worker, which has begun with it."""
    it.source.execute(
        "INSERT INTO big SELECT g, repeat('x', 200) FROM generate_series(%s::int, %s::int) g",
        first,
        first + ROWS - 1,
    )


def is_left_for_the_next_one(daemon: Serving, code: int) -> None:
    assert code == 0
    assert STOPPED in str(daemon.lines[-1])
    left = life(daemon)
    assert (left["status"], left["wanted"], left.get("worker")) == ("running", True, None)
    assert not left.get("failures")
    session = daemon.process.pid
    until(lambda: not of_session(session), "every process to be gone")


STOPPED: Final = "serve.stopped"


def goes_on(folder: Path, it: Replicated) -> None:
    """The next daemon brings everything, once."""
    with Serving(folder) as daemon:
        daemon.await_status(it.arn, "running")
        between = Replication(folder / "none.toml", it.id, folder, it.source, it.target)
        daemon.until(lambda: not between.differences(), "both sides to be equal")
        assert not workload.broken_rules(it.target)
        assert daemon.replication(it.arn)["Status"] == "running"
        assert daemon.stop() == 0


def test_a_stop_under_a_heavy_load_ends_in_order_and_the_next_daemon_goes_on(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path) as daemon:
        it = running(daemon, source, target)
        with Writers(source, seed=SEED) as writers:
            burden(it, 1)
            daemon.until(
                lambda: bool(target.execute("SELECT 1 FROM big LIMIT 1")), "the first rows"
            )
            burden(it, 1 + ROWS)
            code = daemon.stop()
        assert writers.committed
        assert seconds(daemon) < STOP_SECONDS + SLACK_SECONDS
        is_left_for_the_next_one(daemon, code)
    goes_on(tmp_path, it)


@contextlib.contextmanager
def locked(database: Database, table: str) -> Iterator[None]:
    """Nobody else reads or writes it meanwhile."""
    with psycopg.connect(database.dsn) as session:
        session.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        session.rollback()


def test_a_drain_that_does_not_come_to_its_end_is_cut_within_its_limit(
    tmp_path: Path, source: Database, target: Database
) -> None:
    """The target holds the worker up; what it had not made durable is read again."""
    with Serving(tmp_path) as daemon:
        it = running(daemon, source, target)
        with locked(target, "big"):
            burden(it, 1)
            waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'big'::regclass"
            daemon.until(lambda: bool(target.execute(waiting)), "the worker to wait for the table")
            code = daemon.stop()
            assert seconds(daemon) < LEAVE_SECONDS + SLACK_SECONDS
            is_left_for_the_next_one(daemon, code)
    goes_on(tmp_path, it)
