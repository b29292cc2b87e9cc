import pytest

from engine.config.capacity import APPLIERS_MAX, UNITS, CapacityConfig
from engine.errors import ConfigError

GIB = 1 << 30


def test_a_default_unit_gives_four_appliers_and_an_eighth_of_its_memory_to_the_queue() -> None:
    budget = CapacityConfig().budget(1)
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
    budget = CapacityConfig(unit_memory_bytes=unit_memory_bytes).budget(units)
    batches = budget.appliers * budget.batch_bytes_max * 2
    assert budget.queue_bytes_max + batches <= budget.memory_bytes // 4
    assert budget.lane_bytes_max * 4 <= budget.queue_bytes_max
    assert budget.batch_bytes_max >= 64 << 10


def test_written_appliers_share_the_same_memory() -> None:
    few, many = CapacityConfig().budget(1, 1), CapacityConfig().budget(1, 16)
    assert (few.appliers, many.appliers) == (1, 16)
    assert few.batch_bytes_max == many.batch_bytes_max * 16


def test_a_written_spool_limit_holds() -> None:
    assert CapacityConfig(spool_max_bytes=1 << 20).budget(1).spool_bytes_max == 1 << 20


def test_appliers_grow_with_the_units_until_the_target_has_enough_connections() -> None:
    config = CapacityConfig(appliers_per_unit=3)
    assert [config.budget(units).appliers for units in UNITS[:5]] == [3, 6, 12, 24, 48]
    assert config.budget(UNITS[-1]).appliers == APPLIERS_MAX


def test_the_ladder_goes_from_the_minimum_to_the_maximum() -> None:
    assert CapacityConfig().ladder == (1, 2, 4, 8, 16)
    assert CapacityConfig(units_min=64, units_max=256).ladder == (64, 128, 192, 256)
    assert CapacityConfig(units_min=8, units_max=8).ladder == (8,)


def test_a_machine_has_room_for_some_sizes() -> None:
    config = CapacityConfig(unit_memory_bytes=GIB)
    assert config.within(64 * GIB) == config
    assert config.within(10 * GIB).ladder == (1, 2, 4, 8)
    assert config.within(GIB).ladder == (1,)
    assert CapacityConfig(units_min=64, units_max=384).within(400 * GIB).units_max == 192


def test_a_machine_that_tells_less_than_it_was_sold_with_has_room_for_what_it_has() -> None:
    small = CapacityConfig().within(int(1.9 * GIB))
    assert (small.ladder, small.unit_memory_bytes) == ((1,), 1945 << 20)
    assert small.budget(1).memory_bytes <= int(1.9 * GIB)
    large = CapacityConfig().within(int(30.9 * GIB))
    assert (large.units_max, large.unit_memory_bytes) == (16, 1977 << 20)
    with pytest.raises(ConfigError):
        CapacityConfig().within(int(1.7 * GIB))


def test_a_machine_smaller_than_the_minimum_is_refused_with_the_numbers() -> None:
    with pytest.raises(ConfigError) as caught:
        CapacityConfig(units_min=4).within(7 * GIB)
    assert str(caught.value).startswith(
        "capacity.min: is 4 of 2GiB, which is 8GiB; this machine, or the container, has 7.00 GiB"
    )
    assert caught.value.hint == "lower [capacity] unit_memory or min, or give it more memory"


@pytest.mark.parametrize(("units", "copiers"), [(1, 4), (2, 8), (8, 32), (16, 49), (384, 49)])
def test_copiers_follow_the_units_up_to_the_limit_of_aws(units: int, copiers: int) -> None:
    assert CapacityConfig().budget(units).copiers == copiers


def test_a_number_of_copiers_that_is_set_holds_at_every_size() -> None:
    assert [CapacityConfig().budget(units, copiers=3).copiers for units in (1, 16)] == [3, 3]
