"""Which tables are split, and what the checkpoints of buckets are called."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from engine.model.relation import Column, ColumnType, Relation, ReplicaIdentity, TableName
from engine.plan.buckets import BUCKETS, StoredNames, bucket_names, obstacles
from engine.plan.lanes import WHOLE, checkpoint_name

COLUMN = Column("id", ColumnType("bytes"))
A, B = (Relation(n, "public", name, (COLUMN,), key=(0,)) for n, name in enumerate("ab"))

names = st.builds(TableName, st.text(min_size=1), st.text(min_size=1))


@given(names, names)
def test_a_bucket_is_called_like_no_table_and_no_other_bucket(
    one: TableName, other: TableName
) -> None:
    ours = bucket_names(one)
    assert len(set(ours)) == BUCKETS
    assert checkpoint_name(other) not in ours
    assert WHOLE not in ours
    assert (ours == bucket_names(other)) == (one == other)


@given(names, st.integers(2, 40))
def test_what_is_stored_tells_into_how_many_a_table_is_split(table: TableName, count: int) -> None:
    stored = bucket_names(table, count)
    others = ["frontier", "load:0", "finish:foreign-keys", *bucket_names(TableName("x", "y"), 3)]
    found = StoredNames([*others, *reversed(stored)])
    assert found.of(table) == (stored if table != TableName("x", "y") else found.of(table))
    assert StoredNames([*others, checkpoint_name(table)]).of(table) == [checkpoint_name(table)]
    assert StoredNames(others).of(TableName("not", "there")) == []


def test_a_table_alone_in_its_lane_with_a_key_is_split() -> None:
    assert obstacles([A, B], [(A.table,), (B.table,)]) == {}


def test_each_reason_is_named() -> None:
    full = replace(A, replica_identity=ReplicaIdentity.FULL)
    alone = [(A.table,), (B.table,)]
    assert "FULL" in obstacles([full], alone)[A.table]
    assert "no key" in obstacles([replace(A, key=())], alone)[A.table]
    assert obstacles([A, B], [(A.table, B.table)]) == {
        A.table: "a foreign key on the target ties it to public.b",
        B.table: "a foreign key on the target ties it to public.a",
    }
    assert obstacles([A, B], alone, {A.table: "here"}, {A.table: "there", B.table: "there"}) == {
        A.table: "here",
        B.table: "there",
    }
