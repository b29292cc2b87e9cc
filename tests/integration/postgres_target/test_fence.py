"""The compare-and-set comes first, and nothing behind a failed one takes effect."""

import asyncio
from collections.abc import Sequence

import pytest

from connectors.postgres.session import PostgresSession
from connectors.postgres.target import PostgresTarget
from engine.errors import (
    CommitUnknownError,
    FenceFailedError,
    TargetBusyError,
    TargetConnectionError,
)
from engine.model.batch import Run
from engine.model.change import INSERT
from engine.model.state import Fence, LaneRow
from tests.integration.postgres_target.conftest import LANE, Rig, config
from tests.servers.proxy import FaultProxy

pytestmark = pytest.mark.in_turn

SIZES = (1, 40, 500)
"""One row, a pipeline, a COPY."""


@pytest.fixture(autouse=True)
def table(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")


async def inserts(rig: Rig, count: int, start: int = 1) -> Run:
    rows = rig.wire(f"SELECT g::int, 'v' || g FROM generate_series({start}, {start + count - 1}) g")
    return Run(INSERT, await rig.relation(), rows, net=True)


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize(
    # each wrong in one thing: the fence before it has counted the lane's sequence to 1
    "fence",
    [Fence(LANE, 1, 7, "p"), Fence(LANE, 2, 1, "p"), Fence("x", 1, 0, "")],
)
async def test_a_failed_fence_has_no_effect(rig: Rig, count: int, fence: Fence) -> None:
    run = await inserts(rig, count)
    with pytest.raises(FenceFailedError, match=fence.lane):
        await _fenced(rig.session, [rig.fence, fence], run)
    assert rig.rows() == []
    assert rig.lane() == LaneRow(1, 0, "")
    await rig.apply(run)
    assert len(rig.rows()) == count


@pytest.mark.parametrize("count", SIZES)
async def test_rows_and_position_commit_together(rig: Rig, count: int) -> None:
    run = await inserts(rig, count)
    async with rig.session.begin([rig.fence]) as transaction:
        written = await transaction.write([run])
        await transaction.commit({LANE: "later"})
    assert (written.rows, len(rig.rows())) == (count, count)
    assert written.bytes > count
    assert rig.lane() == LaneRow(1, 1, "later")


async def test_the_position_can_be_set_again_after_the_fence_was_sent(rig: Rig) -> None:
    async with rig.session.begin([rig.fence]) as transaction:
        await transaction.savepoint()
        await transaction.release_savepoint()
        await transaction.commit({LANE: "end"})
    assert rig.lane() == LaneRow(1, 1, "end")


async def test_leaving_without_commit_rolls_back(rig: Rig) -> None:
    run = await inserts(rig, 500)
    async with rig.session.begin([rig.fence]) as transaction:
        await transaction.write([run])
        await transaction.lanes()
    assert rig.rows() == []
    assert not rig.session.broken
    assert rig.lane().seq == 0


async def test_the_fence_waits_before_any_row_is_touched(rig: Rig) -> None:
    """A predecessor that still commits is met at the fence, not as a duplicate key."""
    run = await inserts(rig, 1)
    async with rig.target.session() as other, rig.session.begin([rig.fence]) as first:
        await first.write([run])
        await first.lanes()
        with pytest.raises(TargetBusyError):
            await _fenced(other, [rig.fence], run)
        await first.commit()
    assert rig.lane().seq == 1


@pytest.mark.parametrize("count", SIZES)
async def test_a_link_lost_after_commit_was_sent_is_an_unknown_outcome(
    rig: Rig, count: int
) -> None:
    run = await inserts(rig, count)
    cluster = rig.database.cluster
    async with FaultProxy(cluster.host, cluster.port) as proxy:
        target = PostgresTarget(config(cluster.dsn(rig.database.name, port=proxy.port)))
        async with target.session() as session:
            await session.statements(run.relation)
            # Everything goes up; of the answer only the word that COPY may begin comes back.
            proxy.cut_after(down=0 if count <= 50 else 120)
            with pytest.raises(CommitUnknownError):
                await _fenced(session, [rig.fence], run)
            assert session.broken
        await target.close()
    async with asyncio.timeout(5):
        while (
            rig.execute("SELECT count(*) FROM pg_stat_activity WHERE state = 'active'")[0][0] != 1
        ):
            await asyncio.sleep(0.01)
    # Whatever happened, rows and position agree.
    assert (len(rig.rows()) == count) is (rig.lane().seq == 1)


async def test_a_link_lost_before_commit_is_no_unknown_outcome(rig: Rig) -> None:
    run = await inserts(rig, 1)
    async with rig.session.begin([rig.fence]) as transaction:
        await transaction.write([run])
        await transaction.lanes()
        rig.execute(f"SELECT pg_terminate_backend({rig.session.identity[0]})")
        with pytest.raises(TargetConnectionError):
            await transaction.lanes()
    assert rig.session.broken
    with pytest.raises(TargetConnectionError):
        async with rig.session.begin():
            pass


async def test_a_commit_over_a_link_known_to_be_lost_is_not_sent_and_so_no_unknown_outcome(
    rig: Rig,
) -> None:
    run = await inserts(rig, 1)
    async with rig.session.begin([rig.fence]) as transaction:
        await transaction.write([run])
        rig.execute(f"SELECT pg_terminate_backend({rig.session.identity[0]})")
        async with asyncio.timeout(5):
            while not rig.session.broken:
                await asyncio.sleep(0.01)
        with pytest.raises(TargetConnectionError):
            await transaction.commit()
    assert (rig.rows(), rig.lane().seq) == ([], 0)


async def test_a_cancelled_transaction_breaks_its_session(rig: Rig) -> None:
    rig.execute("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN PERFORM pg_sleep(5); RETURN NEW; END $$")  # fmt: skip
    rig.execute("CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow()")
    run = await inserts(rig, 1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await rig.apply(run)
    assert rig.session.broken


async def _fenced(session: PostgresSession, fences: Sequence[Fence], run: Run) -> None:
    async with session.begin(fences) as transaction:
        await transaction.write([run])
        await transaction.commit()
