"""What keeps rows out of an existing table."""

import pytest

from connectors.postgres.shape import TargetColumn, mismatches
from engine.model.relation import Column, ColumnType, Relation

INT4 = ColumnType("integer", 23)
INT8 = ColumnType("bigint", 20)
TEXT = ColumnType("text", 25)
MOOD = ColumnType("s.mood", 20001, definition="enum(a,b)")


def shape(ours: ColumnType, **theirs: TargetColumn) -> list[str]:
    relation = Relation(1, "s", "t", (Column("a", ours),))
    return list(mismatches(relation, theirs, 150000))


def there(type_: ColumnType, *, generated: bool = False, filled: bool = True) -> TargetColumn:
    return TargetColumn(type_, generated, filled)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(INT4, INT4), (INT4, INT8), (MOOD, ColumnType("s.mood", 30001)), (MOOD, TEXT)],
)
def test_types_that_keep_every_value_fit(ours: ColumnType, theirs: ColumnType) -> None:
    assert shape(ours, a=there(theirs)) == []


@pytest.mark.parametrize(
    ("ours", "theirs"), [(INT8, INT4), (TEXT, MOOD), (MOOD, ColumnType("s.other", 30001))]
)
def test_a_narrower_type_is_named_with_both_sides(ours: ColumnType, theirs: ColumnType) -> None:
    (message,) = shape(ours, a=there(theirs))
    assert ours.name in message
    assert theirs.name in message
    assert "column a of s.t" in message


def test_a_missing_column_is_named_with_its_type() -> None:
    (message,) = shape(INT4)
    assert "column a of s.t is missing" in message
    assert "integer" in message


def test_a_column_generated_there_cannot_be_written() -> None:
    (message,) = shape(INT4, a=there(INT4, generated=True))
    assert "generated" in message


def test_a_column_of_their_own_must_fill_itself() -> None:
    assert shape(INT4, a=there(INT4), b=there(TEXT)) == []
    (message,) = shape(INT4, a=there(INT4), b=there(TEXT, filled=False))
    assert "column b of s.t exists on the target only" in message
