"""What waits for a stopped table, and what is let go when there is no room."""

from collections.abc import Mapping
from dataclasses import replace

from engine.apply.checkpoint import Checkpoint
from engine.apply.suspension import Suspension, Suspensions
from engine.model.position import LogPosition
from engine.model.relation import TableName
from engine.spool import Spool, SpoolBudget, SpoolRoom
from tests.simulation.seams import SimulatedDisk
from tests.unit.apply.bench import accounts, insert, segment

A = accounts().relation
B = TableName("public", "b")


def standing(position: str = "0/0") -> Mapping[TableName, Checkpoint]:
    return {A.table: Checkpoint("a", 1, 0, position)}


def suspension(
    bytes_max: int = 1 << 20, disk_bytes_max: int = 1 << 20
) -> tuple[Suspension, list[str], SimulatedDisk]:
    told: list[str] = []
    disk = SimulatedDisk(disk_bytes_max)
    spool = Spool("s", disk, SpoolBudget(bytes_max), bytes(32))
    return Suspension(spool, standing(), lambda error: told.append(error.message)), told, disk


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
    assert told == ["the disk space for overflow is used up"]
    assert waiting.oldest() is None
    assert list(disk.names()) == []


def test_the_room_is_free_again_when_the_table_is_loaded_anew() -> None:
    budget = SpoolBudget(1 << 20)
    spool = Spool("s", SimulatedDisk(), budget, bytes(32))
    waiting = Suspension(spool, standing(), lambda _error: None)
    waiting.take_in(segment(1, insert(A, b"1", b"x")))
    assert budget.used > 0
    waiting.end()
    assert budget.used == 0


def test_a_disk_that_fails_takes_what_waits_and_nothing_else() -> None:
    waiting, told, _ = suspension(disk_bytes_max=150)
    for number in range(1, 5):
        waiting.take_in(segment(number, insert(A, b"1", bytes(60))))
    assert waiting.lost
    assert told == ["no space left on the simulated disk"]


def test_a_file_that_does_not_read_back_takes_what_waits() -> None:
    waiting, told, disk = suspension()
    waiting.take_in(segment(1, insert(A, b"1", b"x")))
    disk.remove("spool-s")
    assert waiting.oldest() is None
    assert waiting.lost
    assert len(told) == 1


def again(waiting: Suspension, position: str) -> bool:
    """The stream begins again while the table stands there."""
    return waiting.resume(standing(position), LogPosition.parse, lambda _error: None)


def values(waiting: Suspension) -> list[bytes]:
    """The values that wait, oldest first; takes them out."""
    found: list[bytes] = []
    while (oldest := waiting.oldest()) is not None:
        found += [change[2][1] for change in oldest.events]  # type: ignore[index,misc]
        waiting.drop()
    return found


def test_what_was_taken_in_before_the_stream_began_again_is_not_taken_in_twice() -> None:
    waiting, _, _ = suspension()
    waiting.take_in(segment(1, insert(A, b"1", b"a")))
    waiting.take_in(segment(2, insert(A, b"2", b"b"), ends=False))
    assert again(waiting, "0/0")
    waiting.take_in(segment(1, insert(A, b"1", b"a")))
    waiting.take_in(segment(2, insert(A, b"2", b"b"), insert(A, b"2", b"c")))
    waiting.take_in(segment(3, insert(A, b"3", b"d")))
    assert values(waiting) == [b"a", b"b", b"c", b"d"]


def test_what_was_applied_without_our_knowing_is_not_tried_again() -> None:
    """The answer to a COMMIT was lost, and what it applied still stands first."""
    waiting, _, _ = suspension()
    for number, value in ((1, b"a"), (2, b"b"), (3, b"c")):
        waiting.take_in(segment(number, insert(A, b"1", value)))
    assert again(waiting, str(LogPosition(110)))
    assert values(waiting) == [b"b", b"c"]


def test_what_waits_of_a_table_that_is_gone_is_left_out_when_the_stream_begins_again() -> None:
    waiting = Suspension(
        Spool("s", SimulatedDisk(), SpoolBudget(1 << 20), bytes(32)),
        {**standing(), B: Checkpoint("b", 1, 0, "0/0")},
        lambda _: None,
    )
    gone = replace(A, name="b")
    waiting.take_in(segment(1, insert(gone, b"1", b"x"), insert(A, b"1", b"a")))
    waiting.take_in(segment(2, insert(gone, b"2", b"y")))
    waiting.take_in(segment(3, insert(A, b"2", b"b")))
    assert again(waiting, "0/0")
    assert waiting.tables == (A.table,)
    assert values(waiting) == [b"a", b"b"]


def test_nobody_is_told_between_two_streams() -> None:
    """Whoever was told of the one that ended is not kept for it."""
    waiting, told, _ = suspension()
    waiting.rest()
    waiting.take_in(segment(1, *[insert(A, b"1", bytes(1 << 20)) for _ in range(2)]))
    assert waiting.lost
    assert told == []


def test_a_target_that_lost_what_is_no_longer_kept_cannot_go_on() -> None:
    waiting, _, _ = suspension()
    waiting.take_in(segment(2, insert(A, b"1", b"a")))
    assert again(waiting, str(LogPosition(110)))
    assert not again(waiting, str(LogPosition(50)))


def test_only_what_is_still_needed_is_kept_for_the_next_attempt() -> None:
    disk = SimulatedDisk()
    suspensions = Suspensions(SpoolRoom(disk, 1 << 20, bytes(32)))
    begun = [
        suspensions.begin({name: Checkpoint("x", 1, 0, "0/0")}, lambda _: None)
        for name in (A.table, B)
    ]
    for waiting in begun:
        waiting.take_in(segment(1, insert(A, b"1", b"a")))
    suspensions.keep(begun[:1])
    assert suspensions.of(A.table) is begun[0]
    assert suspensions.of(B) is None
    assert len(disk.names()) == 1
    begun[0].end()
    begun[0].end()
    assert suspensions.of(A.table) is None
    assert list(disk.names()) == []
