"""`[capacity]`: memory and concurrency of one replication, and the budgets they give. (pure)"""

from dataclasses import dataclass
from typing import ClassVar, Final

from engine.config.kind import Integer, OneOf, Size
from engine.config.section import Section, key
from engine.errors import ConfigError

UNIT_MEMORY_BYTES: Final = 2 << 30
"""Memory of one unit: AWS's own DCU has 2 GiB."""

UNIT_MEMORY_BYTES_MIN: Final = 128 << 20
"""Below it little is left beside the interpreter and the drivers (about 80 MiB)."""

UNIT_MEMORY_BYTES_MAX: Final = 64 << 30

UNITS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 384)
"""Sizes a replication may have: those of AWS DMS Serverless, and 192."""

UNITS_MIN: Final = 1
"""AWS's own default. What a replication costs while it has little to do."""

UNITS_MAX: Final = 16
"""The maximum of AWS's own walkthrough. More appliers than 64 seldom help one target, and growth
that does not help is taken back."""

APPLIERS_PER_UNIT: Final = 4
"""Two keep a two-core target busy while two wait for their commits to be flushed."""

APPLIERS_MAX: Final = 256
"""Each applier is a connection and a server process on the target."""

QUEUE_SHARE: Final = 8
"""The queue gets an eighth of the memory. Decoded rows are counted by their buffers and cost about
as much again as objects; the rest belongs to batches in appliers, drivers, and the interpreter."""

LANE_SHARE: Final = 4
"""One lane may hold a quarter of the queue before it spills: a slow table must not starve the
others."""

BATCH_SHARE: Final = 2
"""The batches of all appliers together get half of what the queue gets: a batch exists as rows and
once more in the target's form, so they double."""

SPOOL_SHARE: Final = 4
"""Disk for overflow, as a multiple of memory: 8 GiB for a default unit, an hour of a stuck table
at 2 MiB/s."""


@dataclass(frozen=True, kw_only=True)
class CapacityConfig(Section):
    """What the user gives a replication."""

    TABLE: ClassVar[str] = "capacity"

    unit_memory_bytes: int = key(
        Size(UNIT_MEMORY_BYTES_MIN, UNIT_MEMORY_BYTES_MAX),
        "Memory of one unit.",
        default=UNIT_MEMORY_BYTES,
        name="unit_memory",
    )
    units_min: int = key(
        OneOf(UNITS),
        "Fewest units the replication has; appliers and budgets grow with them. AWS:"
        " MinCapacityUnits.",
        default=UNITS_MIN,
        name="min",
    )
    units_max: int = key(
        OneOf(UNITS),
        "Most units it may have. The same as min: a fixed size. AWS: MaxCapacityUnits.",
        default=UNITS_MAX,
        name="max",
    )
    appliers_per_unit: int = key(
        Integer(1, 64),
        f"Connections that apply at the same time, for each unit; {APPLIERS_MAX} at most.",
        default=APPLIERS_PER_UNIT,
    )
    spool_max_bytes: int = key(
        Size(),
        "Most disk used for overflow under the state directory; 0: four times the memory.",
        default=0,
        name="spool_max",
    )

    def validate(self) -> None:
        """As every section; and that the keys do not contradict each other."""
        super().validate()
        if self.units_min > self.units_max:
            raise ConfigError(
                "capacity.min",
                f"is {self.units_min}, above capacity.max, which is {self.units_max}",
                hint="raise max or lower min; the same number in both is a fixed size",
            )

    @property
    def ladder(self) -> tuple[int, ...]:
        """The sizes it may have, smallest first; never empty."""
        return tuple(units for units in UNITS if self.units_min <= units <= self.units_max)

    def budget(self, units: int, appliers: int = 0) -> "Budget":
        """The limits that many units give; `appliers` replaces the number by capacity unless 0."""
        memory = self.unit_memory_bytes * units
        queue = memory // QUEUE_SHARE
        running = appliers or min(self.appliers_per_unit * units, APPLIERS_MAX)
        return Budget(
            memory_bytes=memory,
            queue_bytes_max=queue,
            lane_bytes_max=queue // LANE_SHARE,
            batch_bytes_max=queue // BATCH_SHARE // running,
            appliers=running,
            spool_bytes_max=self.spool_max_bytes or memory * SPOOL_SHARE,
        )


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits derived from capacity. `batch_bytes_max` is for one applier's batch, beside the limit
    that `[apply]` sets; the lower of the two holds."""

    memory_bytes: int
    queue_bytes_max: int
    lane_bytes_max: int
    batch_bytes_max: int
    appliers: int
    spool_bytes_max: int
