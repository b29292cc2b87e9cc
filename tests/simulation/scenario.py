"""What a simulated story is made of: its source, its work, how the replication is to run."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from connectors.memory.definitions import table
from connectors.memory.storage import Table
from engine.config.capacity import UNIT_MEMORY_BYTES, CapacityConfig
from engine.config.endpoint import SourceConfig, TargetConfig, WithoutIdentity
from engine.config.replication import (
    ApplyConfig,
    ApplyMode,
    LoadConfig,
    OnRowError,
    ReplicationConfig,
)
from engine.model.relation import TableName
from tests.simulation.application import Application
from tests.simulation.seams import DISK_BYTES_MAX
from tests.simulation.world import REPLICATION, World

KEYS: Final = tuple(b"k%02d" % i for i in range(12))


def public(name: str) -> TableName:
    return TableName("public", name)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`tables` and `work` are its source, the rest how the replication is told to run."""

    name: str
    tables: Callable[[], Sequence[Table]]
    work: Callable[[World, Application], Awaitable[None]]
    rows: int = 0
    """Rows there before the replication begins, in each table but the audit."""
    null_every: int = 0
    """Every how many of these rows the last column is NULL; 0: never."""
    target_tables: Callable[[], Sequence[Table]] = tuple
    """What somebody has made on the target before."""
    mode: ApplyMode = ApplyMode.TABLE_PARALLEL
    then: ApplyMode | None = None
    """The mode of every second process."""

    stops: int = 0
    """How often the process is stopped in good order, and started again."""

    crashed: int = 0
    """Which process it is that is crashed at every step, in order of their starts."""

    events_per_block: int = 20
    batch_rows_max: int = 50
    acknowledge_delay_seconds: float = 0.0
    extra_check: Callable[[World], None] | None = None
    target_losses: int = 0
    """How often the target fails over to a copy that lacks its newest commits."""
    zombies: int = 0
    """How often the process stands still, is replaced, and goes on."""

    disk_bytes_max: int = DISK_BYTES_MAX
    memory_bytes: int = UNIT_MEMORY_BYTES
    mend_interval_seconds: float = 30.0
    helper: Callable[[World, asyncio.Event], Awaitable[None]] | None = None
    """Who looks after the replication, until the event is set."""
    refuses: bool = False
    """The target refuses rows now and then, which are kept in its quarantine table."""
    on_row_error: OnRowError = OnRowError.STOP_TABLE

    def configs(self) -> Sequence[ReplicationConfig]:
        """How the processes are told to run, in turn."""
        modes = [self.mode] if self.then is None else [self.mode, self.then]
        return [self._config(mode) for mode in modes]

    def _config(self, mode: ApplyMode) -> ReplicationConfig:
        return ReplicationConfig(
            id=REPLICATION,
            source=SourceConfig(engine="memory", without_identity=WithoutIdentity.INSERT_ONLY),
            target=TargetConfig(engine="memory"),
            load=LoadConfig(parallel_tables=2, rows_per_chunk=7),
            apply=ApplyConfig(
                mode=mode,
                appliers=3,
                share_rows_min=1,
                batch_rows_max=self.batch_rows_max,
                acknowledge_delay_seconds=self.acknowledge_delay_seconds,
                mend_interval_seconds=self.mend_interval_seconds,
                on_row_error=self.on_row_error,
            ),
            capacity=CapacityConfig(unit_memory_bytes=self.memory_bytes, units_max=1),
        )


def audit() -> Table:
    return table("public.audit", ["id", "transaction"])
