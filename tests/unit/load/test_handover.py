"""Which changes the chunks of a load have seen. A snapshot's text is the first xid it does not see;
keys up to `m` lie in the first chunk."""

from collections.abc import Sequence

import pytest

from engine.errors import SnapshotLostError
from engine.load.handover import LaneCatchUp, TableCatchUp
from engine.model.change import (
    DELETE,
    INSERT,
    UPDATE,
    Change,
    Event,
    SchemaChanged,
    Transaction,
    Truncate,
)
from engine.model.chunk import ChunkDone
from engine.model.position import LogPosition
from engine.model.relation import Column, ColumnType, Relation, ReplicaIdentity
from engine.model.value import UNCHANGED, Key, Value

COLUMNS = (Column("id", ColumnType("bytes")), Column("value", ColumnType("bytes")))
T = Relation(1, "public", "t", COLUMNS, key=(0,))
FULL = Relation(1, "public", "t", COLUMNS, key=(0,), replica_identity=ReplicaIdentity.FULL)
KEYLESS = Relation(1, "public", "t", COLUMNS)
OTHER = Relation(2, "public", "other", COLUMNS, key=(0,))


def done(ordinal: int, snapshot: int, until: int = 900) -> ChunkDone:
    low, high = (None, ("m",)) if ordinal == 0 else (("m",), None)
    text = str(snapshot)
    return ChunkDone(T.table, ordinal, "key", low, high, text, str(LogPosition(until)), 1)


def visible(snapshot: str, transaction: Transaction) -> bool:
    return transaction.xid < int(snapshot)


def chunk_of(chunks: Sequence[ChunkDone], _relation: Relation, key: Key) -> ChunkDone | None:
    (value,) = key
    assert isinstance(value, bytes)
    return chunks[0] if value <= b"m" else chunks[1]


def filter_of(*chunks: ChunkDone) -> TableCatchUp:
    return TableCatchUp(chunks, visible, chunk_of, LogPosition.parse)


def at(xid: int) -> Transaction:
    return Transaction(100 * xid, xid=xid)


def insert(key: bytes, relation: Relation = T) -> Change:
    return Change(INSERT, relation, (key, b"v"), None)


def delete(key: bytes, relation: Relation = T) -> Change:
    return Change(DELETE, relation, None, (key, UNCHANGED))


def move(old: bytes, new: bytes, value: Value = b"v") -> Change:
    return Change(UPDATE, T, (new, value), (old, UNCHANGED))


SPLIT = (done(0, 3), done(1, 7))
"""The first chunk has seen transactions up to 2, the second up to 6."""


@pytest.mark.parametrize("event", [insert(b"a", KEYLESS), delete(b"a", KEYLESS), Truncate((T,))])
def test_one_snapshot_needs_no_key(event: Event) -> None:
    catch_up = filter_of(done(0, 5), done(1, 5))
    assert catch_up.admit(at(4), event) is None
    assert catch_up.admit(at(5), event) is event


@pytest.mark.parametrize(("key", "seen"), [(b"a", False), (b"z", True)])
def test_a_row_is_judged_by_the_chunk_of_its_key(key: bytes, seen: bool) -> None:
    for change in (insert(key), delete(key), Change(UPDATE, T, (key, b"w"), None)):
        assert filter_of(*SPLIT).admit(at(5), change) == (None if seen else change)


def test_a_full_old_image_with_the_same_key_is_no_move() -> None:
    change = Change(UPDATE, FULL, (b"a", b"w"), (b"a", b"v"))
    assert filter_of(*SPLIT).admit(at(5), change) == change


def test_a_row_that_moved_into_a_chunk_that_has_it_is_only_deleted_where_it_was() -> None:
    moved = move(b"a", b"z")
    assert filter_of(*SPLIT).admit(at(5), moved) == Change(DELETE, T, None, moved.old)


def test_a_row_that_moved_out_of_a_chunk_that_lacks_it_is_inserted() -> None:
    moved = move(b"z", b"a")
    assert filter_of(*SPLIT).admit(at(5), moved) == Change(INSERT, T, moved.new, None)


def test_a_row_in_neither_chunk_of_which_the_log_lacks_a_part_begins_the_table_anew() -> None:
    with pytest.raises(SnapshotLostError) as caught:
        filter_of(*SPLIT).admit(at(5), move(b"z", b"a", UNCHANGED))
    assert caught.value.context["table"] == T.table


@pytest.mark.parametrize(("xid", "admitted"), [(2, False), (8, True)])
def test_a_move_that_both_chunks_judge_alike_stays_whole(xid: int, admitted: bool) -> None:
    moved = move(b"a", b"z", UNCHANGED)
    assert filter_of(*SPLIT).admit(at(xid), moved) == (moved if admitted else None)


def test_a_truncate_that_only_some_chunks_have_seen_begins_the_table_anew() -> None:
    """Applied, it would take the rows that the later chunk read after it; dropped, leave the rows
    that the earlier chunk read before it."""
    with pytest.raises(SnapshotLostError) as caught:
        filter_of(*SPLIT).admit(at(5), Truncate((T,)))
    assert caught.value.context["table"] == T.table


def test_a_schema_change_is_kept_until_every_chunk_has_seen_it() -> None:
    change = SchemaChanged(T.table, T, T, exact=True)
    assert filter_of(*SPLIT).admit(at(5), change) is change
    assert filter_of(*SPLIT).admit(at(2), change) is None


# --- a lane's filters -----------------------------------------------------------------------------


def test_the_filter_ends_once_the_stream_is_past_every_snapshot() -> None:
    over: list[bool] = []
    filters = {T.table: filter_of(done(0, 5, until=450), done(1, 5, until=450))}
    catch_up = LaneCatchUp(filters, lambda: over.append(True))
    assert catch_up.admit(at(4), insert(b"a")) is None
    assert over == []
    assert catch_up.admit(at(5), insert(b"a")) == insert(b"a")
    assert over == [True]


def test_a_transaction_whose_commit_begins_at_until_is_past_it() -> None:
    assert filter_of(done(0, 5, until=400)).passed(at(4))
    assert not filter_of(done(0, 5, until=401)).passed(at(4))


def test_tables_without_a_filter_are_not_touched() -> None:
    catch_up = LaneCatchUp({T.table: filter_of(done(0, 5))}, lambda: None)
    change = Change(INSERT, OTHER, (b"1", b"v"), None)
    assert catch_up.admit(at(4), change) is change


def test_of_a_truncate_only_the_tables_that_have_not_seen_it_are_left() -> None:
    catch_up = LaneCatchUp({T.table: filter_of(done(0, 5))}, lambda: None)
    truncate = Truncate((T, OTHER), cascade=True)
    assert catch_up.admit(at(4), truncate) == Truncate((OTHER,), cascade=True)
    assert catch_up.admit(at(5), truncate) == truncate
