"""Schema changes as statements for the target."""

from collections.abc import Sequence

import pytest

from connectors.postgres.evolution import labels, statements
from connectors.postgres.target_table import TargetColumn, TargetTable
from engine.errors import SchemaMismatchError
from engine.model.change import SchemaChanged, SchemaStep
from engine.model.relation import Column, ColumnType, Relation, TableName

INT4, INT8, TEXT = (
    ColumnType("integer", 23),
    ColumnType("bigint", 20),
    ColumnType("text", 25),
)

NAME = TableName("public", "t")


def there(**columns: ColumnType) -> TargetTable:
    made = tuple(TargetColumn(name, kind, kind.name) for name, kind in columns.items())
    return TargetTable(1, NAME, "r", made, version=150000)


def run(
    table: TargetTable, *steps: SchemaStep, drop_columns: bool = False, **after: ColumnType
) -> Sequence[str]:
    relation = Relation(7, "public", "t", tuple(Column(n, kind) for n, kind in after.items()))
    change = SchemaChanged(NAME, relation, relation, exact=True, steps=steps)
    return statements(change, table, drop_columns=drop_columns, drop_tables=False)


def add(column: str, kind: str, default: str = "") -> SchemaStep:
    return SchemaStep("add-column", column, type=kind, default=default)


def test_a_new_column_is_added_with_what_existing_rows_have() -> None:
    assert run(there(id=INT4), add("c", "text", "'x'"), c=TEXT) == [
        """ALTER TABLE "public"."t" ADD COLUMN "c" text DEFAULT 'x'"""
    ]


@pytest.mark.parametrize(
    "step", [add("c" * 64, "text"), SchemaStep("rename-column", "id", new_name="c" * 64)]
)
def test_a_name_that_would_be_cut_is_refused(step: SchemaStep) -> None:
    with pytest.raises(SchemaMismatchError, match="would cut the name"):
        run(there(id=INT4), step)


def test_a_dropped_column_is_kept_unless_told() -> None:
    table = there(id=INT4, c=TEXT)
    assert run(table, SchemaStep("drop-column", "c")) == []
    assert run(table, SchemaStep("drop-column", "c"), drop_columns=True) == [
        'ALTER TABLE "public"."t" DROP COLUMN "c"'
    ]


def test_a_column_that_was_dropped_just_now_steps_aside() -> None:
    table = there(id=INT4, c=TEXT, c_kept_1=TEXT)
    steps = (SchemaStep("drop-column", "c"), add("c", "integer"))
    assert run(table, *steps, c=INT4) == [
        'ALTER TABLE "public"."t" RENAME COLUMN "c" TO "c_kept_2"',
        'ALTER TABLE "public"."t" ADD COLUMN "c" integer',
    ]


def test_a_column_that_is_there_is_taken_when_its_rows_are_right() -> None:
    (block,) = run(there(id=INT4, c=INT8), add("c", "integer"), c=INT4)
    assert block.startswith("DO 'BEGIN IF EXISTS (SELECT FROM")
    assert "IS DISTINCT FROM ((NULL)::integer)::text" in block
    assert 'RENAME COLUMN "c" TO "c_kept_1"' in block


def test_a_column_that_is_there_and_cannot_hold_the_values_steps_aside() -> None:
    assert run(there(id=INT4, c=INT4), add("c", "text"), c=TEXT) == [
        'ALTER TABLE "public"."t" RENAME COLUMN "c" TO "c_kept_1"',
        'ALTER TABLE "public"."t" ADD COLUMN "c" text',
    ]


def test_a_rename_makes_room_for_itself() -> None:
    table = there(id=INT4, a=INT4, b=TEXT)
    assert run(table, SchemaStep("rename-column", "a", new_name="b"), b=INT4) == [
        'ALTER TABLE "public"."t" RENAME COLUMN "b" TO "b_kept_1"',
        'ALTER TABLE "public"."t" RENAME COLUMN "a" TO "b"',
    ]


def test_a_rename_that_was_made_already_is_nothing() -> None:
    assert run(there(id=INT4, b=INT4), SchemaStep("rename-column", "a", new_name="b"), b=INT4) == []


def test_a_name_of_63_bytes_is_cut_between_letters() -> None:
    long = "ä" * 31 + "x"
    steps = (SchemaStep("drop-column", long), add(long, "integer"))
    first, _ = run(there(**{long: TEXT}), *steps)
    assert first.endswith(f'TO "{"ä" * 28}_kept_1"')


def test_what_would_lose_something_is_refused() -> None:
    step = SchemaStep("retype-column", "a", type="integer")
    with pytest.raises(SchemaMismatchError, match="without loss"):
        run(there(id=INT4, a=TEXT), step, a=INT4)


def test_labels_are_added_in_their_places() -> None:
    def enum(*names: str) -> ColumnType:
        quoted = ", ".join(f'"{name}"' for name in names)
        return ColumnType("public.e", 99, definition=f"enum([{quoted}])")

    before = Relation(7, "public", "t", (Column("old", enum("b", "d")),))
    after = Relation(7, "public", "t", (Column("new", enum("a", "b", "c'", "d", "e")),))
    steps = (SchemaStep("rename-column", "old", new_name="new"), SchemaStep("alter-type", "new"))
    add_value = "ALTER TYPE public.e ADD VALUE IF NOT EXISTS"
    assert labels(SchemaChanged(NAME, before, after, exact=True, steps=steps)) == [
        f"{add_value} 'a' BEFORE 'b'",
        f"{add_value} 'c''' AFTER 'b'",
        f"{add_value} 'e' AFTER 'd'",
    ]
