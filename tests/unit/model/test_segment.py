"""Positions inside a segment."""

from engine.model.change import INSERT, Change, Event, SchemaChanged, Transaction
from engine.model.position import LogPosition
from engine.model.relation import Relation
from engine.model.segment import Mark, Segment, apart

TABLE = Relation(1, "public", "t", ())
ROW = Change(INSERT, TABLE, (), None)
CHANGED = SchemaChanged(TABLE.table, TABLE, TABLE, exact=True)


def segment(events: list[Event], ordinals: list[int]) -> Segment:
    return Segment(Mark(), Transaction(100), events, ordinals, 0)


def test_before_a_row_stands_the_ordinal_before_it() -> None:
    assert segment([ROW, ROW], [3, 4]).position_before(1) == LogPosition(100, 3)


def test_before_a_schema_change_stands_the_row_that_precedes_it() -> None:
    assert segment([ROW, CHANGED], [3, 3]).position_before(1) == LogPosition(100, 3)


def test_a_position_before_the_first_event_reads_back() -> None:
    position = segment([CHANGED, ROW], [0, 1]).position_before(0)
    assert LogPosition.parse(str(position)) == position


def test_a_stretch_comes_apart_into_its_transactions() -> None:
    members = [(Transaction(100 * n), LogPosition(100 * n + 50)) for n in (1, 2, 3)]
    mark = Mark(pending=1)
    whole = Segment(
        mark,
        members[2][0],
        [ROW, CHANGED, ROW, ROW],
        [4, 4, 7, 8],
        42,
        LogPosition(400),
        members,
        [0, 0, 2, 2],
    )
    first, last = apart([whole])
    assert mark.pending == 2
    assert (first.transaction, first.events, first.ordinals, first.end) == (
        members[0][0],
        [ROW, CHANGED],
        [4, 4],
        LogPosition(150),
    )
    assert (last.transaction, last.events, last.ordinals, last.end) == (
        members[2][0],
        [ROW, ROW],
        [7, 8],
        LogPosition(400),
    )
    assert first.size + last.size == 42
