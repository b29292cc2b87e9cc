"""What limits the stream, found out while it runs: told to metrics and log when it changes."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from engine.abilities import ObservedTarget
from engine.capacity.remedy import explain
from engine.capacity.sample import SAMPLE_SECONDS, Cause
from engine.capacity.verdict import WINDOW_SAMPLES, Measured, Verdict, judge
from engine.checkpoint.sessions import Sessions
from engine.contracts import Target
from engine.errors import TargetError
from engine.measuring import Reading, core, rate
from engine.model.activity import Activity
from engine.model.relation import Relation, TableName
from engine.surroundings import Surroundings

TRIPS_KEPT: Final = 10
"""Round trips of which the shortest counts: the others waited for our own loop or for a core."""

INDEXES_SECONDS: Final = 30.0
"""Time between two looks for missing indexes, while the target is what limits."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the stream stands at a reading. `more`: lanes that could use appliers beside the one
    they are on. `source_age`: see `Measured`."""

    appliers: int
    backlog_rows: int
    more: float
    source_age: float
    overflowed: bool


class Judging:
    """`changing`: the tables whose rows are changed now, with what their keys are."""

    def __init__(
        self,
        around: Surroundings,
        target: Target,
        sessions: Sessions,
        changing: Callable[[], Sequence[Relation]],
    ) -> None:
        self._around = around
        self._target = target
        self._sessions = sessions
        self._changing = changing
        self._readings: deque[Reading] = deque(maxlen=WINDOW_SAMPLES + 1)
        self._verdict = Verdict()
        self._late = asyncio.Event()
        self._activities: deque[tuple[float, Activity]] = deque(maxlen=WINDOW_SAMPLES)
        """With the moment at which each was asked for, by the clock of readings."""
        self._trips: deque[float] = deque(maxlen=TRIPS_KEPT)
        self._connected = False
        self._unindexed: Sequence[TableName] = ()
        self._looked_at: float | None = None

    @property
    def cause(self) -> Cause | None:
        """What limits the flow now; None until that is known."""
        return self._verdict.cause

    def take(self, reading: Reading, standing: Standing) -> None:
        """Judge the seconds up to this reading."""
        self._readings.append(reading)
        if len(self._readings) < 2:
            return
        measured = self._measured(self._readings[0], reading, standing)
        found = judge(measured)
        if found is Cause.IDLE:
            self._late.clear()
            self._activities.clear()
        else:
            self._late.set()
        if found not in (Cause.APPLIERS, Cause.TARGET, None):
            self._around.provision.helped = None
        if self._verdict.take(found):
            self._tell(measured)
        self._around.metrics.verdict(self.cause)

    def _measured(self, first: Reading, last: Reading, standing: Standing) -> Measured:
        def share(name: str) -> float:
            return rate(first, last, name) or 0.0

        grown = {name: last.counts[name] - first.counts[name] for name in last.counts}
        rows_out, busy = share("rows_out"), grown["target"]
        activities = self._activities_since(first.at)
        late = standing.backlog_rows / max(rows_out, 1.0)
        return Measured(
            core=core(first, last),
            source=share("source"),
            decode=share("decode"),
            route=share("route"),
            room=share("queue"),
            appliers=standing.appliers,
            working=share("target"),
            lanes=share("applier") + standing.more,
            backlog_seconds=float("inf") if standing.overflowed else late,
            source_age=standing.source_age,
            server=fmean([a.working for a in activities]) if activities else None,
            row_seconds=busy / max(grown["rows_out"], 1.0) if busy else None,
            batch_seconds=busy / max(grown["batches"], 1.0) if busy else None,
            trip_seconds=min(self._trips) if self._trips else None,
            unindexed=bool(self._unindexed),
            helped=self._around.provision.helped,
        )

    def _activities_since(self, moment: float) -> Sequence[Activity]:
        """What an older answer says is over: a target that is slow to answer has few new ones."""
        return [activity for asked, activity in self._activities if asked >= moment]

    def _tell(self, measured: Measured) -> None:
        assert self.cause is not None
        activity = next(reversed(self._activities_since(self._readings[0].at)), None)
        finding = explain(self.cause, measured, activity, self._unindexed)
        log = self._around.log
        (log.info if self.cause is Cause.IDLE else log.warning)(
            f"what limits the flow: {finding.detail}",
            action="capacity.verdict",
            cause=self.cause.value,
            hint=finding.remedy,
        )

    # --- what the target says ---------------------------------------------------------------------

    async def watch_target(self) -> None:
        """Ask the target once a second what it does for us, while something is late; until
        cancelled."""
        target = self._target
        if not isinstance(target, ObservedTarget):
            return
        while True:
            await self._late.wait()
            try:
                await self._ask(target)
                await self._look_for_indexes(target)
            except TargetError:
                # The appliers meet it too, and what it means is decided there.
                self._activities.clear()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _ask(self, target: ObservedTarget) -> None:
        if not self._connected:  # its answer waits for a connection too, and is no round trip
            await target.activity(self._sessions.identities)
            self._connected = True
        began = self._around.clock.monotonic()
        self._activities.append((began, await target.activity(self._sessions.identities)))
        self._trips.append(self._around.clock.monotonic() - began)

    async def _look_for_indexes(self, target: ObservedTarget) -> None:
        now = self._around.clock.monotonic()
        if self._looked_at is not None and now - self._looked_at < INDEXES_SECONDS:
            return
        self._looked_at = now
        self._unindexed = await target.unindexed(self._changing())
