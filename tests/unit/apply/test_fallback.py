"""A batch the target refused: what is applied, kept aside, and where the lane stands afterwards."""

import pytest

from connectors.memory.target import MemorySession
from engine.errors import RowMissingError, RowRejectedError, SchemaChangeError
from engine.model.change import Change, Event, SchemaChanged, SchemaStep, Truncate
from engine.model.position import LogPosition
from engine.model.segment import Segment
from engine.model.state import TableState
from tests.unit.apply.bench import Bench, accounts, copies, insert, segment, stretch, update

ACCOUNTS, COPIES = accounts(), copies()
A, K = ACCOUNTS.relation, COPIES.relation
BAD = insert(A, b"bad", None)
REWRITE = SchemaStep("rewrite", "value")


async def replay(bench: Bench, session: MemorySession, *segments: Segment) -> bool:
    for one in segments:
        bench.lane.offer(one)
    batch = bench.lane.take(1000, 1 << 30)
    assert batch is not None
    return await bench.station.rejections.apply(session, bench.lane, batch, bench.tally)


def rows(*numbers: int) -> list[Change]:
    return [insert(A, b"%02d" % number, b"x") for number in numbers]


async def test_the_refused_row_is_kept_and_everything_else_applied() -> None:
    bench = Bench([accounts()], policy="quarantine")
    async with bench.session() as session:
        assert await replay(bench, session, segment(1, *rows(1, 2, 3), BAD, *rows(4, 5)))
    assert len(bench.rows(ACCOUNTS)) == 5
    (kept,) = bench.rejected()
    assert (kept.position, kept.operation, kept.reason) == ("0/64+4", "insert", "rejected-row")
    assert bench.told == [(A.table, "rejected-row")]
    assert bench.checkpoint(ACCOUNTS).position == "0/6E"
    assert bench.tally.tables[A.table].inserts == 5
    assert bench.tally.bytes > 0


async def test_every_one_of_many_refused_rows_is_found() -> None:
    bench = Bench([accounts()], policy="quarantine")
    bad = [insert(A, b"bad%d" % n, None) for n in range(3)]
    mixed = [bad[0], *rows(1, 2), bad[1], *rows(3), bad[2]]
    async with bench.session() as session:
        assert await replay(bench, session, segment(1, *mixed))
    assert len(bench.rows(ACCOUNTS)) == 3
    assert [kept.position for kept in bench.rejected()] == ["0/64+1", "0/64+4", "0/64+6"]


async def test_a_stopped_table_stands_before_the_refused_row() -> None:
    bench = Bench([accounts()])
    async with bench.session() as session:
        assert not await replay(bench, session, segment(1, *rows(1, 2), BAD, *rows(3)))
    assert len(bench.rows(ACCOUNTS)) == 2
    assert bench.checkpoint(ACCOUNTS).position == "0/64+2"
    record = bench.record(ACCOUNTS)
    assert (record.state, record.position) == (TableState.SUSPENDED, "0/64+2")
    assert bench.tally.tables[A.table].inserts == 2


async def test_a_checkpoint_of_which_nothing_was_applied_stays_where_it_stands() -> None:
    """An earlier process may have come further with it than to the refused row."""
    bench = Bench([accounts(), copies()])
    async with bench.session() as session:
        bench.lane.checkpoints[K.table].every[0].position = "0/C8+1"
        later = segment(3, insert(K, b"1", b"x"))
        assert not await replay(bench, session, segment(1, *rows(1), BAD), later)
    assert bench.checkpoint(ACCOUNTS).position == "0/64+1"
    assert bench.checkpoint(COPIES).position == "0/C8+1"


async def test_a_refused_row_is_found_within_a_stretch_of_transactions() -> None:
    bench = Bench([accounts()])
    whole = stretch(segment(1, *rows(1)), segment(2, *rows(2), BAD), segment(3, *rows(3)))
    async with bench.session() as session:
        assert not await replay(bench, session, whole)
    assert len(bench.rows(ACCOUNTS)) == 2
    assert bench.checkpoint(ACCOUNTS).position == "0/C8+1"
    waiting = bench.lane.suspension
    assert waiting is not None
    found: list[tuple[int, list[Event]]] = []
    while (oldest := waiting.oldest()) is not None:
        found.append((oldest.transaction.xid, oldest.events))
        waiting.drop()
    assert found == [(2, [BAD]), (3, rows(3))]


async def test_what_waits_begins_with_the_refused_row() -> None:
    bench = Bench([accounts()])
    async with bench.session() as session:
        await replay(bench, session, segment(1, *rows(1), BAD, *rows(2)), segment(2, *rows(3)))
    waiting = bench.lane.suspension
    assert waiting is not None
    oldest = waiting.oldest()
    assert oldest is not None
    assert oldest.events == [BAD, *rows(2)]
    waiting.drop()
    oldest = waiting.oldest()
    assert oldest is not None
    assert oldest.events == rows(3)


async def test_every_table_of_a_lane_stops_with_it() -> None:
    bench = Bench([accounts(), copies()])
    async with bench.session() as session:
        await replay(bench, session, segment(1, BAD, insert(K, b"1", b"x")))
    assert bench.record(ACCOUNTS).state is TableState.SUSPENDED
    assert bench.record(COPIES).state is TableState.SUSPENDED
    assert bench.rows(COPIES) == []


async def test_under_stop_nothing_of_the_batch_is_applied() -> None:
    bench = Bench([accounts()], policy="stop")
    async with bench.session() as session:
        with pytest.raises(RowRejectedError):
            await replay(bench, session, segment(1, *rows(1), BAD))
    assert bench.rows(ACCOUNTS) == []
    assert bench.checkpoint(ACCOUNTS).seq == 0


async def test_a_row_that_is_not_there_is_kept_aside_and_stops_no_table() -> None:
    bench = Bench([accounts()])
    async with bench.session() as session:
        assert await replay(bench, session, segment(1, update(A, b"9", b"x"), *rows(1)))
    (kept,) = bench.rejected()
    assert kept.reason == "missing-row"
    assert len(bench.rows(ACCOUNTS)) == 1


async def test_under_stop_a_row_that_is_not_there_ends_the_replication() -> None:
    bench = Bench([accounts()], policy="stop")
    async with bench.session() as session:
        with pytest.raises(RowMissingError):
            await replay(bench, session, segment(1, update(A, b"9", b"x")))


async def test_a_truncate_keeps_its_place_between_refused_rows() -> None:
    bench = Bench([accounts()], policy="quarantine")
    events: list[Event] = [*rows(1), BAD, Truncate((A,)), *rows(2), insert(A, b"bad2", None)]
    async with bench.session() as session:
        await replay(bench, session, segment(1, *events))
    assert bench.rows(ACCOUNTS) == [(b"02", b"x")]
    assert len(bench.rejected()) == 2


async def test_an_unfollowed_schema_change_leaves_a_position_that_reads_back() -> None:
    bench = Bench([accounts()])
    rewritten = SchemaChanged(A.table, A, A, exact=True, steps=(REWRITE,))
    async with bench.session() as session:
        assert not await replay(bench, session, segment(1, rewritten, *rows(1)))
    assert isinstance(bench.stopped[0], SchemaChangeError)
    assert bench.record(ACCOUNTS).state is TableState.NEEDS_RELOAD
    assert bench.lane.stopped == {A.table}
    stored = bench.checkpoint(ACCOUNTS).position
    assert LogPosition.parse(stored) == LogPosition(100)


async def test_the_seq_grows_by_one_for_one_transaction() -> None:
    bench = Bench([accounts(), copies()], policy="quarantine")
    async with bench.session() as session:
        await replay(bench, session, segment(1, BAD, insert(K, b"1", b"x")))
    assert (bench.checkpoint(ACCOUNTS).seq, bench.checkpoint(COPIES).seq) == (1, 1)
    assert bench.commits == 2
    assert bench.lane.checkpoints[A.table].every[0].seq == 1
