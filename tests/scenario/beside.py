"""How much the neighbours of a table that does not move carry, beside what they carry otherwise.

    python -m tests.scenario.beside --how locked --pairs 5

A pair is the same work done twice on one run of the replication, once while one of five tables is
held up on the target and once while none is; which comes first takes turns. The work is written as
fast as the source takes it, and the time is taken until the neighbours have all of it. Only the
ratio of both times counts, so the machine's speed does not, nor does most of what else it does.
"""

import argparse
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import psycopg

from tests.scenario.running import Replication, Run, until
from tests.servers.postgres import Cluster, Database

NEIGHBOURS: Final = ("n1", "n2", "n3", "n4")

SCHEMA: Final = """
CREATE TABLE held (id bigint PRIMARY KEY, value text);
CREATE TABLE n1 (LIKE held INCLUDING ALL);
CREATE TABLE n2 (LIKE held INCLUDING ALL);
CREATE TABLE n3 (LIKE held INCLUDING ALL);
CREATE TABLE n4 (LIKE held INCLUDING ALL);
INSERT INTO held VALUES (0, 'held');
CREATE PROCEDURE work(first int, count int, width int) LANGUAGE plpgsql AS $$
DECLARE name text; BEGIN
  FOR number IN first .. first + count - 1 LOOP
    FOREACH name IN ARRAY '{n1,n2,n3,n4}'::text[] LOOP
      EXECUTE format('INSERT INTO %I SELECT $1::bigint * 10 + g, repeat(''x'', 100)'
        ' FROM generate_series(1, 8) g', name) USING number;
    END LOOP;
    INSERT INTO held VALUES (number, repeat('x', width));
    UPDATE held SET value = number WHERE id = 0;
    COMMIT;
  END LOOP;
END $$;
"""
"""Every transaction writes 32 rows to the neighbours, and to `held` two, of which one is always the
same: little, so that what a held table spares the target hardly shows."""

TRANSACTIONS: Final = 12_000
"""In half a pair: longer than it takes to be noticed as stuck, several times over."""

PATIENCE_SECONDS: Final = 300.0

SLOW_SECONDS: Final = 0.01
"""What a row costs more on a target table that is slow."""

WIDTHS: Final = {"locked": 100, "slow": 6_000}
"""Bytes of a row of `held`: what comes for a slow table exceeds the whole queue."""


@contextmanager
def locked(target: Database) -> Iterator[None]:
    """Somebody on the target holds the row that every transaction writes to."""
    with psycopg.connect(target.dsn) as connection:
        connection.execute("UPDATE held SET value = 'mine' WHERE id = 0")
        yield
        connection.rollback()


@contextmanager
def slow(target: Database) -> Iterator[None]:
    """Every row of the table takes long, and all of them come through in the end."""
    target.execute(
        "CREATE OR REPLACE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF TG_OP = 'INSERT' THEN PERFORM pg_sleep({SLOW_SECONDS}); END IF; RETURN NEW; END $$;"
        " CREATE TRIGGER dawdle BEFORE INSERT ON held FOR EACH ROW"
        " EXECUTE FUNCTION dawdle()"
    )
    yield
    target.execute("DROP TRIGGER dawdle ON held")


HOLDS: Final[Mapping[str, Callable[[Database], AbstractContextManager[None]]]] = {
    "locked": locked,
    "slow": slow,
}


class Course:
    """Work done again and again on one run of a replication."""

    def __init__(
        self, replication: Replication, run: Run, transactions: int, width: int = 100
    ) -> None:
        """`width`: bytes of a row of `held`."""
        self._replication = replication
        self._run = run
        self._transactions = transactions
        self._width = width
        self._next = 1

    def seconds(self) -> float:
        """Write the work; the time until the neighbours have it."""
        began = time.monotonic()
        first, self._next = self._next, self._next + self._transactions
        work = f"CALL work({first}, {self._transactions}, {self._width})"
        self._replication.source.execute(work)
        self.await_neighbours()
        return time.monotonic() - began

    def await_neighbours(self) -> None:
        """Wait until every neighbour has all that was written."""
        last = (self._next - 1) * 10 + 8
        question = " UNION ALL ".join([f"SELECT max(id) FROM {name}" for name in NEIGHBOURS])
        with psycopg.connect(self._replication.target.dsn, autocommit=True) as connection:
            until(
                lambda: all(row == (last,) for row in connection.execute(question).fetchall()),
                "the neighbours to have everything",
                patience=PATIENCE_SECONDS,
                run=self._run,
            )


def ratios(
    replication: Replication, how: str, *, pairs: int, transactions: int = TRANSACTIONS
) -> Sequence[float]:
    """Of each pair: the neighbours' throughput beside a held table, by that beside a moving one."""
    replication.source.execute(SCHEMA)
    found: list[float] = []
    with replication.run() as run:
        run.state("streaming")
        course = Course(replication, run, transactions, WIDTHS[how])
        course.seconds()  # what the first of all meets: plans, caches, files to be made
        for number in range(pairs):
            seconds: dict[bool, float] = {}
            for held in (number % 2 == 0, number % 2 != 0):
                if held:
                    with HOLDS[how](replication.target):
                        seconds[held] = course.seconds()
                else:
                    seconds[held] = course.seconds()
                replication.await_applied(run, PATIENCE_SECONDS)
            found.append(seconds[False] / seconds[True])
        assert run.stop() == 0, run.story()
    assert replication.differences() == []
    return found


def ratios_between(
    source: Cluster, target: Cluster, how: str, *, pairs: int, transactions: int = TRANSACTIONS
) -> Sequence[float]:
    """The same between fresh databases of these servers."""
    ends = Database.create(source, f"{how}_from"), Database.create(target, f"{how}_to")
    with tempfile.TemporaryDirectory() as folder:
        replication = Replication.between(Path(folder), f"beside-{how}", *ends)
        found = ratios(replication, how, pairs=pairs, transactions=transactions)
    for database in ends:
        database.drop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.scenario.beside", description=__doc__)
    parser.add_argument("--how", choices=list(HOLDS), default="locked")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--transactions", type=int, default=TRANSACTIONS)
    parser.add_argument("--source", default="15", help="major version of PostgreSQL")
    parser.add_argument("--target", default="18", help="major version of PostgreSQL")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with Cluster(given.source) as source, Cluster(given.target) as target:
        found = ratios_between(
            source, target, given.how, pairs=given.pairs, transactions=given.transactions
        )
    shown = " ".join([f"{ratio:.2f}" for ratio in found])
    sys.stdout.write(f"{given.how}: {shown}; median {statistics.median(found):.2f}\n")


if __name__ == "__main__":
    main()
