"""A replication that is resized every second while it has more to do than it can."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
import pytest

from tests.scenario.conftest import Replicate, one_pair
from tests.scenario.pauses import Moves, pauses, resizes, swinging
from tests.scenario.running import Replication, Run
from tests.servers.postgres import Database

TABLES: Final = 16

TRANSACTIONS: Final = 2_000

BATCH_ROWS: Final = 100
"""So few that there is a commit every few milliseconds while nothing holds them up."""

EACH: Final = 4
"""Rows of a transaction in each table."""

LOOK_SECONDS: Final = 0.1

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


class Order:
    """Looks at the target while it is written to: whether a table was ever seen with a row that one
    before it had not yet come to."""

    def __init__(self, target: Database) -> None:
        self._target = target
        self._over = threading.Event()
        self.broken: list[object] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look inside the context."""
        thread = threading.Thread(target=self._look, name="order")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _look(self) -> None:
        with psycopg.connect(self._target.dsn, autocommit=True) as connection:
            while not self._over.wait(LOOK_SECONDS):
                for table, rows, last, number in connection.execute(GAPS).fetchall():
                    within = rows - EACH * int(number)  # rows of a transaction that was cut
                    if rows != last or not 0 <= within <= EACH:
                        self.broken.append((table, rows, last, number))


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
    moves, order = Moves(target), Order(target)
    with (
        moves.watched(),
        order.watched(),
        Run([*words, str(replication.file)], {}, swinging(1)) as run,
    ):
        replication.await_applied(run)
        assert run.stop() == 0
    assert order.broken == []
    assert replication.differences() == []
    assert not [line for line in run.log if "trying again" in line], "an attempt ended"
    _, begin, *_, end = moves.times
    assert any(begin < at < end for at in resizes(run.log)), "no size changed while there was work"


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


def test_a_pause_counts_for_every_change_that_it_touches() -> None:
    times = [0.0, 0.1, 0.9, 1.0, 1.1, 1.4]
    assert pauses(times, [0.5, 1.05, 2.0]) == pytest.approx([0.8, 0.3])
    assert pauses(times, []) == []
