"""A target's table described as a source of the native form would. (pure)"""

from connectors.mysql.column_plan import NATIVE
from connectors.mysql.target_table import TargetColumn, TargetTable
from connectors.mysql.types import native, parse_type
from engine.model.relation import Column, ColumnType, Format, Relation


def of_table(table: TargetTable | None) -> Relation | None:
    """None for no table, and for a view."""
    if table is None or not table.is_table:
        return None
    names = [column.name for column in table.columns]
    key = table.identity
    columns = [
        Column(
            name=column.name,
            type=_type(column),
            format=Format.TEXT,
            nullable=column.nullable,
            identity=column.name in key,
        )
        for column in table.columns
    ]
    return Relation(
        id=0,
        schema=table.table.schema,
        name=table.table.name,
        columns=tuple(columns),
        key=tuple([names.index(name) for name in key]),
        wire=NATIVE,
    )


def _type(column: TargetColumn) -> ColumnType:
    """The type in the words of a source: equal types have equal names."""
    known = column.type
    try:
        return native(parse_type(column.declared, known.charset or None, known.collation or None))
    except ValueError:
        return ColumnType(column.full_type)
