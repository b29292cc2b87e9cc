"""Judge keys that differed, while writers run on the source.

A key may differ only because its change is still on its way. So it is read again in rounds: read
the source, note the source's position, wait until the target has applied that far, then read the
target and the source once more. The source has not moved and the target holds the same: equal. The
source has not moved and the target holds something else, twice: different.

A key that moves in every round is looked at more closely in the end: equal once the target is seen
to hold what the source holds in the same round. That is weaker (a counter that lost one step passes
through the same numbers later), so such keys are counted in the report.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engine.comparable import Comparable
from engine.errors import ComparisonError
from engine.machine import Clock
from engine.model.compared import RowKey
from engine.model.position import Position
from engine.model.state import FRONTIER
from engine.plan.lanes import WHOLE, checkpoint_name
from engine.validate.agree import Readings
from engine.validate.judge import Sightings, count_different, count_equal
from engine.validate.report import TableReport

CONFIRMATIONS: Final = 2
"""Rounds in which an unmoved source must differ: a row that goes to and fro between two states may
be caught in the wrong one once."""

MOVING_ROUNDS: Final = 12
"""Rounds in which a key may move before it is judged by a closer look. A key changed 50 times a
second stands still for one round in two when the target is 10 ms behind."""

LOOKS: Final = 25
"""Looks at both sides per round for keys that keep moving."""

ROUNDS_MAX: Final = 40
"""Rounds until a key that keeps moving is given up as not settled."""

FIND_KEYS_MAX: Final = 2_000
"""Keys looked up in one statement by an index."""

SCAN_KEYS_MAX: Final = 50_000
"""Keys looked for in one scan of a table that has no index for them."""

PAUSE_SECONDS: Final = 0.05
"""Between two rounds, and the longest wait between two looks at the applied position."""

PAUSE_SECONDS_MIN: Final = 0.001


@dataclass(slots=True)
class _Pending:
    """A key's rounds so far: unmoved and different in a row, and those in which it moved."""

    different: int = 0
    moved: int = 0

    def note(self, met: bool, still: bool) -> None:
        self.different = self.different + 1 if still and not met else 0
        self.moved += not still

    @property
    def moves(self) -> bool:
        return self.moved >= MOVING_ROUNDS


@dataclass(slots=True)
class Settler:
    """Judges keys of any table of one comparison.

    `patience_seconds` bounds each wait for the applied position; once it has run out, later waits
    are not granted again, so a replication that stands still costs the time once.
    """

    source: Comparable
    target: Comparable
    clock: Clock
    replication: str
    patience_seconds: float
    keys_max: int
    exhausted: bool = False

    async def settle(self, readings: Readings, keys: Sequence[RowKey], report: TableReport) -> None:
        """Add the verdict on each key to the report."""
        report.read_again += len(keys)
        pending = {key: _Pending() for key in keys}
        for _ in range(ROUNDS_MAX):
            seen = await self._round(readings, pending)
            if seen is None:
                report.reason = "the replication has not applied what the source had committed"
                break
            self._judge(seen, pending, report)
            if not pending:
                return
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            report.reason = "the source keeps changing them"
        report.unsettled += len(pending)

    def _judge(
        self, seen: Sightings, pending: dict[RowKey, "_Pending"], report: TableReport
    ) -> None:
        for key, state in list(pending.items()):
            met, still = seen.met(key), seen.still(key)
            state.note(met is not None, still)
            if met is not None and (still or state.moves):
                count_equal(report, met.rows)
                report.moving += not still
            elif state.different >= CONFIRMATIONS:
                source, target = next(iter(seen.source[key])), next(iter(seen.target[key]))
                count_different(report, key, source, target, self.keys_max)
            else:
                continue
            del pending[key]

    async def _round(
        self, readings: Readings, pending: Mapping[RowKey, "_Pending"]
    ) -> Sightings | None:
        """None when the applied position did not come."""
        seen, keys = Sightings(), list(pending)
        moving = [key for key in keys if pending[key].moves] if readings.source.indexed else []
        await self._look_at_source(readings, keys, seen)
        if not await self._applied(
            readings, await self.source.head(), lambda: self._look_at_source(readings, moving, seen)
        ):
            return None
        await self._look(readings, keys, seen)
        await self._look_closely(readings, moving, seen)
        return seen

    async def _look_at_source(
        self, readings: Readings, keys: Sequence[RowKey], seen: Sightings
    ) -> None:
        for part in _parts(readings, keys):
            seen.see_source(part, await self.source.find(readings.source, part))

    async def _look(self, readings: Readings, keys: Sequence[RowKey], seen: Sightings) -> None:
        for part in _parts(readings, keys):
            seen.see_target(part, await self.target.find(readings.target, part))
            seen.see_source(part, await self.source.find(readings.source, part))

    async def _look_closely(
        self, readings: Readings, keys: Sequence[RowKey], seen: Sightings
    ) -> None:
        for _ in range(LOOKS):
            keys = [key for key in keys if not seen.still(key) and seen.met(key) is None]
            if not keys:
                return
            await self._look(readings, keys, seen)

    async def _applied(
        self, readings: Readings, head: Position, meanwhile: Callable[[], Awaitable[None]]
    ) -> bool:
        """Whether the target has everything up to `head`; True too where nothing is replicated.

        The table's own lane tells sooner than the frontier, which is stored once a second only.
        `meanwhile` watches, while the target follows, through which states moving keys go.
        """
        deadline = self.clock.monotonic() + (0.0 if self.exhausted else self.patience_seconds)
        checkpoints = (FRONTIER, WHOLE, checkpoint_name(readings.source.table))
        pause = PAUSE_SECONDS_MIN
        while not await self._has_reached(head, checkpoints):
            if self.clock.monotonic() >= deadline:
                self.exhausted = True
                return False
            await meanwhile()
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, PAUSE_SECONDS)
        return True

    async def _has_reached(self, head: Position, checkpoints: Sequence[str]) -> bool:
        stored = await self.target.stored(self.replication, checkpoints)
        try:
            positions = [self.source.position(text) for text in stored]
        except ValueError as error:
            raise ComparisonError(
                "target: the position stored there is not one of this source's log",
                hint="[replication] id must be that of the replication from this source",
            ) from error
        return not positions or any(position.reaches(head) for position in positions)


def _parts(readings: Readings, keys: Sequence[RowKey]) -> Iterator[Sequence[RowKey]]:
    size = FIND_KEYS_MAX if readings.source.indexed else SCAN_KEYS_MAX
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
