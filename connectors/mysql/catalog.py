"""Tables as the server's catalog has them now.

Read from `information_schema`, whose tables have the same columns on every server that is meant
here but for the few that are asked for by flavour.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, TypeAlias

from connectors.mysql.quoting import literal, qualified
from connectors.mysql.server import Ask, Server
from engine.model.relation import TableName

CONTROL_SCHEMA: Final = "penstock"
"""Our own database on a target, never part of a selection: a target may be a source too."""

SYSTEM_SCHEMAS: Final = ("information_schema", "mysql", "performance_schema", "sys")

Cells: TypeAlias = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """A column. `type` is COLUMN_TYPE; `charset` and `collation` are empty where it has none.

    `default` is the server's own text, None for none; `default_expression` tells one that is no
    plain value. `generated`: the expression, '' when it is not.
    """

    name: str
    type: str
    charset: str
    collation: str
    nullable: bool
    default: str | None
    default_expression: bool
    auto_increment: bool
    generated: str
    stored: bool
    invisible: bool


@dataclass(frozen=True, slots=True)
class CatalogIndex:
    """An index. `columns` has '' for a part that is an expression; `prefixes` the length of each
    part in characters or bytes, 0 for the whole column."""

    name: str
    unique: bool
    columns: tuple[str, ...]
    prefixes: tuple[int, ...]
    kind: str

    @property
    def whole(self) -> bool:
        """Whether it is of whole columns."""
        return all(self.columns) and not any(self.prefixes)


@dataclass(frozen=True, slots=True)
class CatalogForeignKey:
    name: str
    columns: tuple[str, ...]
    parent: TableName
    parent_columns: tuple[str, ...]
    on_update: str
    on_delete: str


@dataclass(frozen=True, slots=True)
class CatalogTable:
    """A table. `rows` and `bytes` are the server's estimates; `auto_increment` the next value, 0
    when it has none. `versioned`: a table of MariaDB that keeps its old rows (system versioning).
    """

    name: TableName
    engine: str
    collation: str
    columns: tuple[CatalogColumn, ...]
    indexes: tuple[CatalogIndex, ...]
    foreign_keys: tuple[CatalogForeignKey, ...]
    rows: int
    bytes: int
    auto_increment: int
    versioned: bool

    @property
    def primary_key(self) -> CatalogIndex | None:
        return next((index for index in self.indexes if index.name == "PRIMARY"), None)

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns by which a row is found: the primary key's, else those of the first unique
        index whose columns are whole and cannot be NULL; empty when there is no such."""
        return next((index.columns for index in self.candidates), ())

    @property
    def candidates(self) -> Sequence[CatalogIndex]:
        """Unique indexes of whole columns that cannot be NULL."""
        nullable = {column.name for column in self.columns if column.nullable}
        return [
            index
            for index in self.indexes
            if index.unique and index.whole and not nullable.intersection(index.columns)
        ]


async def read_tables(
    ask: Ask, server: Server, tables: Iterable[TableName] | None = None
) -> Sequence[CatalogTable]:
    """Every user table, or these, by name. Raises what `ask` raises."""
    wanted = None if tables is None else list(tables)
    if wanted is not None and not wanted:
        return []
    where = _where(wanted)
    found = await ask("reading the catalog", _TABLES.format(where=where))
    columns = _by_table(await ask("reading columns", _COLUMNS.format(where=where)))
    indexes = _by_table(await ask("reading indexes", _INDEXES.format(where=where)))
    keys = _by_table(await ask("reading foreign keys", _FOREIGN_KEYS.format(where=where)))
    described = [
        _table(row, columns.get(name, ()), indexes.get(name, ()), keys.get(name, ()), server)
        for row in found
        if (name := TableName(row[0] or "", row[1] or "")) in columns
    ]
    return [await _with_ordered_keys(ask, table) for table in described]


async def _with_ordered_keys(ask: Ask, table: CatalogTable) -> CatalogTable:
    """The indexes in the server's order, where that decides by which key it finds a row: a table
    without a primary key, with several that would do. Only SHOW INDEX has it on every server."""
    if len(table.candidates) < 2 or table.primary_key is not None:
        return table
    name = qualified(table.name.schema, table.name.name)
    order = [row[2] for row in await ask("reading the order of keys", f"SHOW INDEX FROM {name}")]
    indexes = sorted(table.indexes, key=lambda index: order.index(index.name))
    return replace(table, indexes=tuple(indexes))


def _where(tables: Sequence[TableName] | None) -> str:
    if tables is None:
        names = ", ".join(map(literal, (*SYSTEM_SCHEMAS, CONTROL_SCHEMA)))
        return f"TABLE_SCHEMA NOT IN ({names})"
    pairs = ", ".join(f"({literal(t.schema)}, {literal(t.name)})" for t in tables)
    return f"(TABLE_SCHEMA, TABLE_NAME) IN ({pairs})"


_TABLES: Final = """
SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE, TABLE_COLLATION, TABLE_ROWS,
  DATA_LENGTH + INDEX_LENGTH, AUTO_INCREMENT, TABLE_TYPE
FROM information_schema.TABLES
WHERE {where} AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')
ORDER BY CAST(TABLE_SCHEMA AS BINARY), CAST(TABLE_NAME AS BINARY)"""

_COLUMNS: Final = """
SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME,
  IS_NULLABLE, COLUMN_DEFAULT, EXTRA, GENERATION_EXPRESSION
FROM information_schema.COLUMNS
WHERE {where}
ORDER BY CAST(TABLE_SCHEMA AS BINARY), CAST(TABLE_NAME AS BINARY), ORDINAL_POSITION"""

_INDEXES: Final = """
SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, INDEX_TYPE
FROM information_schema.STATISTICS
WHERE {where}
ORDER BY CAST(TABLE_SCHEMA AS BINARY), CAST(TABLE_NAME AS BINARY),
  INDEX_NAME <> 'PRIMARY', CAST(INDEX_NAME AS BINARY), SEQ_IN_INDEX"""

_FOREIGN_KEYS: Final = """
SELECT k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_SCHEMA,
  k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.UPDATE_RULE, r.DELETE_RULE
FROM (SELECT * FROM information_schema.KEY_COLUMN_USAGE
      WHERE {where} AND REFERENCED_TABLE_NAME IS NOT NULL) k
JOIN information_schema.REFERENTIAL_CONSTRAINTS r
  ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME
  AND r.TABLE_NAME = k.TABLE_NAME
ORDER BY CAST(k.TABLE_SCHEMA AS BINARY), CAST(k.TABLE_NAME AS BINARY),
  CAST(k.CONSTRAINT_NAME AS BINARY), k.ORDINAL_POSITION"""


def _by_table(rows: Sequence[Cells]) -> Mapping[TableName, Sequence[Cells]]:
    grouped: dict[TableName, list[Cells]] = {}
    for row in rows:
        grouped.setdefault(TableName(row[0] or "", row[1] or ""), []).append(row)
    return grouped


def _table(
    row: Cells,
    columns: Sequence[Cells],
    indexes: Sequence[Cells],
    keys: Sequence[Cells],
    server: Server,
) -> CatalogTable:
    schema, name, engine, collation, rows, size, next_value, kind = row
    return CatalogTable(
        name=TableName(schema or "", name or ""),
        engine=engine or "",
        collation=collation or "",
        columns=tuple([_column(cells, server) for cells in columns]),
        indexes=tuple([_index(list(group)) for _, group in groupby(indexes, lambda r: r[2])]),
        foreign_keys=tuple([_key(list(group)) for _, group in groupby(keys, lambda r: r[2])]),
        rows=int(rows or 0),
        bytes=int(size or 0),
        auto_increment=int(next_value or 0),
        versioned=kind == "SYSTEM VERSIONED",
    )


def _column(cells: Cells, server: Server) -> CatalogColumn:
    _, _, name, type_, charset, collation, nullable, default, extra, expression = cells
    words = (extra or "").upper()
    generated = (expression or "") if "GENERATED" in words.replace("DEFAULT_GENERATED", "") else ""
    if server.mariadb:
        # Here every default is an expression; NULL is written out.
        default = None if default == "NULL" else default
        computed = default is not None
    else:
        computed = "DEFAULT_GENERATED" in words
    return CatalogColumn(
        name=name or "",
        type=type_ or "",
        charset=charset or "",
        collation=collation or "",
        nullable=nullable == "YES",
        default=None if generated else default,
        default_expression=computed,
        auto_increment="AUTO_INCREMENT" in words,
        generated=generated,
        stored="STORED" in words or "PERSISTENT" in words,
        invisible="INVISIBLE" in words,
    )


def _index(rows: Sequence[Cells]) -> CatalogIndex:
    first = rows[0]
    return CatalogIndex(
        name=first[2] or "",
        unique=first[3] == "0",
        columns=tuple([row[4] or "" for row in rows]),
        prefixes=tuple([int(row[5] or 0) for row in rows]),
        kind=first[6] or "",
    )


def _key(rows: Sequence[Cells]) -> CatalogForeignKey:
    first = rows[0]
    return CatalogForeignKey(
        name=first[2] or "",
        columns=tuple([row[3] or "" for row in rows]),
        parent=TableName(first[4] or "", first[5] or ""),
        parent_columns=tuple([row[6] or "" for row in rows]),
        on_update=first[7] or "",
        on_delete=first[8] or "",
    )
