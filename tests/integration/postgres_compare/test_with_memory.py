"""A memory server beside a real one: texts that systems of different families print alike."""

from connectors.memory.compare import MemoryComparable
from connectors.memory.database import MemoryDatabase
from connectors.memory.definitions import table
from connectors.postgres.compare import PostgresComparable
from engine.model.canonical import CANONICAL
from engine.model.relation import TableName
from engine.validate.compare import Limits, TablePair, compare
from engine.validate.report import Report
from tests.integration.postgres_compare.system_clock import SystemClock
from tests.servers.postgres import Database

NAME = TableName("public", "t")
ROWS = [("1", "one"), ("2", ""), ("3", None), ("é", "ü|~")]


async def _compared(memory: MemoryDatabase, database: Database) -> Report:
    source = MemoryComparable("source", memory)
    target = PostgresComparable("target", database.dsn)
    await source.open()
    try:
        return await compare(
            [TablePair(NAME, NAME)],
            source,
            target,
            replication="r",
            clock=SystemClock(),
            limits=Limits(listed_rows_max=3, patience_seconds=2.0),
        )
    finally:
        await source.close()
        await target.close()


async def test_equal_rows_are_equal_and_a_difference_is_found(target_database: Database) -> None:
    memory = MemoryDatabase("memory")
    memory.put_table(NAME, table("public.t", ["id", "v"], key=["id"]))
    server = memory.begin()
    for key, value in ROWS:
        server.insert(NAME, (key.encode(), None if value is None else value.encode()))
    memory.commit(server)
    target_database.execute("CREATE TABLE t (id text PRIMARY KEY, v text)")
    for row in ROWS:
        target_database.execute("INSERT INTO t VALUES (%s, %s)", *row)
    report = await _compared(memory, target_database)
    assert (report.method, report.tables[0].problem) == (CANONICAL, "")
    assert (report.tables[0].equal, report.tables[0].rows_source) == (True, len(ROWS))
    target_database.execute("UPDATE t SET v = 'other' WHERE id = 'é'")
    target_database.execute("DELETE FROM t WHERE id = '1'")
    found = (await _compared(memory, target_database)).tables[0]
    assert (found.different, found.missing, found.extra) == (1, 1, 0)
    assert sorted(difference.key for difference in found.keys) == [("1",), ("é",)]
