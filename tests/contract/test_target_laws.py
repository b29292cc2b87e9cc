"""Laws of every transactional target: fences, ownership and control rows."""

# ruff: noqa: PT012 (what must raise is a whole transaction)

import asyncio
from dataclasses import replace

import pytest

from engine.abilities import QuarantineTarget, ResumingTarget
from engine.contracts import TargetSession, TargetTransaction
from engine.errors import (
    CommitUnknownError,
    FenceFailedError,
    TargetConnectionError,
)
from engine.model.batch import Run
from engine.model.change import INSERT
from engine.model.state import Fence, LaneRow, Owner, TableRecord, TableState
from tests.contract.bench import TargetBench, name
from tests.contract.writing import (
    OWNER,
    PATIENCE_SECONDS,
    a_chunk,
    a_rejected_row,
    lanes_of,
    owned,
    row,
    session_on,
)

# --- fences and positions -------------------------------------------------------------------------


@pytest.mark.needs("rows")
async def test_a_commit_makes_rows_and_lane_row_durable_together(target_side: TargetBench) -> None:
    async with session_on(target_side) as session:
        await owned(session, "a")
        relation = await target_side.relation("accounts")
        async with session.begin([Fence("a", 1, 0, "0/2")]) as transaction:
            written = await transaction.write([Run(INSERT, relation, [row("1", "x")])])
            await transaction.commit()
        assert (written.rows, written.bytes > 0) == (1, True)
        assert await target_side.read("accounts") == [("1", "x")]
        assert await lanes_of(session) == {"a": LaneRow(1, 1, "0/2")}


@pytest.mark.needs("rows")
@pytest.mark.parametrize(
    "fence", [Fence("a", 1, 1, "p"), Fence("a", 2, 0, "p"), Fence("b", 1, 0, "p")]
)
async def test_a_fence_that_does_not_hold_leaves_no_effect(
    target_side: TargetBench, fence: Fence
) -> None:
    async with session_on(target_side) as session:
        await owned(session, "a")
        relation = await target_side.relation("accounts")
        with pytest.raises(FenceFailedError):
            async with session.begin([fence]) as transaction:
                await transaction.write([Run(INSERT, relation, [row("1", "x")])])
                await transaction.commit()
    async with session_on(target_side) as session:
        assert await target_side.read("accounts") == []
        assert await lanes_of(session) == {"a": LaneRow(1, 0, "0/1")}


@pytest.mark.needs("immediate_fence")
async def test_an_immediate_fence_is_judged_when_the_transaction_begins(
    target_side: TargetBench,
) -> None:
    async with session_on(target_side) as session:
        await owned(session, "a")
        with pytest.raises(FenceFailedError):
            async with session.begin([Fence("a", 1, 1, "p")]):
                pass


async def test_one_of_several_fences_is_enough_to_refuse_all(target_side: TargetBench) -> None:
    async with session_on(target_side) as session:
        await owned(session, "a", "b")
        with pytest.raises(FenceFailedError):
            async with session.begin([Fence("a", 1, 0, "p"), Fence("b", 1, 5, "p")]) as transaction:
                await transaction.commit()
    async with session_on(target_side) as session:
        assert {r.seq for r in (await lanes_of(session)).values()} == {0}


async def test_a_replayed_transaction_fails_at_the_fence_not_at_a_key(
    target_side: TargetBench,
) -> None:
    relation = await target_side.relation("accounts")
    run = Run(INSERT, relation, [row("1", "x")])
    async with session_on(target_side) as session:
        await owned(session, "a")
        async with session.begin([Fence("a", 1, 0, "0/2")]) as transaction:
            await transaction.write([run])
            await transaction.commit()
        with pytest.raises(FenceFailedError):
            async with session.begin([Fence("a", 1, 0, "0/2")]) as transaction:
                await transaction.write([run])
                await transaction.commit()


async def test_commit_may_replace_the_positions_given_with_the_fences(
    target_side: TargetBench,
) -> None:
    async with session_on(target_side) as session:
        await owned(session, "a", "b")
        async with session.begin([Fence("a", 1, 0, "x"), Fence("b", 1, 0, "y")]) as transaction:
            await transaction.commit({"a": "0/9"})
        assert await lanes_of(session) == {"a": LaneRow(1, 1, "0/9"), "b": LaneRow(1, 1, "y")}


@pytest.mark.needs("rows")
async def test_leaving_without_commit_leaves_no_effect(target_side: TargetBench) -> None:
    relation = await target_side.relation("accounts")
    async with session_on(target_side) as session:
        await owned(session, "a")
        async with session.begin([Fence("a", 1, 0, "0/2")]) as transaction:
            await transaction.write([Run(INSERT, relation, [row("1", "x")])])
        async with session.begin([Fence("a", 1, 0, "0/3")]) as transaction:
            await transaction.write([Run(INSERT, relation, [row("2", "x")])])
            await transaction.rollback()
        assert not session.broken
        assert await target_side.read("accounts") == []
        assert await lanes_of(session) == {"a": LaneRow(1, 0, "0/1")}


@pytest.mark.needs("isolation")
async def test_a_fence_waits_for_an_unfinished_predecessor_of_its_lane(
    target_side: TargetBench,
) -> None:
    """Both begin with the same seq: the second must see what became of the first."""
    target = await target_side.target()
    async with target.session() as first, target.session() as second:
        await owned(first, "a")

        async def follow() -> None:
            async with second.begin([Fence("a", 1, 0, "late")]) as transaction:
                await transaction.commit()

        async with first.begin([Fence("a", 1, 0, "first")]) as transaction:
            await _surely_fenced(target_side, transaction)
            following = asyncio.create_task(follow())
            await asyncio.sleep(0.2)
            assert not following.done()
            await transaction.commit()
        with pytest.raises(FenceFailedError):
            await following
        assert (await lanes_of(first))["a"] == LaneRow(1, 1, "first")


async def _surely_fenced(side: TargetBench, transaction: TargetTransaction) -> None:
    """Make a target that holds things back send the fence."""
    await transaction.savepoint()
    await transaction.write([Run(INSERT, await side.relation("audit"), [row("f", "f")])])
    await transaction.release_savepoint()


@pytest.mark.needs("isolation")
async def test_a_fence_succeeds_when_the_unfinished_predecessor_rolls_back(
    target_side: TargetBench,
) -> None:
    target = await target_side.target()
    async with target.session() as first, target.session() as second:
        await owned(first, "a")

        async def follow() -> None:
            async with second.begin([Fence("a", 1, 0, "second")]) as transaction:
                await transaction.commit()

        async with first.begin([Fence("a", 1, 0, "first")]) as transaction:
            await _surely_fenced(target_side, transaction)
            following = asyncio.create_task(follow())
            await asyncio.sleep(0.1)
            await transaction.rollback()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await following
        assert (await lanes_of(first))["a"] == LaneRow(1, 1, "second")


@pytest.mark.needs("isolation")
async def test_lanes_are_independent_of_each_other(target_side: TargetBench) -> None:
    target = await target_side.target()
    async with target.session() as first, target.session() as second:
        await owned(first, "a", "b")
        async with first.begin([Fence("a", 1, 0, "x")]) as one:
            await _surely_fenced(target_side, one)
            async with (
                asyncio.timeout(PATIENCE_SECONDS),
                second.begin([Fence("b", 1, 0, "y")]) as two,
            ):
                await two.commit()
            await one.commit()
        assert {r.seq for r in (await lanes_of(first)).values()} == {1}


# --- ownership ------------------------------------------------------------------------------------


@pytest.mark.needs("isolation")
async def test_the_owner_row_reads_back_and_is_locked_even_when_absent(
    target_side: TargetBench,
) -> None:
    target = await target_side.target()
    async with target.session() as first, target.session() as second:
        async with first.begin() as transaction:
            assert await transaction.lock_owner() is None
            waiting = asyncio.create_task(_owner(second))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            await transaction.save_owner(OWNER)
            await transaction.commit()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await waiting == OWNER


async def _owner(session: TargetSession) -> Owner | None:
    async with session.begin() as transaction:
        owner = await transaction.lock_owner()
        await transaction.rollback()
    return owner


@pytest.mark.needs("isolation")
async def test_peek_and_glance_wait_for_nobody(target_side: TargetBench) -> None:
    target = await target_side.target()
    async with target.session() as first, target.session() as second:
        async with second.begin() as looking:
            assert (await looking.peek_owner(), await looking.glance()) == (None, (0, 0))
            await looking.rollback()
        await owned(first, "a", "b")
        async with first.begin([Fence("a", 1, 0, "x")]) as transaction:
            await _surely_fenced(target_side, transaction)
            await transaction.lock_owner()
            async with asyncio.timeout(PATIENCE_SECONDS), second.begin() as looking:
                owner = await looking.peek_owner()
                assert owner is not None
                assert await looking.glance() == (1, 0)
                await looking.rollback()
            await transaction.commit()
        async with second.begin() as looking:
            assert await looking.glance() == (1, 1)


@pytest.mark.needs("isolation")
async def test_raising_the_epoch_waits_for_a_commit_in_progress_and_tells_its_outcome(
    target_side: TargetBench,
) -> None:
    target = await target_side.target()
    async with target.session() as first, target.session() as second:
        await owned(first, "a", "b")

        async def claim() -> dict[str, LaneRow]:
            async with second.begin() as transaction:
                rows = dict(await transaction.raise_lanes(2))
                await transaction.commit()
            return rows

        async with first.begin([Fence("a", 1, 0, "done")]) as transaction:
            await _surely_fenced(target_side, transaction)
            claiming = asyncio.create_task(claim())
            await asyncio.sleep(0.2)
            assert not claiming.done()
            await transaction.commit()
        async with asyncio.timeout(PATIENCE_SECONDS):
            rows = await claiming
        assert rows == {"a": LaneRow(2, 1, "done"), "b": LaneRow(2, 0, "0/1")}


@pytest.mark.needs("rows")
async def test_a_newer_epoch_fences_the_older_owner(target_side: TargetBench) -> None:
    older, newer = await target_side.target(), await target_side.target()
    relation = await target_side.relation("accounts")
    async with older.session() as old, newer.session() as new:
        await owned(old, "a")
        async with new.begin() as transaction:
            await transaction.raise_lanes(2)
            await transaction.commit()
        with pytest.raises(FenceFailedError):
            async with old.begin([Fence("a", 1, 0, "x")]) as transaction:
                await transaction.write([Run(INSERT, relation, [row("1", "x")])])
                await transaction.commit()
        async with new.begin([Fence("a", 2, 0, "y")]) as transaction:
            await transaction.commit()
        assert await target_side.read("accounts") == []


@pytest.mark.needs("isolation")
async def test_a_terminated_session_is_broken_and_its_transaction_gone(
    target_side: TargetBench,
) -> None:
    victim, other = await target_side.target(), await target_side.target()
    relation = await target_side.relation("accounts")
    async with victim.session() as session, other.session() as mine:
        await owned(session, "a")
        # A target that has not heard of its end yet sends COMMIT, and gets no answer.
        with pytest.raises((TargetConnectionError, CommitUnknownError)):
            async with session.begin([Fence("a", 1, 0, "x")]) as transaction:
                await transaction.write([Run(INSERT, relation, [row("1", "x")])])
                await other.terminate([session.identity])
                await transaction.commit()
        assert session.broken
        assert not mine.broken
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await lanes_of(mine) == {"a": LaneRow(1, 0, "0/1")}
        assert await target_side.read("accounts") == []


@pytest.mark.needs("isolation")
async def test_removing_a_replication_leaves_the_others_alone(target_side: TargetBench) -> None:
    async with session_on(target_side, "one") as one, session_on(target_side, "two") as two:
        for session in (one, two):
            await owned(session, "a")
            async with session.begin() as transaction:
                await transaction.save_table(TableRecord(name("accounts"), TableState.STREAMING))
                await transaction.save_chunk(a_chunk(0))
                await transaction.reject(a_rejected_row())
                await transaction.commit()
        async with one.begin() as transaction:
            await transaction.remove_replication()
            await transaction.commit()
        async with one.begin() as transaction:
            assert await transaction.lock_owner() is None
            assert (await transaction.tables(), await transaction.chunks()) == ([], [])
        assert await lanes_of(one) == {}
        assert await lanes_of(two) == {"a": LaneRow(1, 0, "0/1")}
        async with two.begin() as transaction:
            assert await transaction.peek_owner() == OWNER
            assert len(await transaction.tables()) == len(await transaction.chunks()) == 1
    assert await target_side.quarantined("one") == 0
    assert await target_side.quarantined("two") == 1


# --- control rows ---------------------------------------------------------------------------------


async def test_lanes_tables_and_chunks_read_back_replaced_and_removed(
    target_side: TargetBench,
) -> None:
    first = TableRecord(name("accounts"), TableState.LOADING, "0/1", "why", '{"a": 1}')
    second = TableRecord(name("accounts"), TableState.STREAMING)
    async with session_on(target_side) as session:
        async with session.begin() as transaction:
            await transaction.save_lane("a", LaneRow(1, 0, "x"))
            await transaction.save_lane("a", LaneRow(1, 7, "y"))
            await transaction.save_lane("b", LaneRow(1, 0, "z"))
            await transaction.remove_lane("b")
            await transaction.remove_lane("absent")
            await transaction.save_table(first)
            await transaction.save_chunk(a_chunk(0))
            await transaction.save_chunk(a_chunk(1, high=None))
            assert list(await transaction.tables()) == [first]
            await transaction.save_table(second)
            await transaction.commit()
        async with session.begin() as transaction:
            assert dict(await transaction.lanes()) == {"a": LaneRow(1, 7, "y")}
            kept = TableRecord(second.table, second.state, relation=first.relation)
            assert list(await transaction.tables()) == [kept]
            chunks = sorted(await transaction.chunks(), key=lambda c: c.ordinal)
            assert chunks == [a_chunk(0), a_chunk(1, high=None)]
            await transaction.remove_chunks(name("accounts"))
            await transaction.remove_table(name("accounts"))
            await transaction.commit()
        async with session.begin() as transaction:
            assert (list(await transaction.chunks()), list(await transaction.tables())) == ([], [])


@pytest.mark.needs("isolation")
async def test_tables_that_were_begun_are_told_of_each_replication(
    target_side: TargetBench,
) -> None:
    target = await target_side.target()
    assert isinstance(target, ResumingTarget)
    assert list(await target.begun()) == []
    async with session_on(target_side) as session, session_on(target_side, "two") as other:
        for each, table in ((session, "documents"), (session, "accounts"), (other, "parents")):
            async with each.begin() as transaction:
                await transaction.save_table(TableRecord(name(table), TableState.PENDING))
                await transaction.commit()
    assert list(await target.begun()) == [name("accounts"), name("documents")]


async def test_a_reload_request_outlives_every_state_until_it_is_answered(
    target_side: TargetBench,
) -> None:
    table = name("accounts")

    async def save(session: TargetSession, state: TableState) -> None:
        async with session.begin() as transaction:
            await transaction.save_table(TableRecord(table, state, relation="{}"))
            await transaction.commit()

    async def record(session: TargetSession) -> TableRecord:
        async with session.begin() as transaction:
            (found,) = await transaction.tables()
            await transaction.rollback()
        return found

    async with session_on(target_side) as session, session_on(target_side) as command:
        await save(session, TableState.STREAMING)
        async with session.begin() as applying:
            await applying.tables()  # it began before the request, and commits after it
            async with command.begin() as transaction:
                await transaction.request_reload(table)
                await transaction.commit()
            await applying.save_table(TableRecord(table, TableState.STREAMING))
            await applying.commit()
        for state in TableState:
            await save(session, state)
            assert (await record(session)).requested
        async with session.begin() as transaction:
            await transaction.request_reload(table)
            await transaction.answer_reload(table, 1)
            await transaction.commit()
        assert await record(session) == TableRecord(
            table, TableState.NEEDS_RELOAD, relation="{}", asked=2, answered=1
        )
        async with session.begin() as transaction:
            await transaction.answer_reload(table)
            await transaction.request_reload(name("absent"))
            await transaction.commit()
        assert not (await record(session)).requested


@pytest.mark.needs("isolation")
async def test_a_rejected_row_is_kept_with_its_transaction_or_not_at_all(
    target_side: TargetBench,
) -> None:
    async with session_on(target_side) as session:
        async with session.begin() as transaction:
            await transaction.reject(a_rejected_row())
        assert await target_side.quarantined() == 0
        async with session.begin() as transaction:
            await transaction.reject(a_rejected_row())
            await transaction.reject(a_rejected_row())
            await transaction.commit()
        assert await target_side.quarantined() == 2


@pytest.mark.needs("isolation")
async def test_kept_rows_are_read_back_page_by_page_as_they_were_given(
    target_side: TargetBench,
) -> None:
    target = await target_side.target()
    assert isinstance(target, QuarantineTarget)
    kept = [
        replace(a_rejected_row(), position=f"0/{n}", payload=f'{{"é\\\'": "{"x" * 100}"}}')
        for n in range(5)
    ]
    assert list(await target.quarantined(0, 10, 1000)) == []
    async with target.session() as session, session.begin() as transaction:
        for row in kept:
            await transaction.reject(row)
        await transaction.commit()
    first = await target.quarantined(0, 2, 1000)
    second = await target.quarantined(first[-1].number, 10, 0)
    third = await target.quarantined(second[-1].number, 10, 150)
    assert list(await target.quarantined(third[-1].number, 10, 1000)) == []
    assert list(map(len, (first, second, third))) == [2, 1, 2]
    assert [each.row for each in (*first, *second, *third)] == kept


async def test_a_closed_target_can_be_opened_again(target_side: TargetBench) -> None:
    target = await target_side.target()
    async with target.session() as session:
        await owned(session, "a")
    await target.close()
    await target.close()
    await target.open()
    async with target.session() as session:
        assert await lanes_of(session) == {"a": LaneRow(1, 0, "0/1")}


async def test_preparing_the_control_tables_again_keeps_what_they_hold(
    target_side: TargetBench,
) -> None:
    target = await target_side.target()
    async with target.session() as session:
        await owned(session, "a")
        await target.prepare_control()
        assert await lanes_of(session) == {"a": LaneRow(1, 0, "0/1")}
