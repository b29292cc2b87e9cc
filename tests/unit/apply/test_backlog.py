"""What a lane says that it holds, wherever it holds it."""

from engine.apply.backlog import NOTHING, Backlog, backlog
from engine.apply.checkpoint import Checkpoint
from engine.apply.lane import Lane
from engine.apply.suspension import Suspension
from engine.errors import StateError
from engine.model.change import INSERT, Change, Transaction
from engine.model.position import LogPosition
from engine.model.relation import Relation
from engine.model.segment import Mark, Segment
from engine.spool import Spool, SpoolBudget
from tests.simulation.seams import SimulatedDisk

TABLE = Relation(1, "public", "t", ())
SIZE = 1 << 30


def lane() -> Lane:
    return Lane("t", {TABLE.table: Checkpoint("t", 1, 0, "0/0")})


def segment(number: int, rows: int = 2) -> Segment:
    """Of the transaction that was committed `number` seconds after 1970."""
    changes = [Change(INSERT, TABLE, (b"x" * 50,), None)] * rows
    transaction = Transaction(100 * number, committed_at_us=number * 1_000_000)
    end = LogPosition(100 * number + 10)
    return Segment(Mark(), transaction, [*changes], range(1, rows + 1), 60 * rows, end)


def spool(bytes_max: int = 1 << 20) -> Spool:
    return Spool("s", SimulatedDisk(), SpoolBudget(bytes_max), bytes(32))


def test_a_lane_without_anything_holds_nothing() -> None:
    assert backlog(lane()) is NOTHING


def test_what_waits_in_memory_counts() -> None:
    held = lane()
    for number in (7, 8, 9):
        held.offer(segment(number))
    assert backlog(held) == Backlog(6, 360, 7_000_000)


def test_what_is_on_an_applier_counts_until_it_is_durable() -> None:
    held = lane()
    for number in (7, 8, 9):
        held.offer(segment(number))
    held.busy = True
    held.take(3, SIZE)
    assert backlog(held) == Backlog(6, 360, 7_000_000)
    held.settled()
    assert backlog(held) == Backlog(2, 120, 9_000_000)
    held.take(3, SIZE)
    held.settled()
    assert backlog(held) == Backlog()


def test_what_went_to_disk_counts_with_its_bytes_there() -> None:
    held = lane()
    for number in range(7, 17):
        held.offer(segment(number))
    held.spill(spool(), 240)
    held.offer(segment(20))
    found = backlog(held)
    assert (found.rows, found.oldest_us) == (22, 7_000_000)
    assert found.bytes > 240 + 16 * 50
    seen = []
    while (batch := held.take(2, SIZE)) is not None:
        held.settled()
        found = backlog(held)
        seen.append(found.rows)
        assert found.rows == 0 or found.oldest_us <= (batch.segments[-1].committed_at_us + 4e6)
    assert seen == [*range(20, -1, -2)]
    assert backlog(held) is NOTHING


def test_what_waits_for_a_stopped_table_counts_apart() -> None:
    held = lane()
    held.suspension = Suspension(spool(), held.checkpoints, lambda _: None)
    for number in (7, 8):
        held.offer(segment(number))
    found = backlog(held)
    assert (found.rows, found.oldest_us, found.stopped, found.lost) == (4, 7_000_000, True, False)


def test_changes_that_had_to_be_dropped_are_lost() -> None:
    held = lane()
    dropped: list[StateError] = []
    held.suspension = Suspension(spool(bytes_max=10), held.checkpoints, dropped.append)
    held.offer(segment(7))
    assert backlog(held).lost
    assert dropped
