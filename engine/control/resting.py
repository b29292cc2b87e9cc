"""A replication at rest: the log that its source keeps for it is measured, told of and bounded.

While it runs, its worker does that. A slot that nobody reads keeps log for as long as it is there,
until the source's disk is full: somebody has to look.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from engine.control import errand
from engine.control.chores import KEPT
from engine.control.chores import MODULE as CHORES
from engine.control.happenings import KEEPS_LOG, LOG_GIVEN_UP
from engine.control.keeping import Keeper
from engine.control.lifecycle import Status
from engine.control.means import Means
from engine.control.resources.replication import Replication
from engine.control.starting import StartError, Starting
from engine.control.store.errors import GoneError, LeaseLostError
from engine.observe.report import Outcome

LOOK_SECONDS: Final = 300.0
"""Between two looks. Each is a process of half a second; a disk that fills at 100 MB/s has 30 GB
more by the next one."""

LOOKING_SECONDS: Final = 60.0

GIVEN_UP: Final = "SlotGivenUpError"
"""How a look ends that let the log go, as `wal_retained_policy` says."""


class Resting:
    """What is kept for one replication."""

    def __init__(self, id: str, means: Means, keeper: Keeper, starting: Starting) -> None:
        self._means = means
        self._keeper = keeper
        self._starting = starting
        self._log = means.log.bind(replication=id)
        self._warned = False
        self.bytes: int | None = None
        """Log that its source keeps; None: unknown, or none."""

    async def watch(self, replication: Replication) -> None:
        """Look until cancelled, or as long as its source keeps anything for it."""
        self._warned = False
        try:
            if not _may_keep(replication):
                return
            while await self._looked(replication):  # noqa: ASYNC110  # a pause, no poll
                await asyncio.sleep(LOOK_SECONDS)
        except (GoneError, LeaseLostError):
            return  # whoever changes it or acts by now looks after it
        finally:
            self.bytes = None

    async def _looked(self, replication: Replication) -> bool:
        """Whether to look again."""
        try:
            async with self._means.looks:
                return await self._look(replication)
        except (GoneError, LeaseLostError):
            raise
        except Exception as error:  # noqa: BLE001 - logged; the next look may do
            self._log.exception("a look at a source failed", action="source.look", error=error)
            return True

    async def _look(self, replication: Replication) -> bool:
        found: list[int | None] = []

        def told(event: Mapping[str, object]) -> None:
            size = event.get("bytes")
            found.append(size if isinstance(size, int) else None)

        try:
            given = await self._starting.files(replication)
        except StartError as error:
            return self._unknown(" ".join(error.failures))
        outcome = await errand.run(
            CHORES,
            [f"--chore={KEPT}", str(given.file)],
            environment=given.environment,
            told=told,
            seconds=LOOKING_SECONDS,
        )
        if outcome.error == GIVEN_UP:
            await self._given_up(outcome)
            return False
        if outcome.exit or not found:
            return self._unknown(outcome.reason or outcome.error)
        self.bytes = found[-1]
        if self.bytes is None:
            return False  # no slot, or a source that keeps its log for nobody
        if self.bytes > given.config.source.wal_retained_warn_bytes and not self._warned:
            self._warned = True
            await self._keeper.tell(
                KEEPS_LOG, f"{self.bytes >> 20} MiB, and more as it is written."
            )
        return True

    def _unknown(self, reason: str) -> bool:
        self.bytes = None
        self._log.warning(
            "what the source keeps for a replication at rest is not known",
            action="source.look",
            reason=reason,
            delay_seconds=LOOK_SECONDS,
        )
        return True

    async def _given_up(self, outcome: Outcome) -> None:
        self.bytes = None
        self._log.error(outcome.reason, action="source.given-up", hint=outcome.remedy)
        await self._keeper.tell(LOG_GIVEN_UP, f"{outcome.reason}.")


def _may_keep(replication: Replication) -> bool:
    life = replication.life
    rests = life.status in (Status.STOPPED, Status.FAILED)
    return rests and life.provisioned is not None and replication.config.type != "full-load"
