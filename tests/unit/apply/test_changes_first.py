"""Where a schema change cannot be part of a transaction, it begins a batch."""

from engine.apply.checkpoint import Checkpoint
from engine.apply.lane import Lane
from engine.model.change import INSERT, Change, Event, SchemaChanged, Transaction
from engine.model.position import LogPosition
from engine.model.relation import Column, ColumnType, Relation
from engine.model.segment import Mark, Segment

TABLE = Relation(1, "s", "t", (Column("id", ColumnType("int")),), key=(0,))


def lane(*, changes_first: bool = True) -> Lane:
    made = Lane("t", {TABLE.table: Checkpoint("t", 1, 0, "0/0")})
    made.changes_first = changes_first
    return made


def row(name: bytes) -> Change:
    return Change(INSERT, TABLE, (name,), None)


CHANGE = SchemaChanged(TABLE.table, TABLE, TABLE, exact=True)
OTHER = SchemaChanged(TABLE.table, None, TABLE, exact=True)


def offer(to: Lane, number: int, *events: Event) -> Mark:
    ordinals: list[int] = []
    for event in events:
        counted = 0 if isinstance(event, SchemaChanged) else 1
        ordinals.append((ordinals[-1] if ordinals else 0) + counted)
    mark = Mark(end=LogPosition(number + 1))
    transaction = Transaction(number * 10, number=number)
    size = 100 * len(events)
    to.offer(Segment(mark, transaction, list(events), ordinals, size, LogPosition(number * 10 + 1)))
    return mark


def batches(of: Lane, *, whole: bool = False) -> list[tuple[list[Event], str, bool]]:
    found = []
    while (batch := of.take(1_000, 1_000_000, whole=whole)) is not None:
        found.append((batch.events, str(batch.position), batch.cut))
    return found


def test_a_change_that_is_a_transaction_by_itself_begins_the_next_batch() -> None:
    to = lane()
    offer(to, 1, row(b"a"))
    offer(to, 2, CHANGE)
    offer(to, 3, row(b"b"))
    assert batches(to) == [
        ([row(b"a")], "0/B", True),
        ([CHANGE, row(b"b")], "0/1F", False),
    ]
    assert (to.rows, to.size) == (0, 0)


def test_a_transaction_is_cut_before_a_change_inside_it_and_counts_a_piece_more() -> None:
    to = lane()
    mark = offer(to, 1, row(b"a"), row(b"b"), CHANGE, row(b"c"), OTHER)
    assert batches(to) == [
        ([row(b"a"), row(b"b")], "0/A+2", True),
        ([CHANGE, row(b"c")], "0/A+3", True),
        ([OTHER], "0/B", False),
    ]
    assert mark.pending == 3
    assert (to.rows, to.size) == (0, 0)


def test_a_lane_that_never_cuts_a_transaction_does_so_for_a_change() -> None:
    to = lane()
    offer(to, 1, row(b"a"), CHANGE)
    offer(to, 2, row(b"b"))
    assert [events for events, _, _ in batches(to, whole=True)] == [
        [row(b"a")],
        [CHANGE, row(b"b")],
    ]


def test_elsewhere_a_change_stays_among_its_rows() -> None:
    to = lane(changes_first=False)
    offer(to, 1, row(b"a"), CHANGE, row(b"b"))
    assert [events for events, _, _ in batches(to)] == [[row(b"a"), CHANGE, row(b"b")]]
