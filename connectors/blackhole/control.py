"""Control rows of one replication in memory: they last as long as the target object. (pure)

Primitives only, without isolation: changes count at once. A blackhole has one owner, the benchmark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.errors import FenceFailedError
from engine.model.chunk import ChunkDone
from engine.model.relation import TableName
from engine.model.state import Fence, LaneRow, Owner, RejectedRow, TableRecord


@dataclass(slots=True)
class ControlState:
    """What the control tables hold."""

    owner: Owner | None = None
    lanes: dict[str, LaneRow] = field(default_factory=dict[str, LaneRow])
    tables: dict[TableName, TableRecord] = field(default_factory=dict[TableName, TableRecord])
    chunks: dict[tuple[TableName, int], ChunkDone] = field(
        default_factory=dict[tuple[TableName, int], ChunkDone]
    )
    rejected: int = 0

    def check(self, fence: Fence) -> None:
        """Raises FenceFailedError unless the lane is where the fence says."""
        row = self.lanes.get(fence.lane)
        if row is None or (row.epoch, row.seq) != (fence.epoch, fence.seq):
            raise FenceFailedError(f"lane {fence.lane}: its checkpoint row is not as expected")

    def advance(self, fence: Fence, position: str) -> None:
        self.lanes[fence.lane] = LaneRow(fence.epoch, fence.seq + 1, position)


class ControlRows:
    """See `contracts.ControlTransaction`."""

    def __init__(self, state: ControlState) -> None:
        self._state = state

    async def lock_owner(self) -> Owner | None:
        return self._state.owner

    async def peek_owner(self) -> Owner | None:
        return self._state.owner

    async def save_owner(self, owner: Owner) -> None:
        self._state.owner = owner

    async def raise_lanes(self, epoch: int) -> Mapping[str, LaneRow]:
        lanes = self._state.lanes
        for lane, row in lanes.items():
            lanes[lane] = replace(row, epoch=epoch)
        return dict(lanes)

    async def lanes(self) -> Mapping[str, LaneRow]:
        return dict(self._state.lanes)

    async def glance(self) -> tuple[int, int]:
        owner = self._state.owner
        total = sum(row.seq for row in self._state.lanes.values())
        return (0, 0) if owner is None else (owner.epoch, total)

    async def save_lane(self, lane: str, row: LaneRow) -> None:
        self._state.lanes[lane] = row

    async def remove_lane(self, lane: str) -> None:
        self._state.lanes.pop(lane, None)

    async def tables(self) -> Sequence[TableRecord]:
        return list(self._state.tables.values())

    async def save_table(self, record: TableRecord) -> None:
        stored = self._state.tables.get(record.table)
        if stored is not None:
            relation = record.relation or stored.relation
            record = replace(
                record, relation=relation, asked=stored.asked, answered=stored.answered
            )
        self._state.tables[record.table] = record

    async def request_reload(self, table: TableName) -> None:
        stored = self._state.tables.get(table)
        if stored is not None:
            self._state.tables[table] = replace(stored, asked=stored.asked + 1)

    async def answer_reload(self, table: TableName, asked: int | None = None) -> None:
        stored = self._state.tables.get(table)
        if stored is not None:
            number = stored.asked if asked is None else min(asked, stored.asked)
            answered = max(stored.answered, number)
            self._state.tables[table] = replace(stored, answered=answered)

    async def remove_table(self, table: TableName) -> None:
        self._state.tables.pop(table, None)

    async def chunks(self) -> Sequence[ChunkDone]:
        return list(self._state.chunks.values())

    async def save_chunk(self, chunk: ChunkDone) -> None:
        self._state.chunks[chunk.table, chunk.ordinal] = chunk

    async def remove_chunks(self, table: TableName) -> None:
        kept = {k: c for k, c in self._state.chunks.items() if c.table != table}
        self._state.chunks = kept

    async def reject(self, row: RejectedRow) -> None:
        self._state.rejected += 1

    async def remove_replication(self) -> None:
        state = self._state
        state.owner = None
        state.lanes, state.tables, state.chunks = {}, {}, {}
