"""Writers on the source whose tables betray a lost, repeated, torn or reordered change.

- `account`: transfers; the sum of all balances is constant in every committed state.
- `audit`: no key, inserted into by every transaction: exactly once shows as equal multisets.
- `counter`, `step`: a counter and a row for each of its values: no gap at any committed state.
- `moving`: keys change and large values stay UNCHANGED while their neighbours change.
- `invoice`, `line`: tied by a foreign key.
- `lost_and_found`: no primary key, REPLICA IDENTITY FULL, with equal rows.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

import psycopg

from tests.servers.postgres import Database

ACCOUNTS: Final = 40
BALANCE: Final = 1_000
MOVING: Final = 60
COUNTERS: Final = 4
LARGE: Final = 6_000
"""Bytes of a large value: more than a page's share, so it is stored out of line (TOAST)."""

WIDE_KEYS: Final = 1_000
"""`moving` keys come from 0 to here times the chunk width, so that they cross chunks."""

SCHEMA: Final = f"""
CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL, note text);
INSERT INTO account SELECT g, {BALANCE}, 'opened' FROM generate_series(1, {ACCOUNTS}) g;
CREATE TABLE audit (writer int NOT NULL, number bigint NOT NULL, what text);
ALTER TABLE audit REPLICA IDENTITY FULL;
CREATE TABLE counter (id int PRIMARY KEY, value bigint NOT NULL);
INSERT INTO counter SELECT g, 0 FROM generate_series(1, {COUNTERS}) g;
CREATE TABLE step (counter int, value bigint, at timestamptz DEFAULT clock_timestamp(),
  PRIMARY KEY (counter, value));
CREATE TABLE moving (id bigint PRIMARY KEY, tag int NOT NULL, small text, large text);
ALTER TABLE moving ALTER COLUMN large SET STORAGE EXTERNAL;
INSERT INTO moving SELECT g, 0, 'small', repeat(md5(g::text), {LARGE // 32})
  FROM generate_series(1, {MOVING}) g;
CREATE TABLE invoice (id int PRIMARY KEY, total bigint NOT NULL);
CREATE TABLE line (id int PRIMARY KEY, invoice int NOT NULL REFERENCES invoice, amount bigint);
CREATE TABLE lost_and_found (what text, amount numeric, kept jsonb);
ALTER TABLE lost_and_found REPLICA IDENTITY FULL;
"""

TABLES: Final = (
    "account", "audit", "counter", "step", "moving", "invoice", "line", "lost_and_found",
)  # fmt: skip


WIDE: Final = 6_000
"""Rows of `wide`: several chunks of a thousand."""

LOAD_SCHEMA: Final = f"""
CREATE TABLE wide (id int PRIMARY KEY, value text, large text);
ALTER TABLE wide ALTER COLUMN large SET STORAGE EXTERNAL;
INSERT INTO wide SELECT g * 10, 'row ' || g, CASE WHEN g % 50 = 0 THEN repeat(md5(g::text), 100) END
  FROM generate_series(1, {WIDE}) g;
CREATE TABLE named (name text COLLATE "C" PRIMARY KEY, value int);
INSERT INTO named SELECT md5(g::text), g FROM generate_series(1, 3000) g;
CREATE TABLE heap (number int, what text);
INSERT INTO heap SELECT g, 'kept' FROM generate_series(1, 2500) g;
CREATE TABLE part (id int, region int, value text, PRIMARY KEY (id, region))
  PARTITION BY LIST (region);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2, 3);
INSERT INTO part SELECT g, g % 3 + 1, 'row' FROM generate_series(1, 3000) g;
ANALYZE;
"""
"""Tables of several chunks: by integer, by text; without any key (inserts only); partitioned."""


_RETRIED = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.UniqueViolation,
    # of a row that another writer has just moved to another partition
    psycopg.errors.SerializationFailure,
)
"""What any application meets when writers cross; its transaction is rolled back whole."""


class Writer(threading.Thread):
    """One connection that commits transactions until told to stop; `pause_seconds` between."""

    def __init__(
        self,
        database: Database,
        number: int,
        seed: int,
        pause_seconds: float = 0.0,
        *,
        loading: bool = False,
    ) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self._database = database
        self._number = number
        self._random = random.Random(f"{seed}-{number}")
        self._pause_seconds = pause_seconds
        self._acts = [self._transfer, self._transfer, self._count, self._move, self._bill]
        self._acts += [self._lose]
        self._acts += [self._shift] * 3 + [self._rename, self._add, self._part] if loading else []
        self._stopping = threading.Event()
        self._serial = 0
        self.committed = 0
        self.error: Exception | None = None

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        try:
            with psycopg.connect(self._database.dsn) as connection:
                while not self._stopping.wait(self._pause_seconds):
                    self._once(connection)
        except psycopg.Error as error:
            self.error = error

    def _once(self, connection: "psycopg.Connection[Any]") -> None:
        chosen = self._random
        act = chosen.choice(self._acts)
        try:
            with connection.transaction():
                what = act(connection.execute)
                self._serial += 1
                connection.execute(
                    "INSERT INTO audit VALUES (%s, %s, %s)", (self._number, self._serial, what)
                )
                if chosen.random() < 0.05:
                    raise _ChangedMindError
        except (*_RETRIED, _ChangedMindError):
            return
        self.committed += 1

    def _transfer(self, execute: Any) -> str:
        first, second = sorted(self._random.sample(range(1, ACCOUNTS + 1), 2))
        amount = self._random.randint(-50, 50)
        change = "UPDATE account SET balance = balance + %s WHERE id = %s"
        execute(change, (amount, first))
        execute(change, (-amount, second))
        return "transfer"

    def _count(self, execute: Any) -> str:
        which = self._random.randint(1, COUNTERS)
        execute("UPDATE counter SET value = value + 1 WHERE id = %s", (which,))
        execute(
            "INSERT INTO step (counter, value) SELECT id, value FROM counter WHERE id = %s",
            (which,),
        )
        return "count"

    def _move(self, execute: Any) -> str:
        """Change keys, small values, sometimes large ones; sometimes delete and insert."""
        chosen = self._random
        some = "(SELECT id FROM moving ORDER BY md5(id::text || %s) LIMIT 1)"
        salt = str(chosen.random())
        match chosen.randrange(5):
            case 0:
                execute(
                    f"UPDATE moving SET id = %s, tag = tag + 1 WHERE id = {some}",
                    (chosen.randrange(1, MOVING * WIDE_KEYS), salt),
                )
            case 1 | 2:
                execute(f"UPDATE moving SET tag = tag + 1 WHERE id = {some}", (salt,))
            case 3:
                large = chosen.choice((None, "short", chosen.randbytes(LARGE // 2).hex()))
                execute(f"UPDATE moving SET large = %s WHERE id = {some}", (large, salt))
            case _:
                execute(f"DELETE FROM moving WHERE id = {some}", (salt,))
                execute(
                    "INSERT INTO moving VALUES (%s, 0, %s, %s)",
                    (chosen.randrange(1, MOVING * WIDE_KEYS), salt, chosen.randbytes(LARGE).hex()),
                )
        return "move"

    def _bill(self, execute: Any) -> str:
        chosen = self._random
        invoice = chosen.randrange(1, 1_000_000)
        if chosen.random() < 0.3:
            some = "(SELECT id FROM invoice ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)"
            execute(f"WITH gone AS (SELECT id FROM invoice WHERE id = {some})"
                    " DELETE FROM line USING gone WHERE invoice = gone.id")  # fmt: skip
            execute("DELETE FROM invoice WHERE NOT EXISTS"
                    " (SELECT FROM line WHERE line.invoice = invoice.id)")  # fmt: skip
            return "unbill"
        amounts = [chosen.randint(1, 99) for _ in range(chosen.randint(1, 4))]
        execute("INSERT INTO invoice VALUES (%s, %s)", (invoice, sum(amounts)))
        for place, amount in enumerate(amounts):
            execute("INSERT INTO line VALUES (%s, %s, %s)", (invoice * 4 + place, invoice, amount))
        return "bill"

    def _lose(self, execute: Any) -> str:
        chosen = self._random
        what = chosen.choice(("hat", "umbrella", "glove"))
        one = "ctid = (SELECT ctid FROM lost_and_found WHERE what = %s LIMIT 1 FOR UPDATE)"
        match chosen.randrange(4):
            case 0:
                execute(f"DELETE FROM lost_and_found WHERE {one}", (what,))
            case 1:
                execute(f"UPDATE lost_and_found SET amount = amount + 1.0 WHERE {one}", (what,))
            case _:
                execute(
                    "INSERT INTO lost_and_found VALUES (%s, %s, %s)",
                    (what, chosen.choice(("1", "1.0", None)), '{"kept": true}'),
                )
        return "lose"

    def _shift(self, execute: Any) -> str:
        """Move keys of `wide` into other chunks, change rows, remove some, put new ones in."""
        chosen = self._random
        first = chosen.randrange(1, WIDE * 10)
        row = f"(SELECT min(id) FROM wide WHERE id >= {first})"
        match chosen.randrange(5):
            case 0 | 1:
                execute(f"UPDATE wide SET id = {chosen.randrange(1, WIDE * 10)} WHERE id = {row}")
            case 2:
                some = f"id BETWEEN {first} AND {first + 50}"
                execute(f"UPDATE wide SET value = md5(value) WHERE {some}")
            case 3:
                execute(f"DELETE FROM wide WHERE id = {row}")
            case _:
                execute(f"INSERT INTO wide VALUES ({first}, 'new', repeat('x', {LARGE}))")
        return "shift"

    def _rename(self, execute: Any) -> str:
        salt = str(self._random.random())
        some = "(SELECT name FROM named WHERE name >= md5(%s) ORDER BY name LIMIT 1)"
        change = "UPDATE named SET name = md5(name), value = value + 1"
        execute(f"{change} WHERE name = {some}", (salt,))
        return "rename"

    def _add(self, execute: Any) -> str:
        execute("INSERT INTO heap VALUES (%s, 'added')", (self._random.randrange(1000),))
        return "add"

    def _part(self, execute: Any) -> str:
        """Rows of a partitioned table, also from one partition to another."""
        chosen = self._random
        row = chosen.randrange(1, 4000)
        match chosen.randrange(3):
            case 0:
                execute("UPDATE part SET region = region %% 3 + 1 WHERE id = %s", (row,))
            case 1:
                execute("UPDATE part SET value = value || '.' WHERE id = %s", (row,))
            case _:
                execute("INSERT INTO part VALUES (%s, %s, 'new')", (row, chosen.randint(1, 3)))
        return "part"


class _ChangedMindError(Exception):
    """Rolls a transaction back."""


class Writers:
    """Several writers; their errors are raised when they are stopped."""

    def __init__(
        self,
        database: Database,
        *,
        count: int = 2,
        seed: int = 1,
        pause_seconds: float = 0.002,
        loading: bool = False,
    ) -> None:
        """`loading`: the tables of `LOAD_SCHEMA` are there too."""
        self._writers = [
            Writer(database, number, seed, pause_seconds, loading=loading)
            for number in range(count)
        ]

    def start(self) -> None:
        for writer in self._writers:
            writer.start()

    def stop(self) -> int:
        """Stop all; the number of transactions committed."""
        for writer in self._writers:
            writer.stop()
        for writer in self._writers:
            writer.join()
        for writer in self._writers:
            if writer.error is not None:
                raise writer.error
        return self.committed

    @property
    def committed(self) -> int:
        return sum(writer.committed for writer in self._writers)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.stop()
            return
        for writer in self._writers:
            writer.stop()
            writer.join()
            if writer.error is not None:
                error.add_note(f"{writer.name} had ended: {writer.error!r}")


def broken_rules(database: Database) -> list[str]:
    """What no committed state of the source can show; one statement, so one snapshot."""
    total, gaps, orphans = database.execute(
        "SELECT (SELECT sum(balance) FROM account),"
        " (SELECT count(*) FROM counter c WHERE value <>"
        "   (SELECT count(*) FROM step s WHERE s.counter = c.id)),"
        " (SELECT count(*) FROM invoice i WHERE total <>"
        "   (SELECT coalesce(sum(amount), 0) FROM line l WHERE l.invoice = i.id))"
    )[0]
    rules = []
    if total is not None and total != ACCOUNTS * BALANCE:
        rules.append(f"the sum of balances is {total}")
    if gaps:
        rules.append(f"{gaps} counters do not agree with their steps")
    if orphans:
        rules.append(f"{orphans} invoices do not agree with their lines")
    return rules


class Auditor(threading.Thread):
    """Reads a database again and again; `broken` is every rule seen broken."""

    def __init__(self, database: Database) -> None:
        super().__init__(name="auditor", daemon=True)
        self._database = database
        self._stopping = threading.Event()
        self.broken: list[str] = []
        self.readings = 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self._stopping.wait(0.01):
                self.broken += broken_rules(self._database)
                self.readings += 1
        except psycopg.Error as error:
            self.error = error

    def stop(self) -> list[str]:
        self._stopping.set()
        self.join()
        if self.error is not None:
            raise self.error
        return self.broken


@contextmanager
def audited(database: Database) -> Iterator[Auditor]:
    """An auditor of a database; its findings fail the test."""
    auditor = Auditor(database)
    auditor.start()
    yield auditor
    broken = auditor.stop()
    assert not broken, broken[:5]
    assert auditor.readings
