"""Schema changes of the memory target, step by step."""

from collections.abc import Sequence

import pytest

from connectors.memory.definitions import table
from connectors.memory.evolution import evolve
from connectors.memory.storage import Cells, Table, Version
from engine.errors import SchemaMismatchError
from engine.model.change import SchemaChanged, SchemaStep
from engine.model.relation import TableName


def changed(*steps: SchemaStep) -> Table:
    before = table("public.t", ["id", "a", "b"], key=["id"], unique=[["b"]])
    before.add(Version(1, (b"1", b"x", b"y"), made=1))
    return evolve(before, SchemaChanged(TableName("public", "t"), None, None, True, steps))


def rows(evolved: Table) -> Sequence[Cells]:
    return [version.row for version in evolved.versions.values()]


def test_an_added_column_has_its_default_in_every_row() -> None:
    evolved = changed(SchemaStep("add-column", "c", type="bytes", default="z"))
    assert rows(evolved) == [(b"1", b"x", b"y", b"z")]


def test_a_dropped_column_moves_what_stands_behind_it() -> None:
    evolved = changed(SchemaStep("drop-column", "a"))
    assert rows(evolved) == [(b"1", b"y")]
    assert [unique.columns for unique in evolved.uniques] == [(0,), (1,)]


def test_renames_and_retypes_keep_rows() -> None:
    evolved = changed(
        SchemaStep("rename-column", "a", new_name="z"), SchemaStep("retype-column", "z", type="t")
    )
    column = evolved.relation.columns[1]
    assert (column.name, column.type.name, rows(evolved)) == ("z", "t", [(b"1", b"x", b"y")])


@pytest.mark.parametrize("step", [SchemaStep("rewrite", "a"), SchemaStep("drop-column", "b")])
def test_what_cannot_be_followed_is_refused(step: SchemaStep) -> None:
    with pytest.raises(SchemaMismatchError):
        changed(step)


def test_a_change_without_steps_is_refused() -> None:
    with pytest.raises(SchemaMismatchError):
        changed()
