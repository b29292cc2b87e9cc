"""The target that discards rows."""

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._interchange import compiled
from connectors.blackhole.target import BlackholeTarget, sums
from engine.contracts import TransactionalTarget
from engine.errors import FenceFailedError
from engine.model.batch import Run
from engine.model.change import INSERT, UPDATE
from engine.model.relation import Column, ColumnType, Relation, TableName
from engine.model.state import Fence, LaneRow
from engine.model.value import UNCHANGED, Row

RELATION = Relation(1, "s", "t", (Column("a", ColumnType("x")), Column("b", ColumnType("x"))))
TABLE = TableName("s", "t")


async def fill(target: BlackholeTarget, *runs: Run, fence: Fence, commit: bool = True) -> None:
    async with target.session() as session, session.begin([fence]) as transaction:
        await transaction.write(runs)
        if commit:
            await transaction.commit()


@pytest.fixture
def target() -> BlackholeTarget:
    target = BlackholeTarget()
    target.state.lanes["l"] = LaneRow(1, 0, "")
    return target


@pytest.mark.usefixtures("loops")
async def test_rows_are_added_up_in_any_order(target: BlackholeTarget) -> None:
    insert = Run(INSERT, RELATION, [(b"x", None), (b"", b"yy")])
    update = Run(UPDATE, RELATION, [(UNCHANGED, b"z")], sent=(1,))
    await fill(target, insert, update, fence=Fence("l", 1, 0, "p"))
    assert (target.rows, target.discarded[TABLE].bytes) == (3, 4)
    assert target.checksum == crc32(b"x") + crc32(b"yy") + crc32(b"z")


values = st.binary(max_size=40) | st.none() | st.just(UNCHANGED)


@given(st.lists(st.tuples(values, values)))
def test_both_loops_come_to_the_same(rows: list[Row]) -> None:
    if compiled.LOOPS is None:
        pytest.skip("the compiled loops are not built or turned off")
    assert compiled.LOOPS.sum_values(rows) == sums(rows)


async def test_what_was_not_committed_does_not_count(target: BlackholeTarget) -> None:
    await fill(
        target, Run(INSERT, RELATION, [(b"x", b"")]), fence=Fence("l", 1, 0, "p"), commit=False
    )
    assert target.rows == 0
    assert target.state.lanes == {"l": LaneRow(1, 0, "")}


async def test_a_fence_moves_its_lane_once(target: BlackholeTarget) -> None:
    fence = Fence("l", 1, 0, "p")
    await fill(target, fence=fence)
    assert target.state.lanes == {"l": LaneRow(1, 1, "p")}
    with pytest.raises(FenceFailedError):
        await fill(target, fence=fence)


def test_it_keeps_the_contract(target: BlackholeTarget) -> None:
    assert isinstance(target, TransactionalTarget)
