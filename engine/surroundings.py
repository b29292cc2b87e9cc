"""What every part of a running replication is given: seams, observers, the wish to stop."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from engine.abilities import NoticingSource
from engine.apply.suspension import Suspensions
from engine.capacity.sampler import Sampler
from engine.contracts import Source
from engine.machine import Clock, Disk, Meter, Random
from engine.observe.log import Log
from engine.observe.metrics import Metrics
from engine.observe.stages import Stages
from engine.provision import Provision
from engine.sizing import FirstStart
from engine.spool import SpoolRoom
from engine.stalls import Stalls

Unmoved: TypeAlias = dict[str, tuple[float, int]]
"""Lanes at work by name: since when they have not moved, and how far they were then. It outlives an
attempt of the process: a target that reads nothing for half a minute has its link given up."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The seams and observers that every part of a replication is given."""

    clock: Clock
    random: Random
    disk: Disk
    metrics: Metrics
    log: Log
    stop: asyncio.Event
    report: Callable[[str, Mapping[str, object]], None]
    process: str
    token: str
    room: SpoolRoom
    suspensions: Suspensions
    """What waits for stopped tables, from one attempt to the next."""
    unmoved: Unmoved
    meter: Meter
    stages: Stages
    provision: Provision
    sampler: Sampler
    stalls: Stalls
    first_start: FirstStart
    """Of this process: asked by the first attempt that gets so far."""

    def waiting(self, seconds: float, who: Sequence[str]) -> None:
        """Older transactions of the source keep a table from being read (`contracts.Waiting`)."""
        self.log.warning(
            "waiting for older transactions of the source before a table is read",
            action="snapshot.wait",
            delay_seconds=round(seconds),
            transactions=", ".join(who),
            hint="[load] snapshot_wait bounds the wait",
        )

    def noticed(self, source: Source) -> None:
        """Log what a source has seen since the last call (`abilities.NoticingSource`)."""
        if isinstance(source, NoticingSource):
            for notice in source.notices():
                self.log.warning(notice, action="source.notice")

    def state(self, name: str) -> None:
        self.metrics.state(name)
        self.report("state", {"state": name})
