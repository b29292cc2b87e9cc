"""Faults around the memory connectors: what links, servers and locks do to a client.

A `Decider` draws every delay and every fault from one seeded stream, in the order the calls are
made, so a run is its seed. The wrappers hold no state that the engine could not lose: what a crash
leaves in doubt (a COMMIT on its way) is told to the decider, and the world decides it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, fields
from typing import Final, cast

from connectors.memory.database import MemoryDatabase, ServerSession
from connectors.memory.source import MemorySource
from connectors.memory.transaction import ServerTransaction, State
from engine.contracts import Attached, Waiting
from engine.errors import (
    RowRejectedError,
    SourceConnectionError,
)
from engine.model.batch import Run
from engine.model.change import Block, SchemaChanged, Transaction
from engine.model.chunk import Chunk, ChunkDone
from engine.model.position import LogPosition, Position
from engine.model.relation import Relation, TableName
from engine.model.retained import Retained
from engine.model.snapshot import Snapshot
from engine.model.table import TableDefinition
from engine.model.value import Key, KeyHash
from tests.simulation.halving import halves
from tests.simulation.loop import SimulatedLoop


@dataclass(frozen=True, slots=True)
class Faults:
    """How likely each thing is, per call. `delay` is of a wait up to `delay_seconds_max`."""

    delay: float = 0.0
    delay_seconds_max: float = 0.05
    source_cut: float = 0.0
    """The stream breaks between two blocks."""
    source_down: float = 0.0
    """A query on the source fails and takes every connection with it."""
    repeat: float = 0.0
    """A reopened stream sends again from what was acknowledged."""
    recut: float = 0.0
    """A block comes in pieces."""
    acknowledgement_lost: float = 0.0
    target_cut: float = 0.0
    busy: float = 0.0
    full: float = 0.0
    lost_reply: float = 0.0
    """COMMIT was done, the answer is lost."""
    lost_commit: float = 0.0
    """COMMIT never arrived."""
    late_commit: float = 0.0
    """COMMIT lands after the client has given up."""
    late_seconds_max: float = 8.0
    slow: float = 0.0
    """The target takes long over a write."""
    slow_seconds_max: float = 20.0
    disk_full: float = 0.0
    """A write finds no room, nor do some that follow."""
    disk_damaged: float = 0.0
    """A byte reads back as another."""

    @property
    def chances(self) -> dict[str, float]:
        """Those that may strike at all, and how likely."""
        quiet = ("delay", "delay_seconds_max", "late_seconds_max", "slow_seconds_max")
        found = {f.name: float(getattr(self, f.name)) for f in fields(self)}
        return {name: value for name, value in found.items() if value and name not in quiet}


CALM: Final = Faults(delay=0.3)
STORM: Final = Faults(
    delay=0.5,
    delay_seconds_max=0.05,
    source_cut=0.02,
    source_down=0.01,
    repeat=0.5,
    recut=0.3,
    acknowledgement_lost=0.3,
    target_cut=0.01,
    busy=0.02,
    full=0.004,
    lost_reply=0.03,
    lost_commit=0.02,
    late_commit=0.03,
)


WRITES_REFUSED_MAX: Final = 20
"""Writes in a row that a full disk refuses at most."""


class Decider:
    """Chance, of one seed. `healed`: only delays are left, for good; `lulled`, for a while."""

    def __init__(
        self, seed: int, faults: Faults, loop: SimulatedLoop, reached: Counter[str]
    ) -> None:
        self.random = random.Random(seed)
        self.faults = faults
        self.healed = False
        self.lulled = False
        self.loop = loop
        self.met: dict[str, int] = {}
        """How often each fault struck: a fault that never strikes tests nothing."""
        self.committing: dict[ServerTransaction, ServerSession] = {}
        """COMMITs on their way to the server, and on which connection."""
        self.reached = reached
        self.unknown: list[ServerTransaction] = []
        """COMMITs whose outcome a client was not told and has not asked for yet."""
        self.late: list[ServerTransaction] = []
        """COMMITs that land, or landed, after their client gave up."""
        self.slow_tables: dict[TableName, float] = {}
        """Tables whose writes take this many seconds just now."""
        self._writes_refused = 0

    async def trip(self) -> None:
        """A way to a server."""
        if self.random.random() < self.faults.delay:
            await asyncio.sleep(self.random.uniform(0.0, self.faults.delay_seconds_max))

    def strikes(self, fault: str) -> bool:
        likely: float = getattr(self.faults, fault)
        if self.healed or self.lulled or not likely or self.random.random() >= likely:
            return False
        self.met[fault] = self.met.get(fault, 0) + 1
        self.loop.note(fault)
        return True

    def note_write(self, runs: Sequence[Run]) -> None:
        """What a target is given is part of the trace: the same seed, the same operations."""
        if self.loop.trace is not None:
            said = [(run.kind, str(run.relation.table), run.rows, run.olds) for run in runs]
            self.loop.note(f"write {said}")

    async def linger(self, tables: Collection[TableName]) -> None:
        """What a write to these tables takes beyond the trip."""
        slow = max([self.slow_tables.get(table, 0.0) for table in tables], default=0.0)
        if slow:
            await asyncio.sleep(slow)
        elif self.strikes("slow"):
            await asyncio.sleep(self.random.uniform(0.0, self.faults.slow_seconds_max))

    def refuses_write(self) -> bool:
        """Whether the disk is full now: for a few writes, then there is room again."""
        if self.strikes("disk_full"):
            self._writes_refused = self.random.randint(1, WRITES_REFUSED_MAX)
        self._writes_refused -= self._writes_refused > 0
        return self._writes_refused > 0

    def damages_read(self) -> bool:
        return self.strikes("disk_damaged")

    def decide_commit(
        self, database: MemoryDatabase, server: ServerTransaction, session: ServerSession
    ) -> None:
        """A COMMIT was on its way when its client ended: lost, or there already, or there later."""
        if server.state is not State.OPEN:
            return
        fate = self.random.choice(("lost", "landed", "late"))
        self.reached[f"commit-cut-{fate}"] += 1
        self.loop.note(f"commit of {server.xid}: {fate}")
        if fate == "landed":
            commit_quietly(database, server)
        elif fate == "late" and session.transaction is server:
            self.land_later(database, database.detach(session))

    def land_later(self, database: MemoryDatabase, transaction: ServerTransaction) -> None:
        """The server commits by itself, after a while; its locks are held until then."""

        def land() -> None:
            if transaction.state is State.OPEN:
                self.loop.note(f"late commit of {transaction.xid}")
                commit_quietly(database, transaction)

        self.late.append(transaction)
        delay = self.random.uniform(0.0, self.faults.late_seconds_max)
        with self.loop.inside(None):
            self.loop.call_later(delay, land)


def commit_quietly(database: MemoryDatabase, transaction: ServerTransaction) -> None:
    """Commit with nobody there to be told of a constraint that fails now."""
    with suppress(RowRejectedError):
        database.commit(transaction)


class FaultySource:
    """A memory source behind a link that breaks. `delivered` is told of every position given."""

    def __init__(
        self,
        inner: MemorySource,
        database: MemoryDatabase,
        decider: Decider,
        delivered: Callable[[LogPosition], None],
        acknowledged: Callable[[LogPosition], None],
    ) -> None:
        self._inner = inner
        self._database = database
        self._decider = decider
        self._delivered = delivered
        self._acknowledged = acknowledged

    async def _query(self) -> None:
        await self._decider.trip()
        if self._decider.strikes("source_down"):
            self._inner.cut()
            raise SourceConnectionError("the source's server went away")

    async def open(self) -> str:
        await self._decider.trip()
        return await self._inner.open()

    async def close(self) -> None:
        await self._inner.close()

    async def relations(self) -> Sequence[Relation]:
        await self._query()
        return await self._inner.relations()

    async def attach(
        self,
        streamed: Sequence[TableName],
        insert_only: Sequence[TableName],
        *,
        create: bool = True,
    ) -> Attached:
        await self._query()
        attached = await self._inner.attach(streamed, insert_only, create=create)
        self._delivered(cast(LogPosition, attached.start))
        await self._query()
        return attached

    async def publish(
        self,
        streamed: Sequence[TableName],
        insert_only: Sequence[TableName],
        *,
        waiting: Waiting | None = None,
    ) -> None:
        await self._query()
        await self._inner.publish(streamed, insert_only)
        await self._decider.trip()

    async def detach(self) -> None:
        await self._query()
        await self._inner.detach()

    def position(self, text: str) -> Position:
        return self._inner.position(text)

    async def blocks(self, after: Position) -> AsyncGenerator[Block, None]:
        decider = self._decider
        await decider.trip()
        async with aclosing(self._inner.blocks(self._from(after))) as stream:
            async for block in stream:
                for piece in self._pieces(block):
                    await decider.trip()
                    if decider.strikes("source_cut"):
                        raise SourceConnectionError("the stream broke")
                    self._note(piece)
                    yield piece

    def _from(self, after: Position) -> Position:
        assert isinstance(after, LogPosition)
        confirmed = min((slot.confirmed for slot in self._database.slots.values()), default=None)
        if confirmed is None or after.offset < confirmed or not self._decider.strikes("repeat"):
            return after
        return LogPosition(confirmed)

    def _pieces(self, block: Block) -> list[Block]:
        if not block.parts or not self._decider.strikes("recut"):
            return [block]
        parts = [piece for part in block.parts for piece in halves(part, self._decider.random)]
        size = block.size // len(parts)
        pieces = [Block([part], size, None, block.received_at) for part in parts]
        pieces[-1].idle = block.idle
        return pieces

    def _note(self, block: Block) -> None:
        for part in block.parts:
            counted = sum(not isinstance(e, SchemaChanged) for e in part.events)
            inside = part.transaction.at(part.first + counted - 1)
            self._delivered(cast(LogPosition, part.end or inside))
        if block.idle is not None:
            self._delivered(cast(LogPosition, block.idle))

    async def acknowledge(self, position: Position) -> None:
        self._acknowledged(cast(LogPosition, position))
        if not self._decider.strikes("acknowledgement_lost"):
            await self._inner.acknowledge(position)

    async def head(self) -> Position:
        await self._query()
        return await self._inner.head()

    async def retained(self) -> Retained:
        await self._query()
        return await self._inner.retained()

    async def reader(self) -> str | None:
        await self._query()
        return await self._inner.reader()

    async def evict(self) -> None:
        await self._query()
        await self._inner.evict()

    async def definitions(
        self, tables: Sequence[TableName], *, to_load: bool = False
    ) -> Sequence[TableDefinition]:
        await self._query()
        return await self._inner.definitions(tables, to_load=to_load)

    async def key_obstacles(self, relations: Sequence[Relation]) -> Mapping[TableName, str]:
        await self._query()
        return await self._inner.key_obstacles(relations)

    def key_hash(self, relation: Relation) -> KeyHash | None:
        return self._inner.key_hash(relation)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        await self._query()
        async with self._inner.snapshot() as snapshot:
            yield snapshot

    async def chunks(self, relation: Relation, rows_max: int) -> Sequence[Chunk]:
        await self._query()
        return await self._inner.chunks(relation, rows_max)

    async def rows(
        self, chunk: Chunk, snapshot: Snapshot, form: str
    ) -> AsyncGenerator[bytes, None]:
        await self._query()
        async with aclosing(self._inner.rows(chunk, snapshot, form)) as buffers:
            async for buffer in buffers:
                await self._query()
                middle = self._decider.random.randint(0, len(buffer))
                yield buffer[:middle]
                yield buffer[middle:]

    def visible(self, snapshot: str, transaction: Transaction) -> bool:
        return self._inner.visible(snapshot, transaction)

    def chunk_of(self, done: Sequence[ChunkDone], relation: Relation, key: Key) -> ChunkDone | None:
        return self._inner.chunk_of(done, relation, key)
