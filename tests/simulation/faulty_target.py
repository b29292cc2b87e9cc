"""Faults around the memory target: what its links, server and locks do to a client.

See `faults` for who decides. What a crash or a lost answer leaves in doubt is told to the decider.
"""

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from typing import Any, cast

from connectors.memory.database import MemoryDatabase
from connectors.memory.target import MemorySession, MemoryTarget
from connectors.memory.writing import MemoryTransaction
from engine.contracts import TargetSession, TargetTransaction
from engine.errors import (
    CommitUnknownError,
    InvariantError,
    TargetBusyError,
    TargetConnectionError,
    TargetFullError,
)
from engine.model.finding import Finding
from engine.model.relation import Relation, TableName
from engine.model.state import Fence
from engine.model.table import ForeignKey, TableDefinition
from tests.simulation.faults import Decider


class FaultyTransaction:
    """A transaction over a link that breaks. Every method of the contract but the end goes the
    same way: a trip, perhaps a fault, then the server."""

    def __init__(
        self, inner: MemoryTransaction, database: MemoryDatabase, decider: Decider
    ) -> None:
        self._inner = inner
        self._database = database
        self._decider = decider

    async def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        decider = self._decider
        await decider.trip()
        self._strike()
        if name == "write":
            decider.note_write(arguments[0])
            await decider.linger({run.relation.table for run in arguments[0]})
        method: Callable[..., Awaitable[Any]] = getattr(self._inner, name)
        result = await method(*arguments, **named)
        await decider.trip()
        return result

    def _strike(self) -> None:
        decider = self._decider
        if decider.strikes("target_cut"):
            self._drop()
            raise TargetConnectionError("the connection to the target broke")
        if decider.strikes("busy"):
            self._inner.fail()
            raise TargetBusyError("deadlock detected")
        if decider.strikes("full"):
            self._inner.fail()
            raise TargetFullError("no room left")

    def _drop(self) -> None:
        self._database.drop_session(self._inner.session)

    async def rollback(self) -> None:
        await self._decider.trip()
        await self._inner.rollback()

    async def commit(self, positions: Mapping[str, str] | None = None) -> None:
        decider, server = self._decider, self._inner.server
        await decider.trip()
        self._strike()
        await self._inner.place(positions)
        decider.committing[server] = self._inner.session
        try:
            await decider.trip()
        except asyncio.CancelledError:
            decider.decide_commit(self._database, server, self._inner.session)
            self._drop()
            raise
        finally:
            decider.committing.pop(server, None)
        if decider.strikes("lost_commit"):
            decider.unknown.append(server)
            self._drop()
            raise CommitUnknownError("the connection broke at COMMIT")
        if decider.strikes("late_commit"):
            decider.unknown.append(server)
            decider.land_later(self._database, self._database.detach(self._inner.session))
            self._drop()
            raise CommitUnknownError("the connection broke after COMMIT was sent")
        await self._inner.commit()
        if decider.strikes("lost_reply"):
            decider.unknown.append(server)
            self._drop()
            raise CommitUnknownError("the answer to COMMIT was lost")
        await decider.trip()


def _passed_on(name: str) -> Callable[..., Awaitable[Any]]:
    async def method(self: FaultyTransaction, *arguments: Any, **named: Any) -> Any:
        return await self._call(name, *arguments, **named)

    return method


for _name in [
    "lock_owner",
    "peek_owner",
    "save_owner",
    "raise_lanes",
    "lanes",
    "glance",
    "save_lane",
    "remove_lane",
    "tables",
    "save_table",
    "request_reload",
    "answer_reload",
    "remove_table",
    "chunks",
    "save_chunk",
    "remove_chunks",
    "reject",
    "remove_replication",
    "write",
    "truncate",
    "evolve",
    "load",
    "savepoint",
    "release_savepoint",
    "rollback_to_savepoint",
]:
    setattr(FaultyTransaction, _name, _passed_on(_name))


class FaultySession:
    def __init__(
        self,
        inner: MemorySession,
        database: MemoryDatabase,
        decider: Decider,
        in_use: dict[str, object],
        lost: set[tuple[str, int, int]],
    ) -> None:
        self._inner = inner
        self._database = database
        self._decider = decider
        self._in_use = in_use
        self._lost = lost

    @property
    def identity(self) -> tuple[int, str]:
        return self._inner.identity

    @property
    def broken(self) -> bool:
        return self._inner.broken

    @asynccontextmanager
    async def begin(self, fences: Sequence[Fence] = ()) -> AsyncIterator[TargetTransaction]:
        for fence in fences:
            if (fence.lane, fence.epoch, fence.seq) in self._lost:
                # A real session may have sent all of it before it is cancelled.
                raise InvariantError(f"lane {fence.lane} goes on behind a transaction that failed")
        await self._decider.trip()
        for fence in fences:
            if self._in_use.setdefault(fence.lane, self) is not self:
                raise InvariantError(f"lane {fence.lane} is on two appliers")
        try:
            async with self._inner.begin(fences) as transaction:
                faulty = FaultyTransaction(transaction, self._database, self._decider)
                yield cast(TargetTransaction, faulty)
        except (CommitUnknownError, TargetConnectionError):
            self._lost.update([(fence.lane, fence.epoch, fence.seq) for fence in fences])
            raise
        finally:
            for fence in fences:
                self._in_use.pop(fence.lane, None)


class FaultyTarget:
    """A memory target behind links that break."""

    def __init__(self, inner: MemoryTarget, database: MemoryDatabase, decider: Decider) -> None:
        self._inner = inner
        self._database = database
        self._decider = decider
        self._in_use: dict[str, object] = {}
        self._lost: set[tuple[str, int, int]] = set()
        """Fences (lane, epoch, seq) of transactions that were lost: only another claim may go on,
        with another epoch."""

    async def _query(self) -> None:
        await self._decider.trip()
        if self._decider.strikes("target_cut"):
            raise TargetConnectionError("the target's server went away")

    async def open(self) -> None:
        await self._decider.trip()
        await self._inner.open()

    async def close(self) -> None:
        await self._inner.close()

    async def prepare_control(self) -> None:
        await self._query()
        await self._inner.prepare_control()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[TargetSession]:
        await self._query()
        async with self._inner.session() as session:
            yield FaultySession(session, self._database, self._decider, self._in_use, self._lost)

    async def terminate(self, sessions: Sequence[tuple[int, str]]) -> None:
        await self._query()
        await self._inner.terminate(sessions)

    async def relation(self, table: TableName) -> Relation | None:
        await self._query()
        return await self._inner.relation(table)

    async def empty(self, table: TableName) -> bool:
        await self._query()
        return await self._inner.empty(table)

    async def ensure(self, definitions: Sequence[TableDefinition], prepare: str) -> None:
        await self._query()
        await self._inner.ensure(definitions, prepare)
        await self._query()

    async def load_form(self, relation: Relation) -> str:
        await self._query()
        return await self._inner.load_form(relation)

    def load_rows(self, relation: Relation, form: str) -> Any:
        return self._inner.load_rows(relation, form)

    async def finish(self, definitions: Sequence[TableDefinition]) -> Sequence[Finding]:
        await self._query()
        findings = await self._inner.finish(definitions)
        await self._query()
        return findings

    async def loosen(
        self, definitions: Sequence[TableDefinition], tables: Collection[TableName]
    ) -> None:
        await self._query()
        await self._inner.loosen(definitions, tables)
        await self._query()

    async def foreign_keys(self) -> Sequence[ForeignKey]:
        await self._query()
        return await self._inner.foreign_keys()

    async def key_obstacles(self, relations: Sequence[Relation]) -> Mapping[TableName, str]:
        await self._query()
        return await self._inner.key_obstacles(relations)
