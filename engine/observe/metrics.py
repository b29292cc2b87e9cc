"""Every metric's name, labels and help text, and the plain object the stations count into.

Renaming a metric or a label is a breaking change for dashboards and alerts. A station calls a
method once per batch and never per row; nothing here knows Prometheus, so a worker without
`--metrics` never imports it (`engine/observe/scrape.py` reads this object at scrape time).

A gauge that was not measured is None here and absent from a scrape, never zero. Counters count
from 0 at the start of the process, so `rate()` sees their first increase.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from engine.model.batch import TableCounts
from engine.model.rejected import MISSING, REJECTED
from engine.model.relation import TableName
from engine.observe.lag import TableLag, together

TABLES_MAX: Final = 1_000
"""Tables with series of their own; later ones share the table `other`.

Seven series a table: 7,000 series for one replication is what a small Prometheus takes without
notice, and a database with more tables than that is read by schema, not by table.
"""

OTHER: Final = TableName("other", "other")
"""The label pair of all tables past `TABLES_MAX`."""

STATES: Final = (
    "starting",
    "loading",
    "catching-up",
    "streaming",
    "retrying",
    "draining",
    "stopped",
    "failed",
)
"""The states a replication reports; a scrape shows each with 1 or 0."""

CAUSES: Final = ("source", "cpu", "appliers", "copiers", "target", "idle")
"""What may limit the flow; a scrape shows each with 1 or 0, and none while it is not known."""
DECIDING: Final = ("first", "emergency", "up", "down", "reversal", "kept", "hold")
"""Rules of the law of capacity; counted from 0 on, so that `increase()` sees the first decision."""


class Stage(StrEnum):
    """What may stand still while others go on."""

    SOURCE = "source"
    """Reading the source's log."""
    TARGET = "target"
    """Applying changes to the target."""
    LOOP = "loop"
    """The process itself: its event loop."""


OPERATIONS: Final = ("load", "insert", "update", "delete", "truncate")


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's public description. `kind` is `counter` or `gauge`; every metric but the build
    information carries the label `replication` before its own `labels`."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()


CAPACITY_UTILIZATION: Final = Metric(
    "penstock_capacity_utilization_ratio",
    "gauge",
    "Highest of memory, queue and applier use, each against what is provisioned; 1 is full.",
)
CAPACITY_PART: Final = Metric(
    "penstock_capacity_utilization_part_ratio",
    "gauge",
    "Memory held, bytes waiting in the queue, and time appliers were at work, each against what is"
    " provisioned.",
    ("part",),
)
VERDICT: Final = Metric(
    "penstock_verdict",
    "gauge",
    "1 for what limits the flow, 0 for every other cause.",
    ("cause",),
)
CAPACITY_UNITS: Final = Metric(
    "penstock_capacity_units", "gauge", "Capacity units that are provisioned."
)
CAPACITY_UNITS_MIN: Final = Metric(
    "penstock_capacity_units_min", "gauge", "Fewest units that may be provisioned."
)
CAPACITY_UNITS_MAX: Final = Metric(
    "penstock_capacity_units_max", "gauge", "Most units that may be provisioned."
)
CAPACITY_UNIT_SECONDS: Final = Metric(
    "penstock_capacity_unit_seconds_total",
    "counter",
    "Provisioned units, added up over the seconds they were provisioned.",
)
CAPACITY_DECISIONS: Final = Metric(
    "penstock_capacity_decisions_total",
    "counter",
    "Decisions on capacity, by rule: first is the size it began with; emergency, up, down and"
    " reversal change it; kept says that a step up helped, hold that something keeps the law from"
    " deciding.",
    ("rule",),
)
STAGE_SECONDS: Final = Metric(
    "penstock_stage_seconds_total",
    "counter",
    "Seconds of the stream by stage: waiting for the source, decoding, routing, waiting for room in"
    " the queue, ready lanes waiting for an applier, appliers at work on the target. Of a load:"
    " copiers waiting for the source's rows, for these to be decoded, for the target, or idle, and"
    " indexes and keys being made. What runs side by side adds up.",
    ("stage",),
)
INCOMING_CHANGES: Final = Metric(
    "penstock_cdc_incoming_changes",
    "gauge",
    "Changes read from the source and not yet durable in the target, in memory and on disk; those"
    " of stopped tables are left out.",
)
LATENCY_SOURCE: Final = Metric(
    "penstock_cdc_latency_source_seconds",
    "gauge",
    "Seconds by which reading is behind the source: the age of the oldest commit that may not have"
    " been read, or of the oldest transaction there that has written and is still open; 0 while the"
    " source says that there is nothing new.",
)
LATENCY_TARGET: Final = Metric(
    "penstock_cdc_latency_target_seconds",
    "gauge",
    "Seconds between the source commit of the oldest change read and not yet durable in the target"
    " and now; 0 when there is none. Stopped tables are left out.",
)
CDC_TARGET_BYTES: Final = Metric(
    "penstock_cdc_target_bytes_total",
    "counter",
    "Bytes of changes written to the target and committed.",
)
CDC_SOURCE_ROWS: Final = Metric(
    "penstock_cdc_source_rows_total",
    "counter",
    "Row changes read from the source's log.",
)
CDC_TARGET_ROWS: Final = Metric(
    "penstock_cdc_target_rows_total",
    "counter",
    "Row changes applied to the target and committed.",
)
FULL_LOAD_TARGET_BYTES: Final = Metric(
    "penstock_full_load_target_bytes_total",
    "counter",
    "Bytes of existing rows copied to the target and committed.",
)
FULL_LOAD_TARGET_ROWS: Final = Metric(
    "penstock_full_load_target_rows_total",
    "counter",
    "Existing rows copied to the target and committed.",
)
STATE: Final = Metric(
    "penstock_state",
    "gauge",
    "1 for the state the replication is in, 0 for every other.",
    ("state",),
)
SOURCE_LAG: Final = Metric(
    "penstock_source_lag_bytes",
    "gauge",
    "Log between the newest position on the source and the last acknowledged one, in bytes.",
)
SOURCE_RETAINED: Final = Metric(
    "penstock_source_retained_bytes",
    "gauge",
    "Log the source keeps for this replication, in bytes.",
)
SOURCE_CATALOG_XMIN_AGE: Final = Metric(
    "penstock_source_catalog_xmin_age",
    "gauge",
    "Transactions on the source since the oldest one whose dead catalog rows it keeps for this"
    " replication.",
)
QUEUE_BYTES: Final = Metric(
    "penstock_queue_bytes",
    "gauge",
    "Memory held by changes between capture and apply, in bytes.",
)
APPLIERS: Final = Metric(
    "penstock_appliers",
    "gauge",
    "Appliers, by whether they are applying a batch now.",
    ("busy",),
)
LANES: Final = Metric(
    "penstock_lanes",
    "gauge",
    "Ordered streams (lanes) that appliers take work from.",
)
QUARANTINED_ROWS: Final = Metric(
    "penstock_quarantined_rows_total",
    "counter",
    "Rows of a load and row changes that are kept with their error and position, not applied.",
    ("reason",),
)
COERCED_VALUES: Final = Metric(
    "penstock_coerced_values_total",
    "counter",
    "Values that arrived as others, because a setting says so for what the target cannot hold.",
    ("reason",),
)
TABLE_ROWS: Final = Metric(
    "penstock_table_rows_total",
    "counter",
    "Rows committed to the target, by table and operation (load, insert, update, delete; truncate"
    " counts statements). At most 1,000 tables, later ones share schema and table `other`.",
    ("schema", "table", "operation"),
)
TABLE_LAG_SECONDS: Final = Metric(
    "penstock_table_lag_seconds",
    "gauge",
    "Age of the oldest change of the table that may not be durable in the target; infinite when"
    " changes were dropped and only a new load makes it whole. At most 1,000 tables, the highest of"
    " all others as schema and table `other`.",
    ("schema", "table"),
)
TABLE_LAG_BYTES: Final = Metric(
    "penstock_table_lag_bytes",
    "gauge",
    "Memory and disk held by changes that must be applied before the table is up to date, in"
    " bytes.",
    ("schema", "table"),
)
TABLE_LAG_ROWS: Final = Metric(
    "penstock_table_lag_rows",
    "gauge",
    "Changes read and not durable that must be applied before the table is up to date; of tables"
    " that share a lane, all of the lane's.",
    ("schema", "table"),
)
STUCK: Final = Metric(
    "penstock_stuck",
    "gauge",
    "1 for a stage (source, target, loop) that has work and has not moved for half a minute, which"
    " an idle one has not.",
    ("stage",),
)
BUILD_INFO: Final = Metric(
    "penstock_build_info",
    "gauge",
    "Always 1; its label is the version that runs.",
    ("version",),
)

METRICS: Final = (
    CAPACITY_UTILIZATION,
    CAPACITY_PART,
    VERDICT,
    CAPACITY_UNITS,
    CAPACITY_UNITS_MIN,
    CAPACITY_UNITS_MAX,
    CAPACITY_UNIT_SECONDS,
    CAPACITY_DECISIONS,
    STAGE_SECONDS,
    INCOMING_CHANGES,
    LATENCY_SOURCE,
    LATENCY_TARGET,
    CDC_TARGET_BYTES,
    CDC_SOURCE_ROWS,
    CDC_TARGET_ROWS,
    FULL_LOAD_TARGET_BYTES,
    FULL_LOAD_TARGET_ROWS,
    STATE,
    SOURCE_LAG,
    SOURCE_RETAINED,
    SOURCE_CATALOG_XMIN_AGE,
    QUEUE_BYTES,
    APPLIERS,
    LANES,
    QUARANTINED_ROWS,
    COERCED_VALUES,
    TABLE_ROWS,
    TABLE_LAG_SECONDS,
    TABLE_LAG_BYTES,
    TABLE_LAG_ROWS,
    STUCK,
    BUILD_INFO,
)
"""Every metric there is; the guide is checked against it."""


@dataclass(slots=True)
class TableRows:
    """What was committed to one table since the process began."""

    load: int = 0
    insert: int = 0
    update: int = 0
    delete: int = 0
    truncate: int = 0
    rejected: int = 0
    """Rows that were not applied, and are kept in the quarantine table."""

    @property
    def counts(self) -> list[int]:
        """All of them, in this order."""
        changes = [self.insert, self.update, self.delete, self.truncate]
        return [self.load, *changes, self.rejected]


class Metrics:
    """The counters and gauges of one replication, as plain attributes.

    Counting methods are called after the commit they count, from the event loop's thread only.
    Attributes may be read at any time; `None` means not measured.
    """

    def __init__(self, replication: str) -> None:
        self.replication = replication
        self.current_state = "starting"
        self.position: str | None = None
        """The source's position up to which everything is durable in the target, and recorded."""
        self.source_rows = 0
        self.source_bytes = 0
        self.target_rows = 0
        self.target_bytes = 0
        self.load_rows = 0
        self.load_bytes = 0
        # From 0 on, so that `increase()` sees the first one.
        self.quarantined = {MISSING: 0, REJECTED: 0}
        self.coerced_values: dict[str, int] = {}
        self.tables: dict[TableName, TableRows] = {}
        self.queue_bytes: int | None = None
        self.incoming_changes: int | None = None
        self.appliers_total: int | None = None
        self.appliers_busy: int | None = None
        self.lane_count: int | None = None
        self.latency_source_seconds: float | None = None
        self.latency_target_seconds: float | None = None
        self.lag_bytes: int | None = None
        self.retained_bytes: int | None = None
        self.catalog_xmin_age: int | None = None
        self.capacity_utilization: float | None = None
        self.capacity_parts: Mapping[str, float | None] = {}
        self.limiting_cause: str | None = None
        self.stage_seconds: Mapping[str, float] = {}
        self.capacity_units: int | None = None
        self.capacity_units_min: int | None = None
        self.capacity_units_max: int | None = None
        self.capacity_unit_seconds = 0.0
        self.capacity_decisions = dict.fromkeys(DECIDING, 0)
        self.lag_told = 0
        """How often the lag was told."""
        self.table_lags: Mapping[TableName, TableLag] = {}
        self.stuck: dict[Stage, str] = {}
        """Why each stage counts as stuck; empty for one that does not."""

    def received(self, rows: int, bytes: int) -> None:
        """Count what one block of the source's log held."""
        self.source_rows += rows
        self.source_bytes += bytes

    def applied(self, table: TableName, counts: TableCounts, bytes: int) -> None:
        """Count committed changes of one table. `counts.by_reason` is not read: a row that was
        not applied is counted by `rejected`."""
        rows = self._table(table)
        rows.insert += counts.inserts
        rows.update += counts.updates
        rows.delete += counts.deletes
        rows.truncate += counts.truncates
        self.target_rows += counts.inserts + counts.updates + counts.deletes
        self.target_bytes += bytes

    def loaded(self, table: TableName, rows: int, bytes: int) -> None:
        """Count existing rows copied and committed (a finished chunk)."""
        self._table(table).load += rows
        self.load_rows += rows
        self.load_bytes += bytes

    def rejected(self, table: TableName, reason: str, n: int = 1) -> None:
        """Count rows of a table that were not applied. `reason` is a short fixed word, never a
        message."""
        self._table(table).rejected += n
        self.quarantined[reason] = self.quarantined.get(reason, 0) + n

    def coerced(self, reason: str, n: int) -> None:
        """Count values that arrived as others. `reason` is a short fixed word."""
        self.coerced_values[reason] = self.coerced_values.get(reason, 0) + n

    def state(self, name: str) -> None:
        """Say which of `STATES` the replication is in."""
        self.current_state = name

    def queue(self, bytes: int | None, incoming_changes: int | None) -> None:
        """Say how much waits between capture and apply."""
        self.queue_bytes = bytes
        self.incoming_changes = incoming_changes

    def appliers(self, total: int, busy: int) -> None:
        """Say how many appliers there are and how many of them apply a batch now."""
        self.appliers_total = total
        self.appliers_busy = busy

    def lanes(self, n: int) -> None:
        """Say how many lanes there are."""
        self.lane_count = n

    def without_stream(self) -> None:
        """Nothing streams: what was said of the stream's stations is not known any longer. The lag
        is another matter, which grows meanwhile (`lag_unmeasured`)."""
        self.queue_bytes = self.incoming_changes = None
        self.appliers_total = self.appliers_busy = self.lane_count = None
        self.limiting_cause = None

    def lag(
        self,
        source_seconds: float | None,
        target_seconds: float | None,
        source_bytes: int | None,
    ) -> None:
        """Replace all three lag gauges; None for what was not measured this time."""
        self.lag_told += 1
        self.latency_source_seconds = source_seconds
        self.latency_target_seconds = target_seconds
        self.lag_bytes = source_bytes

    def lag_by_table(self, lags: Mapping[TableName, TableLag]) -> None:
        """Replace what waits of every table; past `TABLES_MAX` the others are told together."""
        if len(lags) <= TABLES_MAX:
            self.table_lags = lags
            return
        names = list(lags)
        shown = {name: lags[name] for name in names[:TABLES_MAX]}
        self.table_lags = {**shown, OTHER: together([lags[name] for name in names[TABLES_MAX:]])}

    def lag_unmeasured(self, seconds: float) -> None:
        """Nobody could measure the lag for so much longer: nothing was read meanwhile, so what was
        behind is that much older. Nothing happens before it has been measured once."""
        self.lag_told += 1
        self.lag_bytes = None
        if self.latency_source_seconds is not None:
            self.latency_source_seconds += seconds
        if self.latency_target_seconds:
            self.latency_target_seconds += seconds
        self.table_lags = {
            table: lag if lag.seconds is None else replace(lag, seconds=lag.seconds + seconds)
            for table, lag in self.table_lags.items()
        }

    def stage(self, stage: Stage, stuck: str) -> None:
        """Say why a stage counts as stuck; empty when it does not."""
        self.stuck[stage] = stuck

    def retained(self, bytes: int | None, transactions: int | None) -> None:
        """Replace both gauges of what the source keeps; None for what was not measured."""
        self.retained_bytes = bytes
        self.catalog_xmin_age = transactions

    def utilization(self, ratio: float | None, parts: Mapping[str, float | None]) -> None:
        """Say how full the provisioned capacity is, and each part of it; 1 is full."""
        self.capacity_utilization = ratio
        self.capacity_parts = parts

    def verdict(self, cause: str | None) -> None:
        """Say which of `CAUSES` limits the flow; None while that is not known."""
        self.limiting_cause = cause

    def capacity(self, units: int, units_min: int, units_max: int, seconds: float) -> None:
        """Say what is provisioned, within which limits, and that it was for so many seconds."""
        self.capacity_unit_seconds += (self.capacity_units or units) * seconds
        self.capacity_units = units
        self.capacity_units_min = units_min
        self.capacity_units_max = units_max

    def decided(self, rule: str) -> None:
        """Count a decision on capacity."""
        self.capacity_decisions[rule] = self.capacity_decisions.get(rule, 0) + 1

    def stages(self, seconds: Mapping[str, float]) -> None:
        """Say how many seconds each stage took since the process began."""
        self.stage_seconds = seconds

    def snapshot(self) -> dict[str, object]:
        """Totals and gauges for the progress display, JSON-ready. Unmeasured gauges are absent."""
        values: dict[str, object | None] = {
            "state": self.current_state,
            "source_rows": self.source_rows,
            "source_bytes": self.source_bytes,
            "target_rows": self.target_rows,
            "target_bytes": self.target_bytes,
            "load_rows": self.load_rows,
            "load_bytes": self.load_bytes,
            "quarantined_rows": sum(self.quarantined.values()),
            "queue_bytes": self.queue_bytes,
            "incoming_changes": self.incoming_changes,
            "appliers": self.appliers_total,
            "appliers_busy": self.appliers_busy,
            "lanes": self.lane_count,
            "latency_source_seconds": self.latency_source_seconds,
            "latency_target_seconds": self.latency_target_seconds,
            "lag_bytes": self.lag_bytes,
            "retained_bytes": self.retained_bytes,
            "catalog_xmin_age": self.catalog_xmin_age,
            "utilization": self.capacity_utilization,
            "verdict": self.limiting_cause,
            "memory": self.capacity_parts.get("memory"),
            "units": self.capacity_units,
            "position": self.position,
        }
        return {name: value for name, value in values.items() if value is not None}

    def _table(self, table: TableName) -> TableRows:
        rows = self.tables.get(table)
        if rows is None:
            if len(self.tables) >= TABLES_MAX:
                table = OTHER
            rows = self.tables.setdefault(table, TableRows())
        return rows
