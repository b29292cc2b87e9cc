"""To which buckets of a table a change belongs, and what their checkpoints cover."""

from zlib import crc32

import pytest

from engine.apply.checkpoint import SEVERAL, Buckets, Checkpoint
from engine.apply.lane import Lane
from engine.model.change import DELETE, INSERT, UPDATE, Change, Event, SchemaChanged, Truncate
from engine.model.position import LogPosition
from engine.model.relation import Column, ColumnType, Relation
from engine.model.value import UNCHANGED, KeyHash, Row
from tests.unit.apply.bench import segment

TABLE = Relation(
    1,
    "public",
    "t",
    (Column("id", ColumnType("bytes")), Column("v", ColumnType("bytes"))),
    key=(0,),
)
NUMERIC_KEY = Relation(1, "public", "t", (Column("id", ColumnType("numeric")),), key=(0,))
COUNT = 4


def hashing(relation: Relation) -> KeyHash | None:
    if relation is NUMERIC_KEY:
        return None

    def hashed(row: Row) -> int | None:
        key = row[relation.key[0]]
        return crc32(key) if isinstance(key, bytes) else None

    return hashed


def buckets(*replay: LogPosition) -> Buckets:
    stand = replay or (LogPosition(0),) * COUNT
    made = [Checkpoint(f"t:{n}/{COUNT}", 1, 0, str(p), p) for n, p in enumerate(stand)]
    return Buckets(made, hashing)


def key_of(bucket: int, nth: int = 0) -> bytes:
    """The n-th key that falls into a bucket."""
    return [k for k in (b"%d" % i for i in range(200)) if crc32(k) % COUNT == bucket][nth]


def insert(key: bytes) -> Change:
    return Change(INSERT, TABLE, (key, b"v"), None)


def move(old: bytes, new: bytes) -> Change:
    return Change(UPDATE, TABLE, (new, UNCHANGED), (old, UNCHANGED))


def key_in(event: Event) -> object:
    return event.new[0] if isinstance(event, Change) and event.new else None


SAME, OTHER = move(key_of(1), key_of(1, 1)), move(key_of(1), key_of(3))


def test_a_row_change_belongs_to_the_bucket_of_its_key() -> None:
    key = key_of(2)
    events = [
        insert(key),
        Change(UPDATE, TABLE, (key, b"w"), None),
        Change(UPDATE, TABLE, (UNCHANGED, b"w"), (key, UNCHANGED)),
        Change(DELETE, TABLE, None, (key, UNCHANGED)),
    ]
    split = buckets()
    assert split.place(events) == [2, 2, 2, 2]
    assert [[c.name for c in split.of(event)] for event in events] == [["t:2/4"]] * 4


def test_a_key_that_moves_inside_its_bucket_belongs_there() -> None:
    split = buckets()
    assert split.place([SAME]) == [1]
    assert [c.name for c in split.of(SAME)] == ["t:1/4"]


def test_a_key_that_moves_to_another_bucket_belongs_to_both() -> None:
    split = buckets()
    assert split.place([OTHER]) == [SEVERAL]
    assert [c.name for c in split.of(OTHER)] == ["t:1/4", "t:3/4"]


def test_what_has_no_one_key_belongs_to_all() -> None:
    split = buckets()
    for event in (
        Truncate((TABLE,)),
        SchemaChanged(TABLE.table, TABLE, TABLE, exact=True),
        Change(UPDATE, TABLE, (UNCHANGED, b"w"), None),
        Change(INSERT, NUMERIC_KEY, (b"1.0",), None),
    ):
        assert split.place([event]) == [SEVERAL]
        assert len(split.of(event)) == COUNT


def test_each_bucket_drops_what_itself_has_applied() -> None:
    at = [LogPosition(0), LogPosition(110), LogPosition(210), LogPosition(0)]
    lane = Lane("t", {TABLE.table: buckets(*at)})
    for number in (1, 2, 3):
        lane.offer(segment(number, *[insert(key_of(bucket)) for bucket in range(COUNT)]))
    batch = lane.take(100, 1 << 30)
    assert batch is not None
    left = [
        [event for event in part.events if isinstance(event, Change)] for part in batch.segments
    ]
    keys = [[event.new[0] for event in part if event.new] for part in left]
    assert keys == [
        [key_of(0), key_of(3)],
        [key_of(0), key_of(1), key_of(3)],
        [key_of(bucket) for bucket in range(COUNT)],
    ]
    assert {c.name for c in batch.touched} == {f"t:{n}/4" for n in range(COUNT)}


@pytest.mark.parametrize(
    ("old", "new", "left"),
    [
        (0, 0, [(UPDATE, key_of(1), key_of(3))]),
        (110, 110, []),
        # a load had seen one half; the bucket of the other may be behind or past it
        (0, 110, [(DELETE, key_of(1), None)]),
        (110, 0, [(INSERT, None, key_of(3))]),
    ],
)
def test_of_a_move_between_buckets_each_has_applied_its_half(
    old: int, new: int, left: list[tuple[int, bytes | None, bytes | None]]
) -> None:
    """A load had seen the row under its new key, so its deletion under the old one was in a share
    of its own: the bucket of the new key had moved past it when the process died."""
    at = [LogPosition(p) for p in (0, old, 0, new)]
    lane = Lane("t", {TABLE.table: buckets(*at)})
    lane.offer(segment(1, OTHER))
    batch = lane.take(100, 1 << 30)
    changes = [e for e in (batch.events if batch else []) if isinstance(e, Change)]
    assert [(e.kind, e.old and e.old[0], e.new and e.new[0]) for e in changes] == left


def test_a_lane_that_is_split_is_as_wide_as_its_buckets() -> None:
    lane = Lane("t", {TABLE.table: buckets()})
    assert (lane.width, lane.buckets) == (1, None)
    lane.split = True
    assert lane.width == COUNT
    assert lane.buckets is lane.checkpoints[TABLE.table]


def test_a_schema_change_was_applied_when_any_bucket_has_come_past_it() -> None:
    """It stands before the first change of its transaction, and moved all of them to there."""
    changed = SchemaChanged(TABLE.table, TABLE, TABLE, exact=True)
    moved_to = LogPosition(100)
    for ahead, expected in ((moved_to, True), (LogPosition(210), False)):
        lane = Lane("t", {TABLE.table: buckets(moved_to, ahead, moved_to, moved_to)})
        lane.offer(segment(1, changed, insert(key_of(0))))
        batch = lane.take(100, 1 << 30)
        assert batch is not None
        assert (changed in batch.events) is expected
