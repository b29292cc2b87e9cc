"""What one replication is told to do: the whole configuration, checked. (pure)"""

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import ClassVar, Final

from engine.config.capacity import APPLIERS_MAX, COPIERS_MAX, Budget, CapacityConfig
from engine.config.endpoint import SourceConfig, TargetConfig
from engine.config.intervals import IntervalsConfig
from engine.config.kind import Duration, Flag, Integer, Size
from engine.config.kind_text import Choice, Text
from engine.config.mapping import EVERYTHING, TableMapping
from engine.config.secret import Secret
from engine.config.section import Section, key
from engine.config.settings import ReplicationSettings
from engine.errors import ConfigError
from engine.model.moment import EXAMPLE, moment_us

RESERVED_IDS: Final = frozenset({"all", "control", "default", "none", "penstock"})
"""Words with a meaning of their own: `all` and `none` for commands, the others for what is
Penstock's own and not a replication's."""

RESERVED_SUFFIX: Final = "_inserts"
"""Ending of the second publication's name: an id with it would own another id's publication."""

LOADERS_PER_TABLE: Final = 2
"""Loaders at one table contend for its end and its index. Measured, a million rows on two cores:
one loader 0.99, two 1.09, four 0.86 million rows a second."""

ROWS_PER_CHUNK: Final = 250_000
"""A few seconds of copying: what a kill costs at most, and rare enough that a chunk's own
transaction, record and planning do not show."""

BATCH_ROWS_MAX: Final = 20_000
"""Where set-based apply stops getting faster by more rows, and one lock-holding transaction is
still short (well under a second)."""

SHARE_ROWS_MIN: Final = 500
"""Below that a transaction costs more than what it brings: its round trips and its commit take as
long as some hundred rows."""

BATCH_BYTES_MAX: Final = 8 << 20
"""A batch of wide rows reaches this before the row limit; it is a transaction of a few hundred
milliseconds. Capacity may lower it."""

MEND_INTERVAL_SECONDS: Final = 30.0
"""Somebody mends a stopped table by hand, so seconds do not matter, and every try costs the target
a failing transaction."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


class ReplicationType(StrEnum):
    FULL_LOAD = "full-load"
    CDC = "cdc"
    FULL_LOAD_AND_CDC = "full-load-and-cdc"


SNAPSHOT_WAIT_SECONDS: Final = 3600.0
"""Longer than almost any transaction of an application; one that was forgotten should be told of
within the day."""


class Prepare(StrEnum):
    """What happens to target tables before the load."""

    DO_NOTHING = "do-nothing"
    DROP_AND_CREATE = "drop-and-create"
    TRUNCATE = "truncate"


class ApplyMode(StrEnum):
    """How changes are divided into lanes."""

    TABLE_PARALLEL = "table-parallel"
    KEY_PARALLEL = "key-parallel"
    TRANSACTIONAL = "transactional"


class OnRowError(StrEnum):
    """What a row that the target refuses does."""

    STOP_TABLE = "stop-table"
    QUARANTINE = "quarantine"
    STOP = "stop"


class OnSchemaChange(StrEnum):
    APPLY = "apply"
    STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class LoadConfig(Section):
    """The full load."""

    TABLE: ClassVar[str] = "load"

    prepare: Prepare = key(
        Choice(Prepare),
        "Target tables before the load. do-nothing creates what is missing. AWS:"
        " TargetTablePrepMode.",
        default=Prepare.DO_NOTHING,
    )
    parallel_tables: int = key(
        Integer(0, COPIERS_MAX),
        "Tables or chunks copied at the same time, each over a connection to both sides; 0: by"
        " capacity, copiers_per_unit for each unit. AWS: MaxFullLoadSubTasks.",
        default=0,
    )
    loaders_per_table: int = key(
        Integer(1, COPIERS_MAX),
        "How many of them may be at one table at the same time; a larger target may bear more.",
        default=LOADERS_PER_TABLE,
    )
    rows_per_chunk: int = key(
        Integer(1_000, 100_000_000),
        "Rows of one chunk, about: what is copied in one transaction and repeated after a kill.",
        default=ROWS_PER_CHUNK,
    )
    snapshot_wait_seconds: float = key(
        Duration(0.0, 7 * 86400.0),
        "A reload or a new table waits until transactions of the source that began before have"
        " ended: at most this long, then its attempt is given up with their pids and made again."
        " 0: as long as it takes.",
        default=SNAPSHOT_WAIT_SECONDS,
        name="snapshot_wait",
    )
    allow_nonempty: bool = key(
        Flag(),
        "With prepare = do-nothing, load into tables that have rows already.",
        default=False,
    )


@dataclass(frozen=True, kw_only=True)
class ApplyConfig(Section):
    """Applying changes."""

    TABLE: ClassVar[str] = "apply"

    mode: ApplyMode = key(
        Choice(ApplyMode),
        "table-parallel: tables advance side by side, those tied by foreign keys together."
        " key-parallel: the same, and the rows of one table too, by their keys, where that is safe."
        " transactional: the source's commit order, whole transactions. AWS: BatchApplyEnabled"
        " (true is table-parallel, false transactional), where it is written.",
        default=ApplyMode.TABLE_PARALLEL,
    )
    appliers: int = key(
        Integer(0, APPLIERS_MAX),
        "Connections that apply at the same time; 0: by capacity, appliers_per_unit for each unit.",
        default=0,
    )
    on_row_error: OnRowError = key(
        Choice(OnRowError),
        "A row the target refuses, in the load or the stream: stop-table keeps the row, stops its"
        " table and goes on with the others; quarantine keeps the row and goes on; stop ends the"
        " replication. Always stop in transactional mode. AWS: ApplyErrorInsertPolicy,"
        " ApplyErrorUpdatePolicy, ApplyErrorDeletePolicy.",
        default=OnRowError.STOP_TABLE,
    )
    on_schema_change: OnSchemaChange = key(
        Choice(OnSchemaChange),
        "A schema change on the source: apply it where it can be followed exactly, or stop the"
        " table. AWS: ChangeProcessingDdlHandlingPolicy.",
        default=OnSchemaChange.APPLY,
    )
    drop_columns: bool = key(
        Flag(),
        "Drop a column on the target when it is dropped on the source. false keeps it, with its"
        " values.",
        default=False,
    )
    batch_rows_max: int = key(
        Integer(1, 1_000_000),
        "Most changes of one target transaction; fewer when less is waiting.",
        default=BATCH_ROWS_MAX,
    )
    batch_bytes_max: int = key(
        Size(64 << 10, 1 << 30),
        "Most bytes of one target transaction; capacity may lower it.",
        default=BATCH_BYTES_MAX,
    )
    share_rows_min: int = key(
        Integer(1, 1_000_000),
        "In key-parallel mode, fewest changes of each of the transactions into which what waits for"
        " a table is divided.",
        default=SHARE_ROWS_MIN,
    )
    mend_interval_seconds: float = key(
        Duration(1.0, 86400.0),
        "Time between two tries of a stopped table: when all that waits for it can be applied, it"
        " is back in the stream.",
        default=MEND_INTERVAL_SECONDS,
        name="mend_interval",
    )
    acknowledge_delay_seconds: float = key(
        Duration(0.0, 7 * 86400.0),
        "How long the source keeps log after it is stored in the target: for a target whose"
        " fail-over may lose commits.",
        default=0.0,
        name="acknowledge_delay",
    )


@dataclass(frozen=True, kw_only=True)
class ReplicationConfig(Section):
    """Everything. `warnings` are sentences for the user; `no_effect` are keys that were accepted
    and do nothing yet; `file` is where it was read from. `quarantine_key`, which no file holds, is
    what the values of rows that are kept aside are sealed under (`engine.quarantine`)."""

    TABLE: ClassVar[str] = "replication"

    id: str = key(
        Text("1 to 40 letters, digits, - and _, beginning with a letter or digit", _ID),
        "Name of the replication, unique among those that share a source or target. Slot and"
        " publications are called `penstock_<id>`, in lower case and with `-` as `_`.",
    )
    type: ReplicationType = key(
        Choice(ReplicationType),
        "full-load copies what is there; cdc carries changes; full-load-and-cdc does both without a"
        " gap.",
        default=ReplicationType.FULL_LOAD_AND_CDC,
    )
    start_position: str = key(
        Text("a position such as 16/B374D848", empty=True),
        "Where cdc begins, e.g. the LSN of a backup. Default: now. Only with type = cdc.",
        default="",
    )
    start_time: str = key(
        Text(f"a moment such as {EXAMPLE}", empty=True),
        "When cdc begins: with the first transaction in the log that was committed at this moment"
        " or later, by the source's clock. In UTC unless an offset stands there. Not beside"
        " `start_position`; of PostgreSQL only what its slot still has.",
        default="",
    )
    source: SourceConfig
    target: TargetConfig
    mapping: TableMapping = EVERYTHING
    load: LoadConfig = LoadConfig()
    apply: ApplyConfig = ApplyConfig()
    capacity: CapacityConfig = CapacityConfig()
    intervals: IntervalsConfig = IntervalsConfig()
    settings: ReplicationSettings = field(default_factory=ReplicationSettings)
    warnings: tuple[str, ...] = ()
    no_effect: tuple[str, ...] = ()
    file: str = ""
    quarantine_key: Secret | None = None

    @property
    def loads(self) -> bool:
        """Whether existing rows are copied."""
        return self.type is not ReplicationType.CDC

    @property
    def streams(self) -> bool:
        """Whether changes are carried."""
        return self.type is not ReplicationType.FULL_LOAD

    @property
    def object_name(self) -> str:
        """`penstock_<id>`: a valid slot name, and with a suffix of 14 bytes still a valid name."""
        return "penstock_" + self.id.lower().replace("-", "_")

    @property
    def slot_name(self) -> str:
        return self.source.settings.slot_name or self.object_name

    @property
    def slot_is_ours(self) -> bool:
        """Whether we made the slot, and so may drop it."""
        return not self.source.settings.slot_name

    @property
    def on_row_error(self) -> OnRowError:
        """The policy in force: a transaction is never applied without one of its rows."""
        transactional = self.apply.mode is ApplyMode.TRANSACTIONAL
        return OnRowError.STOP if transactional else self.apply.on_row_error

    def budget(self, units: int) -> Budget:
        """The limits that many units give, those of `[apply]` and `[load]` included."""
        budget = self.capacity.budget(units, self.apply.appliers, self.load.parallel_tables)
        batch = min(self.apply.batch_bytes_max, budget.batch_bytes_max)
        return replace(budget, batch_bytes_max=batch)

    def within(self, memory_bytes: int) -> "ReplicationConfig":
        """The same with the largest capacity that this much memory has room for.

        Raises:
            ConfigError: it has no room for the smallest.
        """
        return replace(self, capacity=self.capacity.within(memory_bytes))

    def validate(self) -> None:
        """Check everything, for a configuration built by hand.

        Raises:
            ConfigError: the first constraint that does not hold.
        """
        super().validate()
        sections = (self.source, self.target, self.load, self.apply, self.capacity, self.intervals)
        for section in sections:
            section.validate()
        self._validate_id()
        self._validate_start()

    def _validate_id(self) -> None:
        name = self.id.lower().replace("-", "_")
        if name in RESERVED_IDS:
            raise ConfigError("replication.id", "is a reserved word; choose another name")
        if name.endswith(RESERVED_SUFFIX):
            raise ConfigError("replication.id", f"must not end in {RESERVED_SUFFIX}")

    def _validate_start(self) -> None:
        given = [name for name in ("start_position", "start_time") if getattr(self, name)]
        if not given:
            return
        if self.type is not ReplicationType.CDC:
            raise ConfigError(f"replication.{given[0]}", "is only allowed with type = cdc")
        if len(given) > 1:
            raise ConfigError("replication.start_time", "is not allowed beside start_position")
        if self.start_time:
            try:
                moment_us(self.start_time)
            except ValueError as error:
                raise ConfigError("replication.start_time", str(error)) from None
