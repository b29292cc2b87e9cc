"""The application on the source: transactions of small steps, side by side, some rolled back."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from connectors.memory.database import MemoryDatabase
from connectors.memory.locks import WouldBlockError
from connectors.memory.storage import Cells, Table, Version
from connectors.memory.transaction import ServerTransaction
from engine.errors import RowRejectedError
from engine.model.relation import TableName

Step: TypeAlias = Callable[[ServerTransaction], None]

AUDIT: Final = TableName("public", "audit")
PAUSE_SECONDS_MAX: Final = 0.05
ROLLBACK: Final = 0.1
"""Share of transactions that end in a rollback."""


class Application:
    """Writers of one seed. Every transaction writes one row to the audit table, which has no key:
    a change applied twice, or not at all, shows there."""

    def __init__(self, database: MemoryDatabase, seed: int, *, audited: bool = True) -> None:
        self.database = database
        self.chance = random.Random(seed)
        self._audited = audited
        self._number = 0

    async def pause(self, seconds_max: float = PAUSE_SECONDS_MAX) -> None:
        await asyncio.sleep(self.chance.uniform(0.0, seconds_max))

    async def transaction(self, *steps: Step, commit: bool | None = None) -> bool:
        """Run the steps with pauses between them; False when it was rolled back. A step that meets
        another writer's lock ends the transaction, one that the database refuses is undone; so is
        all of it where a deferred constraint does not hold in the end."""
        server = self.database.begin()
        try:
            for step in (*steps, self._audit):
                self.take(server, step)
                await self.pause()
            if commit is False or (commit is None and self.chance.random() < ROLLBACK):
                return False
            self.database.commit(server)
        except (WouldBlockError, RowRejectedError):
            return False
        finally:
            self.database.rollback(server)
        return True

    def take(self, server: ServerTransaction, step: Step) -> None:
        server.savepoint()
        try:
            step(server)
            server.release_savepoint()
        except RowRejectedError:
            server.rollback_to_savepoint()

    def _audit(self, server: ServerTransaction) -> None:
        if self._audited:
            self._number += 1
            server.insert(AUDIT, (b"%06d" % self._number, b"%d" % server.xid))

    def value(self, size_max: int = 12) -> bytes:
        return bytes(self.chance.choices(b"abcdef", k=self.chance.randint(0, size_max)))


def insert(table: TableName, row: Cells) -> Step:
    return lambda server: server.insert(table, row)


def remove(table: TableName, key: Cells) -> Step:
    def step(server: ServerTransaction) -> None:
        version = server.find(table, server.table(table).primary_key, key)
        if version is not None:
            server.delete(table, version)

    return step


def truncate(*tables: TableName) -> Step:
    return lambda server: server.truncate(tables)


def mixed(application: Application, table: TableName, keys: Sequence[bytes]) -> Step:
    """One change of a row, whichever makes sense: few keys, so that changes of one key meet."""

    def step(server: ServerTransaction) -> None:
        rows = list(server.scan(table))
        described = server.table(table)
        choice = application.chance.random()
        if not rows or choice < 0.35:
            server.insert(table, _fresh(application, described, keys))
        else:
            _change(application, server, table, application.chance.choice(rows), keys, choice)

    return step


def _fresh(application: Application, table: Table, keys: Sequence[bytes]) -> Cells:
    width = len(table.relation.columns)
    values = [application.value() for _ in range(width - 1)]
    return (application.chance.choice(keys), *values)


def _change(
    application: Application,
    server: ServerTransaction,
    table: TableName,
    version: Version,
    keys: Sequence[bytes],
    choice: float,
) -> None:
    row = list(version.row)
    if choice < 0.55:
        server.delete(table, version)
        return
    if choice < 0.7:
        row[0] = application.chance.choice(keys)
    for index in range(1, len(row)):
        if application.chance.random() < 0.6:
            row[index] = application.value() if application.chance.random() < 0.8 else None
    server.update(table, version, tuple(row))
