"""Loaders spread over tables and stay where they are."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from engine.load.chunk_queue import ChunkQueue
from engine.model.chunk import Chunk
from engine.model.relation import Relation, TableName


def chunks(counts: Mapping[str, int]) -> list[Chunk]:
    relations = [Relation(n, "s", name, ()) for n, name in enumerate(counts)]
    return [
        Chunk(relation, ordinal, "key", (), ())
        for relation in relations
        for ordinal in range(counts[relation.name])
    ]


def taken(chunk: Chunk | None) -> tuple[str, int] | None:
    return None if chunk is None else (chunk.relation.name, chunk.ordinal)


def test_a_loader_goes_on_with_its_table_in_order() -> None:
    queue = ChunkQueue(chunks({"a": 3, "b": 2}), 2)
    one, two = queue.take(None), queue.take(None)
    assert (taken(one), taken(two)) == (("a", 0), ("b", 0))
    assert one is not None
    assert taken(queue.take(one.relation.table)) == ("a", 1)


def test_a_loader_without_a_table_goes_where_fewest_are_and_most_is_left() -> None:
    queue = ChunkQueue(chunks({"small": 1, "large": 4, "middle": 2}), 2)
    first = [taken(queue.take(None)) for _ in range(3)]
    assert first == [("large", 0), ("middle", 0), ("small", 0)]
    assert taken(queue.take(None)) == ("large", 1)
    assert taken(queue.take(TableName("s", "small"))) == ("middle", 1)


def test_no_more_loaders_than_allowed_come_to_one_table() -> None:
    queue = ChunkQueue(chunks({"a": 9}), 2)
    assert [taken(queue.take(None)) for _ in range(3)] == [("a", 0), ("a", 1), None]
    assert taken(queue.take(TableName("s", "a"))) == ("a", 2)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5)),
    st.lists(st.integers(0, 2), min_size=40, max_size=40),
)
def test_every_chunk_is_taken_once(counts: Mapping[str, int], loaders: list[int]) -> None:
    queue = ChunkQueue(chunks(counts), 3)
    at: list[TableName | None] = [None, None, None]
    found: list[tuple[str, int]] = []
    for loader in loaders:
        chunk = queue.take(at[loader])
        if chunk is None:
            at[loader] = None
            continue
        at[loader] = chunk.relation.table
        found.append((chunk.relation.name, chunk.ordinal))
    left = sum(counts.values())
    assert len(found) == len(set(found)) == min(left, len(found))
    assert len(found) == left
