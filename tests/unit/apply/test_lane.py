"""What a lane takes in, drops, cuts and moves to disk."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, integers, lists, sampled_from

from connectors.mysql.maria_gtid import MariaGtid, MariaGtids
from connectors.mysql.position import GtidCoordinate, GtidPosition, parse_position
from engine.apply.checkpoint import Checkpoint
from engine.apply.lane import Lane
from engine.apply.suspension import Suspension
from engine.errors import PositionLostError
from engine.model.change import INSERT, Change, Event, SchemaChanged, Transaction, Truncate
from engine.model.position import LogPosition
from engine.model.relation import Column, ColumnType, Relation, TableName
from engine.model.segment import Mark, Segment
from engine.spool import Spool, SpoolBudget
from tests.simulation.seams import SimulatedDisk
from tests.unit.apply.bench import stretch

A, B, C = (
    Relation(n, "public", name, (Column("id", ColumnType("bytes")),), key=(0,))
    for n, name in enumerate("abc", 1)
)
SIZE = 1 << 30
START = LogPosition(0)


def lane_of(*relations: Relation, start: LogPosition = START) -> Lane:
    names = {r.table: Checkpoint(r.name, 1, 0, str(start), start) for r in relations}
    return Lane("lane", names)


def whole_lane(*relations: Relation) -> Lane:
    checkpoint = Checkpoint("*", 1, 0, "0/0", LogPosition(0))
    return Lane("*", {r.table: checkpoint for r in relations})


def row(relation: Relation, text: bytes = b"x") -> Change:
    return Change(INSERT, relation, (text,), None)


def part(
    number: int, events: Sequence[Event], *, first: int = 1, ends: bool = True, size: int = 10
) -> Segment:
    """Events of the transaction that commits at 100 times `number`."""
    ordinals: list[int] = []
    for event in events:
        if isinstance(event, SchemaChanged):
            ordinals.append(first - 1)
        else:
            ordinals.append(first)
            first += 1
    end = LogPosition(100 * number + 10) if ends else None
    return Segment(Mark(), Transaction(100 * number), list(events), ordinals, size, end)


def taken(lane: Lane, rows_max: int = 1000, *, whole: bool = False) -> list[Event]:
    batch = lane.take(rows_max, SIZE, whole=whole)
    return batch.events if batch is not None else []


def spool(bytes_max: int = 1 << 20) -> Spool:
    return Spool("s", SimulatedDisk(), SpoolBudget(bytes_max), bytes(32))


def suspended(lane: Lane) -> Suspension:
    lane.suspension = Suspension(spool(), lane.checkpoints, lambda _error: None)
    return lane.suspension


# --- replay ---------------------------------------------------------------------------------------


def test_what_the_checkpoint_covers_is_dropped_and_nothing_behind_it() -> None:
    lane = lane_of(A, start=LogPosition(100, 2))
    segment = part(1, [row(A, b"1"), row(A, b"2"), row(A, b"3")])
    assert lane.offer(segment) == 10
    assert taken(lane) == [row(A, b"3")]


def gtid(text: str) -> GtidCoordinate:
    return GtidCoordinate(MariaGtid.parse(text), MariaGtids.parse(APPLIED))


APPLIED = "0-1-5"


def test_the_first_change_that_was_not_applied_stands_behind_all_that_was() -> None:
    """A set of GTIDs has no order of its own, so a log that has another one is noticed."""
    before = GtidPosition(MariaGtids.parse(f"{APPLIED},1-1-1"))
    lane = Lane("lane", {A.table: Checkpoint("a", 1, 0, str(before), before)})
    first = Segment(Mark(), Transaction(gtid("1-1-1")), [row(A)], [1], 10, before)
    assert lane.offer(first) == 0
    unknown = Segment(Mark(), Transaction(gtid("0-1-6")), [row(A)], [1], 10, before)
    with pytest.raises(PositionLostError, match="in another order than when a was applied"):
        lane.offer(unknown)


def test_a_suspension_notices_another_order_too() -> None:
    one, other = gtid("0-1-6"), gtid("1-1-1")
    before = GtidPosition(MariaGtids.parse(APPLIED))
    lane = Lane("lane", {A.table: Checkpoint("a", 1, 0, str(before), before)})
    suspension = suspended(lane)
    suspension.take_in(Segment(Mark(), Transaction(other), [row(A)], [1], 10, other.end()))
    assert suspension.resume(lane.checkpoints, parse_position, lambda _error: None)
    with pytest.raises(PositionLostError, match="in another order"):
        suspension.take_in(Segment(Mark(), Transaction(one), [row(A)], [1], 10, one.end()))


def test_of_a_stretch_only_the_transactions_that_are_covered_are_dropped() -> None:
    lane = lane_of(A, start=LogPosition(110))
    whole = stretch(part(1, [row(A, b"1")]), part(2, [row(A, b"2")]), part(3, [row(A, b"3")]))
    assert lane.offer(whole) == 20
    assert whole.mark.pending == 2
    assert taken(lane) == [row(A, b"2"), row(A, b"3")]


def test_a_stretch_goes_to_disk_transaction_by_transaction() -> None:
    lane = lane_of(A)
    whole = stretch(part(1, [row(A, b"1")]), part(2, [row(A, b"2")]))
    lane.offer(whole)
    assert lane.spill(spool(), 0) == 20
    assert whole.mark.pending == 2
    batch = lane.take(1, SIZE)
    assert batch is not None
    assert batch.events == [row(A, b"1")]
    assert batch.position == LogPosition(110)


def test_a_segment_applied_before_leaves_no_piece_behind() -> None:
    lane = lane_of(A, start=LogPosition(110))
    segment = part(1, [row(A)])
    assert lane.offer(segment) == 0
    assert segment.mark.pending == 0
    assert taken(lane) == []


def test_tables_of_one_lane_are_replayed_from_their_own_positions() -> None:
    behind = Checkpoint("a", 1, 0, "0/0", LogPosition(0))
    ahead = Checkpoint("b", 1, 0, "0/6E", LogPosition(110))
    lane = Lane("lane", {A.table: behind, B.table: ahead})
    lane.offer(part(1, [row(A), row(B)]))
    lane.offer(part(2, [row(B, b"new")]))
    assert taken(lane) == [row(A), row(B, b"new")]


def test_of_a_truncate_only_the_tables_that_are_behind_are_left() -> None:
    """They were not tied when it was applied to one of them, which has new rows since."""
    behind = Checkpoint("a", 1, 0, "0/0", LogPosition(0))
    ahead = Checkpoint("b", 1, 0, "0/D2", LogPosition(210))
    lane = Lane("lane", {A.table: behind, B.table: ahead})
    lane.offer(part(1, [Truncate((A, B), restart_identity=True)]))
    lane.offer(part(2, [row(B)]))
    assert taken(lane) == [Truncate((A,), restart_identity=True)]


def test_a_schema_change_goes_with_the_row_behind_it() -> None:
    changed = SchemaChanged(A.table, A, A, exact=True)
    lane = lane_of(A, start=LogPosition(100, 1))
    lane.offer(part(1, [row(A, b"1"), changed, row(A, b"2")]))
    assert taken(lane) == [changed, row(A, b"2")]


# --- stopped tables -------------------------------------------------------------------------------


def test_a_stopped_table_is_dropped_and_its_neighbours_go_on() -> None:
    lane = lane_of(A, B)
    lane.stopped = {A.table}
    assert lane.offer(part(1, [row(A)])) == 0
    lane.offer(part(2, [row(A), row(B)]))
    assert taken(lane) == [row(B)]


def test_of_a_truncate_only_the_tables_that_flow_are_left() -> None:
    lane = lane_of(A, B)
    lane.stopped = {A.table}
    lane.offer(part(1, [Truncate((A, B), restart_identity=True)]))
    assert taken(lane) == [Truncate((B,), restart_identity=True)]


def test_what_waited_when_the_table_stopped_is_not_applied() -> None:
    lane = lane_of(A, B)
    lane.offer(part(1, [row(A), row(B)]))
    lane.offer(part(2, [row(A)]))
    lane.stopped = {A.table}
    batch = lane.take(1000, SIZE)
    assert batch is not None
    assert batch.events == [row(B)]
    assert [checkpoint.name for checkpoint in batch.touched] == ["b"]


def test_a_lane_of_stopped_tables_holds_no_transaction() -> None:
    lane = lane_of(A)
    lane.stopped = {A.table}
    segment = part(1, [row(A)])
    assert lane.offer(segment) == 0
    assert segment.mark.pending == 0


def test_the_end_of_a_transaction_reaches_a_lane_with_one_stopped_table() -> None:
    lane = whole_lane(A, B)
    lane.stopped = {A.table}
    segment = part(1, [row(B)], ends=False)
    lane.offer(segment)
    lane.close(segment.mark, segment.transaction, LogPosition(110))
    batch = lane.take(1000, SIZE, whole=True)
    assert batch is not None
    assert batch.ends_transaction


# --- batches --------------------------------------------------------------------------------------


def test_a_batch_moves_only_the_checkpoints_of_its_tables() -> None:
    lane = lane_of(A, B)
    lane.offer(part(1, [row(A)]))
    batch = lane.take(1000, SIZE)
    assert batch is not None
    assert [fence.lane for fence in batch.fences(batch.position)] == ["a"]
    assert batch.committed(batch.at(batch.position)) == 1
    assert lane.checkpoints[A.table].every[0].seq == 1
    assert lane.checkpoints[B.table].every[0].seq == 0


@given(
    starts=lists(sampled_from([0, 110, 210, 310]), min_size=3, max_size=3),
    parts=lists(lists(sampled_from([A, B, C, None]), min_size=1, max_size=4), max_size=6),
    ends=lists(booleans(), min_size=6, max_size=6),
    rows_max=integers(1, 5),
    whole=booleans(),
    whole_lane=booleans(),
)
def test_no_batch_moves_a_checkpoint_back(
    starts: list[int],
    parts: list[list[Relation | None]],
    ends: list[bool],
    rows_max: int,
    whole: bool,
    whole_lane: bool,
) -> None:
    """Wherever each table stood, whatever is replayed, and wherever batches end; `None` is a
    TRUNCATE of all three tables."""
    positions = [LogPosition(starts[0] if whole_lane else start) for start in starts]
    made = [Checkpoint(str(i), 1, 0, str(p), p) for i, p in enumerate(positions)]
    relations = (A, B, C)
    lane = Lane("l", {r.table: made[0 if whole_lane else i] for i, r in enumerate(relations)})
    number, first = 1, 1
    for members, ended in zip(parts, ends, strict=False):
        events: list[Event] = [row(r) if r else Truncate(relations) for r in members]
        lane.offer(part(number, events, first=first, ends=ended))
        number, first = (number + 1, 1) if ended else (number, first + len(events))
    while (batch := lane.take(rows_max, SIZE, whole=whole)) is not None:
        if not batch.events:
            continue
        for checkpoint in batch.touched:
            assert batch.position.reaches(LogPosition.parse(checkpoint.position))
        batch.committed(batch.at(batch.position))


def test_a_batch_inside_a_transaction_stands_at_its_last_row() -> None:
    lane = lane_of(A)
    lane.offer(part(1, [row(A), row(A)], ends=False))
    batch = lane.take(1000, SIZE)
    assert batch is not None
    assert batch.position == LogPosition(100, 2)


def test_a_batch_takes_one_segment_at_least_and_ends_at_the_limit() -> None:
    lane = lane_of(A)
    for number in (1, 2, 3):
        lane.offer(part(number, [row(A), row(A)]))
    assert len(taken(lane, rows_max=1)) == 2
    assert len(taken(lane, rows_max=3)) == 4
    assert (lane.rows, lane.size) == (0, 0)


def test_whole_transactions_are_not_cut() -> None:
    lane = whole_lane(A)
    lane.offer(part(1, [row(A, b"1")]))
    lane.offer(part(2, [row(A, b"2")], ends=False))
    assert taken(lane, whole=True) == [row(A, b"1")]
    lane.offer(part(2, [row(A, b"3")], first=2))
    assert taken(lane, whole=True) == [row(A, b"2"), row(A, b"3")]


def test_a_segment_whose_rows_are_all_in_the_chunks_still_moves_the_lane() -> None:
    lane = lane_of(A)
    lane.admit = lambda _transaction, _event: None
    lane.offer(part(1, [row(A), row(A)], ends=False))
    batch = lane.take(1000, SIZE)
    assert batch is not None
    assert batch.events == []
    assert batch.position == LogPosition(100, 2)


def test_the_filter_of_a_load_is_dropped_when_the_stream_has_passed_it() -> None:
    lane = lane_of(A)
    lane.admit = lambda _transaction, event: event
    lane.caught_up()
    assert lane.admit is None


# --- disk -----------------------------------------------------------------------------------------


def test_order_is_kept_through_disk_and_back() -> None:
    lane = lane_of(A)
    for number in range(1, 4):
        lane.offer(part(number, [row(A, b"%d" % number)]))
    assert lane.spill(spool(), 10) == 20
    for number in range(4, 7):
        lane.offer(part(number, [row(A, b"%d" % number)]))
    found: list[Event] = []
    while (batch := lane.take(1, SIZE)) is not None:
        found += batch.events
    assert found == [row(A, b"%d" % number) for number in range(1, 7)]
    assert (lane.rows, lane.size, lane.spool) == (0, 0, None)


def test_a_disk_without_room_keeps_the_rest_in_memory_and_in_order() -> None:
    lane = lane_of(A)
    for number in range(1, 5):
        lane.offer(part(number, [row(A, b"%d" % number)]))
    one = spool()
    one.put(Transaction(1), [row(A)], [1])
    room = one.bytes * 2 + one.bytes // 2
    assert lane.spill(spool(room), 0) == 20
    lane.offer(part(5, [row(A, b"5")]))
    found: list[Event] = []
    while (batch := lane.take(1, SIZE)) is not None:
        found += batch.events
    assert found == [row(A, b"%d" % number) for number in range(1, 6)]


def test_what_comes_back_from_disk_at_once_is_bounded_in_bytes() -> None:
    lane = lane_of(A)
    for number in range(1, 101):
        lane.offer(part(number, [row(A, bytes(1000))]))
    lane.spill(spool(), 0)
    batch = lane.take(10_000, 5_000)
    assert batch is not None
    assert len(batch.segments) + len(lane.segments) <= 5


def test_a_segment_that_goes_to_disk_wakes_who_waits_for_it() -> None:
    woken: list[Lane] = []
    lane = lane_of(A)
    lane.wake = woken.append
    lane.spool = spool()
    assert lane.offer(part(1, [row(A)])) == 0
    assert woken == [lane]


# --- service --------------------------------------------------------------------------------------


def test_a_held_lane_takes_in_and_is_not_served() -> None:
    lane = lane_of(A)
    lane.held = True
    assert lane.offer(part(1, [row(A)])) == 10
    assert not lane.serviceable
    lane.held = False
    assert lane.serviceable


def test_a_suspended_lane_keeps_what_comes_apart_and_holds_no_transaction() -> None:
    lane = lane_of(A)
    suspension = suspended(lane)
    segment = part(1, [row(A)])
    assert lane.offer(segment) == 0
    assert segment.mark.pending == 0
    assert not lane.serviceable
    oldest = suspension.oldest()
    assert oldest is not None
    assert oldest.events == [row(A)]
    suspension.due = True
    assert lane.serviceable


def test_tables_are_named_by_their_checkpoints() -> None:
    assert lane_of(A, B).tables == (TableName("public", "a"), TableName("public", "b"))
    assert lane_of(A, B).single is None
    assert whole_lane(A, B).single is not None
