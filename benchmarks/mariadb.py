"""MariaDB's end of a measurement: a server, rows written to its binary log once and read often."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import pymysql

from benchmarks.servers import DEADLINE_SECONDS, POLL_SECONDS
from tests.servers.mysql import MysqlServer

NAME: Final = "mariadb-10.11"

SCHEMA: Final = "shop"

SETTINGS: Final[Mapping[str, object]] = {
    "innodb_buffer_pool_size": "512M",
    "innodb_log_file_size": "1G",
    "max_binlog_size": "1G",
}
"""The same on every server of a measurement."""

EVENTS: Final = f"""
CREATE TABLE {SCHEMA}.events (id bigint PRIMARY KEY, kind int NOT NULL, name varchar(40) NOT NULL,
  happened timestamp(6) NOT NULL DEFAULT '2026-01-01', amount decimal(12,2), note varchar(80))
"""

EVENTS_IN_POSTGRES: Final = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE {SCHEMA}.events (id bigint PRIMARY KEY, kind int NOT NULL,
  name varchar(40) NOT NULL, happened timestamptz(6) NOT NULL, amount numeric(12,2),
  note varchar(80))
"""

ROW: Final = (
    "seq, seq % 1000, CONCAT('event number ', seq),"
    " TIMESTAMPADD(SECOND, seq, '2026-01-01 00:00:00'), (seq % 100000) / 100.0,"
    " CONCAT('note ', MD5(seq))"
)

ROWS_PER_TRANSACTION: Final = 100

DUMPING: Final = "SELECT id FROM information_schema.processlist WHERE command = 'Binlog Dump'"
"""A reader has asked for the log: what came before is start-up."""

_NOT_DUMPING: Final = f"SELECT 1 FROM DUAL WHERE NOT EXISTS ({DUMPING})"


@dataclass
class Log:
    """A server whose binary log has `rows` inserts behind `start`, in transactions of 100."""

    server: MysqlServer
    rows: int
    start: str
    transactions: int

    @property
    def url(self) -> str:
        return self.server.url()

    def ask(self, sql: str) -> Any:
        """The first column of the first row, None without rows."""
        found = self.server.execute(sql)
        return found[0][0] if found else None


COUNTED: Final = f"SELECT COUNT(*), SUM(id), SUM(kind), SUM(amount) FROM {SCHEMA}.events"
"""What both sides are compared by; exact on either."""

Ask: TypeAlias = Callable[[str], Sequence[Sequence[object]]]


def same_rows(log: Log, ask: Ask) -> bool:
    """Whether another server's `events` has the rows of the log's."""
    there, here = ask(COUNTED)[0], log.server.execute(COUNTED)[0]
    return list(map(str, there)) == list(map(str, here))


@contextmanager
def server(**settings: object) -> Iterator[MysqlServer]:
    """A server with an empty `shop`."""
    with MysqlServer(NAME, settings={**SETTINGS, **settings}) as running:
        running.execute(f"CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4")
        yield running


@contextmanager
def inserts(rows: int, *, each: int = ROWS_PER_TRANSACTION) -> Iterator[Log]:
    """Rows of `events`, `each` in a transaction."""
    with server() as running:
        running.execute(EVENTS)
        start = f"maria={running.execute('SELECT @@global.gtid_binlog_pos')[0][0]}"
        write(running, rows, each)
        yield Log(running, rows, start, rows // each)


def write(running: MysqlServer, rows: int, each: int) -> None:
    """Insert rows, `each` in a transaction."""
    with running.connect(SCHEMA) as connection, connection.cursor() as cursor:
        for first in range(1, rows + 1, each):
            last = min(first + each, rows + 1) - 1
            cursor.execute(f"INSERT INTO {SCHEMA}.events SELECT {ROW} FROM seq_{first}_to_{last}")
            connection.commit()


class MariaWatcher:
    """One open connection that asks the same small question until the answer is yes."""

    def __init__(self, running: MysqlServer) -> None:
        self._connection: pymysql.Connection[Any] = running.connect()
        self._connection.autocommit(True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def until(self, sql: str, *, alive: Any = None) -> float:
        """Wait for a row; the time (`time.perf_counter`) at which it came."""
        deadline = time.perf_counter() + DEADLINE_SECONDS
        while not self._ask(sql):
            if time.perf_counter() > deadline:
                raise TimeoutError(sql)
            if alive is not None and not alive() and not self._ask(sql):
                raise RuntimeError(f"the process ended before: {sql}")
            time.sleep(POLL_SECONDS)
        return time.perf_counter()

    def end_readers(self) -> None:
        """End who reads the log, and wait until they are gone: a server notices that a reader has
        left when it has something to send."""
        with self._connection.cursor() as cursor:
            cursor.execute(DUMPING)
            for (session,) in cursor.fetchall():
                with suppress(pymysql.OperationalError):  # it has ended by itself
                    cursor.execute(f"KILL {session}")
        self.until(_NOT_DUMPING)

    def _ask(self, sql: str) -> bool:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone() is not None
