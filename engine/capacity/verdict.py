"""What limits the flow: the rule, as a function of what was measured (pure).

Nothing is late: `idle`. Our core has no time left: `cpu`. Otherwise it is late either before us
(the source has not sent it: `source`) or behind us, and then by how the appliers stand:

- Appliers are free, or no lane waits for one: those at work are all that could be, and what they
  wait for is the target. More of them would have nothing to do: `target`.
- All are at work and lanes wait. Where the target's server has nothing to do for most of the time
  of a batch, which then goes by on the way to it and back, more appliers use that time: `appliers`.
- The server works all the time. It may have cores or disks left for more sessions or none, and no
  session can tell. What an earlier growth gave decides; before any was tried, a table without an
  index for its key, or rows that take the server unusually long: `target`; else `appliers`, and the
  law tries one step.

A change of the verdict is told once it was found in two samples in a row, each over the last
seconds, so that a batch that took long does not show as another cause.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from engine.capacity.sample import Cause

WINDOW_SAMPLES: Final = 3
"""Samples that one judgement looks back on. With two of the same in a row, the right one is told
within five seconds of a change."""

AGREE_SAMPLES: Final = 2
"""Judgements in a row from which a change is believed."""

LATE_SECONDS: Final = 1.0
"""Work for this long waits behind us: less is what every burst leaves for a moment."""

SOURCE_LATE_SECONDS: Final = 2.0
"""Age of what the source sends from which it is late. MariaDB tells commits by the second."""

ROOM_SHARE: Final = 0.2
"""Part of its time that the reader waits for room from which what is behind us is late."""

CORE_SHARE: Final = 0.8
"""Part of a core from which it is full. The reader rests for a millisecond between two reads while
it is behind, and the kernel is at work for us in the rest."""

BUSY_SHARE: Final = 0.9
"""Part of the appliers at work from which all of them are: each rests between two batches."""

SERVED_SHARE: Final = 0.5
"""Part of a time from which it is most of it."""

LANES_WAITING: Final = 0.5
"""Lanes that wait, on average, from which one more applier would have something to do."""

TRIPS: Final = 3
"""Round trips of a batch, where the server does not tell what it does: begin, rows, commit."""

SLOW_ROW_SECONDS: Final = 0.001
"""Time of a row on the target's server from which it is unusual. Rows that are found by an index
and come in batches take it 5 to 100 microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The last seconds. Shares are parts of that time; None: not known."""

    core: float | None = None
    """Of the time it could have had a core, the part our thread ran."""
    source: float = 0.0
    """The reader waited for the source."""
    decode: float = 0.0
    route: float = 0.0
    room: float = 0.0
    """The reader waited for room."""
    appliers: int = 1
    working: float = 0.0
    """Appliers at work, on average."""
    lanes: float = 0.0
    """Lanes that waited for an applier, on average."""
    backlog_seconds: float = 0.0
    """How long what waits takes, as fast as rows were applied."""
    source_age: float = 0.0
    """How old what the source sent last was; 0 at its newest change."""
    server: float | None = None
    """Sessions that the target's server worked for, on average."""
    row_seconds: float | None = None
    """Time of appliers for a row."""
    batch_seconds: float | None = None
    """Time of an applier for a batch."""
    trip_seconds: float | None = None
    """A round trip to the target for nothing."""
    unindexed: bool = False
    """Rows are changed in a table without an index for their key."""
    helped: bool | None = None
    """Whether the last growth gave anything; None: none was tried since."""

    @property
    def served(self) -> float | None:
        """Part of the appliers' time in which the server worked for them."""
        if not self.working:
            return None
        if self.server is not None:
            return min(1.0, self.server / self.working)
        if self.trip_seconds is None or not self.batch_seconds:
            return None
        return 1.0 - min(1.0, TRIPS * self.trip_seconds / self.batch_seconds)


def judge(now: Measured) -> Cause | None:
    """What limits the flow; None where what was measured says nothing about that."""
    late_here = now.room >= ROOM_SHARE or now.backlog_seconds >= LATE_SECONDS
    if not late_here and now.source_age < SOURCE_LATE_SECONDS:
        return Cause.IDLE
    if now.core is not None and now.core >= CORE_SHARE:
        return Cause.CPU
    if late_here:
        return _behind_us(now)
    if now.source >= SERVED_SHARE:
        return Cause.SOURCE
    return Cause.CPU if now.decode + now.route >= SERVED_SHARE else None


def _behind_us(now: Measured) -> Cause | None:
    if now.working >= BUSY_SHARE * now.appliers and now.lanes >= LANES_WAITING:
        return _all_at_work(now)
    return Cause.TARGET if now.working >= SERVED_SHARE else None


def _all_at_work(now: Measured) -> Cause:
    served = now.served
    if served is not None and served < SERVED_SHARE:
        return Cause.APPLIERS
    if now.helped is not None:
        return Cause.APPLIERS if now.helped else Cause.TARGET
    slow = now.row_seconds is not None and now.row_seconds >= SLOW_ROW_SECONDS
    return Cause.TARGET if now.unindexed or (slow and served is not None) else Cause.APPLIERS


class Verdict:
    """What is told: follows the judgements, a little later and without their flicker."""

    def __init__(self) -> None:
        self.cause: Cause | None = None
        self._found: deque[Cause | None] = deque(maxlen=AGREE_SAMPLES)

    def take(self, found: Cause | None) -> bool:
        """Take a judgement; whether the verdict is another one now. None changes nothing."""
        self._found.append(found)
        agreed = self._found.count(found) == AGREE_SAMPLES
        if found is None or found is self.cause or not agreed:
            return False
        self.cause = found
        return True
