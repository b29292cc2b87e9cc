"""A small application in SQL that every family understands.

Sums that must hold in any state that was committed: balances of `account` stay what they were,
`counter` is the number of its rows in `step`.
"""

import contextlib
import random
import threading
from collections.abc import Mapping
from typing import Final

import psycopg
import pymysql

from tests.scenario.pairs.sides import SCHEMA, Session, Side, content

ACCOUNTS: Final = 20
BALANCE: Final = 100

TABLES: Final[Mapping[str, str]] = {
    "account": "id int PRIMARY KEY, balance bigint NOT NULL",
    "counter": "id int PRIMARY KEY, value int NOT NULL",
    "step": "id <auto> PRIMARY KEY, counter int NOT NULL, note varchar(40)",
    "item": (
        "k varchar(30) PRIMARY KEY, n int, price decimal(12,2), ratio <double>, note text,"
        " raw <blob>, seen <moment>, at <instant>"
    ),
    "plain": "who int, what varchar(20)",
}

COLUMNS: Final[Mapping[str, str]] = {
    "account": "id, balance",
    "counter": "id, value",
    "step": "id, counter, note",
    "item": "k, n, price, ratio, note, raw, seen, at",
    "plain": "who, what",
}

PAUSE_SECONDS: Final = 0.002

PREPARED_SECONDS: Final = 0.3
"""How long a distributed transaction stays prepared, at most."""

RETRIED: Final = (1213, 1205)
"""Deadlock, lock timeout."""


def create(side: Side) -> None:
    for name, columns in TABLES.items():
        side.execute(f"CREATE TABLE {SCHEMA}.{name} ({columns})")
    if side.engine == "postgres":
        side.execute(f"ALTER TABLE {SCHEMA}.plain REPLICA IDENTITY FULL")
    accounts = ", ".join(f"({i}, {BALANCE})" for i in range(ACCOUNTS))
    side.execute(f"INSERT INTO {SCHEMA}.account VALUES {accounts}")
    side.execute(f"INSERT INTO {SCHEMA}.counter VALUES (1, 0), (2, 0), (3, 0)")


def differences(source: Side, target: Side) -> list[str]:
    found: list[str] = []
    for table, columns in COLUMNS.items():
        here, there = content(source, table, columns), content(target, table, columns)
        if here != there:
            lost = [row for row in here if row not in there][:3]
            extra = [row for row in there if row not in here][:3]
            found.append(f"{table}: {len(here)} != {len(there)}; lacks {lost}, has {extra}")
    return found


def broken_rules(side: Side) -> list[str]:
    ((total,),) = side.execute(f"SELECT sum(balance) FROM {SCHEMA}.account")
    rules = [] if int(total) == ACCOUNTS * BALANCE else [f"the sum of balances is {total}"]
    rules += [
        f"counter {number} says {value}, its steps are {steps}"
        for number, value, steps in side.execute(
            f"SELECT c.id, c.value, (SELECT count(*) FROM {SCHEMA}.step s WHERE s.counter = c.id)"
            f" FROM {SCHEMA}.counter c"
        )
        if value != steps
    ]
    return rules


class Writer(threading.Thread):
    """Transactions until stopped; the same seed chooses the same ones."""

    def __init__(self, side: Side, number: int, seed: int) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self._side = side
        self._number = number
        self._random = random.Random(f"{seed} {number}")
        self._stopping = threading.Event()
        self.committed = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        session = self._side.session()
        try:
            while not self._stopping.wait(PAUSE_SECONDS):
                self._transaction(session)
        except BaseException as error:  # noqa: BLE001 - raised where the writer is stopped
            self.error = error
        finally:
            session.close()

    def _transaction(self, session: Session) -> None:
        try:
            for _ in range(self._random.choice([1, 1, 1, 2, 5])):
                self._act(session)
            if self._random.random() < 0.1:
                session.rollback()
            else:
                session.commit()
                self.committed += 1
        except (psycopg.errors.DeadlockDetected, psycopg.errors.UniqueViolation):
            session.rollback()
        except pymysql.err.IntegrityError:
            session.rollback()
        except pymysql.err.OperationalError as error:
            if error.args[0] not in RETRIED:
                raise
            session.rollback()

    def _act(self, session: Session) -> None:
        self._random.choice(
            [self._transfer, self._step, self._item, self._item, self._item, self._plain]
        )(session)

    def _transfer(self, session: Session) -> None:
        a, b = sorted(self._random.sample(range(ACCOUNTS), 2))
        amount = self._random.randint(-5, 5)
        for account, change in ((a, -amount), (b, amount)):
            session.execute(
                f"UPDATE {SCHEMA}.account SET balance = balance + {change} WHERE id = {account}"
            )

    def _step(self, session: Session) -> None:
        counter = self._random.randint(1, 3)
        session.execute(f"UPDATE {SCHEMA}.counter SET value = value + 1 WHERE id = {counter}")
        session.execute(
            f"INSERT INTO {SCHEMA}.step (counter, note) VALUES ({counter}, 'w{self._number}')"
        )

    def _item(self, session: Session) -> None:
        chosen = self._random
        key = f"k{self._number}-{chosen.randint(1, 40)}"
        match chosen.randint(0, 5):
            case 0:
                session.execute(f"DELETE FROM {SCHEMA}.item WHERE k = '{key}'")
            case 1:
                new = f"m{self._number}-{chosen.randint(1, 10_000)}"
                session.execute(f"UPDATE {SCHEMA}.item SET k = '{new}' WHERE k = '{key}'")
            case 2 | 3:
                values = self._values()
                sets = ", ".join(f"{column} = {value}" for column, value in values.items())
                session.execute(f"UPDATE {SCHEMA}.item SET {sets} WHERE k = '{key}'")
            case _:
                session.execute(f"DELETE FROM {SCHEMA}.item WHERE k = '{key}'")
                values = self._values()
                session.execute(
                    f"INSERT INTO {SCHEMA}.item (k, {', '.join(values)})"
                    f" VALUES ('{key}', {', '.join(values.values())})"
                )

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

    def _plain(self, session: Session) -> None:
        who = self._random.randint(1, 5)
        if self._random.random() < 0.3:
            session.execute(
                f"DELETE FROM {SCHEMA}.plain WHERE who = {who} AND what = 'w{self._number}'"
            )
        elif self._random.random() < 0.3:
            session.execute(f"UPDATE {SCHEMA}.plain SET what = 'x' WHERE who = {who}")
        else:
            session.execute(f"INSERT INTO {SCHEMA}.plain VALUES ({who}, 'w{self._number}')")

    def stop(self) -> int:
        self._stopping.set()
        self.join()
        if self.error is not None:
            raise self.error
        return self.committed


class DistributedWriter(Writer):
    """Changes items of its own by distributed transactions (XA), which stay prepared for a while:
    meanwhile others commit."""

    def _transaction(self, session: Session) -> None:
        name = f"w{self._number}-{self._random.getrandbits(32)}"
        session.execute(f"XA START '{name}'")
        try:
            for _ in range(self._random.choice([1, 2, 5, 20])):
                self._item(session)
        except (pymysql.err.IntegrityError, pymysql.err.OperationalError) as error:
            if isinstance(error, pymysql.err.OperationalError) and error.args[0] not in RETRIED:
                raise
            with contextlib.suppress(pymysql.err.OperationalError):  # a deadlock has ended it
                session.execute(f"XA END '{name}'")
            session.execute(f"XA ROLLBACK '{name}'")
            return
        session.execute(f"XA END '{name}'")
        session.execute(f"XA PREPARE '{name}'")
        self._stopping.wait(self._random.uniform(0, PREPARED_SECONDS))
        if self._random.random() < 0.2:
            session.execute(f"XA ROLLBACK '{name}'")
        else:
            session.execute(f"XA COMMIT '{name}'")
            self.committed += 1
