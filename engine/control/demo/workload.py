"""A bank in the manner of pgbench: tables, rows, and transactions that never stop."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

BRANCHES: Final = 10
TELLERS_PER_BRANCH: Final = 10
ACCOUNTS: Final = 1_000_000
"""Enough for a load that can be watched: some seconds."""

WRITERS: Final = 4

TRANSACTIONS_PER_SECOND: Final = 400.0
"""What two cores carry beside two servers and Penstock, with room to spare."""

TABLES: Final = ("branches", "tellers", "accounts", "history")

SCHEMA: Final = """
CREATE TABLE branches (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0, city text NOT NULL);
CREATE TABLE tellers (id int PRIMARY KEY, branch int NOT NULL REFERENCES branches,
                      balance bigint NOT NULL DEFAULT 0);
CREATE TABLE accounts (id bigint PRIMARY KEY, branch int NOT NULL REFERENCES branches,
                       balance bigint NOT NULL DEFAULT 0, opened timestamptz NOT NULL,
                       holder text NOT NULL, note text);
CREATE INDEX accounts_by_branch ON accounts (branch, opened);
CREATE TABLE history (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, teller int NOT NULL,
                      account bigint NOT NULL, amount int NOT NULL, at timestamptz NOT NULL,
                      details jsonb);
"""

ROWS: Final = """
INSERT INTO branches SELECT g, 0, 'city ' || g FROM generate_series(1, {branches}) g;
INSERT INTO tellers SELECT g, (g - 1) / {each} + 1
  FROM generate_series(1, {branches} * {each}) g;
INSERT INTO accounts SELECT g, g % {branches} + 1, 0, timestamptz '2020-01-01'
       + g * interval '1 minute', 'holder ' || md5(g::text), repeat('note ', (g % 5)::int)
  FROM generate_series(1, {accounts}) g;
ANALYZE;
"""


@dataclass(slots=True)
class Workload:
    """Writers on the source. `transactions` counts what they have committed."""

    url: str
    accounts: int = ACCOUNTS
    transactions: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def prepare(self) -> None:
        """Make tables and rows."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(SCHEMA)
            sizes = {"branches": BRANCHES, "each": TELLERS_PER_BRANCH, "accounts": self.accounts}
            await connection.execute(ROWS.format(**sizes))
        finally:
            await connection.close()

    async def run(self) -> None:
        """Write until `stop` is set; what had begun is committed."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(WRITERS):
                tasks.create_task(self._write(number), name=f"writer-{number}")

    async def _write(self, number: int) -> None:
        chance = random.Random(number)  # noqa: S311 - what a writer picks is no secret
        loop = asyncio.get_running_loop()
        connection = await asyncpg.connect(self.url)
        try:
            due = loop.time()
            while not self.stop.is_set():
                await _transact(connection, chance, self.accounts)
                self.transactions += 1
                due = max(due + WRITERS / TRANSACTIONS_PER_SECOND, loop.time() - 1.0)
                await asyncio.sleep(max(0.0, due - loop.time()))
        finally:
            await connection.close()


async def _transact(connection: Any, chance: random.Random, accounts: int) -> None:
    """Money moves; now and then an account is opened or closed."""
    teller = chance.randint(1, BRANCHES * TELLERS_PER_BRANCH)
    branch = (teller - 1) // TELLERS_PER_BRANCH + 1
    account, amount = chance.randint(1, accounts), chance.randint(-5000, 5000)
    async with connection.transaction():
        for sql, values in _statements(account, teller, branch, amount):
            await connection.execute(sql, *values)
        if chance.random() < 0.05:
            await _open_or_close(connection, chance, branch, accounts)


def _statements(
    account: int, teller: int, branch: int, amount: int
) -> Sequence[tuple[str, tuple[int, ...]]]:
    return (
        ("UPDATE accounts SET balance = balance + $1 WHERE id = $2", (amount, account)),
        ("UPDATE tellers SET balance = balance + $1 WHERE id = $2", (amount, teller)),
        ("UPDATE branches SET balance = balance + $1 WHERE id = $2", (amount, branch)),
        (
            "INSERT INTO history (teller, account, amount, at) VALUES ($1, $2, $3, now())",
            (teller, account, amount),
        ),
    )


async def _open_or_close(
    connection: Any, chance: random.Random, branch: int, accounts: int
) -> None:
    if chance.random() < 0.5:
        number = accounts + chance.randint(1, 1_000_000)
        await connection.execute(
            "INSERT INTO accounts VALUES ($1, $2, 0, now(), 'new holder')"
            " ON CONFLICT (id) DO UPDATE SET holder = 'holder again'",
            number,
            branch,
        )
    else:
        await connection.execute("DELETE FROM accounts WHERE id = $1", chance.randint(1, accounts))
