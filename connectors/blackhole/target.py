"""The target that keeps no row: it counts them and adds up a checksum of their bytes.

What it measures is the engine alone. Fences and control rows work, so the commit protocol runs as
it does against a database; nothing is durable.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from zlib import crc32

from connectors._interchange import compiled
from connectors.blackhole.control import ControlRows, ControlState
from engine.config.replication import ReplicationConfig
from engine.errors import InvariantError
from engine.machine import Clock, Random
from engine.model.batch import Run, Written
from engine.model.change import SchemaChanged, Truncate
from engine.model.finding import Finding
from engine.model.load_rows import LoadRows
from engine.model.relation import Relation, TableName
from engine.model.state import Fence
from engine.model.table import ForeignKey, TableDefinition
from engine.model.value import Row


def create(_config: ReplicationConfig, _clock: Clock, _random: Random) -> "BlackholeTarget":
    """A blackhole; it needs no configuration."""
    return BlackholeTarget()


@dataclass(slots=True)
class Discarded:
    """What one table was sent: rows, bytes of values, and the sum of the CRC-32 of every value.

    NULL and an empty value add nothing, and the sum does not depend on order, so the same can be
    computed from a table's rows in their binary form.
    """

    rows: int = 0
    bytes: int = 0
    checksum: int = 0

    def add(self, rows: Sequence[Row]) -> int:
        """Count rows; their bytes."""
        loops = compiled.LOOPS
        size, checksum = sums(rows) if loops is None else loops.sum_values(rows)
        self.rows += len(rows)
        self.bytes += size
        self.checksum += checksum
        return size


def sums(rows: Sequence[Row]) -> tuple[int, int]:
    """The bytes of the rows' values, and the sum of every value's CRC-32."""
    values = [v for v in chain.from_iterable(rows) if v.__class__ is bytes]
    return sum(map(len, values)), sum(map(crc32, values))


class BlackholeTarget:
    """See `contracts.TransactionalTarget`. `discarded` is what has been committed, by table."""

    def __init__(self) -> None:
        self.state = ControlState()
        self.discarded: dict[TableName, Discarded] = {}

    @property
    def checksum(self) -> int:
        """The sum over every table."""
        return sum(table.checksum for table in self.discarded.values())

    @property
    def rows(self) -> int:
        """Rows over every table."""
        return sum(table.rows for table in self.discarded.values())

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def prepare_control(self) -> None: ...

    async def terminate(self, sessions: Sequence[tuple[int, str]]) -> None: ...

    # --- tables: every one is there, empty and of the right shape --------------------------------

    async def relation(self, table: TableName) -> Relation | None:
        """Nothing is known of tables."""
        return None

    async def empty(self, table: TableName) -> bool:
        return True

    async def ensure(self, definitions: Sequence[TableDefinition], prepare: str) -> None: ...

    async def load_form(self, relation: Relation) -> str:
        """The form in which the source's own kind of target would take it."""
        return f"{relation.wire}-binary"

    def load_rows(self, relation: Relation, form: str) -> LoadRows:
        raise InvariantError("the blackhole refuses no row")

    async def finish(self, definitions: Sequence[TableDefinition]) -> Sequence[Finding]:
        return ()

    async def loosen(
        self, definitions: Sequence[TableDefinition], tables: Collection[TableName]
    ) -> None: ...

    async def foreign_keys(self) -> Sequence[ForeignKey]:
        return ()

    # --- sessions -------------------------------------------------------------------------------

    @asynccontextmanager
    async def session(self) -> AsyncIterator["BlackholeSession"]:
        yield BlackholeSession(self)


class BlackholeSession:
    """See `contracts.TargetSession`."""

    def __init__(self, target: BlackholeTarget) -> None:
        self._target = target

    @property
    def identity(self) -> tuple[int, str]:
        return (0, "")

    @property
    def broken(self) -> bool:
        return False

    @asynccontextmanager
    async def begin(self, fences: Sequence[Fence] = ()) -> AsyncIterator["BlackholeTransaction"]:
        """See `contracts.TargetSession.begin`."""
        yield BlackholeTransaction(self._target, fences)


class BlackholeTransaction(ControlRows):
    """See `contracts.TargetTransaction`. Rows are added up when they are written and counted when
    the transaction commits. Savepoints are accepted: nothing is ever refused."""

    def __init__(self, target: BlackholeTarget, fences: Sequence[Fence]) -> None:
        super().__init__(target.state)
        self._target = target
        self._fences = fences
        self._pending: dict[TableName, Discarded] = {}
        for fence in fences:
            target.state.check(fence)

    async def write(self, runs: Sequence[Run]) -> Written:
        written = Written()
        for run in runs:
            table = self._pending.setdefault(run.relation.table, Discarded())
            written.bytes += table.add(run.rows)
            written.rows += len(run.rows)
        return written

    async def load(self, relation: Relation, form: str, data: AsyncIterator[bytes]) -> Written:
        """Take the bytes; they are not split into rows."""
        written = Written()
        async for piece in data:
            written.bytes += len(piece)
        self._pending.setdefault(relation.table, Discarded()).bytes += written.bytes
        return written

    async def truncate(self, truncate: Truncate) -> None: ...

    async def evolve(self, change: SchemaChanged) -> None: ...

    async def savepoint(self) -> None: ...

    async def release_savepoint(self, *, checked: bool = True) -> None: ...

    async def rollback_to_savepoint(self) -> None: ...

    async def rollback(self) -> None:
        self._pending.clear()
        self._fences = ()

    async def commit(self, positions: Mapping[str, str] | None = None) -> None:
        state = self._target.state
        for fence in self._fences:
            state.check(fence)
        for fence in self._fences:
            state.advance(fence, (positions or {}).get(fence.lane, fence.position))
        for table, pending in self._pending.items():
            total = self._target.discarded.setdefault(table, Discarded())
            total.rows += pending.rows
            total.bytes += pending.bytes
            total.checksum += pending.checksum
        self._pending.clear()
