import pytest

from engine.capacity.predict import TableSize, predict
from engine.config.capacity import CapacityConfig

GIB = 1 << 30
MIB = 1 << 20

ORDERS = TableSize(table="public.orders", rows=10_000_000, bytes=2 * GIB)
SCANS = TableSize(table="public.scans", rows=1_000, bytes=2 * GIB, lobs=1)


def test_a_small_replication_begins_with_the_minimum_and_shows_why() -> None:
    found = predict(CapacityConfig(), [ORDERS], copiers=1, log_bytes_a_second=20_000.0)
    assert found.units == 1
    memory, queue, appliers = found.arithmetic
    assert memory == (
        "memory: 80 MiB + 1 copier x 16 MiB + 2 x 64 rows of each, the widest of 0.2 KiB"
        " (public.orders) = 96 MiB, in 75% of units of 2,048 MiB: 0.06 units"
    )
    assert queue == ("queue: 19.5 KiB/s of log x 10 s, in 1/8 of units of 2,048 MiB: 0.00 units")
    assert appliers == (
        "appliers: 19.5 KiB/s of log / 214 bytes a row / 5,000 rows/s = 0.0 appliers, 4 a unit:"
        " 0.00 units"
    )


@pytest.mark.parametrize(
    ("unit_mib", "tables", "copiers", "rate", "units"),
    [
        pytest.param(2048, [SCANS], 4, None, 2, id="wide rows with a column without a limit"),
        pytest.param(2048, [ORDERS] * 40, 4, None, 1, id="many rows are no memory"),
        pytest.param(128, [ORDERS] * 4, 4, None, 2, id="copiers in small units"),
        pytest.param(128, [ORDERS] * 4, 0, None, 1, id="base of small units"),
        pytest.param(256, [ORDERS], 1, 10 * MIB, 4, id="queue"),
        pytest.param(2048, [ORDERS], 1, 40 * MIB, 16, id="appliers"),
        pytest.param(2048, [], 0, 1000 * MIB, 16, id="no more than the maximum"),
        pytest.param(2048, [TableSize(table="t", rows=0, bytes=0)], 1, 0.0, 1, id="empty"),
    ],
)
def test_what_asks_for_more(
    unit_mib: int, tables: list[TableSize], copiers: int, rate: float | None, units: int
) -> None:
    config = CapacityConfig(unit_memory_bytes=unit_mib * MIB)
    found = predict(config, tables, copiers=copiers, log_bytes_a_second=rate)
    assert found.units == units


def test_the_minimum_holds() -> None:
    config = CapacityConfig(units_min=8)
    assert predict(config, [ORDERS], copiers=1, log_bytes_a_second=0.0).units == 8
