"""A replication that is resized every second while it has more to do than it can."""

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import psycopg

from tests.scenario.conftest import Replicate, one_pair
from tests.scenario.running import Replication, Run, wall
from tests.servers.postgres import Database

TABLES: Final = 16

TRANSACTIONS: Final = 2_000

BATCH_ROWS: Final = 100
"""So few that there is a commit every few milliseconds while nothing holds them up."""

EACH: Final = 4
"""Rows of a transaction in each table."""

LOOK_SECONDS: Final = 0.01

SWINGING: Final = (sys.executable, "-m", "tests.scenario.swinging")

SCHEMA: Final = "".join(
    f"CREATE TABLE t{n} (id bigint PRIMARY KEY, value text); INSERT INTO t{n} VALUES (0, '0');"
    for n in range(TABLES)
)

WORK: Final = f"""
DO $$ BEGIN
  FOR number IN 1 .. {TRANSACTIONS} LOOP
    FOR n IN 0 .. {TABLES - 1} LOOP
      EXECUTE format('INSERT INTO %I SELECT ($1 - 1) * {EACH} + g, repeat(''x'', 100)'
        ' FROM generate_series(1, {EACH}) g', 't' || n) USING number::bigint;
      EXECUTE format('UPDATE %I SET value = $1 WHERE id = 0', 't' || n) USING number::text;
    END LOOP;
    COMMIT;
  END LOOP;
END $$
"""
"""Each transaction writes to all tables: four rows whose ids follow on those before, and its number
into a row that is always the same."""

GAPS: Final = " UNION ALL ".join(
    f"SELECT 't{n}', count(*) - 1, max(id), max(value) FILTER (WHERE id = 0) FROM t{n}"
    for n in range(TABLES)
)


COMMITS: Final = "SELECT sum(seq) FROM penstock.checkpoint WHERE starts_with(lane, 'public.')"


class Watching:
    """Looks at the target while it is written to: when it last moved, and whether a table was ever
    seen with a row that one before it had not yet come to."""

    def __init__(self, target: Database) -> None:
        self._target = target
        self._over = threading.Event()
        self.moves: list[float] = []
        """Wall times at which more was durable than the time before; the first is the start's."""
        self.disorder: list[object] = []
        self._threads = [
            threading.Thread(target=self._look_at_progress),
            threading.Thread(target=self._look_at_tables),
        ]

    def _look_at_progress(self) -> None:
        commits = -1
        with psycopg.connect(self._target.dsn, autocommit=True) as connection:
            while not self._over.wait(LOOK_SECONDS):
                row = connection.execute(COMMITS).fetchone()
                if row is not None and row[0] != commits:
                    commits = row[0]
                    self.moves.append(time.time())

    def _look_at_tables(self) -> None:
        with psycopg.connect(self._target.dsn, autocommit=True) as connection:
            while not self._over.wait(10 * LOOK_SECONDS):
                for table, rows, last, number in connection.execute(GAPS).fetchall():
                    within = rows - EACH * int(number)  # rows of a transaction that was cut
                    if rows != last or not 0 <= within <= EACH:
                        self.disorder.append((table, rows, last, number))

    @contextmanager
    def inside(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()


def _resizes(run: Run) -> Sequence[float]:
    """Wall times at which the size was changed."""
    lines = [json.loads(line) for line in run.log if "capacity goes from" in line]
    return [wall(line) for line in lines]


@one_pair
def test_a_saturated_replication_is_resized_every_second_and_loses_nothing(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute(SCHEMA)
    replication: Replication = replicate(
        capacity={"unit_memory": "128MiB", "max": 16}, apply={"batch_rows_max": BATCH_ROWS}
    )
    replication.catch_up()
    source.execute(WORK)
    words = ["--log-format=json", f"--state-dir={replication.folder / 'state'}"]
    watching = Watching(target)
    with watching.inside(), Run([*words, str(replication.file)], {}, SWINGING) as run:
        replication.await_applied(run)
        assert run.stop() == 0
    assert watching.disorder == []
    assert replication.differences() == []
    assert not [line for line in run.log if "trying again" in line], "an attempt ended"
    _, begin, *_, end = watching.moves
    assert any(begin < at < end for at in _resizes(run)), "no size changed while there was work"


@one_pair
def test_the_copiers_of_a_load_follow_its_size(replicate: Replicate) -> None:
    """Two a unit: with eight units as many connections read as there are tables."""
    replication = replicate(
        load={"parallel_tables": 0, "loaders_per_table": 1},
        capacity={"min": 8, "max": 8, "copiers_per_unit": 2},
    )
    source, target = replication.source, replication.target
    source.execute("".join(f"CREATE TABLE l{n} (id int PRIMARY KEY);" for n in range(20)))
    source.execute("".join(f"INSERT INTO l{n} VALUES (1);" for n in range(20)))
    with replication.run() as run:
        run.state("streaming")
        assert run.stop() == 0
    lanes = target.execute("SELECT count(*) FROM penstock.checkpoint WHERE lane LIKE 'load:%'")
    assert lanes == [(16,)]
    assert replication.differences() == []
