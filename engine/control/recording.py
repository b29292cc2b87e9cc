"""What is stored of a replication while it is carried: its tables, its cost, its position."""

import asyncio
from collections.abc import Sequence
from typing import Final

from engine.control.happenings import TABLES_STAND
from engine.control.keeping import Keeper, Note, having
from engine.control.resources.document import Stored
from engine.control.tallies import Tallies
from engine.control.unit_hours import UnitHours
from engine.machine import Clock

CHECKPOINT_SECONDS: Final = 5.0
"""A position that alone has changed is stored as seldom: nothing goes on from it but people."""

HOURS_SECONDS: Final = 60.0
"""A daemon that is killed forgets so much of what capacity cost."""

NAMED_MAX: Final = 5
"""Tables that an event names: a fault of the target may stop thousands at once."""


class Recording:
    """What has changed since it was stored last."""

    def __init__(
        self, keeper: Keeper, clock: Clock, tables: Tallies, hours: UnitHours, checkpoint: str
    ) -> None:
        """`checkpoint`: the position that is stored."""
        self._keeper = keeper
        self._clock = clock
        self._tables = tables
        self._hours = hours
        self._checkpoint, self._checkpoint_at = checkpoint, 0.0
        self._hours_at = clock.monotonic()
        self._turn = asyncio.Lock()
        self._facts: dict[str, Stored] = {}
        self._stand: list[str] = []
        self._counted = False

    async def store(self, position: str, *, last: bool = False) -> None:
        """Store what has changed, if anything has: one after the other, so that nothing older comes
        after what is newer. What was cut off while it was stored is stored the next time."""
        async with self._turn:
            now = self._clock.monotonic()
            self._take(now, last=last)
            members: dict[str, object] = {}
            if self._counted:
                members["progress"] = self._tables.progress()
            position = position or self._checkpoint
            moves = position != self._checkpoint
            if moves and (last or now - self._checkpoint_at >= CHECKPOINT_SECONDS):
                members["checkpoint"] = position
            if self._facts or members:
                stand = Note(TABLES_STAND, _named(self._stand)) if self._stand else Note()
                await self._keeper.change(having(**members), Note(facts=self._facts), stand)
            if "checkpoint" in members:
                self._checkpoint, self._checkpoint_at = position, now
            self._facts, self._stand, self._counted = {}, [], False

    def _take(self, now: float, *, last: bool) -> None:
        tables = self._tables.take()
        self._facts |= tables
        self._counted = self._counted or bool(tables)
        self._stand += self._tables.stopped()
        if last or now - self._hours_at >= HOURS_SECONDS:
            self._hours_at = now
            self._facts |= self._hours.take()


def _named(tables: Sequence[str]) -> str:
    more = f" and {len(tables) - NAMED_MAX} more" if len(tables) > NAMED_MAX else ""
    return ", ".join(tables[:NAMED_MAX]) + f"{more}. `penstock tables` says why."
