"""An application whose tables betray a lost, repeated, torn or reordered change, in SQL that each
family understands (`tests.scenario.dialects`).

- `account`: transfers; the sum of all balances is constant in every committed state.
- `audit`: no key, inserted into by every transaction: exactly once shows as equal multisets.
- `counter`, `step`: a counter and a row for each of its values: no gap at any committed state.
- `moving`: keys change and large values stay UNCHANGED while their neighbours change.
- `invoice`, `line`: tied by a foreign key.
- `lost_and_found`: no primary key, with equal rows.
- `item`: values of many types.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tests.scenario.dialects import AnyDatabase, Session, connect

ACCOUNTS: Final = 40
BALANCE: Final = 1_000
MOVING: Final = 60
COUNTERS: Final = 4
LARGE: Final = 6_000
"""Bytes of a large value: more than a page's share, so PostgreSQL stores it out of line (TOAST)."""

WIDE_KEYS: Final = 1_000
"""`moving` keys come from 0 to here times the chunk width, so that they cross chunks."""

SPREAD: Final = 104_729
"""A prime: keys times a number, modulo it, are in any order."""

SCHEMA: Final[dict[str, str]] = {
    "account": "id int PRIMARY KEY, balance bigint NOT NULL, note text",
    "audit": "writer int NOT NULL, number bigint NOT NULL, what text",
    "counter": "id int PRIMARY KEY, value bigint NOT NULL",
    "step": ("counter int, value bigint, at <instant> DEFAULT <now>, PRIMARY KEY (counter, value)"),
    "moving": "id bigint PRIMARY KEY, tag int NOT NULL, small text, large text",
    "invoice": "id int PRIMARY KEY, total bigint NOT NULL",
    "line": (
        "id int PRIMARY KEY, invoice int NOT NULL, amount bigint,"
        " FOREIGN KEY (invoice) REFERENCES invoice (id)"
    ),
    "lost_and_found": "what varchar(20), amount <number>, kept <json>",
    "item": (
        "k varchar(30) PRIMARY KEY, n int, price decimal(12,2), ratio <double>, note text,"
        " raw <blob>, seen <moment>, at <instant>"
    ),
}
"""Columns of each table."""

LOAD_SCHEMA: Final[dict[str, str]] = {
    "wide": "id int PRIMARY KEY, value text, large text",
    "named": "name <name> PRIMARY KEY, value int",
    "heap": "number int, what text",
    "part": "id int, region int, value text, PRIMARY KEY (id, region)",
}
"""Tables of several chunks: by integer, by text; without any key (inserts only); partitioned."""

TABLES: Final = tuple(SCHEMA)

WIDE: Final = 6_000
"""Rows of `wide`: several chunks of a thousand."""

ROWS_PER_INSERT: Final = 500

POSTGRES_ONLY: Final = (
    "ALTER TABLE audit REPLICA IDENTITY FULL",
    "ALTER TABLE lost_and_found REPLICA IDENTITY FULL",
    "ALTER TABLE moving ALTER COLUMN large SET STORAGE EXTERNAL",
)
"""The source's log holds old rows of tables without key; large values are not compressed."""

POSTGRES_LOAD_ONLY: Final = (
    "ALTER TABLE wide ALTER COLUMN large SET STORAGE EXTERNAL",
    "CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1)",
    "CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2, 3)",
)

POSTGRES_PARTS: Final = " PARTITION BY LIST (region)"

MYSQL_PARTS: Final = (
    " PARTITION BY LIST (region)"
    " (PARTITION part_1 VALUES IN (1), PARTITION part_2 VALUES IN (2, 3))"
)


# --- before it begins -----------------------------------------------------------------------------


def create(database: AnyDatabase, *, loading: bool = False) -> None:
    """Make the tables with their first rows. `loading`: those of `LOAD_SCHEMA` too."""
    session = connect(database)
    try:
        for statement in _statements(postgres=session.postgres, loading=loading):
            session.execute(statement)
        session.commit()
        for table in LOAD_SCHEMA if loading else ():
            session.execute(f"ANALYZE {'' if session.postgres else 'TABLE '}{table}")
        session.commit()
    finally:
        session.close()


def _statements(*, postgres: bool, loading: bool) -> Iterator[str]:
    tables = {**SCHEMA, **(LOAD_SCHEMA if loading else {})}
    for name, columns in tables.items():
        parts = (POSTGRES_PARTS if postgres else MYSQL_PARTS) if name == "part" else ""
        yield f"CREATE TABLE {name} ({columns}){parts}"
    if postgres:
        yield from POSTGRES_ONLY + (POSTGRES_LOAD_ONLY if loading else ())
    yield from _inserts("account", [f"{i}, {BALANCE}, 'opened'" for i in _to(ACCOUNTS)])
    yield from _inserts("counter", [f"{i}, 0" for i in _to(COUNTERS)])
    yield from _inserts(
        "moving", [f"{i}, 0, 'small', '{_hash(i) * (LARGE // 32)}'" for i in _to(MOVING)]
    )
    if loading:
        yield from _inserts("wide", [f"{i * 10}, 'row {i}', {_seldom_large(i)}" for i in _to(WIDE)])
        yield from _inserts("named", [f"'{_hash(i)}', {i}" for i in _to(3000)])
        yield from _inserts("heap", [f"{i}, 'kept'" for i in _to(2500)])
        yield from _inserts("part", [f"{i}, {i % 3 + 1}, 'row'" for i in _to(3000)])


def _inserts(table: str, rows: Sequence[str]) -> Iterator[str]:
    for start in range(0, len(rows), ROWS_PER_INSERT):
        listed = ", ".join([f"({row})" for row in rows[start : start + ROWS_PER_INSERT]])
        yield f"INSERT INTO {table} VALUES {listed}"


def _to(last: int) -> range:
    return range(1, last + 1)


def _hash(number: int) -> str:
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()


def _seldom_large(number: int) -> str:
    return f"'{_hash(number) * 100}'" if number % 50 == 0 else "NULL"


# --- what must hold -------------------------------------------------------------------------------

RULES: Final = (
    "SELECT (SELECT sum(balance) FROM account),"
    " (SELECT count(*) FROM counter c WHERE value <>"
    "   (SELECT count(*) FROM step s WHERE s.counter = c.id)),"
    " (SELECT count(*) FROM invoice i LEFT JOIN"
    "   (SELECT invoice, sum(amount) AS amounts FROM line GROUP BY invoice) l"
    "   ON l.invoice = i.id WHERE i.total <> coalesce(l.amounts, 0))"
)
"""One statement, so one snapshot. Lines are added up once for all: an hour makes many."""


def broken_rules(database: AnyDatabase) -> list[str]:
    """What no committed state of the source can show."""
    total, gaps, orphans = database.execute(RULES)[0]
    rules: list[str] = []
    if total is not None and total != ACCOUNTS * BALANCE:
        rules.append(f"the sum of balances is {total}")
    if gaps:
        rules.append(f"{gaps} counters do not agree with their steps")
    if orphans:
        rules.append(f"{orphans} invoices do not agree with their lines")
    return rules


# --- what it does ---------------------------------------------------------------------------------


class Acts:
    """What one writer does, chosen by its own chance; each act is some statements of a transaction
    and says what it was."""

    def __init__(
        self, number: int, chosen: random.Random, *, loading: bool = False, keyed: bool = False
    ) -> None:
        """`loading`: in the tables of `LOAD_SCHEMA` too. `keyed`: it changes rows with a key only;
        others the target finds by reading all of them, not as fast as they are written."""
        self._number = number
        self._random = chosen
        acts: list[Callable[[Session], str]] = [self._transfer] * 2
        acts += [self._count, self._move, self._bill, self.keep]
        acts += [] if keyed else [self._lose]
        acts += [*[self._shift] * 3, self._rename, self._add, self._part] if loading else []
        self._acts = acts
        self._serial = 0

    def transaction(self, session: Session) -> bool:
        """One transaction, committed or (False) not: one in twenty changes its mind."""
        what = self._random.choice(self._acts)(session)
        self._serial += 1
        session.execute(f"INSERT INTO audit VALUES ({self._number}, {self._serial}, '{what}')")
        if self._random.random() < 0.05:
            session.rollback()
            return False
        session.commit()
        return True

    def _transfer(self, session: Session) -> str:
        first, second = sorted(self._random.sample(_to(ACCOUNTS), 2))
        amount = self._random.randint(-50, 50)
        for account, change in ((first, amount), (second, -amount)):
            session.execute(f"UPDATE account SET balance = balance + {change} WHERE id = {account}")
        return "transfer"

    def _count(self, session: Session) -> str:
        which = self._random.randint(1, COUNTERS)
        session.execute(f"UPDATE counter SET value = value + 1 WHERE id = {which}")
        session.execute(
            f"INSERT INTO step (counter, value) SELECT id, value FROM counter WHERE id = {which}"
        )
        return "count"

    def _move(self, session: Session) -> str:
        """Change keys, small values, sometimes large ones; sometimes delete and insert."""
        chosen = self._random
        some = session.one("moving", order=f"id * {chosen.randrange(1, SPREAD)} % {SPREAD}")
        key = chosen.randrange(1, MOVING * WIDE_KEYS)
        match chosen.randrange(5):
            case 0:
                session.execute(f"UPDATE moving SET id = {key}, tag = tag + 1{some}")
            case 1 | 2:
                session.execute(f"UPDATE moving SET tag = tag + 1{some}")
            case 3:
                random_bytes = chosen.randbytes(LARGE // 2).hex()
                large = chosen.choice(("NULL", "'short'", f"'{random_bytes}'"))
                session.execute(f"UPDATE moving SET large = {large}{some}")
            case _:
                session.execute(f"DELETE FROM moving{some}")
                large = chosen.randbytes(LARGE).hex()
                session.execute(f"INSERT INTO moving VALUES ({key}, 0, 'new', '{large}')")
        return "move"

    def _bill(self, session: Session) -> str:
        chosen = self._random
        if chosen.random() < 0.3:
            for (invoice,) in session.execute("SELECT id FROM invoice ORDER BY id LIMIT 1"):
                session.execute(f"DELETE FROM line WHERE invoice = {invoice}")
                session.execute(f"DELETE FROM invoice WHERE id = {invoice}")
            return "unbill"
        invoice = chosen.randrange(1, 1_000_000)
        amounts = [chosen.randint(1, 99) for _ in range(chosen.randint(1, 4))]
        session.execute(f"INSERT INTO invoice VALUES ({invoice}, {sum(amounts)})")
        for place, amount in enumerate(amounts):
            session.execute(f"INSERT INTO line VALUES ({invoice * 4 + place}, {invoice}, {amount})")
        return "bill"

    def _lose(self, session: Session) -> str:
        chosen = self._random
        what = chosen.choice(("hat", "umbrella", "glove"))
        one = session.one("lost_and_found", f"what = '{what}'")
        match chosen.randrange(4):
            case 0:
                session.execute(f"DELETE FROM lost_and_found{one}")
            case 1:
                session.execute(f"UPDATE lost_and_found SET amount = amount + 1.0{one}")
            case _:
                amount = chosen.choice(("1", "1.0", "NULL"))
                values = f"'{what}', {amount}, '{{\"kept\": true}}'"
                session.execute(f"INSERT INTO lost_and_found VALUES ({values})")
        return "lose"

    def keep(self, session: Session) -> str:
        """Rows of many types: replaced, changed, moved to another key, removed."""
        chosen = self._random
        where = f"k = 'k{self._number}-{chosen.randint(1, 40)}'"
        values = self._values()
        match chosen.randrange(6):
            case 0:
                session.execute(f"DELETE FROM item WHERE {where}")
            case 1:
                moved = f"m{self._number}-{chosen.randint(1, 10_000)}"
                session.execute(f"UPDATE item SET k = '{moved}' WHERE {where}")
            case 2 | 3:
                sets = ", ".join([f"{column} = {value}" for column, value in values.items()])
                session.execute(f"UPDATE item SET {sets} WHERE {where}")
            case _:
                session.execute(f"DELETE FROM item WHERE {where}")
                row = ", ".join([where.removeprefix("k = "), *values.values()])
                session.execute(f"INSERT INTO item VALUES ({row})")
        return "keep"

    def _values(self) -> dict[str, str]:
        chosen = self._random
        n = chosen.randint(0, 10_000)
        every = {
            "n": str(n - 5000),
            "price": f"{n}.{n % 100:02}",
            "ratio": repr(n / 7),
            "note": f"'note {n} ä''€😀' " if n % 3 else "''",
            "raw": f"<x>{n:08x}00ff'",
            "seen": f"'20{n % 90 + 10}-0{n % 9 + 1}-1{n % 10} 0{n % 10}:00:00.{n % 1000:03}'",
            "at": f"'2021-0{n % 9 + 1}-01 00:00:{n % 60:02}.000{n % 1000:03}'",
        }
        return {c: "NULL" if chosen.random() < 0.15 else value for c, value in every.items()}

    def _shift(self, session: Session) -> str:
        """Move keys of `wide` into other chunks, change rows, remove some, put new ones in."""
        chosen = self._random
        first = chosen.randrange(1, WIDE * 10)
        one = session.one("wide", f"id >= {first}", "id")
        match chosen.randrange(5):
            case 0 | 1:
                session.execute(f"UPDATE wide SET id = {chosen.randrange(1, WIDE * 10)}{one}")
            case 2:
                some = f"id BETWEEN {first} AND {first + 50}"
                value = f"changed {chosen.random()}"
                session.execute(f"UPDATE wide SET value = '{value}' WHERE {some}")
            case 3:
                session.execute(f"DELETE FROM wide{one}")
            case _:
                session.execute(f"INSERT INTO wide VALUES ({first}, 'new', '{'x' * LARGE}')")
        return "shift"

    def _rename(self, session: Session) -> str:
        some = session.one("named", f"name >= '{self._random.randbytes(16).hex()}'", "name")
        name = self._random.randbytes(16).hex()
        session.execute(f"UPDATE named SET name = '{name}', value = value + 1{some}")
        return "rename"

    def _add(self, session: Session) -> str:
        session.execute(f"INSERT INTO heap VALUES ({self._random.randrange(1000)}, 'added')")
        return "add"

    def _part(self, session: Session) -> str:
        """Rows of a partitioned table, also from one partition to another."""
        chosen = self._random
        row = chosen.randrange(1, 4000)
        match chosen.randrange(3):
            case 0:
                session.execute(f"UPDATE part SET region = region % 3 + 1 WHERE id = {row}")
            case 1:
                session.execute(f"UPDATE part SET value = concat(value, '.') WHERE id = {row}")
            case _:
                values = f"{row}, {chosen.randint(1, 3)}, 'new'"
                session.execute(f"INSERT INTO part VALUES ({values})")
        return "part"
