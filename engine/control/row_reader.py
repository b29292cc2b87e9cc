"""Reads what replications kept aside in their targets, for the API (implements `acting.RowReader`).

Each look is a process of its own, which opens the target's endpoint alone and is given no key: what
is sealed stays so until it is here.
"""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from engine.control import errand, kept_rows
from engine.control.chores import MODULE as CHORES
from engine.control.chores import QUARANTINE
from engine.control.endpoint_side import reach, revealed
from engine.control.prober import unwritten, written
from engine.control.reports import NOT_STARTED
from engine.control.store.contract import Store
from engine.control.vault import Vault
from engine.errors import PenstockError, StateError
from engine.model.state import QuarantinedRow
from engine.seams import FOLDER_MODE

SECONDS: Final = 45.0
"""Less than a call may take, so that its caller is told why."""

AT_ONCE_MAX: Final = 2
"""Each takes a process, and its page in memory."""


class TargetRowReader:
    """Each look is one process, whose file is private and gone afterwards."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        folder: Path,
        secrets: Mapping[str, str],
        environment: Mapping[str, str],
    ) -> None:
        """As `prober.DatabaseProber`."""
        self._store = store
        self._vault = vault
        self._folder = folder
        self._secrets = secrets
        self._environment = environment
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)

    async def rows(self, replication: str, target: str, after: int) -> Sequence[QuarantinedRow]:
        """See `acting.RowReader.rows`."""
        try:
            return await self._rows(replication, target, after)
        except OSError as error:
            raise unwritten(error) from error

    async def _rows(self, replication: str, target: str, after: int) -> Sequence[QuarantinedRow]:
        found = bytearray()
        async with self._turns:
            reached = await reach(self._store, target, self._vault, self._secrets)
            self._folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._folder) as folder:
                file = written(reached, Path(folder), replication)
                outcome = await errand.run(
                    CHORES,
                    [f"--chore={QUARANTINE}", f"--after={after}", str(file)],
                    environment={**self._environment, **revealed(reached.variables)},
                    written=found,
                    seconds=SECONDS,
                )
        if outcome.error == NOT_STARTED:
            raise StateError(outcome.reason, hint=outcome.remedy)
        if outcome.exit:
            raise PenstockError(outcome.reason or outcome.error, hint=outcome.remedy)
        return list(kept_rows.rows_of(bytes(found)))
