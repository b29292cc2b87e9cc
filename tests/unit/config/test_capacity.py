import pytest

from engine.config.capacity import UNITS, CapacityConfig


def test_a_default_unit_gives_four_appliers_and_an_eighth_of_its_memory_to_the_queue() -> None:
    budget = CapacityConfig().budget()
    assert budget.appliers == 4
    assert budget.memory_bytes == 2 << 30
    assert budget.queue_bytes_max == 256 << 20
    assert budget.lane_bytes_max == 64 << 20
    assert budget.spool_bytes_max == 8 << 30


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("unit_memory_bytes", [128 << 20, 256 << 20, 2 << 30])
def test_queue_and_batches_leave_room_for_everything_else(
    units: int, unit_memory_bytes: int
) -> None:
    budget = CapacityConfig(units=units, unit_memory_bytes=unit_memory_bytes).budget()
    batches = budget.appliers * budget.batch_bytes_max * 2
    assert budget.queue_bytes_max + batches <= budget.memory_bytes // 4
    assert budget.lane_bytes_max * 4 <= budget.queue_bytes_max
    assert budget.batch_bytes_max >= 64 << 10


def test_written_appliers_share_the_same_memory() -> None:
    few, many = CapacityConfig().budget(1), CapacityConfig().budget(16)
    assert (few.appliers, many.appliers) == (1, 16)
    assert few.batch_bytes_max == many.batch_bytes_max * 16


def test_a_written_spool_limit_holds() -> None:
    assert CapacityConfig(spool_max_bytes=1 << 20).budget().spool_bytes_max == 1 << 20
