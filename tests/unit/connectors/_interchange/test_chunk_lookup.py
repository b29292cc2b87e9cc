"""Which finished chunk a key lies in."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._interchange.chunk_lookup import ChunkLookup, ChunkLookups
from engine.errors import InvariantError, SchemaChangeError
from engine.model.chunk import ChunkDone
from engine.model.relation import Column, ColumnType, Format, Relation, TableName

TABLE = TableName("s", "t")


def relation(*oids: int, form: Format = Format.BINARY) -> Relation:
    columns = tuple(Column(f"c{i}", ColumnType("", oid), form) for i, oid in enumerate(oids))
    return Relation(1, "s", "t", columns, key=tuple(range(len(oids))), wire="postgres")


def done(
    ordinal: int,
    low: tuple[str, ...] | None,
    high: tuple[str, ...] | None,
    by: str = "key",
    snapshot: str = "5:5:",
) -> ChunkDone:
    return ChunkDone(TABLE, ordinal, by, low, high, snapshot, "0/1", 0)


def chunks_at(*bounds: tuple[str, ...]) -> list[ChunkDone]:
    edges = [None, *bounds, None]
    return [done(i, low, high) for i, (low, high) in enumerate(pairwise(edges))]


def int4(number: int) -> bytes:
    return struct.pack("!i", number)


INTEGERS = st.integers(-(2**31), 2**31 - 1)


@given(st.lists(INTEGERS, unique=True, max_size=8).map(sorted), INTEGERS)
def test_every_key_lies_in_the_one_chunk_whose_range_has_it(bounds: list[int], key: int) -> None:
    chunks = chunks_at(*((str(bound),) for bound in bounds))
    found = ChunkLookup(chunks, relation(23)).find((int4(key),))
    expected = sum(bound < key for bound in bounds)
    assert found is chunks[expected]


def test_a_bound_belongs_to_the_chunk_below_it() -> None:
    chunks = chunks_at(("10",), ("20",))
    lookup = ChunkLookup(chunks, relation(23))
    assert [lookup.find((int4(k),)) for k in (10, 11, 20, 21)] == [
        chunks[0], chunks[1], chunks[1], chunks[2]
    ]  # fmt: skip


def test_a_key_whose_chunk_is_not_finished_lies_in_none() -> None:
    first, _, last = chunks_at(("10",), ("20",))
    lookup = ChunkLookup([last, first], relation(23))
    assert lookup.find((int4(15),)) is None
    assert lookup.find((int4(5),)) is first
    assert lookup.find((int4(99),)) is last
    assert ChunkLookup([first], relation(23)).find((int4(99),)) is None
    assert ChunkLookup([], relation(23)).find((int4(99),)) is None


@given(
    st.lists(st.tuples(INTEGERS, st.text("ab", max_size=2)), unique=True, max_size=6).map(sorted),
    INTEGERS,
    st.text("ab", max_size=2),
)
def test_several_columns_compare_as_a_row(
    bounds: list[tuple[int, str]], number: int, word: str
) -> None:
    chunks = chunks_at(*((str(n), w) for n, w in bounds))
    found = ChunkLookup(chunks, relation(23, 25)).find((int4(number), word.encode()))
    assert found is chunks[sum((n, w) < (number, word) for n, w in bounds)]


def test_bounds_of_the_first_column_alone_are_enough() -> None:
    chunks = chunks_at(("10",))
    lookup = ChunkLookup(chunks, relation(23, 1700))
    assert lookup.find((int4(10), b"anything")) is chunks[0]
    assert lookup.find((int4(11), b"anything")) is chunks[1]


def test_text_form_keys_are_found_like_binary_ones() -> None:
    chunks = chunks_at(("-5",), ("100",))
    assert ChunkLookup(chunks, relation(23, form=Format.TEXT)).find((b"99",)) is chunks[1]


def test_a_whole_table_has_one_answer_for_every_key() -> None:
    whole = done(0, None, None, by="whole")
    assert ChunkLookup([whole], relation(1700)).find((b"?",)) is whole
    pages = [done(0, None, ("(5,0)",), "ctid"), done(1, ("(5,0)",), None, "ctid")]
    assert ChunkLookup(pages, relation()).find(()) is pages[0]


def test_pages_read_at_two_snapshots_are_a_broken_invariant() -> None:
    pages = [done(0, None, ("(5,0)",), "ctid"), done(1, ("(5,0)",), None, "ctid", "9:9:")]
    with pytest.raises(InvariantError):
        ChunkLookup(pages, relation())


def test_a_key_of_another_type_now_is_no_longer_looked_up() -> None:
    with pytest.raises(SchemaChangeError):
        ChunkLookup(chunks_at(("10",)), relation(1700))
    with pytest.raises(SchemaChangeError):
        ChunkLookup(chunks_at(("10", "a")), relation(23))


def test_a_list_that_grew_is_prepared_again() -> None:
    first, second = chunks_at(("10",))
    table, finished = relation(23), [first]
    lookups = ChunkLookups()
    assert lookups.chunk_of(finished, table, (int4(11),)) is None
    finished.append(second)
    assert lookups.chunk_of(finished, table, (int4(11),)) is second
    assert lookups.chunk_of([first], table, (int4(11),)) is None
