"""`[capacity]`: memory and concurrency of one replication, and the budgets they give. (pure)"""

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from engine.config.kind import Duration, Integer, OneOf, Ratio, Size
from engine.config.quantity import format_size
from engine.config.section import Section, declared_keys, key
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

COPIERS_PER_UNIT: Final = 4
"""One worker process moves about two COPY streams at full speed on its core; four keep both servers
busy through the pauses between chunks. Two units have AWS's 8 (MaxFullLoadSubTasks)."""

COPIERS_MAX: Final = 49
"""AWS's own limit. Each copier is a connection to both sides."""

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

UP_THRESHOLD: Final = 0.9
"""Appliers that are busy nine tenths of their time have no more to give: work comes in bursts, and
the rest of the time goes between two of them."""

UP_AFTER_SECONDS: Final = 5.0
"""One large transaction makes appliers busy for a second or two; more would not help it."""

DOWN_THRESHOLD: Final = 0.85
"""Below the upper threshold, so that the smaller size is not left again for a little noise."""

CARRIED_THRESHOLD: Final = 0.95
"""What a size carried when work waited for it was measured over seconds: it differs by some
hundredths from one time to the next."""

DOWN_AFTER_SECONDS: Final = 300.0
"""What is given back too early has to be taken again, with lag until then; what is given back five
minutes late costs a twelfth of an hour."""

COOL_DOWN_SECONDS: Final = 10.0
"""Two changes are told apart by what they did: a size is in force within a second, and its effect
shows in the next few."""

EFFECT_AFTER_SECONDS: Final = 10.0
"""New appliers connect and take their first batches within two or three seconds; the rest is
measured."""

GAIN_MIN: Final = 0.1
"""Rates of a few seconds differ by some hundredths without any reason."""

EMERGENCY_THRESHOLD: Final = 0.95
"""A batch may double within a second while it is brought into the target's form; at 95 % of a unit
a hundred MiB are left for it."""

SPIKE_SECONDS: Final = 60.0
"""A load that is over sooner than a person would look is a spike."""

SPIKE_MEMORY_SECONDS: Final = 900.0
"""Jobs that run every quarter of an hour or more often find the size that they need."""

RELEASE_AFTER_SECONDS: Final = 30.0
"""A size that only caught up is of no more use; long enough to see that the lag stays away."""

BAR_SECONDS: Final = 600.0
"""Every try costs units for the time of one effect: less than two hundredths of the time."""

LAG_GOAL_SECONDS: Final = 1.0
"""A batch and its commit take some tenths of a second; what is above waits."""


TOLD_PART: Final = 0.9
"""What a machine tells of the memory it was sold with, at least: some of it its firmware and kernel
keep, and some sellers count in powers of ten."""

MIB: Final = 1 << 20


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
    copiers_per_unit: int = key(
        Integer(1, COPIERS_MAX),
        f"Tables or chunks that a load copies at the same time, for each unit; {COPIERS_MAX} at"
        " most. Not where [load] parallel_tables is set.",
        default=COPIERS_PER_UNIT,
    )
    spool_max_bytes: int = key(
        Size(),
        "Most disk used for overflow under the state directory; 0: four times the memory.",
        default=0,
        name="spool_max",
    )

    up_threshold: float = key(
        Ratio(0.1, 1.0),
        "Step up when utilization is above this through up_after, while changes lag behind; 1 is"
        " full.",
        default=UP_THRESHOLD,
    )
    up_after_seconds: float = key(
        Duration(1.0, 3600.0),
        "How long utilization is too high before a step up; also the time over which rates are"
        " averaged.",
        default=UP_AFTER_SECONDS,
        name="up_after",
    )
    lag_goal_seconds: float = key(
        Duration(0.1, 3600.0),
        "Age of the oldest change that is not applied, above which changes lag behind.",
        default=LAG_GOAL_SECONDS,
        name="lag_goal",
    )
    down_threshold: float = key(
        Ratio(0.05, 0.95),
        "Step down when memory and appliers of the next smaller size would be used below this"
        " through down_after.",
        default=DOWN_THRESHOLD,
    )
    carried_threshold: float = key(
        Ratio(0.1, 1.0),
        "In the place of busy appliers, where it was seen what the smaller size carries: the part"
        " of it that the load may need.",
        default=CARRIED_THRESHOLD,
    )
    down_after_seconds: float = key(
        Duration(1.0, 86400.0),
        "How long the load fits the next smaller size before a step down.",
        default=DOWN_AFTER_SECONDS,
        name="down_after",
    )
    release_after_seconds: float = key(
        Duration(1.0, 86400.0),
        "The same for a size that only caught up, which the load itself never needed; and the least"
        " time without lag before any step down.",
        default=RELEASE_AFTER_SECONDS,
        name="release_after",
    )
    spike_seconds: float = key(
        Duration(0.0, 86400.0),
        "A load that needs a size for less than this is a spike; 0: none is.",
        default=SPIKE_SECONDS,
        name="spike",
    )
    spike_memory_seconds: float = key(
        Duration(1.0, 7 * 86400.0),
        "In the place of down_after, for a size that a spike needed.",
        default=SPIKE_MEMORY_SECONDS,
        name="spike_memory",
    )
    cool_down_seconds: float = key(
        Duration(1.0, 86400.0),
        "Least time between two changes.",
        default=COOL_DOWN_SECONDS,
        name="cool_down",
    )
    effect_after_seconds: float = key(
        Duration(2.0, 3600.0),
        "When the effect of a step up is judged. Without one it is taken back.",
        default=EFFECT_AFTER_SECONDS,
        name="effect_after",
    )
    gain_min: float = key(
        Ratio(0.0, 1.0),
        "Part of the units added by which the rate has to grow, or the step up is taken back; 1:"
        " twice the units, twice the rate.",
        default=GAIN_MIN,
    )
    bar_seconds: float = key(
        Duration(1.0, 7 * 86400.0),
        "No other try for this time after a step up without effect; twice as long after each"
        " further one, up to 32 times.",
        default=BAR_SECONDS,
        name="bar",
    )
    emergency_threshold: float = key(
        Ratio(0.5, 1.0),
        "Step up at once, as far as needed, when memory is above this.",
        default=EMERGENCY_THRESHOLD,
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
        self._ordered("down_threshold", "up_threshold", "a size would be left and taken again")
        self._ordered("up_threshold", "emergency_threshold", "every step up would be one")
        self._ordered("up_after", "down_after", "growing is urgent, shrinking is not")
        self._ordered("release_after", "down_after", "what only caught up is released sooner")
        self._ordered("down_after", "spike_memory", "what a spike needed is kept longer")

    def _ordered(self, lower: str, higher: str, why: str) -> None:
        """Refuse two keys that have crossed; periods may be equal, thresholds may not."""
        keys = declared_keys(type(self))
        (first, one), (second, other) = keys[lower], keys[higher]
        low, high = getattr(self, first), getattr(self, second)
        if low > high or (low == high and isinstance(one.kind, Ratio)):
            raise ConfigError(
                f"capacity.{lower}",
                f"is {one.kind.show(low)}, not below capacity.{higher}, which is"
                f" {other.kind.show(high)}: {why}",
            )

    @property
    def ladder(self) -> tuple[int, ...]:
        """The sizes it may have, smallest first; never empty."""
        return tuple(units for units in UNITS if self.units_min <= units <= self.units_max)

    def within(self, memory_bytes: int) -> "CapacityConfig":
        """The same with the largest maximum that this much memory has room for. A unit becomes up
        to a tenth smaller for that: a machine with "2 GB" tells less.

        Raises:
            ConfigError: it has no room for the minimum.
        """
        room = int(memory_bytes / TOLD_PART) // self.unit_memory_bytes
        if self.units_min > room:
            needed = format_size(self.units_min * self.unit_memory_bytes)
            raise ConfigError(
                "capacity.min",
                f"is {self.units_min} of {format_size(self.unit_memory_bytes)}, which is {needed};"
                f" this machine, or the container, has {memory_bytes / (1 << 30):.2f} GiB",
                hint="lower [capacity] unit_memory or min, or give it more memory",
            )
        most = max(size for size in self.ladder if size <= room)
        unit = min(self.unit_memory_bytes, memory_bytes // most // MIB * MIB)
        return replace(self, units_max=most, unit_memory_bytes=unit)

    def budget(self, units: int, appliers: int = 0, copiers: int = 0) -> "Budget":
        """The limits that many units give; `appliers` and `copiers` replace the numbers by capacity
        unless 0."""
        memory = self.unit_memory_bytes * units
        queue = memory // QUEUE_SHARE
        running = appliers or min(self.appliers_per_unit * units, APPLIERS_MAX)
        return Budget(
            memory_bytes=memory,
            queue_bytes_max=queue,
            lane_bytes_max=queue // LANE_SHARE,
            batch_bytes_max=queue // BATCH_SHARE // running,
            appliers=running,
            copiers=copiers or min(self.copiers_per_unit * units, COPIERS_MAX),
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
    copiers: int
    spool_bytes_max: int
