"""Laws of every source: what `engine.contracts.Source` promises."""

import asyncio
from contextlib import aclosing

import pytest

from engine.contracts import ExclusiveSource, Source
from engine.errors import PositionLostError, SlotBusyError, SourceConnectionError
from engine.model.change import DELETE, INSERT, UPDATE, Change, Truncate
from engine.model.position import Position
from engine.model.relation import ReplicaIdentity
from tests.contract.bench import (
    INSERT_ONLY_NAMES,
    LONG,
    STREAMED_NAMES,
    SourceBench,
    Text,
    name,
)
from tests.contract.reading import (
    attach,
    counted,
    finished,
    insert,
    read,
    read_idle,
    read_until,
    text_of,
)


async def one_change(side: SourceBench, table: str, key: str, values: dict[str, Text]) -> Change:
    """What the log says of one update (with values) or delete (without)."""
    source = await side.source()
    start = (await source.attach(STREAMED_NAMES, INSERT_ONLY_NAMES)).start
    writer = await side.begin()
    if values:
        await writer.update(table, key, values)
    else:
        await writer.delete(table, key)
    await writer.commit()
    (only,) = await read(source, start, 1)
    (change,) = only.changes
    return change


# --- order and completeness -----------------------------------------------------------------------


async def test_transactions_come_in_commit_order_not_in_the_order_they_began(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    start = await attach(source)
    first, second = await source_side.begin(), await source_side.begin()
    await first.insert("accounts", "a", "1")
    await second.insert("accounts", "b", "1")
    await first.insert("accounts", "c", "1")
    await second.commit()
    await first.commit()
    reads = await read(source, start, 2)
    assert [r.ids for r in reads] == [["b"], ["a", "c"]]


async def test_ordinals_start_at_one_and_count_every_event(source_side: SourceBench) -> None:
    source = await source_side.source()
    start = await attach(source)
    writer = await source_side.begin()
    await writer.insert("accounts", "a", "1")
    truncates = source_side.features.transactional_truncate
    if truncates:
        await writer.truncate("copies")
    await writer.insert("audit", "b", "1")
    await writer.delete("accounts", "a")
    await writer.commit()
    (only,) = await read(source, start, 1)
    expected = 1
    for part in only.parts:
        assert part.first == expected
        expected += len(counted(part))
    kinds = [e.kind if isinstance(e, Change) else "truncate" for e in only.events]
    assert kinds == [INSERT, *(["truncate"] if truncates else []), INSERT, DELETE]


async def test_a_large_transaction_spans_blocks_and_only_its_last_part_ends_it(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    start = await attach(source)
    ids = [f"{i:06}" for i in range(source_side.features.many_events)]
    await insert(source_side, *ids)
    blocks = await read_until(source, start, lambda b: bool(finished(b)))
    (only,) = finished(blocks)
    assert only.ids == ids
    assert len(blocks) > 1, "raise SourceFeatures.many_events"
    assert [part.end is not None for part in only.parts[:-1]] == [False] * (len(only.parts) - 1)
    assert [p.first for p in only.parts] == _firsts([len(counted(p)) for p in only.parts])
    assert all(block.size > 0 for block in blocks if block.parts)


def _firsts(sizes: list[int]) -> list[int]:
    firsts = [1]
    for size in sizes[:-1]:
        firsts.append(firsts[-1] + size)
    return firsts


async def test_end_positions_cover_their_transaction_and_not_the_next(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    start = await attach(source)
    for number in ("a", "b", "c"):
        await insert(source_side, number)
    reads = await read(source, start, 3)
    for index, before in enumerate(reads):
        for other, r in enumerate(reads):
            covered = before.end.covers(r.transaction.coordinate, 1)
            assert covered is (other <= index)
    assert not any(start.covers(r.transaction.coordinate, 1) for r in reads)


async def test_resuming_after_an_end_repeats_nothing_older_and_skips_nothing(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    start = await attach(source)
    for number in ("a", "b", "c", "d"):
        await insert(source_side, number)
    ends = [r.end for r in await read(source, start, 4)]
    for index, end in enumerate(ends[:-1]):
        rest = await read(source, end, 3 - index)
        fresh = [r.ids for r in rest if not end.covers(r.transaction.coordinate, 1)]
        assert fresh == [[i] for i in "abcd"[index + 1 :]]


async def test_a_position_inside_a_transaction_starts_that_transaction_again(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    start = await attach(source)
    await insert(source_side, "a", "b", "c")
    await insert(source_side, "d")
    (first,) = await read(source, start, 1)
    inside = first.transaction.at(2)
    assert inside.covers(first.transaction.coordinate, 2)
    assert not inside.covers(first.transaction.coordinate, 3)
    again = await read(source, source.position(str(inside)), 2)
    assert [r.ids for r in again] == [["a", "b", "c"], ["d"]]
    assert again[0].parts[0].first == 1
    assert again[0].transaction.coordinate == first.transaction.coordinate


async def test_what_was_not_acknowledged_comes_again_to_another_client(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    start = await attach(source)
    await insert(source_side, "a")
    await read(source, start, 1)
    await source.close()
    other = await source_side.source()
    attached = await other.attach(STREAMED_NAMES, INSERT_ONLY_NAMES)
    if source_side.features.slot:
        assert not attached.created
        start = attached.start
    (again,) = await read(other, start, 1)
    assert again.ids == ["a"]


@pytest.mark.needs("slot")
async def test_reading_from_before_what_was_acknowledged_is_refused(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    start = await attach(source)
    await insert(source_side, "a")
    await insert(source_side, "b")
    first, second = await read(source, start, 2)
    await _acknowledge_and_wait(source_side, second.end)
    with pytest.raises(PositionLostError):
        await read(await source_side.source(), first.end, 1)


async def _acknowledge_and_wait(side: SourceBench, position: Position) -> None:
    """Acknowledge while the stream is read, until the source says so."""
    source = await side.source()
    start = (await source.attach(STREAMED_NAMES, INSERT_ONLY_NAMES)).start
    async with asyncio.timeout(20), aclosing(source.blocks(start)) as stream:
        async for _ in stream:
            await source.acknowledge(position)
            other = await side.source()
            attached = await other.attach(STREAMED_NAMES, INSERT_ONLY_NAMES)
            await other.close()
            if str(attached.start) == str(position):
                break
    await source.close()


async def test_the_stored_form_of_a_position_reads_back_as_the_same(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    start = await attach(source)
    await insert(source_side, "a", "b")
    (only,) = await read(source, start, 1)
    for position in (start, only.end, only.transaction.at(1)):
        back = source.position(str(position))
        assert str(back) == str(position)
        for ordinal in (1, 2):
            coordinate = only.transaction.coordinate
            assert back.covers(coordinate, ordinal) == position.covers(coordinate, ordinal)
    with pytest.raises(ValueError, match=r".+"):
        source.position("not a position")


async def test_the_head_covers_what_is_committed(source_side: SourceBench) -> None:
    source = await source_side.source()
    start = await attach(source)
    await insert(source_side, "a")
    head = await source.head()
    (only,) = await read(source, start, 1)
    assert head.covers(only.transaction.coordinate, 1)
    retained = (await source.retained()).bytes
    assert retained is None or retained > 0


# --- idle positions -------------------------------------------------------------------------------


async def test_an_idle_position_never_covers_a_transaction_that_is_still_open(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    start = await attach(source)
    writer = await source_side.begin()
    await writer.insert("accounts", "open", "1")
    await insert(source_side, "closed")
    blocks = await read_idle(source, start, 1)
    assert [r.ids for r in finished(blocks)] == [["closed"]]
    idle = blocks[-1].idle
    assert idle is not None
    await writer.commit()
    (late,) = await read(source, idle, 1)
    assert late.ids == ["open"]
    assert not idle.covers(late.transaction.coordinate, 1)


async def test_an_idle_position_comes_after_everything_it_covers(source_side: SourceBench) -> None:
    source = await source_side.source()
    start = await attach(source)
    ids = [f"{i:03}" for i in range(20)]
    for number in ids:
        await insert(source_side, number)
    blocks = await read_idle(source, start, 20)
    idle = blocks[-1].idle
    assert idle is not None
    told = finished(blocks)
    for place, block in enumerate(blocks, 1):
        if (passed := block.idle) is not None:
            behind = finished(blocks[place:])
            assert not any(passed.covers(r.transaction.coordinate, 1) for r in behind)
    everything = await read(source, start, 20)
    covered = [r.ids for r in everything if idle.covers(r.transaction.coordinate, 1)]
    assert [r.ids for r in told][: len(covered)] == covered


async def test_idle_positions_move_on_when_only_other_tables_are_written(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    start = await attach(source)
    for number in range(50):
        await insert(source_side, f"h{number}", table="hidden")
    head = str(await source.head())

    def moved(position: object) -> bool:
        return position is not None and str(position) != str(start)

    blocks = await read_until(
        source,
        start,
        lambda b: any(moved(x.idle) or any(moved(p.end) for p in x.parts) for x in b),
    )
    assert finished(blocks) == []
    assert head != str(start)


# --- what is told of a change ---------------------------------------------------------------------


async def test_nothing_of_a_rolled_back_transaction_or_savepoint_is_told(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    start = await attach(source)
    lost = await source_side.begin()
    await lost.insert("accounts", "lost", "1")
    await lost.rollback()
    writer = await source_side.begin()
    await writer.insert("accounts", "kept", "1")
    if source_side.features.savepoints:
        await writer.savepoint()
        await writer.insert("accounts", "undone", "1")
        await writer.rollback_to_savepoint()
    await writer.insert("accounts", "kept too", "1")
    await writer.commit()
    (only,) = await read(source, start, 1)
    assert only.ids == ["kept", "kept too"]


async def test_an_insert_carries_the_whole_row_and_null_is_a_value(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    start = await attach(source)
    writer = await source_side.begin()
    await writer.insert("documents", "1", None, "note")
    await writer.commit()
    (only,) = await read(source, start, 1)
    (change,) = only.changes
    assert (change.kind, text_of(change.new), change.old) == (INSERT, ["1", "<NULL>", "note"], None)
    assert change.relation.table == name("documents")
    assert change.relation.key_of(change.new or ()) == (b"1",)


async def test_an_update_of_other_columns_does_not_name_the_old_row(
    source_side: SourceBench,
) -> None:
    await insert(source_side, "1")
    change = await one_change(source_side, "accounts", "1", {"value": "2"})
    assert (change.kind, text_of(change.new), change.old) == (UPDATE, ["1", "2"], None)


async def test_a_key_change_carries_the_old_key_and_nothing_else_of_the_old_row(
    source_side: SourceBench,
) -> None:
    await insert(source_side, "1")
    change = await one_change(source_side, "accounts", "1", {"id": "2"})
    assert (change.kind, text_of(change.new)) == (UPDATE, ["2", "value"])
    assert text_of(change.old) == ["1", "<UNCHANGED>"]


async def test_a_delete_carries_the_key_and_nothing_else(source_side: SourceBench) -> None:
    await insert(source_side, "1")
    change = await one_change(source_side, "accounts", "1", {})
    assert (change.kind, change.new) == (DELETE, None)
    assert text_of(change.old) == ["1", "<UNCHANGED>"]


@pytest.mark.parametrize(
    "table", ["copies", pytest.param("mirrors", marks=pytest.mark.needs("identities"))]
)
async def test_full_identity_carries_the_whole_old_row(
    source_side: SourceBench, table: str
) -> None:
    await insert(source_side, "1", table=table)
    column = "note" if table == "copies" else "value"
    change = await one_change(source_side, table, "1", {column: "new"})
    assert text_of(change.new) == ["1", "new"]
    assert text_of(change.old) == ["1", "value"]
    assert change.relation.replica_identity is ReplicaIdentity.FULL
    assert change.relation.key == (() if table == "copies" else (0,))


async def test_a_long_value_that_did_not_change_is_absent_not_null(
    source_side: SourceBench,
) -> None:
    writer = await source_side.begin()
    await writer.insert("documents", "1", LONG, "old")
    await writer.commit()
    change = await one_change(source_side, "documents", "1", {"note": None})
    assert text_of(change.new) == ["1", "<UNCHANGED>", "<NULL>"]


@pytest.mark.needs("transactional_truncate")
async def test_a_truncate_of_several_tables_is_one_event(source_side: SourceBench) -> None:
    source = await source_side.source()
    start = await attach(source)
    writer = await source_side.begin()
    await writer.truncate("accounts", "copies")
    await writer.commit()
    (only,) = await read(source, start, 1)
    (event,) = only.events
    assert isinstance(event, Truncate)
    assert {r.table for r in event.relations} == {name("accounts"), name("copies")}


async def test_one_relation_object_serves_every_change_of_a_version(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    start = await attach(source)
    await insert(source_side, "a", "b")
    await insert(source_side, "c")
    reads = await read(source, start, 2)
    relations = [change.relation for r in reads for change in r.changes]
    assert all(relation is relations[0] for relation in relations)
    (described,) = [r for r in await source.relations() if r.table == name("accounts")]
    assert [c.name for c in described.columns] == [c.name for c in relations[0].columns]
    assert described.key == relations[0].key


# --- which tables ---------------------------------------------------------------------------------


@pytest.mark.needs("identities")
async def test_relations_say_which_tables_cannot_send_old_rows(source_side: SourceBench) -> None:
    source = await source_side.source()
    relations = {r.name: r for r in await source.relations()}
    assert list(relations) == sorted(relations)
    assert (relations["accounts"].key, relations["mirrors"].key) == ((0,), (0,))
    assert relations["audit"].key == ()
    assert relations["audit"].replica_identity is not ReplicaIdentity.FULL
    assert relations["copies"].replica_identity is ReplicaIdentity.FULL


async def test_only_published_tables_are_told(source_side: SourceBench) -> None:
    source = await source_side.source()
    start = await attach(source)
    writer = await source_side.begin()
    await writer.insert("hidden", "1", "x")
    await writer.insert("accounts", "2", "x")
    await writer.commit()
    (only,) = await read(source, start, 1)
    assert only.ids == ["2"]


async def test_the_application_may_update_tables_that_are_carried_insert_only(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    start = await attach(source)
    writer = await source_side.begin()
    await writer.insert("audit", "1", "x")
    await writer.update("audit", "1", {"note": "y"})
    await writer.delete("audit", "1")
    await writer.insert("audit", "2", "x")
    await writer.commit()
    (only,) = await read(source, start, 1)
    assert [(c.kind, text_of(c.new)[0]) for c in only.changes] == [(INSERT, "1"), (INSERT, "2")]


async def test_a_table_published_later_is_told_from_then_on_without_a_gap(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    start = await attach(source)
    older = await source_side.begin()
    await older.insert("hidden", "before", "x")
    publishing = asyncio.create_task(
        source.publish((*STREAMED_NAMES, name("hidden")), INSERT_ONLY_NAMES)
    )
    if source_side.features.publishing_waits:
        await asyncio.sleep(0.2)
        assert not publishing.done(), "a transaction that began before is still open"
    await older.commit()
    async with asyncio.timeout(20):
        await publishing
    await insert(source_side, "after", table="hidden")
    told = [i for r in await read_all(source, start, "after") for i in r]
    assert told[-1] == "after"
    await source.publish(STREAMED_NAMES, INSERT_ONLY_NAMES)


async def read_all(source: Source, start: Position, last: str) -> list[list[str]]:
    """Ids of every transaction up to the one that holds `last`."""
    blocks = await read_until(
        source,
        start,
        lambda b: any(last in r.ids for r in finished(b)),
    )
    return [r.ids for r in finished(blocks)]


# --- life -----------------------------------------------------------------------------------------


@pytest.mark.needs("slot")
async def test_attaching_twice_changes_nothing(source_side: SourceBench) -> None:
    source = await source_side.source()
    first = await source.attach(STREAMED_NAMES, INSERT_ONLY_NAMES)
    await insert(source_side, "a")
    second = await source.attach(STREAMED_NAMES, INSERT_ONLY_NAMES)
    assert (first.created, second.created) == (True, False)
    assert str(first.start) == str(second.start)
    assert first.identity == second.identity == await (await source_side.source()).open()


@pytest.mark.needs("slot")
async def test_a_reader_that_is_gone_is_not_made_again_unless_asked(
    source_side: SourceBench,
) -> None:
    source = await source_side.source()
    await attach(source)
    await source.detach()
    with pytest.raises(PositionLostError):
        await source.attach(STREAMED_NAMES, INSERT_ONLY_NAMES, create=False)
    assert (await source.attach(STREAMED_NAMES, INSERT_ONLY_NAMES)).created
    assert not (await source.attach(STREAMED_NAMES, INSERT_ONLY_NAMES, create=False)).created


async def test_a_closed_source_can_be_opened_again(source_side: SourceBench) -> None:
    source = await source_side.source()
    start = await attach(source)
    await source.close()
    identity = await source.open()
    assert identity == await (await source_side.source()).open()
    await insert(source_side, "a")
    (only,) = await read(source, start, 1)
    assert only.ids == ["a"]


@pytest.mark.needs("slot")
async def test_a_position_from_before_a_detach_is_lost(source_side: SourceBench) -> None:
    source = await source_side.source()
    start = await attach(source)
    await source.detach()
    await source.detach()
    with pytest.raises(PositionLostError):
        await read(source, start, 1)
    await insert(source_side, "a")
    attached = await source.attach(STREAMED_NAMES, INSERT_ONLY_NAMES)
    assert attached.created


async def test_a_closed_source_says_so(source_side: SourceBench) -> None:
    source = await source_side.source()
    await source.close()
    await source.close()
    with pytest.raises(SourceConnectionError):
        await source.head()


async def test_a_second_reader_is_refused_and_can_evict_the_first(source_side: SourceBench) -> None:
    if not source_side.features.exclusive_reader:
        pytest.skip("this source's log has no exclusive reader")
    first, second = await source_side.source(), await source_side.source()
    assert isinstance(second, ExclusiveSource)
    start = await attach(first)
    assert await second.reader() is None
    async with aclosing(first.blocks(start)) as stream:
        await anext(stream)
        assert await second.reader()
        with pytest.raises(SlotBusyError):
            await read(second, start, 1)
        await second.evict()
        with pytest.raises(SourceConnectionError):  # noqa: PT012 (some blocks may come first)
            async with asyncio.timeout(20):
                while True:
                    await anext(stream)
    await insert(source_side, "a")
    (only,) = await read(second, start, 1)
    assert only.ids == ["a"]


async def test_closing_the_stream_lets_the_next_reader_in(source_side: SourceBench) -> None:
    source = await source_side.source()
    start = await attach(source)
    await insert(source_side, "a")
    for _ in range(3):
        (only,) = await read(source, start, 1)
        assert only.ids == ["a"]
