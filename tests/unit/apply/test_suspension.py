"""What waits for a stopped table, and what is let go when there is no room."""

from engine.apply.suspension import Suspension
from engine.spool import Spool, SpoolBudget
from tests.simulation.seams import SimulatedDisk
from tests.unit.apply.bench import accounts, insert, segment

A = accounts().relation


def suspension(bytes_max: int = 1 << 20) -> tuple[Suspension, list[str], SimulatedDisk]:
    told: list[str] = []
    disk = SimulatedDisk()
    spool = Spool("s", disk, SpoolBudget(bytes_max), bytes(32))
    return Suspension(spool, lambda: told.append("dropped")), told, disk


def test_segments_come_back_in_order_with_their_positions() -> None:
    waiting, _, _ = suspension()
    first = segment(1, insert(A, b"1", b"x"), first=3, ends=False)
    second = segment(2, insert(A, b"2", b"y"))
    waiting.take_in(first)
    waiting.take_in(second)
    for original in (first, second):
        oldest = waiting.oldest()
        assert oldest is not None
        assert (oldest.events, oldest.position) == (original.events, original.position)
        waiting.drop()
    assert waiting.oldest() is None


def test_the_oldest_stays_until_it_is_dropped() -> None:
    waiting, _, _ = suspension()
    waiting.take_in(segment(1, insert(A, b"1", b"x")))
    assert waiting.oldest() is not None


def test_without_room_everything_is_let_go_and_told_once() -> None:
    waiting, told, disk = suspension(bytes_max=150)
    for number in range(1, 5):
        waiting.take_in(segment(number, insert(A, b"1", bytes(60))))
    assert waiting.lost
    assert told == ["dropped"]
    assert waiting.oldest() is None
    assert list(disk.names()) == []


def test_the_room_is_free_again_when_the_table_is_loaded_anew() -> None:
    budget = SpoolBudget(1 << 20)
    waiting = Suspension(Spool("s", SimulatedDisk(), budget, bytes(32)), lambda: None)
    waiting.take_in(segment(1, insert(A, b"1", b"x")))
    assert budget.used > 0
    waiting.clear()
    assert budget.used == 0
