"""What the laws of targets write with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from engine.contracts import TargetSession
from engine.model.batch import Run
from engine.model.change import INSERT
from engine.model.chunk import ChunkDone
from engine.model.state import LaneRow, Owner, RejectedRow
from engine.model.value import Row
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


def a_chunk(ordinal: int, *, high: tuple[str, ...] | None = ("m", "\u00e4'\"")) -> ChunkDone:
    return ChunkDone(name("accounts"), ordinal, "key", None, high, "5:9:6,7", "0/9", 12)


def a_rejected_row() -> RejectedRow:
    return RejectedRow(
        name("accounts"), "a", "0/9", "insert", "rejected-row", "23505", "no", '{"new": null}'
    )
