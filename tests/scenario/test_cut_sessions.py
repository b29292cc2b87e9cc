"""One session of the target is cut while more of its table waits and other appliers are idle."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import psycopg
import pytest

from tests.scenario.conftest import Replicate
from tests.scenario.running import until
from tests.servers.postgres import Database

WRITERS = 3

CUTS = 8
"""Without the rule that what an applier failed with is given to no other, about one in four lost a
batch."""

CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'penstock%'"
    " AND datname = current_database() AND state = 'active' AND query LIKE '%hot%' LIMIT 1"
)


@contextmanager
def writing(source: Database) -> Iterator[None]:
    """Small transactions on one table, faster than they can be applied one by one."""
    over = Event()

    def write() -> None:
        with psycopg.connect(source.dsn, autocommit=True) as connection:
            while not over.is_set():
                connection.execute("INSERT INTO hot (v) VALUES (1)")

    threads = [Thread(target=write, daemon=True) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(
    "mode", ["table-parallel", pytest.param("transactional", marks=pytest.mark.nightly)]
)
def test_no_batch_is_passed_over_when_the_session_that_sent_it_is_cut(
    replicate: Replicate, source: Database, target: Database, mode: str
) -> None:
    source.execute("CREATE TABLE hot (id bigserial PRIMARY KEY, v int)")
    replication = replicate(apply={"mode": mode, "batch_rows_max": 8})
    with replication.run() as run:
        run.state("streaming")
        with writing(source):
            for _ in range(CUTS):
                mark = run.mark
                until(lambda: bool(target.execute(CUT)), "a session at work", run=run)
                run.state("retrying", after=mark)
                run.state("streaming", after=mark)
        replication.await_applied(run)
        assert replication.differences() == []
        assert run.stop() == 0
