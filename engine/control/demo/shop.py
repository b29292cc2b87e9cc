"""A shop on MariaDB: customers, and orders that never stop."""

import asyncio
import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import aiomysql

from engine.control.demo.server import LOOPBACK

CUSTOMERS: Final = 100_000

WRITERS: Final = 2

TRANSACTIONS_PER_SECOND: Final = 200.0

TABLES: Final = ("customers", "orders")

SCHEMA: Final = (
    "CREATE DATABASE shop CHARACTER SET utf8mb4",
    (
        "CREATE TABLE shop.customers (id int unsigned AUTO_INCREMENT PRIMARY KEY, name varchar(60),"
        " kind enum('person', 'company'), credit decimal(12,2) NOT NULL, rating double,"
        " since datetime, changed timestamp(6) NULL, notes json)"
    ),
    (
        "CREATE TABLE shop.orders (id bigint unsigned AUTO_INCREMENT PRIMARY KEY,"
        " customer int unsigned NOT NULL, amount decimal(10,2) NOT NULL, paid tinyint(1) NOT NULL,"
        " placed datetime(6) NOT NULL, KEY (customer))"
    ),
)

ROWS: Final = """
INSERT INTO shop.customers
SELECT seq, CONCAT('Käufer ', seq), IF(seq % 5, 'person', 'company'), seq % 1000 + 0.5, SQRT(seq),
       '2020-01-01' + INTERVAL seq MINUTE, NULL, IF(seq % 3, NULL, JSON_OBJECT('visits', seq))
  FROM seq_1_to_{customers}"""

ORDER: Final = (
    "INSERT INTO shop.orders (customer, amount, paid, placed) VALUES (%s, %s, %s, UTC_TIMESTAMP(6))"
)
CHARGE: Final = (
    "UPDATE shop.customers SET credit = credit - %s, changed = CURRENT_TIMESTAMP(6) WHERE id = %s"
)
FORGET: Final = "DELETE FROM shop.customers WHERE id = %s"


@dataclass(slots=True)
class Shop:
    """Writers on the source. `transactions` counts what they have committed."""

    port: int
    customers: int = CUSTOMERS
    transactions: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def prepare(self) -> None:
        """Make tables and rows."""
        connection = await self._connect()
        try:
            async with connection.cursor() as cursor:
                for statement in SCHEMA:
                    await cursor.execute(statement)
                await cursor.execute("USE shop")
                await cursor.execute(ROWS.format(customers=self.customers))
            await connection.commit()
        finally:
            connection.close()

    async def run(self) -> None:
        """Write until `stop` is set; what had begun is committed."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(WRITERS):
                tasks.create_task(self._write(number), name=f"customer-{number}")

    async def _write(self, number: int) -> None:
        chance = random.Random(number)  # noqa: S311 - what a writer picks is no secret
        loop = asyncio.get_running_loop()
        connection = await self._connect()
        try:
            due = loop.time()
            while not self.stop.is_set():
                await self._transact(connection, chance, number)
                self.transactions += 1
                due = max(due + WRITERS / TRANSACTIONS_PER_SECOND, loop.time() - 1.0)
                await asyncio.sleep(max(0.0, due - loop.time()))
        finally:
            connection.close()

    async def _transact(self, connection: Any, chance: random.Random, number: int) -> None:
        """An order and what it costs; now and then a customer is forgotten. Each writer has
        customers of its own, so none waits for another."""
        customer = chance.randrange(1 + number, self.customers + 1, WRITERS)
        amount = Decimal(chance.randint(1, 100_000)) / 100
        async with connection.cursor() as cursor:
            await cursor.execute(ORDER, (customer, amount, chance.random() < 0.5))
            await cursor.execute(CHARGE, (amount, customer))
            if chance.random() < 0.05:
                await cursor.execute(FORGET, (customer,))
        await connection.commit()

    async def _connect(self) -> Any:
        return await aiomysql.connect(
            host=LOOPBACK, port=self.port, user="penstock", charset="utf8mb4"
        )
