"""A table's checkpoints moved to others: all at one place, or not at all."""

from engine.bucketing import moved
from engine.model.position import LogPosition
from engine.model.state import LaneRow

FRONTIER = LogPosition(300)
NAMES = ("a", "b", "c")


def at(*texts: str) -> list[LaneRow]:
    return [LaneRow(4, n + 1, text) for n, text in enumerate(texts)]


def move(*texts: str) -> dict[str, LaneRow] | None:
    found = moved(at(*texts), NAMES, 5, FRONTIER, LogPosition.parse)
    return None if found is None else dict(found)


def test_a_tables_own_row_becomes_one_for_each_bucket_where_it_stands() -> None:
    assert move("0/50") == {n: LaneRow(5, 1 if n == "a" else 0, "0/50") for n in NAMES}


def test_what_was_counted_is_kept_so_the_target_seems_to_have_lost_nothing() -> None:
    found = move("0/50", "0/50", "0/50")
    assert found is not None
    assert sum([row.seq for row in found.values()]) == 1 + 2 + 3


def test_rows_below_the_frontier_meet_at_the_frontier() -> None:
    found = move("0/50", "0/60")
    assert found is not None
    assert {row.position for row in found.values()} == {str(FRONTIER)}


def test_rows_that_stand_apart_past_the_frontier_stay() -> None:
    assert move("0/50", "0/200") is None


def test_a_table_without_rows_begins_at_the_frontier() -> None:
    assert move() == {name: LaneRow(5, 0, str(FRONTIER)) for name in NAMES}
