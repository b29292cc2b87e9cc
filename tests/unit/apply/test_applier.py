"""What an applier makes durable, in which order, and what it lets go of."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from connectors.memory.database import MemoryDatabase
from connectors.memory.definitions import References, table
from connectors.memory.target import MemorySession
from engine.apply.applier import mend, run_applier
from engine.apply.evolution import LEFT
from engine.apply.lane import Lane
from engine.errors import FenceFailedError, RowRejectedError
from engine.model.change import Event, SchemaChanged, SchemaStep, Truncate
from engine.model.relation import Column, ColumnType, Relation
from engine.model.segment import Segment
from engine.model.state import LaneRow, TableState
from engine.model.value import UNCHANGED
from tests.unit.apply.bench import Bench, accounts, copies, delete, insert, segment, update

LEFT_RECORD = (TableState.NEEDS_RELOAD, LEFT)

ACCOUNTS, COPIES = accounts(), copies()
A, K = ACCOUNTS.relation, COPIES.relation


async def apply(bench: Bench, session: MemorySession, *segments: Segment) -> None:
    """Offer segments and serve the lane until nothing is ready."""
    for one in segments:
        bench.lane.offer(one)
    task = asyncio.create_task(run_applier(bench.station, session))
    waiting = asyncio.create_task(bench.scheduler.idle())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    for one_task in (task, waiting):
        one_task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def wider(relation: Relation) -> SchemaChanged:
    """A column more."""
    after = Relation(
        relation.id,
        relation.schema,
        relation.name,
        (*relation.columns, Column("more", ColumnType("bytes"))),
        relation.key,
    )
    step = SchemaStep("add-column", "more", type="bytes")
    return SchemaChanged(relation.table, relation, after, True, (step,))


async def test_rows_and_position_become_durable_together() -> None:
    bench = Bench([accounts()])
    async with bench.session() as session:
        await apply(bench, session, segment(1, insert(A, b"1", b"x")))
    assert bench.rows(ACCOUNTS) == [(b"1", b"x")]
    assert bench.checkpoint(ACCOUNTS) == LaneRow(1, 1, "0/6E")
    assert (bench.released, len(bench.done), bench.commits) == (10, 1, 1)


async def test_only_checkpoints_of_tables_with_rows_move() -> None:
    bench = Bench([accounts(), copies()])
    async with bench.session() as session:
        await apply(bench, session, segment(1, insert(K, b"1", b"x")))
    assert bench.checkpoint(ACCOUNTS).seq == 0
    assert bench.checkpoint(COPIES).position == "0/6E"


async def test_nothing_is_told_of_a_batch_whose_fence_fails() -> None:
    bench = Bench([accounts()])
    async with bench.session() as session:
        bench.lane.checkpoints[A.table].every[0].seq = 7
        with pytest.raises(FenceFailedError):
            await apply(bench, session, segment(1, insert(A, b"1", b"x")))
    assert bench.rows(ACCOUNTS) == []
    assert (bench.done, bench.released, bench.commits) == ([], 0, 0)


async def test_what_an_applier_failed_with_is_taken_by_no_other() -> None:
    """Whether the batch is durable is unknown: the next one of the lane would be sent, and its
    fence would hold, before the others are told to stop."""
    bench = Bench([accounts()], rows_max=1)
    async with bench.session() as session:
        for number in (1, 2):
            bench.lane.offer(segment(number, insert(A, b"%d" % number, b"x")))
        bench.lane.checkpoints[A.table].every[0].seq = 7
        tasks = [asyncio.create_task(run_applier(bench.station, session)) for _ in range(2)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        await asyncio.sleep(0.05)
        failed = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len(failed) == 1
    assert isinstance(failed[0].exception(), FenceFailedError)
    assert bench.lane.busy


async def test_a_truncate_stands_between_the_rows_around_it() -> None:
    bench = Bench([accounts()])
    async with bench.session() as session:
        await apply(
            bench,
            session,
            segment(1, insert(A, b"1", b"x"), Truncate((A,)), insert(A, b"2", b"y")),
        )
    assert bench.rows(ACCOUNTS) == [(b"2", b"y")]


async def test_a_busy_target_is_tried_again_with_nothing_twice() -> None:
    bench = Bench([copies()])
    async with bench.session() as session:
        server = bench.database.begin()
        server.truncate([K.table])  # an exclusive lock, longer than the session waits

        async def free() -> None:
            await asyncio.sleep(0.05)
            bench.database.rollback(server)

        await asyncio.gather(free(), apply(bench, session, segment(1, insert(K, b"1", b"x"))))
    assert bench.rows(COPIES) == [(b"1", b"x")]
    assert bench.checkpoint(COPIES).seq == 1


async def test_a_whole_transaction_larger_than_a_batch_is_one_target_transaction() -> None:
    bench = Bench([accounts()], whole=True, rows_max=2)
    seen: list[int] = []
    bench.database.after_commit.append(lambda _: seen.append(len(bench.rows(ACCOUNTS))))
    async with bench.session() as session:
        seen.clear()
        pieces = [
            segment(1, insert(A, b"1", b""), insert(A, b"2", b""), ends=False),
            segment(1, insert(A, b"3", b""), insert(A, b"4", b""), first=3, ends=False),
            segment(1, insert(A, b"5", b""), first=5),
        ]
        await apply(bench, session, *pieces)
    assert seen == [5]
    assert bench.checkpoint(ACCOUNTS) == LaneRow(1, 1, "0/6E")
    assert (bench.released, len(bench.done)) == (30, 3)


@pytest.mark.parametrize(("first", "commits"), [(True, 2), (False, 1)])
async def test_a_change_in_a_whole_transaction_begins_another_where_the_target_commits_for_it(
    first: bool, commits: int
) -> None:
    """Else it would wait for ever for the rows before it, or be refused."""
    bench = Bench([accounts()], whole=True, rows_max=2)
    change = wider(A)
    assert change.after is not None
    pieces: list[list[Event]] = [
        [insert(A, b"1", b"x"), insert(A, b"2", b"x")],
        [change, insert(change.after, b"3", b"x", b"m"), insert(change.after, b"4", b"x", b"m")],
        [insert(change.after, b"5", b"x", b"m")],
    ]
    async with bench.session() as session:
        bench.lane.changes_first = first
        bench.lane.offer(segment(1, *pieces[0], ends=False))
        bench.lane.offer(segment(1, *pieces[1], first=3, ends=False))
        await apply(bench, session, segment(1, *pieces[2], first=5))
    assert [row[0] for row in bench.rows(ACCOUNTS)] == [b"1", b"2", b"3", b"4", b"5"]
    assert bench.checkpoint(ACCOUNTS) == LaneRow(1, commits, "0/6E")
    assert bench.evolved == [A.table]
    assert len(bench.done) == 3
    assert bench.released == 30


async def test_what_only_folding_makes_wrong_is_no_refusal_of_a_piece() -> None:
    """A row leaves its parent before that goes: folded, the deletion comes first."""
    boss = References(("boss",), "public.people", cascade=True)
    people = table("public.people", ["id", "boss"], key=["id"], references=[boss])
    bench = Bench([people], whole=True, rows_max=2)
    p = people.relation
    async with bench.session() as session:
        await apply(
            bench,
            session,
            segment(1, insert(p, b"1", None), insert(p, b"2", b"1")),
            segment(2, update(p, b"2", None), delete(p, b"1", None), ends=False),
            segment(2, insert(p, b"3", b"2"), first=3),
        )
    assert bench.rows(people) == [(b"2", None), (b"3", b"2")]
    assert bench.checkpoint(people).seq == 2
    assert (bench.released, len(bench.done)) == (30, 3)


async def test_a_replayed_piece_waits_for_what_later_pieces_bring() -> None:
    """A deferred key of an earlier piece leads to a row of a later one."""
    boss = References(("boss",), "public.people", cascade=True)
    people = table("public.people", ["id", "boss"], key=["id"], references=[boss])
    parents = table("public.parents", ["id"], key=["id"])
    late = References(("parent",), "public.parents", deferrable=True)
    children = table("public.children", ["id", "parent"], key=["id"], references=[late])
    bench = Bench([people, children, parents], whole=True, rows_max=2)
    p, c = people.relation, children.relation
    async with bench.session() as session:
        await apply(
            bench,
            session,
            segment(1, insert(p, b"1", None), insert(p, b"2", b"1")),
            segment(2, insert(c, b"1", b"7"), insert(c, b"2", b"7"), ends=False),
            segment(2, update(p, b"2", None), delete(p, b"1", None), first=3, ends=False),
            segment(2, insert(parents.relation, b"7"), first=5),
        )
    assert bench.rows(people) == [(b"2", None)]
    assert bench.rows(children) == [(b"1", b"7"), (b"2", b"7")]


async def test_a_refused_row_of_a_piece_ends_the_replication_with_nothing_done() -> None:
    bench = Bench([accounts()], whole=True, rows_max=2)
    async with bench.session() as session:
        with pytest.raises(RowRejectedError):
            await apply(
                bench,
                session,
                segment(1, insert(A, b"1", b""), insert(A, b"2", b""), ends=False),
                segment(1, insert(A, b"3", None), first=3),
            )
    assert bench.rows(ACCOUNTS) == []
    assert bench.checkpoint(ACCOUNTS).seq == 0
    assert bench.done == []


async def test_a_transaction_whose_end_has_not_come_is_not_durable() -> None:
    bench = Bench([accounts()], whole=True, rows_max=2)
    async with bench.session() as session:
        await apply(bench, session, segment(1, insert(A, b"1", b""), ends=False))
    assert bench.rows(ACCOUNTS) == []
    assert bench.released == 10, "or a transaction larger than the budget would never end"
    assert bench.done == []


@pytest.mark.parametrize(("far_behind", "commits"), [(True, 2), (False, 3)])
async def test_far_behind_a_small_batch_is_followed_by_a_larger_one(
    far_behind: bool, commits: int
) -> None:
    bench = Bench([accounts()])
    waiting = [segment(n, insert(A, b"%d" % n, b"x")) for n in (2, 3)]

    def behind() -> bool:
        """Asked after a small batch, whose successors come just then, one after the other."""
        if waiting:
            bench.lane.offer(waiting.pop(0))
        if waiting:
            asyncio.get_running_loop().call_soon(bench.lane.offer, waiting.pop(0))
        return far_behind

    async with bench.session() as session:
        bench.station.behind = behind
        await apply(bench, session, segment(1, insert(A, b"1", b"x")))
    assert len(bench.rows(ACCOUNTS)) == 3
    assert bench.commits == commits


# --- stopped and mended ---------------------------------------------------------------------------


def refused(number: int) -> Segment:
    return segment(number, insert(A, b"bad", None))


def value_allowed(database: MemoryDatabase) -> None:
    """Somebody mends the target."""
    made = database.tables[A.table]
    free = [Column(c.name, c.type) for c in A.columns]
    relation = Relation(A.id, A.schema, A.name, tuple(free), A.key)
    made.relation = relation


async def stopped_bench(bench: Bench, session: MemorySession) -> Lane:
    await apply(bench, session, segment(1, insert(A, b"1", b"x")), refused(2))
    assert bench.lane.suspension is not None
    return bench.lane


async def test_a_stopped_lane_holds_no_transaction_and_keeps_its_changes() -> None:
    bench = Bench([accounts()])
    async with bench.session() as session:
        lane = await stopped_bench(bench, session)
        later = segment(3, insert(A, b"3", b"z"))
        assert lane.offer(later) == 0
        assert later.mark.pending == 0
    assert len(bench.done) == 2
    assert bench.record(ACCOUNTS).state is TableState.SUSPENDED
    assert bench.checkpoint(ACCOUNTS).position == "0/C8", "before the refused row"
    assert bench.rows(ACCOUNTS) == [(b"1", b"x")]


async def test_a_mended_table_has_everything_and_streams_again() -> None:
    bench = Bench([accounts()])
    async with bench.session() as session:
        lane = await stopped_bench(bench, session)
        lane.offer(segment(3, insert(A, b"3", b"z")))
        value_allowed(bench.database)
        assert lane.suspension is not None
        await mend(bench.station, session, lane, lane.suspension)
    assert bench.lane.suspension is None
    assert bench.rows(ACCOUNTS) == [(b"1", b"x"), (b"3", b"z"), (b"bad", None)]
    assert bench.record(ACCOUNTS).state is TableState.STREAMING
    assert bench.mended == 1


async def test_what_still_fails_stays_and_is_tried_from_its_place() -> None:
    bench = Bench([accounts()])
    async with bench.session() as session:
        lane = await stopped_bench(bench, session)
        assert lane.suspension is not None
        await mend(bench.station, session, lane, lane.suspension)
        assert lane.suspension is not None
        oldest = lane.suspension.oldest()
        assert oldest is not None
        assert oldest.events == refused(2).events


async def test_a_table_whose_changes_are_dropped_while_it_is_mended_is_not_said_to_stream() -> None:
    bench = Bench([accounts()], spool_bytes_max=400)
    async with bench.session() as session:
        lane = await stopped_bench(bench, session)
        value_allowed(bench.database)
        suspension = lane.suspension
        assert suspension is not None

        def committed(_fences: int) -> None:
            lane.offer(segment(3, insert(A, b"3", bytes(500))))

        bench.station.committed = committed
        await mend(bench.station, session, lane, suspension)
        assert suspension.lost
        assert lane.suspension is suspension
    assert bench.dropped == 1
    assert bench.record(ACCOUNTS).state is TableState.SUSPENDED
    assert bench.mended == 0


async def test_waiting_changes_go_through_the_filter_of_a_load() -> None:
    """A table that stopped while it caught up: its chunks hold what waits."""
    bench = Bench([accounts()])
    async with bench.session() as session:
        lane = await stopped_bench(bench, session)
        lane.admit = lambda transaction, event: None if transaction.xid == 3 else event
        lane.offer(segment(3, insert(A, b"3", b"seen by the snapshot")))
        value_allowed(bench.database)
        assert lane.suspension is not None
        await mend(bench.station, session, lane, lane.suspension)
    assert bench.rows(ACCOUNTS) == [(b"1", b"x"), (b"bad", None)]
    assert bench.checkpoint(ACCOUNTS).position == "0/136"


async def test_a_schema_change_that_waits_does_not_say_that_the_table_streams() -> None:
    """Or a restart would go on at the frontier, which is past what waits behind it."""
    bench = Bench([accounts()])
    change = wider(A)
    assert change.after is not None
    async with bench.session() as session:
        await apply(bench, session, segment(1, insert(A, b"1", b"x")), refused(2))
        lane = bench.lane
        lane.offer(segment(3, change, insert(change.after, b"3", b"z", b"m")))
        lane.offer(segment(4, insert(change.after, b"bad", None, b"m")))
        assert lane.suspension is not None
        lane.suspension.drop()  # the first refused row is let go; the one behind fails again
        await mend(bench.station, session, lane, lane.suspension)
        assert lane.suspension is not None
    assert bench.checkpoint(ACCOUNTS).position == "0/136"
    assert bench.record(ACCOUNTS).state is TableState.SUSPENDED


def replaced(relation: Relation) -> tuple[SchemaChanged, SchemaChanged, Relation]:
    """A table is renamed, and another one, with a column more, has its name."""
    old = replace(relation, name="old")
    other = wider(relation).after
    assert other is not None
    leaves = SchemaChanged(relation.table, relation, old, True, (SchemaStep("rename-table"),))
    return leaves, SchemaChanged(relation.table, None, other, True), other


@pytest.mark.parametrize("buckets", [0, 4])
@pytest.mark.parametrize("transactions", [1, 2])
async def test_what_comes_under_the_name_of_a_table_that_has_left_is_of_another(
    transactions: int, buckets: int
) -> None:
    """The target's table cannot take it, be it in the same transaction or batch."""
    leaves, described, other = replaced(A)
    rows = [insert(other, b"%d" % n, b"y", b"m") for n in range(9)]
    first: list[Event] = [insert(A, b"1", b"x"), leaves]
    later: list[Event] = [described, *rows, Truncate((other,)), *rows]
    segments = [segment(1, *first), segment(2, *later)]
    bench = Bench([accounts()], buckets=buckets)
    async with bench.session() as session:
        if transactions == 1:
            segments = [segment(1, *first, *later)]
        await apply(bench, session, *segments)
    assert bench.rows(ACCOUNTS) == [(b"1", b"x")]
    assert (bench.record(ACCOUNTS).state, bench.record(ACCOUNTS).reason) == LEFT_RECORD
    assert not bench.stopped
    assert len(bench.done) == transactions
    counted = bench.applied.tables[A.table]
    assert (counted.inserts, counted.truncates) == (1, 0)  # what was passed over is no change


async def test_of_a_table_that_has_left_nothing_is_written_row_by_row_either() -> None:
    leaves, described, other = replaced(A)
    bench = Bench(
        [accounts(), table("public.notes", ["id", "value"], key=["id"], required=["value"])]
    )
    notes = bench.tables[1].relation
    async with bench.session() as session:
        later = insert(other, b"2", b"y", b"m")
        await apply(bench, session, segment(1, leaves, described, later, insert(notes, b"1", None)))
    assert bench.rows(ACCOUNTS) == []
    assert (bench.record(ACCOUNTS).state, bench.record(ACCOUNTS).reason) == LEFT_RECORD
    assert bench.record(bench.tables[1]).state is TableState.SUSPENDED


async def test_a_table_that_leaves_while_its_changes_wait_does_not_stream_once_they_are_applied(
) -> None:  # fmt: skip
    leaves, described, other = replaced(A)
    bench = Bench([accounts()])
    async with bench.session() as session:
        lane = await stopped_bench(bench, session)
        lane.offer(segment(3, leaves, described))
        lane.offer(segment(4, insert(other, b"3", b"z", b"m")))
        value_allowed(bench.database)
        assert lane.suspension is not None
        await mend(bench.station, session, lane, lane.suspension)
    assert bench.rows(ACCOUNTS) == [(b"1", b"x"), (b"bad", None)]
    assert (bench.record(ACCOUNTS).state, bench.record(ACCOUNTS).reason) == LEFT_RECORD


async def test_a_schema_change_before_the_refused_row_is_known_afterwards() -> None:
    bench = Bench([accounts()])
    change = wider(A)
    assert change.after is not None
    async with bench.session() as session:
        bad = insert(change.after, b"bad", None, b"m")
        await apply(bench, session, segment(1, change, bad))
        assert bench.stopped
    assert bench.evolved == [A.table]


async def test_under_stop_a_refused_row_ends_the_replication() -> None:
    bench = Bench([accounts()], policy="stop")
    async with bench.session() as session:
        with pytest.raises(RowRejectedError):
            await apply(bench, session, refused(1))
    assert bench.rows(ACCOUNTS) == []


async def test_a_value_that_was_not_sent_is_not_written() -> None:
    bench = Bench([accounts()])
    async with bench.session() as session:
        await apply(bench, session, segment(1, insert(A, b"1", b"x")))
        kept = update(A, b"1", UNCHANGED)  # type: ignore[arg-type]
        await apply(bench, session, segment(2, kept))
    assert bench.rows(ACCOUNTS) == [(b"1", b"x")]
