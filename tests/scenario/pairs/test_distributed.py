"""Distributed transactions (XA) of a source while everything is killed at random moments."""

import contextlib
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenario.dialects import ERRORS, Session, crossed
from tests.scenario.pairs.conftest import Ends, each_of
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import SCHEMA, MysqlSide
from tests.scenario.running import until
from tests.scenario.workload import create
from tests.scenario.writers import Writer, Writers

SEED = random.SystemRandom().randrange(1 << 32)

KILLS = 4
STREAM_SECONDS = 1.0

PAIRS = (("mariadb-10.11", "18"), ("mysql-9", "mariadb-10.11"))
NIGHTLY = (("mariadb-11.8", "18"), ("mysql-8.0", "18"))

PREPARED_SECONDS = 0.3
"""How long a distributed transaction stays prepared, at most."""

ROWS = f"INSERT INTO {SCHEMA}.item (k) VALUES "


class DistributedWriter(Writer):
    """Changes items of its own by distributed transactions (XA), which stay prepared for a while:
    meanwhile others commit."""

    def once(self, session: Session) -> None:
        name = f"w{self.number}-{self.random.getrandbits(32)}"
        session.execute(f"XA START '{name}'")
        try:
            for _ in range(self.random.choice([1, 2, 5, 20])):
                self.acts.keep(session)
        except ERRORS as error:
            if not crossed(error):
                raise
            with contextlib.suppress(*ERRORS):  # a deadlock has ended it
                session.execute(f"XA END '{name}'")
            session.execute(f"XA ROLLBACK '{name}'")
            return
        session.execute(f"XA END '{name}'")
        session.execute(f"XA PREPARE '{name}'")
        self.stopping.wait(self.random.uniform(0, PREPARED_SECONDS))
        if self.random.random() < 0.2:
            session.execute(f"XA ROLLBACK '{name}'")
        else:
            session.execute(f"XA COMMIT '{name}'")
            self.committed += 1


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
    source = replication.source.database
    create(source)
    rows = ", ".join([f"('before-{number}')" for number in range(3_000)])
    source.execute(ROWS + rows)
    chosen = random.Random(SEED)
    try:
        with (
            Writers(source, count=1, seed=SEED) as plain,
            Writers(source, count=3, seed=SEED, kind=DistributedWriter, first=1) as distributed,
        ):
            for _ in range(KILLS):
                with replication.run() as run:
                    run.event("started")
                    if chosen.random() < 0.7:
                        run.state("streaming")
                    time.sleep(chosen.uniform(0, STREAM_SECONDS))
                    run.kill_supervisor()
        assert plain.committed
        assert distributed.committed
        replication.catch_up()
        assert replication.differences() == []
    except BaseException as error:
        error.add_note(f"seed {SEED}")
        raise


def test_killed_between_preparing_and_committing(replication: PairReplication) -> None:
    """What is stored on the target is behind the prepared rows and those committed since; while
    nobody reads, the log goes on in another file."""
    source, target = replication.source, replication.target
    assert isinstance(source, MysqlSide)
    server = source.database.server
    create(source.database)

    def prepare(name: str, rows: str) -> None:
        work = f"XA START '{name}'; {ROWS}{rows}; XA END '{name}'; XA PREPARE '{name}'"
        server.execute(work, database=SCHEMA)

    with replication.run() as run:
        run.state("streaming")
        prepare("kept", "('kept-1'), ('kept-2')")
        prepare("void", "('void')")
        source.execute(f"{ROWS}('others')")
        until(lambda: replication.differences() == [], "rows to be equal", run=run)
        run.kill_supervisor()
    server.execute("FLUSH LOGS; XA ROLLBACK 'void'")
    source.execute(f"{ROWS}('since')")
    with replication.run() as run:
        until(lambda: replication.differences() == [], "rows to be equal", run=run)
        run.kill_supervisor()
    server.execute("XA COMMIT 'kept'")
    source.execute(f"UPDATE {SCHEMA}.item SET n = 7 WHERE k = 'kept-2'")
    replication.catch_up()
    assert replication.differences() == []
    found = target.execute(f"SELECT k, n FROM {SCHEMA}.item ORDER BY k")
    assert [*map(tuple, found)] == [
        ("kept-1", None), ("kept-2", 7), ("others", None), ("since", None),
    ]  # fmt: skip
