"""The control tables of the memory target: primitives, no decisions."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar, cast

from connectors.memory.database import MemoryDatabase, ServerSession
from connectors.memory.definitions import CONTROL_SCHEMA, table
from connectors.memory.locks import DeadlockError, WouldBlockError
from connectors.memory.storage import Cells, Version
from connectors.memory.transaction import ServerTransaction, State
from engine.errors import (
    FenceFailedError,
    RowRejectedError,
    TargetBusyError,
    TargetConnectionError,
    TargetError,
)
from engine.model.chunk import ChunkDone
from engine.model.relation import TableName
from engine.model.state import Fence, LaneRow, Owner, RejectedRow, TableRecord

T = TypeVar("T")

OWNER: Final = TableName(CONTROL_SCHEMA, "owner")
CHECKPOINT: Final = TableName(CONTROL_SCHEMA, "checkpoint")
TABLES: Final = TableName(CONTROL_SCHEMA, "tables")
CHUNKS: Final = TableName(CONTROL_SCHEMA, "chunks")
QUARANTINE: Final = TableName(CONTROL_SCHEMA, "quarantine")

CONTROL_TABLES: Final = {
    OWNER: (("replication", "owner"), ("replication",)),
    CHECKPOINT: (("replication", "lane", "row"), ("replication", "lane")),
    TABLES: (("replication", "table", "record"), ("replication", "table")),
    CHUNKS: (("replication", "table", "ordinal", "done"), ("replication", "table", "ordinal")),
    QUARANTINE: (("replication", "row"), ()),
}
"""Columns and key of each; values are the vocabulary's own objects."""


def prepare(database: MemoryDatabase) -> None:
    """Create the control tables that are missing."""
    for name, (columns, key) in CONTROL_TABLES.items():
        if name not in database.tables:
            database.put_table(name, table(str(name), columns, key=key))
            database.worked()


class ControlRows:
    """One transaction's view of the control rows of one replication. See `contracts`."""

    def __init__(
        self,
        database: MemoryDatabase,
        session: ServerSession,
        server: ServerTransaction,
        replication: str,
        lock_timeout_seconds: float,
    ) -> None:
        self.server = server
        self.session = session
        self.database = database
        self._replication = replication
        self._lock_timeout_seconds = lock_timeout_seconds
        self._failed = False

    # --- how anything is done -----------------------------------------------------------------

    async def _step(self) -> None:
        """One trip to the server."""
        await asyncio.sleep(0)
        self._require_usable()

    def _require_usable(self) -> None:
        if not self.session.alive:
            raise TargetConnectionError("the connection to the target is closed")
        if self._failed:
            raise TargetError("the transaction is aborted: only rolling back is possible")
        if self.server.state is not State.OPEN:
            raise TargetError(f"the transaction is {self.server.state.value}")

    async def _do(self, operation: Callable[[], T]) -> T:
        """Run an operation, waiting for locks; after an error only rolling back is possible."""
        while True:
            try:
                return operation()
            except WouldBlockError as blocked:
                await self._wait(blocked.holders)
            except RowRejectedError:
                self._failed = True
                raise

    async def _wait(self, holders: tuple[int, ...]) -> None:
        try:
            async with asyncio.timeout(self._lock_timeout_seconds):
                await self.database.wait_for(self.server, holders)
        except TimeoutError:
            self._failed = True
            raise TargetBusyError("a lock was not had within the lock timeout") from None
        except DeadlockError:
            self._failed = True
            raise TargetBusyError("deadlock detected") from None
        self._require_usable()

    # --- rows of the control tables -----------------------------------------------------------

    def _find(self, name: TableName, *key: object) -> Version | None:
        columns = self.server.table(name).primary_key
        return self.server.find(name, columns, (self._replication, *key))

    def _mine(self, name: TableName, *key: object) -> list[Version]:
        prefix = (self._replication, *key)
        return [v for v in self.server.scan(name) if v.row[: len(prefix)] == prefix]

    async def _put(self, name: TableName, row: Cells) -> None:
        await self._step()
        key = row[1 : len(CONTROL_TABLES[name][1])]

        def put() -> None:
            version = self._find(name, *key)
            if version is None:
                self.server.insert(name, row)
            else:
                self.server.update(name, version, row)

        await self._do(put)

    async def _remove(self, name: TableName, *key: object) -> None:
        def remove() -> None:
            for version in self._mine(name, *key):
                self.server.delete(name, version)

        await self._do(remove)

    async def fence(self, fences: Sequence[Fence]) -> None:
        """Compare and set each lane row, in order."""
        await self._step()
        for fence in fences:
            await self._do(partial(self._compare_and_set, fence))

    def _compare_and_set(self, fence: Fence) -> None:
        version = self._find(CHECKPOINT, fence.lane)
        if version is not None:
            self.server.lock_row(CHECKPOINT, version)
            row = cast(LaneRow, version.row[2])
            if (row.epoch, row.seq) == (fence.epoch, fence.seq):
                moved = LaneRow(fence.epoch, fence.seq + 1, fence.position)
                self.server.update(CHECKPOINT, version, (*version.row[:2], moved))
                return
        self._failed = True
        raise FenceFailedError(f"lane {fence.lane} is not at epoch {fence.epoch} seq {fence.seq}")

    # --- owner --------------------------------------------------------------------------------

    async def lock_owner(self) -> Owner | None:
        await self._step()
        await self._do(lambda: self.server.lock(OWNER, (0,), (self._replication,)))
        return self._owner()

    async def peek_owner(self) -> Owner | None:
        await self._step()
        return self._owner()

    def _owner(self) -> Owner | None:
        version = self._find(OWNER)
        return cast(Owner, version.row[1]) if version is not None else None

    async def save_owner(self, owner: Owner) -> None:
        await self._put(OWNER, (self._replication, owner))

    # --- lanes --------------------------------------------------------------------------------

    async def raise_lanes(self, epoch: int) -> Mapping[str, LaneRow]:
        def change(row: LaneRow) -> LaneRow:
            return LaneRow(epoch, row.seq, row.position)

        return await self._each_lane(change)

    async def lanes(self) -> Mapping[str, LaneRow]:
        return await self._each_lane(None)

    async def _each_lane(
        self, change: Callable[[LaneRow], LaneRow] | None
    ) -> Mapping[str, LaneRow]:
        await self._step()
        found: dict[str, LaneRow] = {}
        for seen in self._mine(CHECKPOINT):
            lane = cast(str, seen.row[1])
            row = await self._do(partial(self._lock_lane, lane, change))
            if row is not None:
                found[lane] = row
        return found

    def _lock_lane(self, lane: str, change: Callable[[LaneRow], LaneRow] | None) -> LaneRow | None:
        version = self._find(CHECKPOINT, lane)
        if version is None:
            return None
        self.server.lock_row(CHECKPOINT, version)
        row = cast(LaneRow, version.row[2])
        if change is not None:
            row = change(row)
            self.server.update(CHECKPOINT, version, (*version.row[:2], row))
        return row

    async def glance(self) -> tuple[int, int]:
        await self._step()
        owner = self._owner()
        rows = [cast(LaneRow, version.row[2]) for version in self._mine(CHECKPOINT)]
        return (owner.epoch, sum(row.seq for row in rows)) if owner is not None else (0, 0)

    async def save_lane(self, lane: str, row: LaneRow) -> None:
        await self._put(CHECKPOINT, (self._replication, lane, row))

    async def remove_lane(self, lane: str) -> None:
        await self._step()
        await self._remove(CHECKPOINT, lane)

    # --- tables, chunks, quarantine -----------------------------------------------------------

    async def tables(self) -> Sequence[TableRecord]:
        await self._step()
        return [cast(TableRecord, version.row[2]) for version in self._mine(TABLES)]

    async def save_table(self, record: TableRecord) -> None:
        def kept(stored: TableRecord | None) -> TableRecord:
            if stored is None:
                return record
            relation = record.relation or stored.relation
            return replace(record, relation=relation, asked=stored.asked, answered=stored.answered)

        await self._rewrite(record.table, kept)

    async def request_reload(self, table: TableName) -> None:
        def ask(record: TableRecord | None) -> TableRecord | None:
            return record and replace(record, asked=record.asked + 1)

        await self._rewrite(table, ask)

    async def answer_reload(self, table: TableName, asked: int | None = None) -> None:
        def answer(record: TableRecord | None) -> TableRecord | None:
            if record is None:
                return None
            number = record.asked if asked is None else min(asked, record.asked)
            return replace(record, answered=max(record.answered, number))

        await self._rewrite(table, answer)

    async def _rewrite(
        self, table: TableName, change: Callable[[TableRecord | None], TableRecord | None]
    ) -> None:
        """Decided on what is stored once the row is locked."""
        await self._step()

        def rewrite() -> None:
            version = self._find(TABLES, table)
            if version is not None:
                self.server.lock_row(TABLES, version)
            after = change(None if version is None else cast(TableRecord, version.row[2]))
            if after is not None and version is None:
                self.server.insert(TABLES, (self._replication, table, after))
            elif after is not None and version is not None:
                self.server.update(TABLES, version, (self._replication, table, after))

        await self._do(rewrite)

    async def remove_table(self, table: TableName) -> None:
        await self._step()
        await self._remove(TABLES, table)

    async def chunks(self) -> Sequence[ChunkDone]:
        await self._step()
        return [cast(ChunkDone, version.row[3]) for version in self._mine(CHUNKS)]

    async def save_chunk(self, chunk: ChunkDone) -> None:
        await self._put(CHUNKS, (self._replication, chunk.table, chunk.ordinal, chunk))

    async def remove_chunks(self, table: TableName) -> None:
        await self._step()
        await self._remove(CHUNKS, table)

    async def reject(self, row: RejectedRow) -> None:
        await self._step()
        await self._do(lambda: self.server.insert(QUARANTINE, (self._replication, row)))

    async def remove_replication(self) -> None:
        await self._step()
        for name in CONTROL_TABLES:
            await self._remove(name)

    # --- end ----------------------------------------------------------------------------------

    async def rollback(self) -> None:
        await asyncio.sleep(0)
        if self.session.transaction is self.server:
            self.database.rollback(self.server)

    async def place(self, positions: Mapping[str, str] | None) -> None:
        """Set the positions that `commit` was given; the rest of a commit never waits."""
        await self._step()
        for lane, position in (positions or {}).items():
            await self._do(partial(self._move, lane, position))

    async def commit(self, positions: Mapping[str, str] | None = None) -> None:
        await self.place(positions)
        self.database.commit(self.server)
        await asyncio.sleep(0)

    def fail(self) -> None:
        """The server has aborted the transaction: only rolling back is possible."""
        self._failed = True

    def _move(self, lane: str, position: str) -> None:
        def change(row: LaneRow) -> LaneRow:
            return LaneRow(row.epoch, row.seq, position)

        self._lock_lane(lane, change)
