"""SQL text as it is sent; `golden/apply.sql` is reviewed as SQL.

PENSTOCK_WRITE_GOLDEN=1 writes it anew.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from connectors.postgres import control_schema, dialect, evolution
from connectors.postgres.plan import TablePlan, compile_plan
from connectors.postgres.target_table import TargetColumn, TargetTable
from engine.model.change import SchemaChanged, SchemaStep
from engine.model.relation import Column, ColumnType, Format, Relation, TableName

GOLDEN = Path(__file__).parent / "golden"

INT, BIGINT = ColumnType("integer", 23), ColumnType("bigint", 20)
CITEXT = ColumnType("public.citext", 16500, -1, "base(citext)")
XID8 = ColumnType("regclass", 2205)
MOOD = ColumnType("public.mood", 16600, -1, 'enum(["sad"])')
MOODS = ColumnType("public.mood", 17600, -1, 'enum(["sad", "ok"])')

RELATION = Relation(
    1,
    'S "1"',
    "t",
    (
        Column("id", INT),
        Column('k"', CITEXT),
        Column("r", XID8, Format.TEXT),
        Column("mood", MOOD),
        Column("made", INT),
    ),
    key=(0, 1),
    wire="postgres",
)
TARGET = TargetTable(
    oid=5,
    table=RELATION.table,
    kind="r",
    columns=(
        TargetColumn("id", BIGINT, "bigint"),
        TargetColumn('k"', CITEXT, "public.citext"),
        TargetColumn("r", XID8, "regclass"),
        TargetColumn("mood", MOODS, "public.mood"),
        TargetColumn("made", INT, "integer", generated=True),
    ),
    keys=(frozenset({"id", 'k"'}),),
    operators={'k"': 'OPERATOR("public".=)'},
    version=150000,
)


def plan() -> TablePlan:
    return compile_plan(RELATION, TARGET)


def apply_statements() -> Iterator[tuple[str, str]]:
    p = plan()
    changed = p.columns[2:]
    yield "insert_row", dialect.insert_row(p)
    yield "update_row", dialect.update_row(p, changed)
    yield "update_row, nothing sent", dialect.update_row(p, ())
    yield "delete_row", dialect.delete_row(p)
    yield "update_image", dialect.update_image(p, changed, p.columns)
    yield "update_image, nothing sent", dialect.update_image(p, (), p.columns[:1])
    yield "delete_image", dialect.delete_image(p, p.columns[1:])
    yield "copy_rows", dialect.copy_rows(p)
    yield "create_stage", dialect.create_stage(7, p.columns)
    yield "empty_stage", dialect.empty_stage(7)
    yield "copy_stage", dialect.copy_stage(7, p.columns)
    yield "insert_stage", dialect.insert_stage(p, 7)
    yield "update_stage", dialect.update_stage(p, 7, changed, 300)
    yield "update_stage, nothing sent", dialect.update_stage(p, 7, (), 300)
    yield "delete_stage", dialect.delete_stage(p, 7, 300)
    yield "truncate", dialect.truncate([TARGET], cascade=False, restart_identity=False)
    yield "truncate, all", dialect.truncate([TARGET, TARGET], cascade=True, restart_identity=True)
    for number, statement in enumerate(control_schema.migration(0).split(";CREATE")):
        yield f"control {number}", statement if not number else f"CREATE{statement}"
    for name, statements in evolutions():
        yield f"evolve: {name}", "; ".join(statements)


def evolutions() -> Iterator[tuple[str, list[str]]]:
    moved = Relation(1, "other", "new", RELATION.columns)
    steps = {
        "add": SchemaStep("add-column", "n", type="integer", default="5"),
        "add what is there": SchemaStep("add-column", "id", type="integer"),
        "drop": SchemaStep("drop-column", "r"),
        "rename": SchemaStep("rename-column", "r", new_name="R"),
        "move": SchemaStep("rename-table", new_name="new"),
        "drop table": SchemaStep("drop-table"),
    }
    columns = tuple(TargetColumn(c.name, c.type, c.cast, nullable=False) for c in TARGET.columns)
    there = TargetTable(5, RELATION.table, "r", columns)
    for name, step in steps.items():
        after = moved if name == "move" else None
        change = SchemaChanged(RELATION.table, RELATION, after, True, (step,))
        for drop in (False, True):
            statements = evolution.statements(change, there, drop_columns=drop, drop_tables=drop)
            yield f"{name}{', dropping' * drop}", list(statements)


def test_statements_are_as_reviewed() -> None:
    text = "".join(f"-- {name}\n{statement}\n\n" for name, statement in apply_statements())
    path = GOLDEN / "apply.sql"
    if os.environ.get("PENSTOCK_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text


def test_a_released_version_of_the_control_schema_is_never_edited() -> None:
    assert control_schema.migration(control_schema.VERSION) == ""
    steps = control_schema.migration(0).count("INSERT INTO penstock.version")
    assert steps == control_schema.VERSION


def test_an_absent_table_can_only_be_dropped() -> None:
    change = SchemaChanged(TableName("s", "t"), None, None, True, (SchemaStep("drop-table"),))
    assert evolution.statements(change, None, drop_columns=True, drop_tables=True) == []
