"""Laws of every transactional target: what `engine.contracts.TransactionalTarget` promises."""

# ruff: noqa: PT012 (what must raise is a whole transaction)

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import pytest

from engine.contracts import TargetSession, TargetTransaction
from engine.errors import (
    FenceFailedError,
    RowMissingError,
    RowRejectedError,
    TargetConnectionError,
    TargetError,
)
from engine.model.batch import Run
from engine.model.change import DELETE, INSERT, UPDATE, Truncate
from engine.model.chunk import ChunkDone
from engine.model.state import Fence, LaneRow, Owner, RejectedRow, TableRecord, TableState
from engine.model.value import UNCHANGED, Row, Value
from tests.contract.bench import TargetBench, Text, name

OWNER: Final = Owner(1, "source", "fingerprint", "host:1")
PATIENCE_SECONDS: Final = 20.0


def row(*values: Text) -> Row:
    return tuple(None if v is None else v.encode() for v in values)


@asynccontextmanager
async def session_on(side: TargetBench, replication: str = "law") -> AsyncIterator[TargetSession]:
    target = await side.target(replication)
    async with target.session() as session:
        yield session


async def owned(session: TargetSession, *lanes: str, epoch: int = 1) -> None:
    """An owner row and lanes at seq 0."""
    async with session.begin() as transaction:
        await transaction.lock_owner()
        await transaction.save_owner(Owner(epoch, "source", "fingerprint", "host:1"))
        for lane in lanes:
            await transaction.save_lane(lane, LaneRow(epoch, 0, "0/1"))
        await transaction.commit()


async def lanes_of(session: TargetSession) -> dict[str, LaneRow]:
    async with session.begin() as transaction:
        lanes = dict(await transaction.lanes())
        await transaction.rollback()
    return lanes


async def put(side: TargetBench, session: TargetSession, table: str, *rows: Row) -> None:
    """Insert rows in a transaction of their own."""
    async with session.begin() as transaction:
        await transaction.write([Run(INSERT, await side.relation(table), list(rows))])
        await transaction.commit()


async def write(session: TargetSession, *runs: Run) -> None:
    async with session.begin() as transaction:
        await transaction.write(runs)
        await transaction.commit()


# --- fences and positions -------------------------------------------------------------------------


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


async def test_a_terminated_session_is_broken_and_its_transaction_gone(
    target_side: TargetBench,
) -> None:
    victim, other = await target_side.target(), await target_side.target()
    relation = await target_side.relation("accounts")
    async with victim.session() as session, other.session() as mine:
        await owned(session, "a")
        with pytest.raises(TargetConnectionError):
            async with session.begin([Fence("a", 1, 0, "x")]) as transaction:
                await transaction.write([Run(INSERT, relation, [row("1", "x")])])
                await other.terminate([session.identity])
                await asyncio.sleep(0.1)
                await transaction.commit()
        assert session.broken
        assert not mine.broken
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await lanes_of(mine) == {"a": LaneRow(1, 0, "0/1")}
        assert await target_side.read("accounts") == []


async def test_removing_a_replication_leaves_the_others_alone(target_side: TargetBench) -> None:
    async with session_on(target_side, "one") as one, session_on(target_side, "two") as two:
        for session in (one, two):
            await owned(session, "a")
            async with session.begin() as transaction:
                await transaction.save_table(TableRecord(name("accounts"), TableState.STREAMING))
                await transaction.save_chunk(_chunk(0))
                await transaction.reject(_rejected())
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


def _chunk(ordinal: int, *, high: tuple[str, ...] | None = ("m", "\u00e4'\"")) -> ChunkDone:
    return ChunkDone(name("accounts"), ordinal, "key", None, high, "5:9:6,7", "0/9", 12)


def _rejected() -> RejectedRow:
    return RejectedRow(
        name("accounts"), "a", "0/9", "insert", "rejected-row", "23505", "no", '{"new": null}'
    )


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
            await transaction.save_chunk(_chunk(0))
            await transaction.save_chunk(_chunk(1, high=None))
            assert list(await transaction.tables()) == [first]
            await transaction.save_table(second)
            await transaction.commit()
        async with session.begin() as transaction:
            assert dict(await transaction.lanes()) == {"a": LaneRow(1, 7, "y")}
            kept = TableRecord(second.table, second.state, relation=first.relation)
            assert list(await transaction.tables()) == [kept]
            chunks = sorted(await transaction.chunks(), key=lambda c: c.ordinal)
            assert chunks == [_chunk(0), _chunk(1, high=None)]
            await transaction.remove_chunks(name("accounts"))
            await transaction.remove_table(name("accounts"))
            await transaction.commit()
        async with session.begin() as transaction:
            assert (list(await transaction.chunks()), list(await transaction.tables())) == ([], [])


async def test_a_rejected_row_is_kept_with_its_transaction_or_not_at_all(
    target_side: TargetBench,
) -> None:
    async with session_on(target_side) as session:
        async with session.begin() as transaction:
            await transaction.reject(_rejected())
        assert await target_side.quarantined() == 0
        async with session.begin() as transaction:
            await transaction.reject(_rejected())
            await transaction.reject(_rejected())
            await transaction.commit()
        assert await target_side.quarantined() == 2


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


# --- rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", [True, False])
async def test_inserts_updates_and_deletes_by_key(target_side: TargetBench, net: bool) -> None:
    relation = await target_side.relation("accounts")
    async with session_on(target_side) as session:
        rows = [row(f"{i}", "x") for i in range(9)]
        await write(session, Run(INSERT, relation, rows, net=net))
        changed = [row(f"{i}", None) for i in range(3)]
        gone: list[Row] = [(f"{i}".encode(), UNCHANGED) for i in range(6, 9)]
        await write(
            session,
            Run(UPDATE, relation, changed, (0, 1), net=net),
            Run(DELETE, relation, gone, net=net),
        )
    expected: list[tuple[Text, ...]] = [(f"{i}", None) for i in range(3)]
    assert await target_side.read("accounts") == expected + [(f"{i}", "x") for i in range(3, 6)]


async def test_an_unchanged_value_keeps_what_the_target_has(target_side: TargetBench) -> None:
    relation = await target_side.relation("documents")
    async with session_on(target_side) as session:
        await put(target_side, session, "documents", row("1", "body", "note"))
        new: tuple[Value, ...] = (b"1", UNCHANGED, None)
        await write(session, Run(UPDATE, relation, [new], (0, 2)))
        await write(session, Run(UPDATE, relation, [new], (0, 2), net=True))
    assert await target_side.read("documents") == [("1", "body", None)]


async def test_a_key_change_moves_the_row_with_what_was_not_sent(target_side: TargetBench) -> None:
    relation = await target_side.relation("documents")
    async with session_on(target_side) as session:
        await put(target_side, session, "documents", row("1", "body", "note"))
        new: tuple[Value, ...] = (b"2", UNCHANGED, b"moved")
        old: tuple[Value, ...] = (b"1", UNCHANGED, UNCHANGED)
        await write(session, Run(UPDATE, relation, [new], (0, 2), [old]))
    assert await target_side.read("documents") == [("2", "body", "moved")]


async def test_key_changes_of_one_run_happen_one_after_the_other(target_side: TargetBench) -> None:
    """A swap through a third key is only possible step by step."""
    relation = await target_side.relation("accounts")
    async with session_on(target_side) as session:
        await put(target_side, session, "accounts", row("a", "1"), row("b", "2"))
        steps = [("a", "t", "1"), ("b", "a", "2"), ("t", "b", "1")]
        news = [row(new, value) for _, new, value in steps]
        olds: list[Row] = [(old.encode(), UNCHANGED) for old, _, _ in steps]
        await write(session, Run(UPDATE, relation, news, (0, 1), olds))
    assert await target_side.read("accounts") == [("a", "2"), ("b", "1")]


async def test_without_key_each_event_changes_exactly_one_row(target_side: TargetBench) -> None:
    relation = await target_side.relation("copies")
    async with session_on(target_side) as session:
        await put(target_side, session, "copies", *[row("1", None)] * 4, row("2", "x"))
        await write(
            session,
            Run(UPDATE, relation, [row("1", "new")], (0, 1), [row("1", None)]),
            Run(DELETE, relation, [row("1", None), row("1", None)]),
        )
    assert await target_side.read("copies") == [("1", "new"), ("1", None), ("2", "x")]


async def test_full_identity_with_a_key_finds_the_row_by_its_key(target_side: TargetBench) -> None:
    relation = await target_side.relation("mirrors")
    async with session_on(target_side) as session:
        await put(target_side, session, "mirrors", row("1", "a"), row("2", "b"))
        await write(
            session,
            Run(UPDATE, relation, [row("1", "z")], (0, 1), [row("1", "a")]),
            Run(DELETE, relation, [row("2", "b")]),
        )
    assert await target_side.read("mirrors") == [("1", "z")]


@pytest.mark.parametrize("net", [True, False])
@pytest.mark.parametrize("kind", [UPDATE, DELETE])
async def test_a_row_that_is_not_there_is_told(
    target_side: TargetBench, kind: int, net: bool
) -> None:
    relation = await target_side.relation("accounts")
    async with session_on(target_side) as session:
        await put(target_side, session, "accounts", row("1", "x"))
        sent = (0, 1) if kind == UPDATE else ()
        run = Run(kind, relation, [row("1", "y"), row("2", "y")], sent, net=net)
        with pytest.raises(RowMissingError):
            await write(session, run)
        assert await target_side.read("accounts") == [("1", "x")]


async def test_a_row_without_key_that_is_not_there_is_told(target_side: TargetBench) -> None:
    relation = await target_side.relation("copies")
    async with session_on(target_side) as session:
        await put(target_side, session, "copies", row("1", "x"))
        with pytest.raises(RowMissingError):
            await write(session, Run(DELETE, relation, [row("1", "y")]))


@pytest.mark.parametrize(
    ("table", "rows", "sqlstate"),
    [
        ("accounts", [row("1", "y")], "23505"),
        ("named", [row("2", "taken")], "23505"),
        ("named", [row("2", None)], "23502"),
        ("children", [row("1", "nobody")], "23503"),
    ],
)
async def test_a_row_the_target_refuses_is_rejected_without_its_value(
    target_side: TargetBench, table: str, rows: Sequence[Row], sqlstate: str
) -> None:
    if table == "children" and not target_side.features.foreign_keys:
        pytest.skip("this target has no foreign keys")
    async with session_on(target_side) as session:
        await put(target_side, session, "accounts", row("1", "x"))
        await put(target_side, session, "named", row("1", "taken"))
        before = await target_side.read(table)
        with pytest.raises(RowRejectedError) as caught:
            await put(target_side, session, table, *rows)
        assert not isinstance(caught.value, RowMissingError)
        assert caught.value.sqlstate == sqlstate
        assert "taken" not in str(caught.value)
        assert "nobody" not in str(caught.value)
        assert await target_side.read(table) == before
        if not session.broken:
            await put(target_side, session, "audit", row("after", "x"))


async def test_truncate_empties_tables_together(target_side: TargetBench) -> None:
    relations = [await target_side.relation(table) for table in ("accounts", "copies")]
    async with session_on(target_side) as session:
        await put(target_side, session, "accounts", row("1", "x"))
        await put(target_side, session, "copies", row("1", "x"))
        async with session.begin() as transaction:
            await transaction.truncate(Truncate(tuple(relations)))
            await transaction.write([Run(INSERT, relations[0], [row("2", "x")])])
            await transaction.commit()
    assert await target_side.read("accounts") == [("2", "x")]
    assert await target_side.read("copies") == []


async def test_truncate_of_a_referenced_table_needs_cascade(target_side: TargetBench) -> None:
    if not target_side.features.foreign_keys:
        pytest.skip("this target has no foreign keys")
    parents = await target_side.relation("parents")
    async with session_on(target_side) as session:
        await put(target_side, session, "parents", row("1"))
        await put(target_side, session, "children", row("1", "1"))
        with pytest.raises(TargetError):
            async with session.begin() as transaction:
                await transaction.truncate(Truncate((parents,)))
                await transaction.commit()
    async with session_on(target_side) as session, session.begin() as transaction:
        await transaction.truncate(Truncate((parents,), cascade=True))
        await transaction.commit()
    assert await target_side.read("children") == await target_side.read("parents") == []


# --- savepoints -----------------------------------------------------------------------------------


async def test_a_refused_row_is_undone_to_the_savepoint_and_the_rest_commits(
    target_side: TargetBench,
) -> None:
    relation = await target_side.relation("accounts")
    async with session_on(target_side) as session:
        await owned(session, "a")
        async with session.begin([Fence("a", 1, 0, "0/2")]) as transaction:
            await transaction.savepoint()
            await transaction.write([Run(INSERT, relation, [row("1", "x")])])
            await transaction.release_savepoint()
            await transaction.savepoint()
            with pytest.raises(RowRejectedError):
                await transaction.write([Run(INSERT, relation, [row("2", "x"), row("1", "y")])])
                await transaction.release_savepoint()
            await transaction.rollback_to_savepoint()
            await transaction.reject(_rejected())
            await transaction.write([Run(INSERT, relation, [row("3", "x")])])
            await transaction.commit()
        assert await lanes_of(session) == {"a": LaneRow(1, 1, "0/2")}
    assert await target_side.read("accounts") == [("1", "x"), ("3", "x")]
    assert await target_side.quarantined() == 1


async def test_savepoints_nest(target_side: TargetBench) -> None:
    relation = await target_side.relation("accounts")

    async def add(transaction: TargetTransaction, key: str) -> None:
        await transaction.write([Run(INSERT, relation, [row(key, "x")])])

    async with session_on(target_side) as session, session.begin() as transaction:
        await transaction.savepoint()
        await add(transaction, "1")
        await transaction.savepoint()
        await add(transaction, "2")
        await transaction.rollback_to_savepoint()
        await transaction.savepoint()
        await add(transaction, "3")
        await transaction.release_savepoint()
        await transaction.release_savepoint()
        await transaction.savepoint()
        await transaction.savepoint()
        await add(transaction, "4")
        await transaction.release_savepoint()
        await transaction.rollback_to_savepoint()
        await transaction.commit()
    assert await target_side.read("accounts") == [("1", "x"), ("3", "x")]


# --- full load ------------------------------------------------------------------------------------


async def _stream(buffers: Sequence[bytes]) -> AsyncIterator[bytes]:
    for buffer in buffers:
        await asyncio.sleep(0)
        yield buffer


@pytest.mark.parametrize("commit", [True, False])
async def test_a_chunks_rows_and_its_record_commit_together(
    target_side: TargetBench, commit: bool
) -> None:
    relation = await target_side.relation("accounts")
    target = await target_side.target()
    rows = [row(f"{i:03}", None if i % 7 == 0 else "x" * i) for i in range(100)]
    data = await target_side.load_data(relation, rows)
    async with target.session() as session:
        await owned(session, "a")
        form = await target.load_form(relation)
        async with session.begin([Fence("a", 1, 0, "0/1")]) as transaction:
            written = await transaction.load(relation, form, _stream(data))
            await transaction.save_chunk(_chunk(0))
            if commit:
                await transaction.commit()
        assert (written.rows, written.bytes) == (100, sum(map(len, data)))
        async with session.begin() as transaction:
            chunks = await transaction.chunks()
    assert len(chunks) == (1 if commit else 0)
    expected = [tuple(v.decode() if isinstance(v, bytes) else None for v in r) for r in rows]
    assert await target_side.read("accounts") == (expected if commit else [])


async def test_a_load_that_repeats_a_key_is_refused_whole(target_side: TargetBench) -> None:
    relation = await target_side.relation("accounts")
    target = await target_side.target()
    data = await target_side.load_data(relation, [row("2", "x"), row("1", "x")])
    async with target.session() as session:
        await put(target_side, session, "accounts", row("1", "x"))
        with pytest.raises(RowRejectedError):
            async with session.begin() as transaction:
                await transaction.load(relation, await target.load_form(relation), _stream(data))
                await transaction.commit()
    assert await target_side.read("accounts") == [("1", "x")]


async def test_a_source_that_fails_during_a_load_leaves_no_row(target_side: TargetBench) -> None:
    relation = await target_side.relation("accounts")
    target = await target_side.target()
    data = await target_side.load_data(relation, [row(f"{i}", "x") for i in range(10)])

    async def broken() -> AsyncIterator[bytes]:
        for buffer in data[: len(data) // 2]:
            yield buffer
        raise ConnectionError("the source is gone")

    async with target.session() as session:
        with pytest.raises(ConnectionError):
            async with session.begin() as transaction:
                await transaction.load(relation, await target.load_form(relation), broken())
                await transaction.commit()
    assert await target_side.read("accounts") == []


# --- tables ---------------------------------------------------------------------------------------


async def test_a_target_describes_its_tables(target_side: TargetBench) -> None:
    target = await target_side.target()
    relation = await target.relation(name("documents"))
    assert relation is not None
    assert [column.name for column in relation.columns] == ["id", "body", "note"]
    assert relation.key == (0,)
    assert await target.relation(name("absent")) is None
    assert await target.empty(name("documents"))
    async with target.session() as session:
        await put(target_side, session, "documents", row("1", None, None))
    assert not await target.empty(name("documents"))
    if target_side.features.foreign_keys:
        assert list(await target.foreign_keys()) == [(name("children"), name("parents"))]
