"""A load on several tables that can be set at any moment, and how far the target is behind it.

Both are told by the rows themselves: each transaction writes its number and the time to the first
row of every table, so what the target shows is what was applied, whatever is measured elsewhere.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Self

import psycopg

from tests.servers.postgres import Database

OLD: Final = 5_000
"""Rows of a table before anything happens: planners of both servers see that an index is of use."""

TICK_SECONDS: Final = 0.05
"""How often a steady load is brought up to its rate."""

PIECE_SECONDS: Final = 0.25
"""Of its rate, what a load that is behind writes at once."""

LOOK_SECONDS: Final = 0.1
"""Time between two looks at the target."""

STRETCH_SECONDS: Final = 5.0
"""A lag that is gone stays away for so long."""

PATIENCE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Look:
    """What the target has: `rows` changes since the beginning, the oldest table of which was
    written `lag` seconds ago. `at` is of `time.monotonic`."""

    at: float
    rows: int
    lag: float


@dataclass
class Pressure:
    """Rows are written on `source`, transaction by transaction, to all `tables` of them: `rate` a
    second, as far as the source comes along, or with None as many as the target takes. At a rate of
    0 nothing happens."""

    source: Database
    target: Database
    tables: int
    rows: int = 5
    """Changes of a transaction in each table: new rows, and an update of the first one."""
    width: int = 10
    """Bytes of text in a row."""
    waiting_rows: int = 200_000
    """By so many changes a load without a rate is ahead of the target: some seconds of work, so
    that somebody always waits, and not more than can be waited for at the end."""
    rate: float | None = 0.0
    written: int = 0
    """Transactions committed so far."""
    looks: list[Look] = field(default_factory=list[Look])
    _over: threading.Event = field(default_factory=threading.Event)
    _resting: threading.Event = field(default_factory=threading.Event)
    """The writer has nothing under way."""
    _failed: list[Exception] = field(default_factory=list[Exception])

    @property
    def transaction_rows(self) -> int:
        return self.tables * self.rows

    def transactions(self, rows: float) -> int:
        """How many transactions make that many rows."""
        return round(rows / self.transaction_rows)

    @contextmanager
    def going(self) -> Iterator[Self]:
        """Write and look inside the context. The tables are made before."""
        threads = [
            threading.Thread(target=self._guarded, args=(each,), daemon=True)
            for each in (self._write, self._look)
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
        self._check()

    def prepare(self) -> None:
        """The tables on both sides, and what writes to them."""
        now = datetime.now(UTC).isoformat()  # the same on both sides
        for database in (self.source, self.target):
            for number in range(self.tables):
                database.execute(
                    f"CREATE TABLE t{number} (id bigint PRIMARY KEY, number bigint NOT NULL,"
                    f" at timestamptz NOT NULL, filler text); INSERT INTO t{number}"
                    f" SELECT -g, 0, '{now}' FROM generate_series(0, {OLD}) g; ANALYZE t{number}"
                )
        self.source.execute(_work(self.tables, self.rows - 1, self.width))

    # --- what is waited for ---------------------------------------------------------------------

    def until(
        self, holds: Callable[[], bool], what: str, patience: float = PATIENCE_SECONDS
    ) -> None:
        """Wait until that holds."""
        deadline = time.monotonic() + patience
        while not holds():
            self._check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {patience:.0f} s for {what}; {self.looks[-3:]}")
            time.sleep(LOOK_SECONDS)

    def until_applied(self) -> None:
        """Stop writing, and wait until all of it is on the target."""
        self.rate = 0.0
        self._resting.clear()
        self.until(self._resting.is_set, "the source to be through")
        self.until(
            lambda: self.applied >= self.written * self.transaction_rows, "all to be applied"
        )

    def until_recovered(self, since: float, goal: float, patience: float) -> float:
        """Seconds from `since` until the lag was below `goal` seconds and stayed there; at least
        `patience` where it never was."""
        while True:
            now = time.monotonic()
            recovered = recovery(self.looks, since, goal)
            if recovered is not None or now - since > patience:
                return now - since if recovered is None else recovered
            self._check()
            time.sleep(LOOK_SECONDS)

    def throughput(self, seconds: float) -> float:
        """Rows a second that reach the target in the time that begins now."""
        first = len(self.looks) - 1
        time.sleep(seconds)
        self._check()
        begin, end = self.looks[first], self.looks[-1]
        return (end.rows - begin.rows) / (end.at - begin.at)

    @property
    def applied(self) -> int:
        """Rows that the target had at the last look."""
        return self.looks[-1].rows if self.looks else 0

    # --- inside -----------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._failed:
            raise self._failed[0]

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - shown by whoever waits
            self._failed.append(error)

    def _write(self) -> None:
        with psycopg.connect(self.source.dsn, autocommit=True) as connection:
            owed, seen, before = 0.0, time.monotonic(), self.rate
            while not self._over.wait(TICK_SECONDS):
                rate, now = self.rate, time.monotonic()
                if rate != before or rate == 0.0:
                    owed = 0.0  # what it is behind with another rate is no business of this one
                if rate == 0.0:
                    self._resting.set()
                elif rate is None:
                    owed = self._room()
                else:
                    owed += rate * (now - seen) / self.transaction_rows
                seen, before = now, rate
                count = int(min(owed, self._piece(rate)))
                if count > 0:
                    connection.execute(f"CALL work({self.written}, {count})".encode())
                    self.written += count
                    owed -= count

    def _piece(self, rate: float | None) -> float:
        """Transactions that are asked for at once: so few that what is set anew is soon heeded."""
        rows = self.waiting_rows / 10 if rate is None else rate * PIECE_SECONDS
        return max(1.0, rows / self.transaction_rows)

    def _room(self) -> float:
        """Transactions until enough waits for the target."""
        return (self.waiting_rows - self.applied) / self.transaction_rows + self.written

    def _look(self) -> None:
        heads = " UNION ALL ".join(
            f"SELECT number, at FROM t{number} WHERE id = 0" for number in range(self.tables)
        )
        question = (
            "SELECT sum(number)::bigint, extract(epoch FROM clock_timestamp() - min(at))"
            f"::float8 FROM ({heads}) AS heads"
        ).encode()
        with psycopg.connect(self.target.dsn, autocommit=True) as connection:
            while not self._over.wait(LOOK_SECONDS):
                row = connection.execute(question, prepare=True).fetchone()
                assert row is not None
                self.looks.append(Look(time.monotonic(), row[0] * self.rows, row[1]))


def recovery(looks: Sequence[Look], since: float, goal: float) -> float | None:
    """Seconds from `since` to the last look that was `goal` seconds behind; None while it is not
    long enough ago to be the last. 0: it never was so far behind."""
    last = max((look.at for look in looks if look.lag >= goal), default=since)
    if not looks or looks[-1].at - max(last, since) < STRETCH_SECONDS:
        return None
    return max(0.0, last - since)


def _work(tables: int, rows: int, width: int) -> str:
    """A procedure that commits so many transactions, numbered on from one that was before."""
    filler = "x" * width
    statements = "".join(
        f"INSERT INTO t{number} SELECT (now - 1) * {rows} + g, now, clock_timestamp(), '{filler}'"
        f" FROM generate_series(1, {rows}) g;"
        f"UPDATE t{number} SET number = now, at = clock_timestamp() WHERE id = 0;"
        for number in range(tables)
    )
    return f"""
        CREATE PROCEDURE work(before bigint, count bigint) LANGUAGE plpgsql AS $$ BEGIN
          FOR now IN before + 1 .. before + count LOOP
            {statements}
            COMMIT;
          END LOOP;
        END $$
    """
