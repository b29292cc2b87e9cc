"""The control primitives of a transaction: reads are sent at once, changes wait for company."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from connectors._sql import control_rows
from connectors.mysql import control_sql
from connectors.mysql.result import Result
from engine.model.chunk import ChunkDone
from engine.model.relation import TableName
from engine.model.state import LaneRow, Owner, RejectedRow, TableRecord


class ControlRows(ABC):
    """See `contracts.ControlTransaction`. The transaction gives `_add`, `_add_many` and `_ask`."""

    @property
    @abstractmethod
    def _replication(self) -> str:
        """The id under which rows are kept."""

    @abstractmethod
    def _add(self, sql: bytes, subject: str = "") -> None:
        """Do this in order with everything else, at the latest with the commit."""

    @abstractmethod
    async def _add_many(self, sql: bytes, what: str) -> None:
        """As `_add`, one of many or a large one: those before it may be done now. Raises
        TargetError where the server takes none of that size; `what` it is about, in words."""

    @abstractmethod
    async def _ask(self, *statements: bytes) -> Result:
        """Do everything up to these now; the last one's result."""

    async def lock_owner(self) -> Owner | None:
        rows = cells(await self._ask(*control_sql.lock_owner(self._replication)))
        return control_rows.owner(rows[0]) if rows else None

    async def peek_owner(self) -> Owner | None:
        rows = cells(await self._ask(control_sql.peek_owner(self._replication)))
        return control_rows.owner(rows[0]) if rows else None

    async def save_owner(self, owner: Owner) -> None:
        self._add(control_sql.save_owner(self._replication, owner))

    async def raise_lanes(self, epoch: int) -> Mapping[str, LaneRow]:
        self._add(control_sql.raise_lanes(self._replication, epoch))
        return await self.lanes()

    async def lanes(self) -> Mapping[str, LaneRow]:
        return control_rows.lanes(cells(await self._ask(control_sql.lanes(self._replication))))

    async def glance(self) -> tuple[int, int]:
        rows = cells(await self._ask(control_sql.glance(self._replication)))
        return (int(rows[0][0] or 0), int(rows[0][1] or 0)) if rows else (0, 0)

    async def save_lane(self, lane: str, row: LaneRow) -> None:
        self._add(control_sql.save_lane(self._replication, lane, row))

    async def remove_lane(self, lane: str) -> None:
        self._add(control_sql.remove_lane(self._replication, lane))

    async def tables(self) -> Sequence[TableRecord]:
        rows = cells(await self._ask(control_sql.tables(self._replication)))
        return [control_rows.table(row) for row in rows]

    async def save_table(self, record: TableRecord) -> None:
        self._add(control_sql.save_table(self._replication, record))

    async def request_reload(self, table: TableName) -> None:
        self._add(control_sql.request_reload(self._replication, table))

    async def answer_reload(self, table: TableName, asked: int | None = None) -> None:
        self._add(control_sql.answer_reload(self._replication, table, asked))

    async def remove_table(self, table: TableName) -> None:
        self._add(control_sql.remove_table(self._replication, table))

    async def chunks(self) -> Sequence[ChunkDone]:
        rows = cells(await self._ask(control_sql.chunks(self._replication)))
        return [control_rows.chunk(row) for row in rows]

    async def save_chunk(self, chunk: ChunkDone) -> None:
        sql = control_sql.save_chunk(self._replication, chunk)
        await self._add_many(sql, f"a chunk of {chunk.table}")

    async def remove_chunks(self, table: TableName) -> None:
        self._add(control_sql.remove_chunks(self._replication, table))

    async def reject(self, row: RejectedRow) -> None:
        sql = control_sql.reject(self._replication, row)
        await self._add_many(sql, f"a row of {row.table} that was refused")

    async def remove_replication(self) -> None:
        for statement in control_sql.remove_replication(self._replication):
            self._add(statement)


def cells(result: Result) -> list[list[str | None]]:
    """A result's rows as texts."""
    return [
        [None if cell is None else cell.decode(errors="replace") for cell in row]
        for row in result.rows
    ]
