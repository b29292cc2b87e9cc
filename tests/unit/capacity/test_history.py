"""What was decided is read back after a restart, as far as it is whole."""

import random

import pytest

from engine.capacity.history import FILE_RECORDS_MAX, FILES_MAX, PREFIX, History, last_units
from engine.errors import StateError
from tests.simulation.seams import SimulatedDisk


def record(units: int) -> dict[str, object]:
    return {"rule": "up", "units_to": units, "reason": "1.5 s behind, appliers are busy"}


def written(*units: int) -> SimulatedDisk:
    disk = SimulatedDisk()
    history = History(disk)
    for one in units:
        history.add(record(one))
    return disk


def test_decisions_come_back_in_order_and_the_last_size_counts() -> None:
    history = History(written(2, 4, 2))
    assert history.read() == [record(2), record(4), record(2)]
    assert last_units(history.read()) == 2
    assert history.damaged == 0


def test_a_size_that_does_not_exist_is_not_believed() -> None:
    assert last_units([record(4), record(3), {"units_to": "8"}, {}]) == 4
    assert last_units([]) is None


def test_only_the_newest_are_kept() -> None:
    disk = written(*([1] * (3 * FILE_RECORDS_MAX)), 8)
    history = History(disk)
    records = history.read()
    assert len(disk.names()) == FILES_MAX
    assert FILE_RECORDS_MAX < len(records) <= FILES_MAX * FILE_RECORDS_MAX
    assert records[-1] == record(8)
    history.add(record(16))
    assert last_units(History(disk).read()) == 16


def test_what_a_crash_tore_off_is_left_out_and_spoils_nothing_after_it() -> None:
    disk = written(2, 4)
    whole = disk.size(f"{PREFIX}0")
    torn = disk.read(f"{PREFIX}0", 0, whole - 5)
    disk.remove(f"{PREFIX}0")
    disk.append(f"{PREFIX}0", torn)
    history = History(disk)
    assert history.read() == [record(2)]
    assert history.damaged == 1
    history.add(record(8))
    assert History(disk).read() == [record(2), record(8)]


@pytest.mark.parametrize("seed", range(20))
def test_a_spoiled_byte_costs_its_line_and_is_never_taken_for_a_size(seed: int) -> None:
    chance = random.Random(seed)
    disk = written(*([2] * 20))
    data = bytearray(disk.read(f"{PREFIX}0", 0, disk.size(f"{PREFIX}0")))
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    disk.remove(f"{PREFIX}0")
    disk.append(f"{PREFIX}0", bytes(data))
    history = History(disk)
    records = history.read()
    assert 18 <= len(records) <= 20
    assert all(one == record(2) for one in records)


def test_a_file_that_cannot_be_read_is_counted_and_the_others_are_read() -> None:
    disk = written(*([2] * FILE_RECORDS_MAX), 4)
    unreadable = f"{PREFIX}0"
    read = disk.read

    def refusing(name: str, offset: int, size: int) -> bytes:
        if name == unreadable:
            raise StateError("input/output error")
        return read(name, offset, size)

    disk.read = refusing  # type: ignore[method-assign]
    history = History(disk)
    assert history.read() == [record(4)]
    assert history.damaged == 1
