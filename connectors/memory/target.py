"""The memory server as a target: rows and positions commit together.

One object is one client process. `sever` is its death as the server sees it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import accumulate
from typing import Final, TypeVar, cast

from connectors.memory import definitions, keys, preflight, rows
from connectors.memory.control import QUARANTINE, TABLES, prepare
from connectors.memory.database import MemoryDatabase, ServerSession
from connectors.memory.servers import named
from connectors.memory.storage import Table
from connectors.memory.transaction import ServerTransaction
from connectors.memory.writing import MemoryTransaction
from engine.config.replication import ReplicationConfig
from engine.errors import RowRejectedError, SchemaMismatchError, TargetConnectionError
from engine.machine import Clock, Random
from engine.model.finding import Finding, Severity
from engine.model.relation import Relation, TableName
from engine.model.state import Fence, QuarantinedRow, RejectedRow
from engine.model.table import ForeignKey, TableDefinition

T = TypeVar("T")

LOCK_TIMEOUT_SECONDS: Final = 10.0
"""How long a transaction waits for a lock before it is told that the target is busy."""


def create(config: ReplicationConfig, clock: Clock, _random: Random) -> "MemoryTarget":
    """The target that a replication file names; connects to nothing yet. Raises ConfigError."""
    return MemoryTarget(named(config, "target", clock), config.id)


class MemorySession:
    """One connection of one applier. See `contracts.TargetSession`."""

    def __init__(self, target: "MemoryTarget", server: ServerSession) -> None:
        self._target = target
        self.server = server

    @property
    def identity(self) -> tuple[int, str]:
        return self.server.identity

    @property
    def broken(self) -> bool:
        return not self.server.alive

    @asynccontextmanager
    async def begin(self, fences: Sequence[Fence] = ()) -> AsyncIterator[MemoryTransaction]:
        await asyncio.sleep(0)
        if self.broken:
            raise TargetConnectionError("the connection to the target is closed")
        transaction = self._target.start(self.server)
        try:
            if fences:
                await transaction.fence(fences)
            yield transaction
        finally:
            self._target.end(self.server, transaction)


class MemoryTarget:
    """The target of one replication."""

    def __init__(
        self,
        database: MemoryDatabase,
        replication: str = "memory",
        *,
        lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
    ) -> None:
        self._database = database
        self._replication = replication
        self._lock_timeout_seconds = lock_timeout_seconds
        self._sessions: list[ServerSession] = []
        self._opened = False

    # --- life ---------------------------------------------------------------------------------

    async def open(self) -> None:
        await asyncio.sleep(0)
        self._opened = True

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.sever()

    def sever(self) -> None:
        """Cut every connection, as the server sees a client that died."""
        self._opened = False
        for session in self._sessions:
            self._database.drop_session(session)
        self._sessions.clear()

    def owns(self, session: ServerSession) -> bool:
        """Whether this client's connection it is."""
        return session in self._sessions

    async def _reach(self) -> None:
        """One trip to the server."""
        await asyncio.sleep(0)
        if not self._opened:
            raise TargetConnectionError("the target is not open")

    async def prepare_control(self) -> None:
        await self._reach()
        prepare(self._database)

    async def begun(self) -> Sequence[TableName]:
        """See `abilities.ResumingTarget.begun`."""
        await self._reach()
        held = self._database.visible_rows(TABLES)
        return sorted(cast(TableName, row[1]) for row in held if row[0] == self._replication)

    async def quarantined(
        self, after: int, rows_max: int, bytes_max: int
    ) -> Sequence[QuarantinedRow]:
        """See `abilities.QuarantineTarget.quarantined`."""
        await self._reach()
        held = self._database.visible_rows(QUARANTINE)
        mine = [cast(RejectedRow, row[1]) for row in held if row[0] == self._replication]
        numbered = [QuarantinedRow(number, "", row) for number, row in enumerate(mine, 1)]
        page = numbered[after : after + rows_max]
        sums = accumulate([len(each.row.payload) for each in page], initial=0)
        return [each for each, before in zip(page, sums, strict=False) if before <= bytes_max]

    # --- sessions -----------------------------------------------------------------------------

    @asynccontextmanager
    async def session(self) -> AsyncIterator[MemorySession]:
        await self._reach()
        server = self._database.connect()
        self._sessions.append(server)
        try:
            yield MemorySession(self, server)
        finally:
            self._database.drop_session(server)
            if server in self._sessions:
                self._sessions.remove(server)

    def start(self, session: ServerSession) -> MemoryTransaction:
        """Begin on the server, for `MemorySession`."""
        server = self._database.begin(session)
        return MemoryTransaction(
            self._database, session, server, self._replication, self._lock_timeout_seconds
        )

    def end(self, session: ServerSession, transaction: MemoryTransaction) -> None:
        """Roll back what has not ended and is still the session's own, for `MemorySession`."""
        if session.transaction is transaction.server:
            self._database.rollback(transaction.server)

    async def terminate(self, sessions: Sequence[tuple[int, str]]) -> None:
        await self._reach()
        for session in list(self._database.sessions.values()):
            if session.identity in sessions:
                self._database.drop_session(session)

    # --- tables -------------------------------------------------------------------------------

    async def relation(self, table: TableName) -> Relation | None:
        await self._reach()
        found = self._database.tables.get(table)
        return found.relation if found is not None else None

    async def empty(self, table: TableName) -> bool:
        await self._reach()
        return self._at_once(lambda server: next(server.scan(table), None) is None)

    async def ensure(self, definitions: Sequence[TableDefinition], prepare: str) -> None:
        await self._reach()
        for definition in definitions:
            self._at_once(partial(self._ensure, definition, prepare))

    def _ensure(self, definition: TableDefinition, prepare: str, server: ServerTransaction) -> None:
        name = definition.table
        there = self._database.tables.get(name)
        if there is None or prepare == "drop-and-create":
            server.replace_table(name, definitions.create(definition))
            return
        _require_shape(there, definition)
        if prepare == "truncate":
            server.truncate([name], cascade=True)

    async def load_form(self, relation: Relation) -> str:
        await self._reach()
        return rows.FORM

    def load_rows(self, relation: Relation, form: str) -> rows.MemoryRows:
        return rows.MemoryRows(len(relation.columns))

    async def finish(self, definitions: Sequence[TableDefinition]) -> Sequence[Finding]:
        await self._reach()
        findings: list[Finding] = []
        for definition in definitions:
            try:
                self._at_once(partial(_constrain, definition))
            except RowRejectedError as error:
                subject = str(definition.table)
                findings.append(Finding("constraint", Severity.WARNS, error.message, "", subject))
        return findings

    async def loosen(
        self, definitions: Sequence[TableDefinition], tables: Collection[TableName]
    ) -> None:
        await self._reach()
        for definition in definitions:
            if definition.table in self._database.tables:
                self._at_once(partial(_loosen, definition, tables))

    async def foreign_keys(self) -> Sequence[ForeignKey]:
        await self._reach()
        return [
            ForeignKey(name, foreign.parent)
            for name, table in sorted(self._database.tables.items())
            for foreign in table.foreign_keys
        ]

    async def key_obstacles(self, relations: Sequence[Relation]) -> Mapping[TableName, str]:
        await self._reach()
        return keys.obstacles(relations, self._database.tables)

    async def preflight(self, relations: Sequence[Relation]) -> Sequence[Finding]:
        """See `contracts.Checked.preflight`."""
        await self._reach()
        return preflight.of_target(relations, self._database.tables)

    def _at_once(self, work: Callable[[ServerTransaction], T]) -> T:
        """A transaction of its own, without waiting."""
        server = self._database.begin()
        try:
            result = work(server)
            self._database.commit(server)
        finally:
            self._database.rollback(server)
        return result


def _require_shape(table: Table, definition: TableDefinition) -> None:
    wanted = {column.name for column in definition.relation.columns}
    there = {column.name for column in table.relation.columns}
    if not wanted <= there:
        names = ", ".join(sorted(wanted - there))
        raise SchemaMismatchError(f"{definition.table} lacks the columns {names}")


def _loosen(
    definition: TableDefinition, tables: Collection[TableName], server: ServerTransaction
) -> None:
    """Take those foreign keys that the definition has and `finish` would make again."""
    table = server.table(definition.table)
    ours = [definitions.foreign_key_of(table.relation, d) for d in definition.foreign_keys]
    gone = [f for f in ours if definition.table in tables or f.parent in tables]
    kept = tuple(foreign for foreign in table.foreign_keys if foreign not in gone)
    if kept != table.foreign_keys:
        server.replace_table(definition.table, table.altered(foreign_keys=kept))


def _constrain(definition: TableDefinition, server: ServerTransaction) -> None:
    """Give the table its unique and foreign keys; every row is checked."""
    table = server.table(definition.table)
    relation = table.relation
    uniques = [definitions.unique_of(relation, d) for d in definition.constraints]
    foreign = [definitions.foreign_key_of(relation, d) for d in definition.foreign_keys]
    more_uniques = tuple(u for u in uniques if u not in table.uniques)
    more_foreign = tuple(f for f in foreign if f not in table.foreign_keys)
    if not more_uniques and not more_foreign:
        return
    constrained = table.altered(
        uniques=table.uniques + more_uniques, foreign_keys=table.foreign_keys + more_foreign
    )
    server.replace_table(definition.table, constrained)
    server.check_whole(definition.table)
