"""All replications of a daemon (implements `acting.Fleet`): an orchestrator for each one wanted.

Nothing that happens to one touches another: each has a task of its own, whose defects are its own.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from engine.control.acting import Figures
from engine.control.carrying import Carrying
from engine.control.lifecycle import Status
from engine.control.means import Means
from engine.control.orchestrator import Orchestrator
from engine.control.resources.document import decode
from engine.control.resources.replication import KIND, Replication
from engine.control.store.errors import LeaseLostError
from engine.errors import StateError

DEFECT_SECONDS: Final = 5.0
"""Before an orchestrator that failed by a defect is tried again."""

PAGE: Final = 100


class NotActingError(StateError):
    """This daemon does not act: another one does, or it is ending."""


class Replications:
    """Runs orchestrators from `begin` until `leave`."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._of: dict[str, Orchestrator] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._acting = False
        self.lost = asyncio.Event()
        """Set when a write showed that another daemon acts by now."""

    # --- acting.Fleet --------------------------------------------------------------------------

    def wake(self, replication: str) -> None:
        """See `acting.Fleet.wake`."""
        if not self._acting:
            return  # whoever acts looks at all of them when it begins
        orchestrator = self._of.get(replication)
        if orchestrator is None:
            orchestrator = self._of[replication] = Orchestrator(replication, self._means)
            task = asyncio.create_task(self._run(orchestrator), name=f"replication {replication}")
            self._tasks[replication] = task
        orchestrator.wake()

    def figures(self, replication: str) -> Figures:
        """See `acting.Fleet.figures`."""
        orchestrator = self._of.get(replication)
        return orchestrator.figures() if orchestrator else Figures()

    async def reload_tables(self, replication: str, tables: Sequence[str]) -> None:
        """See `acting.Fleet.reload_tables`."""
        orchestrator = self._of.get(replication)
        if orchestrator is None:
            raise NotActingError(f"nothing carries {replication} here", hint="try again later")
        await orchestrator.reload(*tables)

    # --- the daemon's --------------------------------------------------------------------------

    async def begin(self) -> None:
        """Act from now on: whatever was ever started is taken up, wherever it was, or looked after
        where it rests. Raises StateError where the store cannot be read."""
        self._acting = True
        self.lost.clear()
        async with self._means.store.read() as reading:
            after = ""
            while page := await reading.find(KIND, after=after, limit=PAGE):
                for record in page:
                    if decode(Replication, record.document).life.status is not Status.CREATED:
                        self.wake(record.id)
                after = page[-1].name

    async def leave(self) -> None:
        """Let every worker drain, and act no more. What is wanted stays so."""
        self._acting = False
        for orchestrator in list(self._of.values()):
            orchestrator.leave()
        await self._emptied()

    async def drop(self) -> None:
        """End every worker at once: another daemon acts."""
        self._acting = False
        for task in list(self._tasks.values()):
            task.cancel()
        await self._emptied()

    def carried(self) -> Iterator[tuple[str, Carrying]]:
        """Those that a worker carries now, by id in order."""
        for name, orchestrator in sorted(self._of.items()):
            if orchestrator.carrying is not None:
                yield name, orchestrator.carrying

    def looked_after(self) -> Iterator[Orchestrator]:
        """All that something is or was wanted of since this daemon acts, by id in order."""
        for _, orchestrator in sorted(self._of.items()):
            yield orchestrator

    async def _emptied(self) -> None:
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def _run(self, orchestrator: Orchestrator) -> None:
        name = orchestrator.id
        try:
            while not await self._done(orchestrator):  # noqa: ASYNC110  # a pause, no poll
                await asyncio.sleep(DEFECT_SECONDS)
        finally:
            self._of.pop(name, None)
            self._tasks.pop(name, None)

    async def _done(self, orchestrator: Orchestrator) -> bool:
        """Run it to its end; False where that was one by a defect."""
        try:
            await orchestrator.run()
        except LeaseLostError:
            self.lost.set()
        except Exception as error:
            self._means.log.exception(
                "a replication cannot be looked after; trying again",
                action="replication.defect",
                error=error,
                replication=orchestrator.id,
                delay_seconds=DEFECT_SECONDS,
            )
            return False
        return True
