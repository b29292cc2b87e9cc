"""Writers at random on a real source, and at markers every table compared whole.

A marker: the writers stand still, everything committed has to arrive, and both servers are asked
for each table's number of rows and a hash of them all.
"""

import random
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.differential.postgres.kinds import TYPES
from tests.differential.postgres.session import PostgresSession
from tests.differential.postgres.statements import Statements
from tests.differential.postgres.tables import RandomTable, random_tables
from tests.differential.work import WRITERS, Result, Writer, write
from tests.scenario.running import Replication, Run, until
from tests.servers.postgres import Database

ROWS_SHOWN: Final = 5


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
    writers = [_writer(replication.source.dsn, tables, seed, n) for n in range(WRITERS)]
    result = Result()
    with replication.run() as run:
        run.state("streaming")
        while result.markers < markers and not result.differences:
            write(writers, transactions // markers // WRITERS)
            result.differences = _compare(replication, run)
            result.markers += 1
        assert run.stop() == 0, run.story()
    result.transactions = sum(writer.committed for writer in writers)
    result.met = sum((writer.met for writer in writers), Counter())
    result.seconds = time.monotonic() - began
    return result


def _writer(dsn: str, tables: list[RandomTable], seed: int, number: int) -> Writer:
    works = Statements(tables, random.Random(f"{seed}-{number}"), number)
    return Writer(lambda: PostgresSession(dsn), works, schema=number == 0)


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
