"""The first size of a replication, from what the source's catalog and log say. (pure)

An estimate to begin with: the law corrects it within a minute upwards, and within some minutes
downwards. `Prediction.arithmetic` shows how it came about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.config.capacity import QUEUE_SHARE, CapacityConfig

BASE_BYTES: Final = 80 << 20
"""Interpreter, drivers, plans and statistics, as they are measured in a worker that has begun."""

COPIER_BYTES: Final = 16 << 20
"""A copier's buffers on both sides."""

ROWS_AT_ONCE: Final = 64
"""Rows that a copier holds in one of its buffers while they are brought into the target's form."""

LOB_SPREAD: Final = 8
"""How much wider than the average the rows of a table may be that has columns without a limit."""

MEMORY_PART: Final = 0.75
"""What queue and batches leave of the memory."""

QUEUE_SECONDS: Final = 10.0
"""Of the log that the queue should hold: a target's checkpoint, or a change of size, takes that."""

APPLIER_ROWS: Final = 5_000
"""Rows a second to count on for each applier. Most targets carry several times that."""

ROW_BYTES_MIN: Final = 100
"""Of a change in the log, its head included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """A table as the source's catalog estimates it. `lobs`: columns whose values have no limit."""

    table: str
    rows: int
    bytes: int
    lobs: int = 0

    @property
    def row_bytes(self) -> int:
        return self.bytes // self.rows if self.rows else 0

    @property
    def widest_bytes(self) -> int:
        """What its wide rows take."""
        return self.row_bytes * (LOB_SPREAD if self.lobs else 1)


@dataclass(frozen=True, slots=True)
class Prediction:
    units: int
    arithmetic: tuple[str, ...]


def predict(
    config: CapacityConfig,
    tables: Sequence[TableSize],
    *,
    copiers: int,
    log_bytes_a_second: float | None,
) -> Prediction:
    """The smallest size on the ladder that memory, queue and appliers ask for; the largest when
    none is enough. `copiers`: tables loaded at the same time, 0 without a load; the log's rate is
    None where the source does not tell it, or nothing streams."""
    needs = [_for_load(config, tables, copiers)]
    if log_bytes_a_second is not None:
        needs += [
            _for_queue(config, log_bytes_a_second),
            _for_appliers(config, tables, log_bytes_a_second),
        ]
    units = max(units for units, _ in needs)
    ladder = config.ladder
    first = next((size for size in ladder if size >= units), ladder[-1])
    return Prediction(first, tuple(text for _, text in needs))


Need = tuple[float, str]


def _for_load(config: CapacityConfig, tables: Sequence[TableSize], copiers: int) -> Need:
    widest = sorted(tables, key=lambda table: table.widest_bytes)[-copiers:] if copiers else []
    rows = sum(ROWS_AT_ONCE * table.widest_bytes for table in widest)
    used = BASE_BYTES + len(widest) * COPIER_BYTES + 2 * rows
    units = used / MEMORY_PART / config.unit_memory_bytes
    copying = ""
    if widest:
        count = f"{len(widest)} copier" + ("" if len(widest) == 1 else "s")
        copying = (
            f" + {count} x {_mib(COPIER_BYTES)} + 2 x {ROWS_AT_ONCE} rows of each, the widest of"
            f" {_size(widest[-1].widest_bytes)} ({widest[-1].table})"
        )
    return units, (
        f"memory: {_mib(BASE_BYTES)}{copying} = {_mib(used)}, in {MEMORY_PART:.0%} of units of"
        f" {_mib(config.unit_memory_bytes)}: {units:.2f} units"
    )


def _for_queue(config: CapacityConfig, rate: float) -> Need:
    units = rate * QUEUE_SECONDS * QUEUE_SHARE / config.unit_memory_bytes
    return units, (
        f"queue: {_size(rate)}/s of log x {QUEUE_SECONDS:.0f} s, in 1/{QUEUE_SHARE} of units of"
        f" {_mib(config.unit_memory_bytes)}: {units:.2f} units"
    )


def _for_appliers(config: CapacityConfig, tables: Sequence[TableSize], rate: float) -> Need:
    rows = sum(table.rows for table in tables)
    total = sum(table.bytes for table in tables)
    width = max(ROW_BYTES_MIN, total // rows if rows else 0)
    appliers = rate / width / APPLIER_ROWS
    units = appliers / config.appliers_per_unit
    return units, (
        f"appliers: {_size(rate)}/s of log / {width} bytes a row / {APPLIER_ROWS:,} rows/s ="
        f" {appliers:.1f} appliers, {config.appliers_per_unit} a unit: {units:.2f} units"
    )


def _mib(size: float) -> str:
    return f"{size / (1 << 20):,.0f} MiB"


def _size(size: float) -> str:
    if size >= 1 << 20:
        return f"{size / (1 << 20):,.1f} MiB"
    return f"{size / 1024:,.1f} KiB"
