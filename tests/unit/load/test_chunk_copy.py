"""Chunks and their records become durable together, and none is copied twice."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
import pytest

from connectors.memory.control import CHUNKS, QUARANTINE, TABLES, prepare
from connectors.memory.database import MemoryDatabase
from connectors.memory.definitions import table
from connectors.memory.source import MemorySource
from connectors.memory.storage import Cells, Table
from connectors.memory.target import MemoryTarget
from engine.checkpoint.ownership import Claimant, claim, store_rows
from engine.config.capacity import CapacityConfig
from engine.config.replication import OnRowError
from engine.contracts import TargetSession
from engine.copiers import Copiers
from engine.errors import FenceFailedError, RowRejectedError, SourceConnectionError
from engine.load.chunk_copy import ChunkCopy
from engine.load.loader import LoaderLane
from engine.model.chunk import Chunk, ChunkDone
from engine.model.relation import TableName
from engine.model.snapshot import Snapshot
from engine.model.state import LaneRow, RejectedRow, TableRecord, TableState
from engine.observe.load_stages import LoadStages
from engine.observe.log import Log
from engine.observe.questions import Questions
from engine.provision import Provision
from tests.unit.apply.bench import Clock, Random

Loaders = list[tuple[TargetSession, LoaderLane]]

TIED = TableName("public", "tied")
"""What a foreign key ties to the table."""


def keyed() -> Table:
    return table("public.keyed", ["id", "value"], key=["id"])


def keyless() -> Table:
    return table("public.keyless", ["id", "value"])


class Failing(MemorySource):
    """Breaks off before the chunk with this ordinal; keeps which chunks were read."""

    fails_at: int | None = None
    read: list[int]

    def rows(self, chunk: Chunk, snapshot: Snapshot, form: str) -> AsyncGenerator[bytes, None]:
        if chunk.ordinal == self.fails_at:
            raise SourceConnectionError("cut")
        self.read.append(chunk.ordinal)
        return super().rows(chunk, snapshot, form)


class Given:
    """Sessions that are there already."""

    def __init__(self, sessions: Sequence[TargetSession]) -> None:
        self._sessions = list(sessions)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Sequence[TargetSession]]:
        yield [self._sessions.pop(0)]


@dataclass
class Bench:
    made: Table
    rows_per_chunk: int = 2
    on_row_error: OnRowError = OnRowError.STOP_TABLE
    strict: bool = False
    """The target takes no NULL."""
    source: Failing = field(init=False)
    origin: MemoryDatabase = field(init=False)
    database: MemoryDatabase = field(init=False)
    commits: int = 0
    states: list[TableState] = field(default_factory=list[TableState])
    copied: int = 0
    rejections: dict[str, int] = field(default_factory=dict[str, int])
    aside: list[TableRecord] = field(default_factory=list[TableRecord])

    def __post_init__(self) -> None:
        self.origin = MemoryDatabase("source")
        self.database = MemoryDatabase("target", logging=False)
        prepare(self.database)
        self.origin.put_table(self.name, self.made)
        key = ["id"] if self.made.relation.key else []
        required = ["value"] if self.strict else []
        fresh = table(str(self.name), ["id", "value"], key=key, required=required)
        self.database.put_table(self.name, fresh)
        self.insert(*[b"%02d" % number for number in range(6)])
        self.source = Failing(self.origin)
        self.source.read = []

    @property
    def name(self) -> TableName:
        return self.made.relation.table

    def insert(self, *keys: bytes, value: bytes | None = b"x") -> None:
        server = self.origin.begin()
        for key in keys:
            server.insert(self.name, (key, value))
        self.origin.commit(server)

    @asynccontextmanager
    async def loaders(self, count: int = 1) -> AsyncIterator[Loaders]:
        await self.source.open()
        target = self.target = MemoryTarget(self.database, "r")
        await target.open()
        async with target.session() as session:
            claimed = await claim(target, session, Claimant("s", "f", "p", "00" * 16))
            lanes = {f"load:{n}": LaneRow(claimed.epoch, 0, "") for n in range(count)}
            await store_rows(session, claimed.epoch, lanes)
            yield [(session, LoaderLane.of(name, row)) for name, row in lanes.items()]
        await target.close()
        await self.source.close()

    async def load(self, loaders: Loaders, *, again: bool = False) -> None:
        copy = ChunkCopy(
            self.source,
            self.target,
            Clock(),
            Random(),
            self,
            self.rows_per_chunk,
            len(loaders),
            self.on_row_error,
            self._tied,
            self._committed,
            lambda row: row,
            LoadStages(),
            Questions(lambda: 0.0),
        )
        stored = {self.name: self.chunks()}
        given = Given([session for session, _ in loaders])
        config = CapacityConfig(copiers_per_unit=len(loaders))
        copiers = Copiers(
            given, [lane for _, lane in loaders], Provision(config.budget, 1), Log(print, Clock())
        )
        async with copiers.opened() as first:
            found = await copy.load([self.made.relation], stored, copiers, first, again=again)
        assert set(found) == {record.table for record in self.aside}

    async def _tied(self, table: TableName) -> Sequence[TableName]:
        return [table, TIED]

    def _committed(self, fences: int) -> None:
        self.commits += fences

    def chunk(self, table: TableName, rows: int, size: int) -> None:
        self.copied += rows

    def table(self, table: TableName, state: TableState) -> None:
        self.states.append(state)

    def rejected(self, table: TableName, reason: str, rows: int) -> None:
        self.rejections[reason] = self.rejections.get(reason, 0) + rows

    def set_aside(self, records: Sequence[TableRecord], error: RowRejectedError) -> None:
        self.aside += records

    def kept(self) -> list[RejectedRow]:
        rows = [row[1] for row in self.database.visible_rows(QUARANTINE)]
        return [row for row in rows if isinstance(row, RejectedRow)]

    def chunks(self) -> Sequence[ChunkDone]:
        rows = [row[3] for row in self.database.visible_rows(CHUNKS)]
        found = [done for done in rows if isinstance(done, ChunkDone)]
        return sorted(found, key=lambda done: done.ordinal)

    def rows(self) -> list[Cells]:
        return sorted(self.database.visible_rows(self.name))

    def record(self) -> TableRecord:
        return self.records()[self.name]

    def records(self) -> dict[TableName, TableRecord]:
        found = [row[2] for row in self.database.visible_rows(TABLES)]
        return {record.table: record for record in found if isinstance(record, TableRecord)}


ALL = [(b"%02d" % number, b"x") for number in range(6)]


async def test_every_row_and_every_record_is_there_at_the_end() -> None:
    bench = Bench(keyed())
    async with bench.loaders() as loaders:
        await bench.load(loaders)
    assert bench.rows() == ALL
    assert all(done.snapshot for done in bench.chunks())
    assert sum(done.rows for done in bench.chunks()) == bench.copied == 6
    assert bench.record().state is TableState.LOADED
    assert bench.states == [TableState.LOADING, TableState.LOADED]


async def test_the_plan_is_stored_before_the_first_row() -> None:
    bench = Bench(keyed())
    bench.source.fails_at = 0
    async with bench.loaders() as loaders:
        with pytest.raises(ExceptionGroup):
            await bench.load(loaders)
    assert bench.rows() == []
    assert len(bench.chunks()) > 1
    assert not any(done.snapshot for done in bench.chunks())
    assert bench.record().state is TableState.LOADING


async def test_chunks_that_are_done_are_not_read_again() -> None:
    bench = Bench(keyed())
    bench.source.fails_at = 1
    async with bench.loaders() as loaders:
        with pytest.raises(ExceptionGroup):
            await bench.load(loaders)
    (first, *_) = [done.snapshot for done in bench.chunks()]
    bench.source.fails_at = None
    bench.insert(b"99")
    async with bench.loaders() as loaders:
        await bench.load(loaders)
    assert bench.source.read.count(0) == 1
    assert bench.rows() == [*ALL, (b"99", b"x")]
    assert bench.chunks()[0].snapshot == first
    assert len({done.snapshot for done in bench.chunks()}) == 2


async def test_a_table_whose_chunks_cannot_be_told_by_key_begins_anew() -> None:
    bench = Bench(keyless())
    async with bench.loaders() as loaders:
        await bench.load(loaders)
        plan = [Chunk(bench.made.relation, n, "ctid") for n in range(2)]
        done, planned = (
            ChunkDone(bench.name, c.ordinal, c.by, None, None, text, text, 6)
            for c, text in zip(plan, ("1:1:", ""), strict=True)
        )
        session, lane = loaders[0]
        async with session.begin([lane.fence()]) as transaction:
            for chunk in (done, planned):
                await transaction.save_chunk(chunk)
            await transaction.commit()
        lane.seq += 1
        await bench.load(loaders)
    assert bench.rows() == ALL, "the rows of the first try are gone"
    assert len({chunk.snapshot for chunk in bench.chunks()}) == 1


async def test_loading_again_empties_the_table_first() -> None:
    bench = Bench(keyed())
    async with bench.loaders() as loaders:
        await bench.load(loaders)
        await bench.load(loaders, again=True)
    assert bench.rows() == ALL
    assert bench.source.read.count(0) == 2


async def test_loaders_share_the_chunks_and_the_last_one_ends_the_table() -> None:
    bench = Bench(keyed(), rows_per_chunk=1)
    async with bench.loaders(3) as loaders:
        first = loaders[0][0]
        shared = [(first, loaders[0][1])]
        async with bench.target.session() as second:
            shared.append((second, loaders[1][1]))
            await bench.load(shared)
    assert bench.rows() == ALL
    assert bench.states.count(TableState.LOADED) == 1
    assert sorted(bench.source.read) == sorted(set(bench.source.read))


async def test_a_loader_of_a_predecessor_commits_nothing() -> None:
    bench = Bench(keyed())
    async with bench.loaders() as loaders:
        target = MemoryTarget(bench.database, "r")
        await target.open()
        async with target.session() as session:
            await claim(target, session, Claimant("s", "f", "q", "11" * 16))
        with pytest.raises(FenceFailedError):
            await bench.load(loaders)
    assert bench.rows() == []
    assert list(bench.chunks()) == []


async def test_a_refused_row_sets_its_table_aside_with_the_row_and_the_tables_tied_to_it() -> None:
    bench = Bench(keyed(), strict=True)
    bench.insert(b"99", value=None)
    async with bench.loaders() as loaders:
        await bench.load(loaders)
    for name in (bench.name, TIED):
        record = bench.records()[name]
        assert record.state is TableState.NEEDS_RELOAD
        assert "public.keyed" in record.reason
        assert record.position
    assert bench.aside == [bench.records()[bench.name], bench.records()[TIED]]
    (kept,) = bench.kept()
    assert (kept.table, kept.operation, kept.reason) == (bench.name, "load", "rejected-row")
    assert kept.position == bench.record().position
    assert orjson.loads(kept.payload)["new"] == {"id": "OTk=", "value": None}
    assert bench.rejections == {"rejected-row": 1}
    assert list(bench.chunks()) == [], "nothing holds up what waits for every chunk"
    assert TableState.LOADED not in bench.states


async def test_no_further_chunk_of_a_table_that_was_set_aside_is_read() -> None:
    bench = Bench(keyed(), strict=True)
    bench.insert(b"!", value=None)  # in the first chunk
    async with bench.loaders() as loaders:
        await bench.load(loaders)
    assert set(bench.source.read) == {0}
    assert bench.rows() == []


async def test_a_loader_that_ends_the_table_meanwhile_does_not_make_it_loaded() -> None:
    bench = Bench(keyed(), rows_per_chunk=1, strict=True)
    bench.insert(b"50", value=None)
    async with bench.loaders(3) as loaders, bench.target.session() as second:
        await bench.load([loaders[0], (second, loaders[1][1])])
    assert bench.record().state is TableState.NEEDS_RELOAD
    assert TableState.LOADED not in bench.states


async def test_quarantine_leaves_the_refused_rows_out_and_loads_the_rest() -> None:
    bench = Bench(keyed(), strict=True, on_row_error=OnRowError.QUARANTINE)
    bench.insert(b"!", b"015", b"50", value=None)
    async with bench.loaders() as loaders:
        await bench.load(loaders)
    assert bench.rows() == ALL
    assert bench.record().state is TableState.LOADED
    assert all(done.snapshot for done in bench.chunks())
    assert sum(done.rows for done in bench.chunks()) == bench.copied == 6
    keys = [orjson.loads(row.payload)["new"]["id"] for row in bench.kept()]
    assert sorted(keys) == ["IQ==", "MDE1", "NTA="]
    assert bench.rejections == {"rejected-row": 3}


async def test_under_stop_a_refused_row_ends_the_load() -> None:
    bench = Bench(keyed(), strict=True, on_row_error=OnRowError.STOP)
    bench.insert(b"!", value=None)
    async with bench.loaders() as loaders:
        with pytest.raises(ExceptionGroup) as raised:
            await bench.load(loaders)
    assert raised.group_contains(RowRejectedError)
    assert bench.record().state is TableState.LOADING
    assert bench.kept() == []


async def test_a_table_that_was_set_aside_is_whole_after_a_load_from_its_beginning() -> None:
    bench = Bench(keyed(), strict=True)
    bench.insert(b"99", value=None)
    async with bench.loaders() as loaders:
        await bench.load(loaders)
        server = bench.origin.begin()
        version = server.find(bench.name, (0,), (b"99",))
        assert version is not None
        server.update(bench.name, version, (b"99", b"x"))
        bench.origin.commit(server)
        bench.aside.clear()
        await bench.load(loaders, again=True)
    assert bench.rows() == [*ALL, (b"99", b"x")]
    assert bench.record().state is TableState.LOADED
