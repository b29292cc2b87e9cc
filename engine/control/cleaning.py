"""Dropping what a replication made: slot and publications, and its rows of control tables."""

from collections.abc import Callable
from dataclasses import dataclass

from engine.config.replication import ReplicationConfig
from engine.contracts import OriginTarget, ReadSource, Source, Target, TargetSession
from engine.control.control_rows import control_session, owner_locked
from engine.errors import FencedError, ReaderUnknownError


@dataclass(frozen=True, slots=True)
class ControlRows:
    """How many control rows a replication has in its target."""

    owned: bool
    lanes: int
    tables: int
    chunks: int


async def clean(
    config: ReplicationConfig,
    source: Source,
    target: Target,
    *,
    agree: Callable[[ControlRows], bool],
) -> bool:
    """Count, ask `agree`, drop. False when it did not agree; then nothing was dropped.

    The source's part goes first: a slot left behind would keep its log for ever, control rows left
    behind only make the next `cleanup` repeat itself.

    Raises:
        FencedError: the replication runs.
    """
    try:
        await source.open()
        await refuse_running(source)
        async with control_session(target) as session:
            if not agree(await _count(session)):
                return False
            if config.streams:
                await source.detach()
            async with owner_locked(session) as transaction:
                await transaction.remove_replication()
                await transaction.commit()
            if isinstance(target, OriginTarget):
                await target.drop_origins()
        return True
    finally:
        await source.close()


async def refuse_running(source: Source) -> None:
    """Raises FencedError when somebody reads the log of an opened source for the replication."""
    if not isinstance(source, ReadSource):
        return
    try:
        reader = await source.reader()
    except ReaderUnknownError:
        return  # of one that runs after all, each transaction fails: its checkpoints are gone
    if reader is not None:
        raise FencedError(f"the replication runs: {reader}", hint="stop it first")


async def _count(session: TargetSession) -> ControlRows:
    async with owner_locked(session) as transaction:
        owner = await transaction.lock_owner()
        lanes = await transaction.lanes()
        tables = await transaction.tables()
        chunks = await transaction.chunks()
        return ControlRows(owner is not None, len(lanes), len(tables), len(chunks))
