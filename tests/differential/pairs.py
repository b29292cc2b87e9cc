"""Writers at random between servers of two families, and at markers every table compared whole.

A marker: the writers stand still, and within a time every table of the source has to be on the
target, row by row. Every other one is reached by a worker that was killed on its way. A table that
stopped for what the documentation says is not followed is loaded again, and counted.
"""

import random
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.differential.mysql.kinds import KINDS, MARIADB, MYSQL
from tests.differential.mysql.schema_changes import SchemaChanges
from tests.differential.mysql.session import MysqlSession
from tests.differential.mysql.statements import Statements
from tests.differential.mysql.switches import Switches
from tests.differential.mysql.tables import IMAGES, Dialect, random_tables
from tests.differential.postgres import statements as postgres_statements
from tests.differential.postgres import tables as postgres_tables
from tests.differential.postgres.kinds import FINITE_KINDS, TYPES
from tests.differential.postgres.session import PostgresSession
from tests.differential.reading import Reader, difference, reader
from tests.differential.work import WRITERS, Result, Writer, write
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import SCHEMA, MysqlSide, PostgresSide, Side
from tests.scenario.running import Run

PATIENCE_SECONDS: Final = 90.0
"""Until a table has to be equal; loads of tables that were swapped in are part of it."""

LOOK_SECONDS: Final = 0.25

STOPPED: Final = ("suspended", "needs-reload")

LEFT: Final = "not carried any more"
"""The reason of a table whose name another one has taken; that one is about to be loaded."""

DOCUMENTED: Final[Mapping[str, str]] = {
    "a new row without a value": "row image without defaults",
    "which columns went back to their defaults": "row image of a replaced row",
    "a JSON document of which only changes were logged": "row image without the document",
}
"""What the reason of a stop says -> what it is called: docs/guide/mysql.md has them all."""


def between(folder: Path, source: Side, target: Side, mode: str) -> PairReplication:
    """A replication that keeps nothing on the target that the source has not."""
    name = f"differ-{source.engine}-{target.engine}"
    apply = {"mode": mode, "drop_columns": True}
    # A log that tells what foreign keys did is for a target where they do nothing.
    role = {"session_replication_role": "replica"} if _tells_actions(source) else {}
    settings: dict[str, object] = {}
    if isinstance(source, PostgresSide):
        # None of the looks at single partitions: their false alarms are known.
        settings["watch_partitions"] = False
    elif isinstance(target, PostgresSide):
        # Columns that have swapped their names get each other's values, of which INSERT IGNORE, and
        # a session that is not strict, makes dates that are none.
        settings["zero_dates"] = "earliest"
    sections: dict[str, Mapping[str, object]] = {"apply": apply, "source": settings, "target": role}
    return PairReplication.between(folder, name, source, target, **sections)


def _tells_actions(source: Side) -> bool:
    if not isinstance(source, MysqlSide):
        return False
    found = source.database.execute("SHOW VARIABLES LIKE 'innodb_native_foreign_keys'")
    return found == [("innodb_native_foreign_keys", "OFF")]


def differ(replication: PairReplication, *, seed: int, transactions: int, markers: int) -> Result:
    """Run the replication on tables at random, loaded while empty, and write. The first marker
    that shows a difference ends it."""
    began = time.monotonic()
    whole = 'mode = "transactional"' in replication.file.read_text()
    writers = _writers(replication.source, seed, whole=whole)
    result = Result()
    with (
        closing(reader(replication.source)) as source,
        closing(reader(replication.target)) as target,
        replication.run() as run,
    ):
        run.state("streaming")
        marker = _Marker(replication, source, target, run)
        while result.markers < markers and not result.differences:
            write(writers, transactions // markers // WRITERS)
            if result.markers % 2:
                run.kill_worker()
            result.differences = marker.differences()
            result.markers += 1
        assert run.stop() == 0, run.story()
        result.met = sum((writer.met for writer in writers), marker.met)
    result.transactions = sum(writer.committed for writer in writers)
    result.seconds = time.monotonic() - began
    return result


class _Marker:
    def __init__(
        self, replication: PairReplication, source: Reader, target: Reader, run: Run
    ) -> None:
        self._replication = replication
        self._source = source
        self._target = target
        self._run = run
        self._asked: set[str] = set()
        self.met: Counter[str] = Counter()

    def differences(self) -> list[str]:
        """Tables that are not equal in the end, or stopped for no documented reason."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        left = self._source.tables()
        told: dict[str, str] = {}
        while True:
            stops = self._stops()
            if unheard := [stop for stop in stops if not self._reloaded(*stop)]:
                return [f"{table}: stopped: {reason}" for table, reason in unheard]
            told = {t: found for t in left if (found := self._difference(t))}
            left = list(told)
            if not left and not self._stops():
                return []
            if self._run.process.poll() is not None:
                return ["penstock ended", *self._run.log[-3:], *told.values()]
            if time.monotonic() > deadline:
                states = self._target.states()
                return [
                    *(f"{found}\n  {states.get(t)}" for t, found in told.items()),
                    self._run.story(),
                ]
            time.sleep(LOOK_SECONDS)

    def _difference(self, table: str) -> str:
        return difference(self._source, self._target, table)

    def _stops(self) -> list[tuple[str, str]]:
        tables = self._source.tables()
        stopped = {
            table: reason
            for table, (state, reason) in self._target.states().items()
            if state in STOPPED and LEFT not in reason and table in tables
        }
        self._asked &= set(stopped)
        return list(stopped.items())

    def _reloaded(self, table: str, reason: str) -> bool:
        """Whether it stopped for a documented reason; it is then loaded again, as new."""
        if table in self._asked:
            return True
        for words, name in DOCUMENTED.items():
            if words in reason:
                self.met[f"stop: {name}"] += 1
                self._asked.add(table)
                self._target.drop(table)
                code, said = self._replication.command("reload", f"{SCHEMA}.{table}")
                assert code == 0, said
                return True
        return False


# --- writers --------------------------------------------------------------------------------------


def _writers(source: Side, seed: int, *, whole: bool) -> list[Writer]:
    if isinstance(source, MysqlSide):
        return _mysql_writers(source, seed, whole=whole)
    assert isinstance(source, PostgresSide)
    return _postgres_writers(source, seed)


def _postgres_writers(source: PostgresSide, seed: int) -> list[Writer]:
    tables = postgres_tables.random_tables(random.Random(seed), FINITE_KINDS)
    made = TYPES + ";\n".join(table.create() for table in tables)
    source.execute(f"SET search_path = {SCHEMA}; {made}")

    def writer(number: int) -> Writer:
        chance = random.Random(f"{seed}-{number}")
        works = postgres_statements.Statements(tables, chance, number, FINITE_KINDS)
        return Writer(lambda: PostgresSession(source.url, SCHEMA), works, schema=number == 0)

    return [writer(number) for number in range(WRITERS)]


def _mysql_writers(source: MysqlSide, seed: int, *, whole: bool) -> list[Writer]:
    server = source.database.server
    dialect = Dialect(
        MARIADB if server.mariadb else MYSQL,
        old=server.name == "mysql-8.0",
        generated=not server.mariadb,
        # A table that stops ends a replication that keeps transactions whole.
        images=("FULL",) if whole else IMAGES,
    )
    kinds = dialect.kinds(KINDS)
    tables = random_tables(random.Random(seed), kinds, dialect)
    for table in tables:
        source.database.execute(table.create())

    def writer(number: int) -> Writer:
        chance = random.Random(f"{seed}-{number}")
        switches = Switches(chance, dialect, number)
        schema = SchemaChanges(tables, chance, kinds, dialect)
        works = Statements(tables, chance, schema, switches, number)
        return Writer(lambda: MysqlSession(server, switches.opening()), works, schema=number == 0)

    return [writer(number) for number in range(WRITERS)]
