"""Which branch of the source's log the stored positions belong to, kept beside them.

A position says how far, not in which history: after a fail-over the same number may stand for other
changes. So the branch is stored before the first position that belongs to it, and when another one
answers, everything that is stored must lie before the place where the two parted.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from engine.checkpoint.ownership import Claim, store_rows
from engine.contracts import BranchingSource, Source, TargetSession
from engine.model.position import Position
from engine.model.relation import TableName
from engine.model.state import FRONTIER, LaneRow
from engine.plan.buckets import StoredNames
from engine.plan.lanes import WHOLE

BRANCH: Final = "source:branch"
"""Name of the checkpoint row whose position is the branch."""


async def keep_branch(
    source: Source, control: TargetSession, claimed: Claim, tables: Iterable[TableName]
) -> None:
    """Check the present branch against what is stored for these tables, and store it.

    Raises:
        PositionLostError, SourceIdentityError: see `BranchingSource.check_branch`.
    """
    if not isinstance(source, BranchingSource):
        return
    branch = await source.branch()
    row = claimed.lanes.get(BRANCH)
    if row is not None and row.position == branch:
        return
    if row is not None:
        await source.check_branch(row.position, list(_reached(source, claimed, tables)))
    await store_rows(control, claimed.epoch, {BRANCH: LaneRow(claimed.epoch, 0, branch)})


def _reached(source: Source, claimed: Claim, tables: Iterable[TableName]) -> Iterator[Position]:
    """What the target holds: how far each checkpoint is, and what the loaded chunks have seen."""
    rows = claimed.lanes
    stored = StoredNames(rows)
    own = [name for table in tables for name in stored.of(table)]
    for name in (FRONTIER, WHOLE, *own):
        if name in rows and rows[name].position:
            yield source.position(rows[name].position)
    for chunk in claimed.chunks:
        if chunk.until:
            yield source.position(chunk.until)
