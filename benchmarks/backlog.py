"""Changes made once and drained many times: every run reads them through a slot of its own.

The slot that stands before the backlog is Penstock's own, made by a short run of it; copies of it
begin at the same place. The publications are older than the backlog too, as decoding demands.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from benchmarks.penstock import Replication, running
from benchmarks.servers import Servers
from tests.servers.postgres import Database

PUBLICATION: Final = "native"

INSERTS_PER_TRANSACTION: Final = 100

EVENTS: Final = """
CREATE TABLE events (id bigint PRIMARY KEY, kind int NOT NULL, name text NOT NULL,
                     happened timestamptz NOT NULL, amount numeric(12,2))
"""

INSERTS: Final = """
DO $$ BEGIN
  FOR n IN 0 .. {transactions} - 1 LOOP
    INSERT INTO events SELECT g, g % 1000, 'event number ' || g,
        timestamptz '2026-01-01' + g * interval '1 s', (g % 100000) / 100.0
      FROM generate_series(n * {size} + 1, (n + 1) * {size}) g;
    COMMIT;
  END LOOP;
END $$
"""

HOT_KEYS: Final = 100_000

UPDATES_PER_TRANSACTION: Final = 20

HOT: Final = f"""
CREATE TABLE hot (id int PRIMARY KEY, value bigint NOT NULL, note text NOT NULL);
INSERT INTO hot SELECT g, 0, 'note number ' || g FROM generate_series(1, {HOT_KEYS}) g
"""

UPDATES: Final = """
DO $$ BEGIN
  FOR n IN 0 .. {transactions} - 1 LOOP
    UPDATE hot SET value = value + n FROM generate_series(1, {size}) g
      WHERE id = 1 + (n * {size} + g) * 7919::bigint % {keys};
    COMMIT;
  END LOOP;
  UPDATE hot SET value = -1 WHERE id = 1;
END $$
"""
"""Over all keys in turn, far apart: no two changes of one transaction share a key."""

PGBENCH_END: Final = """
UPDATE pgbench_accounts SET filler = 'end' WHERE aid = 1;
UPDATE pgbench_tellers SET filler = 'end' WHERE tid = 1;
UPDATE pgbench_branches SET filler = 'end' WHERE bid = 1;
INSERT INTO pgbench_history (tid, filler) VALUES (-1, 'end')
"""

PGBENCH_DRAINED: Final = """
SELECT (SELECT filler FROM pgbench_branches WHERE bid = 1) = 'end'
   AND (SELECT filler FROM pgbench_tellers WHERE tid = 1) = 'end'
   AND (SELECT filler FROM pgbench_accounts WHERE aid = 1) = 'end'
   AND EXISTS (SELECT FROM pgbench_history WHERE tid = -1)
"""
"""The last transaction touches every table, so each lane shows that it is through."""

PGBENCH_CLIENTS: Final = 4
CHANGES_PER_PGBENCH_TRANSACTION: Final = 4


@dataclass(frozen=True, slots=True)
class Backlog:
    """Changes that wait on the source. `template` is a target database that has the tables as they
    were before them; `drained` asks a target whether it has the last change of every table."""

    servers: Servers
    source: Database
    template: Database
    id: str
    rows: int
    transactions: int
    drained: str
    end: str
    sections: dict[str, dict[str, object]]

    @contextmanager
    def slot(self) -> Iterator[str]:
        """A slot at the beginning of the backlog."""
        name = f"drain_{self.servers.number()}"
        base = f"penstock_{self.id}"
        self.source.execute("SELECT pg_copy_logical_replication_slot(%s, %s)", base, name)
        try:
            yield name
        finally:
            self.source.execute(
                "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots"
                " WHERE slot_name = %s AND active_pid IS NOT NULL",
                name,
            )
            self.source.execute("SELECT pg_drop_replication_slot(%s)", name)


@contextmanager
def inserts(servers: Servers, rows: int) -> Iterator[Backlog]:
    """Rows inserted into one table, in transactions of 100."""

    def prepare(database: Database) -> None:
        database.execute(EVENTS)

    def work(source: Database) -> None:
        size = INSERTS_PER_TRANSACTION
        source.execute(INSERTS.format(transactions=rows // size, size=size))

    drained = f"SELECT EXISTS (SELECT FROM events WHERE id = {rows})"
    with _backlog(
        servers, "inserts", prepare, work, rows, rows // INSERTS_PER_TRANSACTION, drained
    ) as backlog:
        yield backlog


@contextmanager
def updates(servers: Servers, rows: int) -> Iterator[Backlog]:
    """Rows of one table updated by their keys, in transactions of 20."""
    size = UPDATES_PER_TRANSACTION

    def prepare(database: Database) -> None:
        database.execute(HOT)

    def work(source: Database) -> None:
        source.execute(UPDATES.format(transactions=rows // size, size=size, keys=HOT_KEYS))

    drained = "SELECT value = -1 FROM hot WHERE id = 1"
    with _backlog(servers, "updates", prepare, work, rows, rows // size, drained) as backlog:
        yield backlog


@contextmanager
def pgbench(servers: Servers, transactions: int, scale: int) -> Iterator[Backlog]:
    """pgbench's own transactions from four clients."""

    def prepare(database: Database) -> None:
        _pgbench(servers, database, "-i", "-q", "-s", str(scale))

    def work(source: Database) -> None:
        each = str(transactions // PGBENCH_CLIENTS)
        _pgbench(servers, source, "-n", "-c", str(PGBENCH_CLIENTS), "-t", each)
        source.execute(PGBENCH_END)

    rows = transactions * CHANGES_PER_PGBENCH_TRANSACTION
    with _backlog(
        servers, "pgbench", prepare, work, rows, transactions, PGBENCH_DRAINED
    ) as backlog:
        yield backlog


@contextmanager
def _backlog(
    servers: Servers,
    id: str,
    prepare: Callable[[Database], None],
    work: Callable[[Database], None],
    rows: int,
    transactions: int,
    drained: str,
) -> Iterator[Backlog]:
    sections: dict[str, dict[str, object]] = {"source": {"without_identity": "insert-only"}}
    with servers.source_database() as source, servers.target_database() as template:
        prepare(source)
        prepare(template)
        source.execute(f"CREATE PUBLICATION {PUBLICATION} FOR ALL TABLES")
        _prime(servers, source, template, id, sections)
        work(source)
        end = source.execute("SELECT pg_current_wal_flush_lsn()::text")[0][0]
        yield Backlog(servers, source, template, id, rows, transactions, drained, end, sections)


def _prime(
    servers: Servers,
    source: Database,
    template: Database,
    id: str,
    sections: dict[str, dict[str, object]],
) -> None:
    """Let Penstock make its publications and the slot, in front of everything that follows."""
    with servers.target_database(template.name) as target:
        replication = Replication(source=source.dsn, target=target.dsn, id=id, sections=sections)
        with running(replication, "--stop-at", "caught-up") as run:
            run.wait()


def _pgbench(servers: Servers, database: Database, *arguments: str) -> None:
    command = [servers.program("pgbench"), *arguments, database.dsn]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pgbench failed: {done.stderr[-2000:]}")
