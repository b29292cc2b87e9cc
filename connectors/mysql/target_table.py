"""What apply must know of a table of the target, and the queries that tell it. (pure)"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, TypeAlias

from connectors.mysql.column_type import ColumnType, parse
from connectors.mysql.quoting import literal, qualified
from engine.model.relation import TableName

TRANSACTIONAL: Final = frozenset({"innodb", "rocksdb", "tokudb", "ndbcluster"})
"""Engines whose rows commit together with the checkpoint's."""

OTHER_KIND_REMEDY: Final = (
    "rename or drop it there, so that a table can be made, or leave the table out by [mapping]"
)

Cells: TypeAlias = Sequence[Sequence[bytes | None]]


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """`declared` is the type as the server writes it, without character set. `defaulted`: an INSERT
    may leave the column out although it is NOT NULL."""

    name: str
    type: ColumnType
    declared: str
    nullable: bool = True
    defaulted: bool = False
    generated: bool = False
    counts: bool = False
    """AUTO_INCREMENT."""

    @property
    def full_type(self) -> str:
        """The type with its character set, as a statement declares it."""
        if not self.type.charset:
            return self.declared
        return f"{self.declared} character set {self.type.charset} collate {self.type.collation}"


@dataclass(frozen=True)
class TargetTable:
    """`unique` are the unique indexes by name with their columns, an expression is an empty one;
    `primary` and `keys` are those over whole columns. What foreign keys do here by themselves when
    a row that they lead to changes, before the source's own changes of these rows come: `cascaded`,
    rows are deleted; `adjusted`, these columns are changed. `parent`: when one of its rows is
    deleted, rows of others are deleted or changed."""

    table: TableName
    engine: str
    is_table: bool
    columns: tuple[TargetColumn, ...]
    primary: tuple[str, ...] = ()
    keys: tuple[tuple[str, ...], ...] = ()
    unique: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    cascaded: bool = False
    adjusted: frozenset[str] = frozenset()
    parent: bool = False

    @property
    def acts(self) -> bool:
        """Whether it matters that a row was deleted, also where it was inserted anew."""
        return self.cascaded or self.parent

    @property
    def sql(self) -> str:
        """Its name in SQL."""
        return qualified(self.table.schema, self.table.name)

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns by which a source of this kind finds a row: the primary key's, else those of
        the first unique index that takes no NULL."""
        nullable = {column.name for column in self.columns if column.nullable}
        if self.primary:
            return self.primary
        return next((key for key in self.keys if not nullable.intersection(key)), ())

    @cached_property
    def _by_name(self) -> dict[str, TargetColumn]:
        """Names of columns do not tell upper case from lower."""
        return {column.name.lower(): column for column in self.columns}

    def column(self, name: str) -> TargetColumn | None:
        return self._by_name.get(name.lower())

    @property
    def objection(self) -> str:
        """Why rows cannot be written to it exactly once; empty when they can."""
        if not self.is_table:
            return "is not an ordinary table on the target"
        if self.engine.lower() not in TRANSACTIONAL:
            return (
                f"has the storage engine {self.engine} on the target, so that rows and their"
                " position would not commit together"
            )
        return ""


def describe(table: TableName) -> tuple[str, ...]:
    """Five statements whose results `read_table` takes. With no such table all are empty."""
    where = f"TABLE_SCHEMA = {literal(table.schema)} AND TABLE_NAME = {literal(table.name)}"
    return (
        f"SELECT TABLE_TYPE, ENGINE FROM information_schema.TABLES WHERE {where}",
        (
            "SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, IS_NULLABLE,"
            " COLUMN_DEFAULT IS NOT NULL, EXTRA, GENERATION_EXPRESSION"
            f" FROM information_schema.COLUMNS WHERE {where} ORDER BY ORDINAL_POSITION"
        ),
        (
            "SELECT INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS"
            f" WHERE {where} AND NON_UNIQUE = 0 ORDER BY INDEX_NAME, SEQ_IN_INDEX"
        ),
        (
            "SELECT r.DELETE_RULE, r.UPDATE_RULE, k.COLUMN_NAME"
            " FROM information_schema.REFERENTIAL_CONSTRAINTS r"
            " JOIN information_schema.KEY_COLUMN_USAGE k"
            " ON k.CONSTRAINT_SCHEMA = r.CONSTRAINT_SCHEMA"
            " AND k.CONSTRAINT_NAME = r.CONSTRAINT_NAME AND k.TABLE_NAME = r.TABLE_NAME"
            f" WHERE r.CONSTRAINT_SCHEMA = {literal(table.schema)}"
            f" AND r.TABLE_NAME = {literal(table.name)}"
            f" AND k.TABLE_SCHEMA = {literal(table.schema)}"
        ),
        (
            "SELECT DELETE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS"
            f" WHERE UNIQUE_CONSTRAINT_SCHEMA = {literal(table.schema)}"
            f" AND REFERENCED_TABLE_NAME = {literal(table.name)}"
        ),
    )


def read_table(
    table: TableName,
    found: Cells,
    columns: Cells,
    indexes: Cells,
    actions: Cells,
    leading: Cells,
    *,
    checked: bool = True,
) -> TargetTable | None:
    """The description; None when there is no such table. `checked`: foreign keys act in the
    session."""
    if not found:
        return None
    kind, engine = _texts(found[0])
    unique: dict[str, list[str]] = {}
    partial: set[str] = set()
    for row in indexes:
        name, column, part = _texts(row)
        unique.setdefault(name, []).append(column)
        if part or not column:
            partial.add(name)
    rules = [_texts(row) for row in actions] if checked else []
    led_to = [_texts(row)[0] for row in leading] if checked else []
    return TargetTable(
        table=table,
        engine=engine,
        is_table=kind == "BASE TABLE",
        columns=tuple([_column(row) for row in columns]),
        primary=tuple(unique.get("PRIMARY", ())) if "PRIMARY" not in partial else (),
        keys=tuple([tuple(names) for name, names in unique.items() if name not in partial]),
        unique={name: tuple(names) for name, names in unique.items()},
        cascaded=any(delete == "CASCADE" for delete, _, _ in rules),
        adjusted=frozenset(
            [name for delete, update, name in rules if delete in _SETS or update in _CHANGES]
        ),
        parent=any(delete in _CHANGES for delete in led_to),
    )


_SETS: Final = ("SET NULL", "SET DEFAULT")
_CHANGES: Final = ("CASCADE", "SET NULL", "SET DEFAULT")


def _column(row: Sequence[bytes | None]) -> TargetColumn:
    name, declared, charset, collation, nullable, has_default, extra, expression = _texts(row)
    words = extra.lower()
    generated = bool(expression) or " generated" in f" {words.replace('default_generated', '')}"
    counts = "auto_increment" in words
    return TargetColumn(
        name=name,
        type=parse(declared).within(charset, collation),
        declared=declared,
        nullable=nullable == "YES",
        defaulted=has_default == "1" or counts or generated,
        generated=generated,
        counts=counts,
    )


def _texts(row: Sequence[bytes | None]) -> list[str]:
    return [(cell or b"").decode() for cell in row]
