"""What is read from two versions of a table, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SchemaChangeError
from engine.model.change import SchemaChanged, SchemaStep
from engine.model.relation import Column, ColumnType, Relation
from engine.plan import schema
from engine.plan.schema import ADD, ALTER_TYPE, DROP, OTHER, RENAME, RETYPE, REWRITE

NAMES = ("a", "b", "c", "d", "e")


def relation(*columns: str) -> Relation:
    """Columns as `1:id:integer`; number 0 is unknown, a type may be `name=definition`."""
    return Relation(7, "public", "t", tuple(_column(text) for text in columns))


def _column(text: str) -> Column:
    number, name, kind = text.split(":", 2)
    kind, _, definition = kind.partition("=")
    return Column(name, ColumnType(kind, definition=definition), number=int(number))


def changed(after: Relation, *steps: SchemaStep, exact: bool = True) -> SchemaChanged:
    return SchemaChanged(after.table, None, after, exact, steps)


def found(known: Relation, after: Relation, *steps: SchemaStep, exact: bool = True) -> list[str]:
    got = schema.steps(known, changed(after, *steps, exact=exact))
    return [schema.describe([step]) for step in got]


def refusal(known: Relation, after: Relation, *steps: SchemaStep, exact: bool = True) -> str:
    with pytest.raises(SchemaChangeError) as caught:
        schema.steps(known, changed(after, *steps, exact=exact))
    return caught.value.message


T = relation("1:id:integer", "2:a:integer", "3:b:text")


def test_the_same_number_with_another_name_is_a_rename() -> None:
    after = relation("1:id:integer", "2:z:integer", "3:b:text")
    assert found(T, after) == ["rename-column a z"]


def test_a_swap_goes_by_a_name_in_between() -> None:
    after = relation("1:id:integer", "2:b:integer", "3:a:text")
    aside = f"{schema.ASIDE}0"
    assert found(T, after) == [
        f"rename-column a {aside}",
        "rename-column b a",
        f"rename-column {aside} b",
    ]


def test_another_number_with_the_same_name_is_a_drop_and_an_add() -> None:
    after = relation("1:id:integer", "3:b:text", "4:a:integer")
    assert found(T, after, SchemaStep(ADD, "a")) == ["drop-column a", "add-column a integer"]


def test_the_default_that_existing_rows_have_is_kept() -> None:
    after = relation("1:id:integer", "2:a:integer", "3:b:text", "4:c:date")
    (step,) = schema.steps(T, changed(after, SchemaStep(ADD, "c", default="'2026-01-01'")))
    assert step == SchemaStep(ADD, column="c", type="date", default="'2026-01-01'")


def test_a_column_that_nobody_told_of_is_refused() -> None:
    after = relation("1:id:integer", "2:a:integer", "3:b:text", "4:c:date")
    assert "column c came unnoticed" in refusal(T, after)


@pytest.mark.parametrize(
    "step",
    [
        SchemaStep(ADD, "c", detail="computed default"),
        SchemaStep(REWRITE, detail="USING"),
        SchemaStep(OTHER, detail="unread"),
    ],
)
@pytest.mark.parametrize("exact", [True, False])
def test_values_that_nobody_can_know_are_refused(step: SchemaStep, exact: bool) -> None:
    after = relation("1:id:integer", "2:a:integer", "3:b:text", "4:c:date")
    message = refusal(T, after, step, exact=exact)
    assert "values that the log does not carry" in message
    assert step.detail in message


def test_a_rewrite_is_refused_although_nothing_looks_different() -> None:
    assert "USING" in refusal(T, T, SchemaStep(REWRITE, detail="USING"))


def test_a_source_that_tells_every_step_is_taken_at_its_word() -> None:
    known, after = relation("0:a:text"), relation("0:b:text")
    steps = (SchemaStep(RENAME, "a", new_name="b"),)
    assert schema.steps(known, changed(after, *steps)) == steps


def test_wider_types_are_followed_and_others_are_not() -> None:
    wider = relation("1:id:bigint", "2:z:integer", "3:b:text")
    assert found(T, wider) == ["rename-column a z", "retype-column id bigint"]
    assert "from text to integer" in refusal(T, relation("1:id:integer", "3:b:integer"))


def test_more_labels_are_followed_and_other_definitions_are_not() -> None:
    known = relation('1:e:color=enum(["a", "b"])')
    more = relation('1:e:color=enum(["a", "x", "b"])')
    assert [s.kind for s in schema.steps(known, changed(more))] == [ALTER_TYPE]
    for other in ('enum(["b", "a"])', 'enum(["a"])', "domain(text )", ""):
        assert "type color of column e" in refusal(known, relation(f"1:e:color={other}"))


def test_a_type_made_again_with_the_same_shape_is_told() -> None:
    known = Relation(7, "public", "t", (Column("e", ColumnType("color", 1), number=1),))
    after = Relation(7, "public", "t", (Column("e", ColumnType("color", 2), number=1),))
    assert [s.kind for s in schema.steps(known, changed(after))] == [RETYPE]


def test_without_numbers_added_columns_are_followed() -> None:
    after = relation("0:id:integer", "0:a:integer", "0:b:text", "0:c:date")
    assert found(T, after, SchemaStep(ADD, "c"), exact=False) == ["add-column c date"]


def test_without_numbers_a_column_that_is_gone_is_a_drop() -> None:
    assert found(T, relation("0:id:integer", "0:b:text"), exact=False) == ["drop-column a"]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (("0:id:integer", "0:z:integer", "0:b:text"), "column a is gone and z is new"),
        (("0:id:integer", "0:b:text", "0:a:integer"), "columns have changed places"),
        (("1:id:integer", "2:a:integer", "9:b:text"), "is not the one that had its name"),
        (("1:id:integer", "3:b:text", "9:c:text"), "column a is gone and c is new"),
    ],
)
def test_two_readings_are_one_too_many(columns: tuple[str, ...], words: str) -> None:
    message = refusal(T, relation(*columns), exact=False)
    assert words in message
    assert "either renamed, or dropped and added" in message


def test_numbers_of_the_catalog_prove_a_rename_when_nothing_else_can_have_happened() -> None:
    after = relation("1:id:integer", "2:z:integer", "3:b:text")
    assert found(T, after, exact=False) == ["rename-column a z"]
    more = relation("1:id:integer", "2:z:integer", "3:b:text", "4:n:date")
    told = SchemaStep(ADD, "n")
    assert found(T, more, told, exact=False) == ["rename-column a z", "add-column n date"]


def test_a_dropped_table_cannot_be_followed() -> None:
    with pytest.raises(SchemaChangeError, match="dropped on the source"):
        schema.steps(T, SchemaChanged(T.table, T, None, exact=True))


@given(
    st.lists(st.sampled_from(NAMES), unique=True, min_size=1),
    st.lists(st.sampled_from(NAMES), unique=True, min_size=1),
    st.permutations(range(1, 6)),
)
def test_steps_lead_from_one_version_to_the_other(
    before: list[str], after: list[str], numbers: list[int]
) -> None:
    """Whatever columns there were and are: done one by one, no step meets a name that is taken."""
    known = relation(*[f"{i + 1}:{name}:text" for i, name in enumerate(before)])
    now = relation(*[f"{numbers[i]}:{name}:text" for i, name in enumerate(after)])
    told = [SchemaStep(ADD, column=name) for name in after]
    table = {column.name: column.number for column in known.columns}
    for step in schema.steps(known, changed(now, *told)):
        if step.kind == DROP:
            del table[step.column]
        elif step.kind == RENAME:
            assert step.new_name not in table
            table[step.new_name] = table.pop(step.column)
        else:
            assert step.kind == ADD
            assert step.column not in table
            table[step.column] = next(c.number for c in now.columns if c.name == step.column)
    assert table == {column.name: column.number for column in now.columns}


def test_a_table_that_is_loaded_anew_may_get_any_type_that_its_target_takes() -> None:
    known = relation("0:id:tinyint", "0:a:int", "0:b:text")
    after = relation("0:id:int", "0:b:text", "0:c:date")
    steps = schema.replacing(known, changed(after, SchemaStep(ADD, "c")))
    assert [schema.describe([step]) for step in steps] == [
        "drop-column a",
        "retype-column id int",
        "add-column c date",
    ]
