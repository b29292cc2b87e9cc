"""How a batch of a table with buckets is divided."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from engine.apply.checkpoint import Buckets
from engine.apply.lane import Lane, LaneBatch
from engine.apply.shares import Piece, Share, pieces, refused
from engine.model.change import Change, Event, Truncate
from engine.model.position import LogPosition, Position
from engine.model.segment import Segment
from tests.unit.apply.bench import segment, stretch
from tests.unit.apply.test_buckets import COUNT, OTHER, TABLE, buckets, insert, key_of

SIZE = 1 << 30


def taken(*segments: Segment) -> tuple[Lane, LaneBatch, Buckets]:
    split = buckets(*[LogPosition(1)] * COUNT)
    lane = Lane("t", {TABLE.table: split})
    lane.split = True
    for one in segments:
        lane.offer(one)
    batch = lane.take(10_000, SIZE)
    assert batch is not None
    return lane, batch, split


def cut(*segments: Segment, rows_min: int = 1, shares_max: int = 3) -> list[Piece]:
    lane, batch, split = taken(*segments)
    return pieces(lane, batch, split, rows_min=rows_min, shares_max=shares_max)


def rows(*places: int) -> list[Change]:
    return [insert(key_of(bucket, n)) for n, bucket in enumerate(places)]


def shared(piece: Piece) -> list[Event]:
    return [event for share in piece.shares for event in share.events]


def test_each_bucket_is_in_one_share_and_all_go_to_the_batchs_end() -> None:
    events = rows(0, 1, 2, 3, 0, 1, 0)
    (piece,) = cut(segment(1, *events))
    assert piece.order is None
    assert len(piece.shares) == 3
    assert sorted(map(repr, shared(piece))) == sorted(map(repr, events))
    names = [checkpoint.name for share in piece.shares for checkpoint in share.touched]
    assert sorted(names) == [f"t:{n}/4" for n in range(COUNT)]
    assert {share.position for share in piece.shares} == {LogPosition(110)}


def test_shares_are_about_as_large_as_each_other() -> None:
    (piece,) = cut(segment(1, *rows(0, 0, 0, 0, 1, 1, 2, 2, 3, 3)))
    assert sorted(len(share.events) for share in piece.shares) == [2, 4, 4]


def test_too_little_to_be_divided_goes_in_order_as_it_is() -> None:
    lane, batch, split = taken(segment(1, *rows(0, 1, 2)))
    for rows_min, shares_max in ((2, 3), (1, 1)):
        (piece,) = pieces(lane, batch, split, rows_min=rows_min, shares_max=shares_max)
        assert piece.order is batch


def test_changes_of_one_bucket_go_in_order() -> None:
    (piece,) = cut(segment(1, *rows(2, 2, 2, 2)))
    assert piece.order is not None


def test_what_belongs_to_several_buckets_stands_between_the_others() -> None:
    first, second = rows(0, 1, 2, 3), rows(3, 2, 1, 0)
    found = cut(segment(1, *first, OTHER, *second))
    assert [bool(piece.shares) for piece in found] == [True, False, True]
    before, between, after = found
    assert between.order is not None
    assert between.order.events == [OTHER]
    assert [c.name for c in between.order.touched] == ["t:1/4", "t:3/4"]
    assert before.shares[0].position == LogPosition(100, 4)
    assert between.order.position == LogPosition(100, 5)
    assert after.shares[0].position == LogPosition(110)


def test_what_lies_between_two_and_is_too_little_goes_with_them() -> None:
    truncate = Truncate((TABLE,))
    few, many = rows(0, 1), rows(0, 1, 2, 3, 0, 1, 2, 3)
    found = cut(segment(1, truncate, *few, OTHER), segment(2, *many), rows_min=4)
    assert [piece.order.events if piece.order else None for piece in found] == [
        [truncate, *few, OTHER],
        None,
    ]
    assert found[0].order is not None
    assert {c.name for c in found[0].order.touched} == {f"t:{n}/4" for n in range(COUNT)}
    assert found[0].order.position == LogPosition(110)


def test_what_was_refused_is_taken_in_order_and_nothing_else() -> None:
    lane, batch, split = taken(segment(1, *rows(0, 1, 2, 0)), segment(2, *rows(1, 2, 0, 2)))
    (piece,) = pieces(lane, batch, split, rows_min=1, shares_max=3)
    for share in piece.shares:
        share.refused = any(c.name != "t:1/4" for c in share.touched)
    again = refused(lane, batch, piece, split)
    wanted = [e for one in batch.segments for e in one.events if split.place([e]) != [1]]
    assert again.events == wanted
    assert {c.name for c in again.touched} == {"t:0/4", "t:2/4"}
    assert again.position == LogPosition(210)


def test_a_stretch_is_taken_apart_once_and_its_mark_counts_every_segment() -> None:
    one = stretch(segment(1, *rows(0, 1)), segment(2, *rows(2, 3)), segment(3, OTHER))
    lane, batch, split = taken(one)
    found = pieces(lane, batch, split, rows_min=1, shares_max=3)
    assert [bool(piece.shares) for piece in found] == [True, False]
    assert one.mark.pending == len(batch.segments) == 3
    found[0].shares[0].refused = True
    refused(lane, batch, found[0], split).take_apart()
    assert one.mark.pending == 3


@given(
    st.lists(
        st.lists(st.sampled_from([0, 1, 2, 3, "move", "truncate"]), min_size=1, max_size=9),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_however_it_is_divided_every_key_sees_its_changes_in_order(
    parts: Sequence[Sequence[int | str]], rows_min: int, shares_max: int
) -> None:
    """Pieces one after the other, shares in any order: each bucket's events are those of the log,
    and no position goes back."""
    odd: dict[object, Event] = {"move": OTHER, "truncate": Truncate((TABLE,))}
    made = [
        segment(n, *[odd[p] if p in odd else insert(key_of(int(p), i)) for i, p in enumerate(part)])
        for n, part in enumerate(parts, 1)
    ]
    log = [event for one in made for event in one.events]
    lane, batch, split = taken(*made)
    found = pieces(lane, batch, split, rows_min=rows_min, shares_max=shares_max)
    for checkpoint in split.every:
        seen: list[Event] = []
        stood: Position = LogPosition(0)
        for piece in found:
            parts_of: list[LaneBatch | Share] = [*piece.shares]
            for part in [piece.order] if piece.order else parts_of:
                if checkpoint in part.touched:
                    seen += [event for event in part.events if checkpoint in split.of(event)]
                    assert part.position.reaches(stood)
                    stood = part.position
        assert seen == [event for event in log if checkpoint in split.of(event)]
        end = made[-1].position
        assert end.reaches(stood)
