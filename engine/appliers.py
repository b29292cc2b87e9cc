"""The appliers of a stream: as many as are provisioned, each over a session of its own.

One that is too many leaves between two works, so its lane goes to another applier only with all it
had taken durable. What is in its place is opened beside it, and joins when its session is on
record; nothing waits for either. A few are opened at a time: those that have joined work meanwhile.
"""

import asyncio
from typing import Final

from engine.abilities import ReadiedSession
from engine.apply.applier import ApplyStation, run_applier
from engine.checkpoint.sessions import Sessions
from engine.config.capacity import Budget
from engine.errors import Retry, TargetError
from engine.model.finding import Finding
from engine.observe.log import Log
from engine.provision import Provision

OPENING_MAX: Final = 4
"""Sessions that are opened at once. Each takes the loop some milliseconds in pieces that no one
else gets between, and the first of many would join when the last has: measured with 64 at once, the
first batch began after 0.2 s and the loop stood still for 0.1 s; four at once, after 0.02 s and for
0.01 s, and all were there after 0.4 s."""

AGAIN_SECONDS: Final = 10.0
"""Time until a session that the target did not give is asked for again: whoever used up its
connections, or restarts it, is seldom through sooner."""


class Appliers:
    """Keeps their number at what the provision says."""

    def __init__(
        self, station: ApplyStation, sessions: Sessions, provision: Provision, log: Log
    ) -> None:
        self._station = station
        self._scheduler = station.scheduler
        self._sessions = sessions
        self._provision = provision
        self._log = log
        self._opened = 0
        self._opening = 0
        self._refused = False
        self._waits = False
        """Whether no more are asked for until the target may give one again."""
        self._told: set[str] = set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. Raises what ends an applier, and what keeps the first from beginning."""
        async with asyncio.TaskGroup() as tasks:
            with self._provision.told(self._staff):
                while True:
                    self._changed.clear()
                    self._fill(tasks)
                    await self._look_again()

    def _staff(self, budget: Budget) -> None:
        self._scheduler.staff(budget.appliers)
        self._waits = False
        self._changed.set()

    def _fill(self, tasks: asyncio.TaskGroup) -> None:
        if self._waits:
            return
        missing = self._provision.budget.appliers - self._scheduler.serving - self._opening
        for _ in range(min(missing, OPENING_MAX - self._opening)):
            self._opening += 1
            self._opened += 1
            tasks.create_task(self._serve(), name=f"applier-{self._opened}")

    async def _look_again(self) -> None:
        """Wait for another size or for one that joined, or until what was refused may be given."""
        try:
            async with asyncio.timeout(AGAIN_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            self._waits = False

    async def _serve(self) -> None:
        """One applier, from its session to its leave."""
        opening = True
        try:
            async with self._sessions.open() as (session,):
                if isinstance(session, ReadiedSession):
                    self._tell(await session.ready())
                opening = self._refused = False
                self._opening -= 1
                self._scheduler.join()
                self._changed.set()
                await run_applier(self._station, session)
        except TargetError as error:
            if not opening:
                raise
            self._opening -= 1
            if not self._may_do_without(error):
                raise
            self._waits = True
            self._tell_refused(error)

    def _may_do_without(self, error: TargetError) -> bool:
        """Whether others serve, or may yet, and the target may give a session another time."""
        others = self._scheduler.serving + self._opening
        return others > 0 and error.retry in (Retry.BACKOFF, Retry.WAIT)

    def _tell(self, finding: Finding | None) -> None:
        """What appliers go without; once."""
        if finding is not None and finding.check not in self._told:
            self._told.add(finding.check)
            self._log.info(finding.message, action="appliers.without", hint=finding.remedy)

    def _tell_refused(self, error: TargetError) -> None:
        """Once, until it gave one again."""
        if self._refused:
            return
        self._refused = True
        self._log.warning(
            "the target gives no further session; the appliers that are there go on",
            action="appliers.refused",
            error=error,
            appliers=self._scheduler.serving,
            hint="raise its limit of connections, or lower [capacity] max",
        )
