"""Writers at random on a real source, and at markers every table compared whole.

A marker: the writers stand still, everything committed has to arrive, and both servers are asked
for each table's number of rows and a hash of them all.
"""

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, Final

import psycopg

from tests.differential.kinds import TYPES
from tests.differential.statements import Copy, Statements, Work
from tests.differential.tables import RandomTable, random_tables
from tests.scenario.running import Replication, Run, until
from tests.servers.postgres import Database

WRITERS: Final = 2

SCHEMA_CHANGES: Final = 25
"""Transactions of one writer between two with a schema change."""

LOCK_TIMEOUT: Final = "5s"
"""Writers, schema changes among their work, must not wait for each other for ever."""

TRIED_IN_VAIN: Final = (
    psycopg.errors.IntegrityError,  # the rows of two statements meet
    psycopg.errors.OperationalError,  # deadlocks, lock timeouts, rows that moved meanwhile
    psycopg.errors.ProgrammingError,  # a column that the other writer has just dropped
    psycopg.errors.DataError,
)
"""What an application meets here; its transaction is rolled back."""

ROWS_SHOWN: Final = 5


@dataclass(slots=True)
class Result:
    """What was run; `differences` are tables that were not equal at a marker."""

    transactions: int = 0
    markers: int = 0
    differences: list[str] = field(default_factory=list[str])
    met: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0.0


class Writer:
    """One connection that does works of its own; the same seed makes the same works."""

    def __init__(self, dsn: str, tables: list[RandomTable], seed: int, number: int) -> None:
        self._dsn = dsn
        self._chance = random.Random(f"{seed}-{number}")
        self._statements = Statements(tables, self._chance, number)
        self._changes_schema = number == 0
        self._works = 0
        self.committed = 0
        self.error: Exception | None = None

    @property
    def met(self) -> Counter[str]:
        return self._statements.met

    def write(self, count: int) -> None:
        """Commit so many transactions. An error that no application expects is kept in `error`."""
        try:
            with psycopg.connect(self._dsn, autocommit=True) as connection:
                connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
                goal = self.committed + count
                while self.committed < goal:
                    self._one(connection)
        except Exception as error:  # noqa: BLE001 (raised by whoever joins the thread)
            self.error = error

    def _one(self, connection: "psycopg.Connection[Any]") -> None:
        self._works += 1
        schema = self._changes_schema and self._works % SCHEMA_CHANGES == 0
        work = self._statements.schema_work() if schema else self._statements.work()
        try:
            _do(connection, work)
        except TRIED_IN_VAIN:
            connection.execute("ROLLBACK")
            self.met["in vain"] += 1
            return
        for done in work.after:
            done()
        self.committed += work.end != "ROLLBACK"


def _do(connection: "psycopg.Connection[Any]", work: Work) -> None:
    connection.execute("BEGIN")
    for step in work.steps:
        if isinstance(step, Copy):
            with connection.cursor().copy(step.statement) as copy:
                copy.write("".join(f"{line}\n" for line in step.lines))
        else:
            connection.execute(step.encode())
    if work.end != "PREPARE":
        connection.execute(work.end.encode())
        return
    connection.execute(f"PREPARE TRANSACTION '{work.named}'".encode())
    connection.execute(f"COMMIT PREPARED '{work.named}'".encode())


def between(folder: Path, source: Database, target: Database, mode: str) -> Replication:
    """A replication that keeps nothing on the target that the source has not. It does not look for
    single partitions that were truncated: none is here, and the looks' false alarms are known."""
    return Replication.between(
        folder,
        "differ",
        source,
        target,
        source={"watch_partitions": False},
        apply={"mode": mode, "drop_columns": True},
    )


def differ(replication: Replication, *, seed: int, transactions: int, markers: int) -> Result:
    """Run the replication on tables at random, loaded while empty, and write. The first marker
    that shows a difference ends it."""
    began = time.monotonic()
    tables = random_tables(random.Random(seed))
    replication.source.execute(TYPES + ";\n".join(table.create() for table in tables))
    writers = [Writer(replication.source.dsn, tables, seed, n) for n in range(WRITERS)]
    result = Result()
    with replication.run() as run:
        run.state("streaming")
        while result.markers < markers and not result.differences:
            _write(writers, transactions // markers // WRITERS)
            result.differences = _compare(replication, run)
            result.markers += 1
        assert run.stop() == 0, run.story()
    result.transactions = sum(writer.committed for writer in writers)
    result.met = sum((writer.met for writer in writers), Counter())
    result.seconds = time.monotonic() - began
    return result


def _write(writers: list[Writer], count: int) -> None:
    threads = [Thread(target=writer.write, args=(count,), daemon=True) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for writer in writers:
        if writer.error is not None:
            raise writer.error


def _compare(replication: Replication, run: Run) -> list[str]:
    replication.await_applied(run)
    tables = replication.tables()
    until(lambda: all(replication.state(t) == "streaming" for t in tables), "new tables", run=run)
    replication.await_applied(run)
    return [_shown(replication, found) for found in replication.differences(tables)]


def _shown(replication: Replication, difference: str) -> str:
    """The difference with some of the rows that only one side has, as text."""
    table = difference.partition(":")[0]
    query = f"SELECT t::text FROM {table} t"
    sides = [
        Counter(text for (text,) in database.execute(query))
        for database in (replication.source, replication.target)
    ]
    columns = [_columns(database, table) for database in (replication.source, replication.target)]
    only = [sorted((sides[n] - sides[1 - n]).elements())[:ROWS_SHOWN] for n in (0, 1)]
    heads = [f"  {name}: {c}" for name, c in zip(("source", "target"), columns, strict=True)]
    return "\n".join([difference, heads[0], *only[0], heads[1], *only[1]])


def _columns(database: Database, table: str) -> str:
    """Names and types, in the table's order: what differs may be only these."""
    found = database.execute(
        "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', '"
        " ORDER BY attnum) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        table,
    )
    return str(found[0][0])
