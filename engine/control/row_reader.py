"""Reads what replications kept aside in their targets, for the API (implements `acting.RowReader`).

Each look is a process of its own, which opens the target's endpoint alone and is given no key: what
is sealed stays so until it is here.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from engine.control import kept_rows
from engine.control.chores import MODULE as CHORES
from engine.control.chores import QUARANTINE
from engine.control.looks import Looks
from engine.control.reports import NOT_STARTED
from engine.errors import PenstockError, StateError
from engine.model.state import QuarantinedRow

SECONDS: Final = 45.0
"""Less than a call may take, so that its caller is told why."""

AT_ONCE_MAX: Final = 2
"""Each takes a process, and its page in memory."""


class TargetRowReader:
    def __init__(self, looks: Looks) -> None:
        self._looks = looks
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)

    async def rows(self, replication: str, target: str, after: int) -> Sequence[QuarantinedRow]:
        """See `acting.RowReader.rows`."""
        found = bytearray()
        async with self._turns:
            outcome = await self._looks.run(
                target,
                CHORES,
                lambda _: (f"--chore={QUARANTINE}", f"--after={after}"),
                id=replication,
                written=found,
                seconds=SECONDS,
            )
        if outcome.error == NOT_STARTED:
            raise StateError(outcome.reason, hint=outcome.remedy)
        if outcome.exit:
            raise PenstockError(outcome.reason or outcome.error, hint=outcome.remedy)
        return list(kept_rows.rows_of(bytes(found)))
