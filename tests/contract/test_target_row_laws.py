"""Laws of every transactional target: rows, savepoints, loads and tables."""

# ruff: noqa: PT012 (what must raise is a whole transaction)

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from engine.contracts import TargetTransaction
from engine.errors import (
    RowMissingError,
    RowRejectedError,
    TargetError,
)
from engine.model.batch import Run
from engine.model.change import DELETE, INSERT, UPDATE, Truncate
from engine.model.state import Fence, LaneRow
from engine.model.table import ForeignKey
from engine.model.value import UNCHANGED, Row, Value
from tests.contract.bench import TargetBench, Text, name
from tests.contract.writing import (
    a_chunk,
    a_rejected_row,
    lanes_of,
    owned,
    put,
    row,
    session_on,
    write,
)

pytestmark = pytest.mark.needs("rows")

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


@pytest.mark.parametrize("net", [True, False])
async def test_a_row_that_went_with_its_parent_is_as_it_should_be(
    target_side: TargetBench, net: bool
) -> None:
    if not target_side.features.foreign_keys:
        pytest.skip("this target has no foreign keys")
    parents, owned_rows = [await target_side.relation(table) for table in ("parents", "owned")]
    rows = [row("1", "a"), row("2", "a"), row("3", "b")]
    async with session_on(target_side) as session:
        await put(target_side, session, "parents", row("a"), row("b"))
        await put(target_side, session, "owned", *rows)
        await write(
            session,
            Run(DELETE, parents, [row("a")], net=net),
            Run(DELETE, owned_rows, rows[:2], net=net),
        )
        with pytest.raises(RowMissingError):
            await write(session, Run(UPDATE, owned_rows, [row("1", "b")], (0, 1), net=net))
    assert await target_side.read("owned") == [("3", "b")]


async def test_a_row_that_is_inserted_anew_after_it_went_with_its_parent(
    target_side: TargetBench,
) -> None:
    if not target_side.features.foreign_keys:
        pytest.skip("this target has no foreign keys")
    parents, owned_rows = [await target_side.relation(table) for table in ("parents", "owned")]
    async with session_on(target_side) as session:
        await put(target_side, session, "parents", row("a"), row("b"))
        await put(target_side, session, "owned", row("1", "a"), row("2", "b"))
        await write(
            session,
            Run(DELETE, parents, [row("a")], net=True),
            Run(
                UPDATE,
                owned_rows,
                [row("1", "b"), row("2", "b")],
                (0, 1),
                net=True,
                replaced=True,
            ),
        )
    assert await target_side.read("owned") == [("1", "b"), ("2", "b")]


@pytest.mark.parametrize("net", [True, False])
async def test_a_key_that_deletes_nothing_excuses_no_missing_row(
    target_side: TargetBench, net: bool
) -> None:
    if not target_side.features.foreign_keys:
        pytest.skip("this target has no foreign keys")
    children = await target_side.relation("children")
    async with session_on(target_side) as session:
        with pytest.raises(RowMissingError):
            await write(session, Run(DELETE, children, [row("1", "a")], net=net))


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
        assert caught.value.sqlstate == target_side.features.sqlstates.get(sqlstate, sqlstate)
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
            await transaction.reject(a_rejected_row())
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
            await transaction.save_chunk(a_chunk(0))
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
        children = ("children", "owned")
        expected = [ForeignKey(name(child), name("parents")) for child in children]
        assert list(await target.foreign_keys()) == expected
