"""Distributed transactions (XA) of a source while everything is killed at random moments."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenario.pairs import workload
from tests.scenario.pairs.conftest import Ends, each_of
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import SCHEMA, MysqlSide
from tests.scenario.pairs.workload import DistributedWriter, Writer
from tests.scenario.running import until

SEED = random.SystemRandom().randrange(1 << 32)

KILLS = 4
STREAM_SECONDS = 1.0

PAIRS = (("mariadb-10.11", "18"), ("mysql-9", "mariadb-10.11"))
NIGHTLY = (("mariadb-11.8", "18"), ("mysql-8.0", "18"))

ROWS = f"INSERT INTO {SCHEMA}.item (k) VALUES "


@pytest.fixture(params=[*each_of(PAIRS), *each_of(NIGHTLY, nightly=True)])
def replication(
    request: pytest.FixtureRequest, ends: Ends, tmp_path: Path
) -> Iterator[PairReplication]:
    """Large transactions are read from the log again, for want of memory."""
    source, target = ends.source(request.param[0]), ends.target(request.param[1])
    yield PairReplication.between(
        tmp_path,
        "distributed",
        source,
        target,
        source={"prepared_memory": "64KiB"},
        load={"rows_per_chunk": 1_000},
    )
    source.drop()
    target.drop()


@pytest.mark.nightly
def test_killed_at_random_moments_it_loses_and_repeats_nothing(
    replication: PairReplication,
) -> None:
    source, target = replication.source, replication.target
    workload.create(source)
    rows = ", ".join([f"('before-{number}')" for number in range(3_000)])
    source.execute(ROWS + rows)
    chosen = random.Random(SEED)
    writers = [Writer(source, 0, SEED), *(DistributedWriter(source, n, SEED) for n in (1, 2, 3))]
    try:
        for writer in writers:
            writer.start()
        for _ in range(KILLS):
            with replication.run() as run:
                run.event("started")
                if chosen.random() < 0.7:
                    run.state("streaming")
                time.sleep(chosen.uniform(0, STREAM_SECONDS))
                run.kill_supervisor()
        committed = [writer.stop() for writer in writers]
        assert all(committed)
        replication.catch_up()
        assert workload.differences(source, target) == []
    except BaseException as error:
        error.add_note(f"seed {SEED}")
        raise
    finally:
        for writer in writers:
            writer.stop()


def test_killed_between_preparing_and_committing(replication: PairReplication) -> None:
    """What is stored on the target is behind the prepared rows and those committed since; while
    nobody reads, the log goes on in another file, and the server is started anew."""
    source, target = replication.source, replication.target
    assert isinstance(source, MysqlSide)
    server = source.database.server
    workload.create(source)

    def prepare(name: str, rows: str) -> None:
        work = f"XA START '{name}'; {ROWS}{rows}; XA END '{name}'; XA PREPARE '{name}'"
        server.execute(work, database=SCHEMA)

    with replication.run() as run:
        run.state("streaming")
        prepare("kept", "('kept-1'), ('kept-2')")
        prepare("void", "('void')")
        source.execute(f"{ROWS}('others')")
        until(lambda: workload.differences(source, target) == [], "rows to be equal", run=run)
        run.kill_supervisor()
    server.restart()
    server.execute("FLUSH LOGS; XA ROLLBACK 'void'")
    source.execute(f"{ROWS}('since')")
    with replication.run() as run:
        until(lambda: workload.differences(source, target) == [], "rows to be equal", run=run)
        run.kill_supervisor()
    server.execute("XA COMMIT 'kept'")
    source.execute(f"UPDATE {SCHEMA}.item SET n = 7 WHERE k = 'kept-2'")
    replication.catch_up()
    assert workload.differences(source, target) == []
    found = target.execute(f"SELECT k, n FROM {SCHEMA}.item ORDER BY k")
    assert [*map(tuple, found)] == [
        ("kept-1", None), ("kept-2", 7), ("others", None), ("since", None),
    ]  # fmt: skip
