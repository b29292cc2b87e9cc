"""What apply must know of a table of the target, and the query that tells it. (pure)"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors._sql.quoting import identifier, literal, qualified
from connectors.postgres.type_facts import TypeFacts
from engine.model.relation import ColumnType, TableName

PARTITIONED: Final = "p"
ORDINARY: Final = "r"

KIND: Final = (
    "CASE WHEN c.relkind = 'p' AND EXISTS (SELECT FROM pg_catalog.pg_partition_tree(c.oid) t"
    " JOIN pg_catalog.pg_class l ON l.oid = t.relid WHERE l.relkind = 'f')"
    " THEN 'f' ELSE c.relkind END"
)
"""`pg_class.relkind` of `c`; that of a foreign table where one is among the partitions."""

_OTHER_KINDS: Final = {
    "v": "is a view",
    "m": "is a materialized view",
    "f": "is a foreign table or has one as a partition, so that rows and their position would not"
    " commit together,",
}

OTHER_KIND_REMEDY: Final = (
    "rename or drop it there, so that a table can be made, or leave the table out by [mapping]"
)


def other_kind(kind: str) -> str | None:
    """What an object of this `KIND` is, when rows cannot be written to it exactly once."""
    if kind in (ORDINARY, PARTITIONED):
        return None
    return f"{_OTHER_KINDS.get(kind, 'is not a table')} on the target"


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """`cast` is its type without length, as it stands after `::`. `defaulted`: an INSERT may leave
    it out although it is NOT NULL. `receivable`: the server takes its values in binary form."""

    name: str
    type: ColumnType
    cast: str
    nullable: bool = True
    defaulted: bool = False
    generated: bool = False
    identity: str = ""
    receivable: bool = True


@dataclass(frozen=True, slots=True)
class TargetTable:
    """`keys`: column sets of unique indexes without predicate or expression. `operators`: the
    equality operator of a key column where it is not the ordinary one. `shape` changes whenever a
    column comes, goes, or changes its name or type.

    What foreign keys do here by themselves when a row that they lead to changes, before the
    source's own changes of these rows come: `cascaded`, rows are deleted; `adjusted`, these columns
    are changed. `parent`: when one of its rows is deleted, rows of others are deleted or changed.
    Only of keys that fire in the session."""

    oid: int
    table: TableName
    kind: str
    columns: tuple[TargetColumn, ...]
    keys: tuple[frozenset[str], ...] = ()
    operators: Mapping[str, str] = field(default_factory=dict[str, str])
    deferrable: bool = False
    row_security: bool = False
    shape: str = ""
    version: int = 0
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

    def column(self, name: str) -> TargetColumn | None:
        return next((column for column in self.columns if column.name == name), None)


SHAPE: Final = (
    "SELECT coalesce(pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(':', a.attnum,"
    " a.attname, a.atttypid, a.atttypmod, a.attgenerated), ',' ORDER BY a.attnum)), '')"
    " FROM pg_catalog.pg_attribute a"
    " WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped"
)
"""A table's shape as one word."""

_TABLE: Final = """
SELECT c.oid, {kind}, c.relrowsecurity, ({shape}),
  EXISTS (SELECT FROM pg_constraint k WHERE k.condeferrable AND c.oid IN (k.conrelid, k.confrelid)),
  EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND k.confrelid = c.oid
    AND k.confdeltype IN ('c', 'n', 'd') AND {acts})
FROM pg_class c WHERE c.oid = {oid}"""

_COLUMNS: Final = """
SELECT a.attname, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod),
  format_type(a.atttypid, -1), a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated
FROM pg_attribute a
WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum"""

_KEYS: Final = """
SELECT i.indexrelid, a.attname, n.nspname, o.oprname
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY
  AS k(attnum, opclass, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
JOIN pg_opclass s ON s.oid = k.opclass
JOIN pg_amop p ON p.amopfamily = s.opcfamily AND p.amopstrategy = 3
  AND p.amoplefttype = s.opcintype AND p.amoprighttype = s.opcintype
JOIN pg_operator o ON o.oid = p.amopopr
JOIN pg_namespace n ON n.oid = o.oprnamespace
WHERE i.indrelid = {oid} AND i.indisunique AND i.indisvalid
  AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
ORDER BY i.indexrelid, k.place"""


ACTS: Final = (
    "(k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))"
    " AND EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgconstraint = k.oid"
    " AND g.tgenabled IN ('A', CASE pg_catalog.current_setting('session_replication_role')"
    " WHEN 'replica' THEN 'R' ELSE 'O' END::\"char\"))"
)
"""Whether a foreign key `k` deletes or changes rows by itself in this session."""

ADJUSTS: Final = "(k.confdeltype IN ('n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))"
"""Whether what it does can be to change them."""

_ACTIONS: Final = """
SELECT k.confdeltype = 'c', {adjusts}, a.attname
FROM pg_constraint k
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
WHERE k.contype = 'f' AND {acts} AND k.conrelid IN (
  SELECT {oid}::oid UNION ALL SELECT p.relid::oid FROM pg_partition_tree({oid}) p)"""


def describe(table: TableName) -> str:
    """Four statements whose results `read_table` takes. With no such table all are empty."""
    oid = f"pg_catalog.to_regclass({literal(qualified(table.schema, table.name))})"
    shape = SHAPE.format(oid="c.oid")
    return ";".join(
        text.format(oid=oid, shape=shape, kind=KIND, acts=ACTS, adjusts=ADJUSTS)
        for text in (_TABLE, _COLUMNS, _KEYS, _ACTIONS)
    )


Cells = Sequence[Sequence[str | None]]


def read_table(
    table: TableName,
    found: Cells,
    columns: Cells,
    keys: Cells,
    actions: Cells,
    types: TypeFacts,
    version: int,
) -> TargetTable | None:
    """The description; None when there is no such table. `types`: those of its columns."""
    if not found:
        return None
    oid, kind, row_security, shape, deferrable, parent = (cell or "" for cell in found[0])
    indexes: dict[str, set[str]] = {}
    operators: dict[str, str] = {}
    for index, name, schema, operator in keys:
        indexes.setdefault(index or "", set()).add(name or "")
        if schema != "pg_catalog" or operator != "=":
            operators[name or ""] = f"OPERATOR({identifier(schema or '')}.{operator})"
    return TargetTable(
        oid=int(oid),
        table=table,
        kind=kind,
        columns=tuple(_column(row, types) for row in columns),
        keys=tuple(frozenset(names) for names in indexes.values()),
        operators=operators,
        deferrable=deferrable == "t",
        row_security=row_security == "t",
        shape=shape,
        version=version,
        cascaded=any(cascades == "t" for cascades, _, _ in actions),
        adjusted=frozenset(name or "" for _, adjusts, name in actions if adjusts == "t"),
        parent=parent == "t",
    )


def _column(row: Sequence[str | None], types: TypeFacts) -> TargetColumn:
    name, oid, modifier, type_name, cast, not_null, has_default, identity, generated = (
        cell or "" for cell in row
    )
    number = int(oid)
    return TargetColumn(
        name=name,
        type=ColumnType(type_name, number, int(modifier), types.definition(number)),
        cast=cast,
        nullable=not_null != "t",
        defaulted=has_default == "t" or bool(identity) or bool(generated),
        generated=bool(generated),
        identity=identity,
        receivable=types.receivable(number),
    )
