"""Laws of sources that can give existing rows: no row between snapshot and stream."""

import pytest

from engine.abilities import HoldingSource, ReaderSnapshots
from engine.contracts import SnapshotSource
from engine.errors import SnapshotLostError
from engine.model.chunk import Chunk, ChunkDone
from engine.model.relation import Relation
from tests.contract.bench import INSERT_ONLY_NAMES, STREAMED_NAMES, SourceBench, Writer, name
from tests.contract.reading import attach, insert, read, text_of


async def relation_of(source: SnapshotSource, table: str) -> Relation:
    return next(r for r in await source.relations() if r.table == name(table))


def done(chunk: Chunk, snapshot: str) -> ChunkDone:
    return ChunkDone(
        chunk.relation.table, chunk.ordinal, chunk.by, chunk.low, chunk.high, snapshot, "", 0
    )


@pytest.fixture
def snapshots(source_side: SourceBench) -> SourceBench:
    if not source_side.features.snapshots:
        pytest.skip("this source gives no snapshots")
    return source_side


async def ids_in(side: SourceBench, source: SnapshotSource, table: str, rows_max: int) -> list[str]:
    """Every id read chunk by chunk at one snapshot."""
    relation = await relation_of(source, table)
    ids: list[str] = []
    async with source.snapshot() as snapshot:
        for chunk in await source.chunks(relation, rows_max):
            ids += [text_of(row)[0] for row in await side.rows(source, chunk, snapshot)]
    return ids


@pytest.mark.parametrize("rows_max", [1, 3, 7, 1000])
async def test_chunks_cover_every_row_once(snapshots: SourceBench, rows_max: int) -> None:
    expected = [f"{i:03}" for i in range(20)]
    await insert(snapshots, *expected)
    source = await snapshots.source()
    assert sorted(await ids_in(snapshots, source, "accounts", rows_max)) == expected


@pytest.mark.parametrize("table", ["accounts", "audit", "copies"])
async def test_an_empty_table_has_chunks_that_cover_what_comes(
    snapshots: SourceBench, table: str
) -> None:
    source = await snapshots.source()
    assert await ids_in(snapshots, source, table, 10) == []
    chunks = await source.chunks(await relation_of(source, table), 10)
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    assert chunks


async def test_equal_rows_without_key_are_all_read(snapshots: SourceBench) -> None:
    await insert(snapshots, "same", "same", "same", table="audit")
    source = await snapshots.source()
    assert await ids_in(snapshots, source, "audit", 1) == ["same"] * 3


async def test_a_snapshot_that_was_let_go_is_not_read_at(snapshots: SourceBench) -> None:
    source = await snapshots.source()
    if not isinstance(source, HoldingSource):
        pytest.skip("this source holds no snapshot")
    await attach(source)
    await insert(snapshots, "later")
    await source.let_go()
    await source.let_go()
    assert await ids_in(snapshots, source, "accounts", 10) == ["later"]


@pytest.mark.needs("shared_snapshot")
async def test_a_snapshot_does_not_move_while_writers_run(snapshots: SourceBench) -> None:
    await insert(snapshots, "old", "gone")
    source = await snapshots.source()
    relation = await relation_of(source, "accounts")
    async with source.snapshot() as snapshot:
        writer = await snapshots.begin()
        await writer.insert("accounts", "new", "x")
        await writer.delete("accounts", "gone")
        await writer.update("accounts", "old", {"value": "changed"})
        await writer.commit()
        rows = [
            text_of(row)
            for chunk in await source.chunks(relation, 100)
            for row in await snapshots.rows(source, chunk, snapshot)
        ]
    assert sorted(rows) == [["gone", "value"], ["old", "value"]]


@pytest.mark.needs("slot")
async def test_the_first_snapshot_and_the_stream_meet_without_gap_or_overlap(
    snapshots: SourceBench,
) -> None:
    await insert(snapshots, "before")
    source = await snapshots.source()
    attached = await source.attach(STREAMED_NAMES, INSERT_ONLY_NAMES)
    assert attached.created
    await insert(snapshots, "after")
    assert await ids_in(snapshots, source, "accounts", 100) == ["before"]
    (only,) = await read(source, attached.start, 1)
    assert only.ids == ["after"]


async def test_what_a_snapshot_shows_is_what_visible_says(snapshots: SourceBench) -> None:
    """Transactions before, across and after the snapshot, committing in another order."""
    source = await snapshots.source()
    start = await attach(source)
    async with source.snapshot():
        """The first snapshot is the slot's own; the law is about later ones."""
    writers: dict[str, Writer] = {}
    for number in range(12):
        writers[f"{number:02}"] = await snapshots.begin()
        await writers[f"{number:02}"].insert("accounts", f"{number:02}", "x")
        if number % 3 == 0:
            await writers.pop(f"{number:02}").commit()
    relation = await relation_of(source, "accounts")
    async with source.snapshot() as snapshot:
        for key in sorted(writers, reverse=True):
            await writers[key].commit()
        await insert(snapshots, "zz")
        (chunk,) = await source.chunks(relation, 100)
        shown = {text_of(row)[0] for row in await snapshots.rows(source, chunk, snapshot)}
        at = source.read_at(chunk, snapshot) if isinstance(source, ReaderSnapshots) else snapshot
    await insert(snapshots, "zzz")
    reads = await read(source, start, 14)
    for r in reads:
        assert source.visible(at.text, r.transaction) is (r.ids[0] in shown)
        if source.visible(at.text, r.transaction):
            assert at.until.covers(r.transaction.coordinate, len(r.events))
    if snapshots.features.shared_snapshot:
        assert shown == {"00", "03", "06", "09"}
    else:
        assert {"00", "03", "06", "09"} <= shown < {r.ids[0] for r in reads}


async def test_every_key_lies_in_exactly_the_chunk_that_holds_its_row(
    snapshots: SourceBench,
) -> None:
    ids = [f"{i:03}" for i in range(0, 40, 2)]
    await insert(snapshots, *ids)
    source = await snapshots.source()
    relation = await relation_of(source, "accounts")
    async with source.snapshot() as snapshot:
        chunks = await source.chunks(relation, 6)
        if any(chunk.by != "key" for chunk in chunks):
            pytest.skip("this source does not bound text keys")
        records = [done(chunk, snapshot.text) for chunk in chunks]
        for chunk in chunks:
            for row in await snapshots.rows(source, chunk, snapshot):
                found = source.chunk_of(records, relation, relation.key_of(row))
                assert found is not None
                assert found.ordinal == chunk.ordinal
    for absent in (b"", b"001", b"999", b"zzz"):
        assert source.chunk_of(records, relation, (absent,)) is not None
        assert source.chunk_of([], relation, (absent,)) is None


@pytest.mark.needs("shared_snapshot")
async def test_a_snapshot_is_lost_when_it_is_closed(snapshots: SourceBench) -> None:
    await insert(snapshots, "a")
    source = await snapshots.source()
    relation = await relation_of(source, "accounts")
    async with source.snapshot() as snapshot:
        (chunk,) = await source.chunks(relation, 100)
    with pytest.raises(SnapshotLostError):
        await snapshots.rows(source, chunk, snapshot)


@pytest.mark.needs("shared_snapshot")
async def test_several_readers_share_a_snapshot(snapshots: SourceBench) -> None:
    await insert(snapshots, *[f"{i:03}" for i in range(10)])
    source = await snapshots.source()
    relation = await relation_of(source, "accounts")
    async with source.snapshot() as snapshot:
        chunks = await source.chunks(relation, 5)
        await insert(snapshots, "zzz")
        halves = [await snapshots.rows(source, chunk, snapshot) for chunk in chunks]
    assert sum(map(len, halves)) == 10


async def test_definitions_hold_what_the_target_must_make(snapshots: SourceBench) -> None:
    source = await snapshots.source()
    accounts, children, named, _ = await source.definitions(
        [name("accounts"), name("children"), name("named"), name("parents")]
    )
    assert [c.name for c in accounts.columns] == ["id", "value"]
    assert accounts.primary_key is not None
    assert accounts.primary_key.columns == ("id",)
    assert len(children.foreign_keys) == 1
    assert len(named.constraints) + len(named.indexes) >= 1
    assert [c.nullable for c in named.columns] == [False, False]
