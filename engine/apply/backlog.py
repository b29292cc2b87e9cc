"""What of a lane is read and not durable, without a look at any row (pure)."""

from dataclasses import dataclass
from typing import Final

from engine.apply.lane import Lane


@dataclass(frozen=True, slots=True)
class Backlog:
    """`rows` events in `bytes` of memory and disk wait; the oldest of them was committed on the
    source at `oldest_us` (0: nothing waits, or the source does not say). `lost`: changes that came
    later were dropped, and only a new load makes the tables whole. `stopped`: they have left the
    frontier, and wait until they are mended."""

    rows: int = 0
    bytes: int = 0
    oldest_us: int = 0
    lost: bool = False
    stopped: bool = False


NOTHING: Final = Backlog()


def backlog(lane: Lane) -> Backlog:
    """What waits of all tables of a lane: they are applied in one order."""
    suspension = lane.suspension
    if suspension is not None:
        waiting = suspension.waiting
        return Backlog(
            waiting.rows, waiting.unread, waiting.oldest_us, lost=suspension.lost, stopped=True
        )
    if not lane.busy and not lane.waiting:
        return NOTHING
    rows, size = lane.rows + lane.taken_rows, lane.size + lane.taken_bytes
    if lane.spool is not None:
        rows, size = rows + lane.spool.rows, size + lane.spool.unread
    return Backlog(rows, size, _oldest_us(lane))


def _oldest_us(lane: Lane) -> int:
    if lane.taken_us:
        return lane.taken_us
    if lane.segments:
        return lane.segments[0].committed_at_us
    if lane.spool is not None:
        return lane.spool.oldest_us
    return 0
