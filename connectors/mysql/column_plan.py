"""How the values of one source column reach one column of the target. (pure)"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from connectors.mysql import literals
from connectors.mysql.column_type import (
    BINARY,
    CHARACTER,
    INTEGERS,
    TEMPORAL,
    ColumnType,
    parse,
)
from connectors.mysql.literals import Encode
from connectors.mysql.passage import Passage, judge_native, judge_postgres
from connectors.mysql.postgres_type import PostgresType, read
from connectors.mysql.quoting import identifier
from connectors.mysql.target_table import TargetColumn
from engine.model.relation import Column

NATIVE: Final = "mysql"
"""`Relation.wire` of the native form."""
INTERCHANGE: Final = "postgres"
"""That of the interchange form; taken with every column in `Format.TEXT`."""

_LARGEST_REAL: Final = (
    "CASE {value} WHEN '3.4028235e+38' THEN '3.4028234663852886e+38'"
    " WHEN '-3.4028235e+38' THEN '-3.4028234663852886e+38' ELSE {value} END"
)
"""The shortest text of the largest single-precision number, which PostgreSQL writes, is a larger
number to a server that reads it with double precision: it says out of range."""

_UTF8: Final = "CONVERT({value} USING utf8mb4)"


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """`index` in the source's row, `name` quoted, `encode` makes a constant of a value.

    `load` is what LOAD DATA makes of a field's bytes, with `{value}` in their place; empty when the
    column takes them as they are. `watched`: the server is asked whether it changed a value.
    `bytewise`: equal in the column means equal bytes, or equal in the same way as on the source;
    else a key is compared byte by byte as well. `plain` is the source's name for messages."""

    index: int
    plain: str
    name: str
    type: ColumnType
    encode: Encode
    load: str
    writable: bool
    watched: bool
    bytewise: bool

    def constant(self, value: bytes | None) -> bytes:
        return b"NULL" if value is None else self.encode(value)

    def equals(self, constant: bytes) -> bytes:
        """A condition that finds a key's value."""
        name = self.name.encode()
        found = b"%b = %b" % (name, self._comparable(constant))
        return found if self.bytewise else b"%b AND %b" % (found, self._same_bytes(constant))

    def matches(self, constant: bytes) -> bytes:
        """A condition that holds for exactly this value, NULL included."""
        name = self.name.encode()
        if constant == b"NULL":
            return b"%b IS NULL" % name
        found = b"%b = %b" % (name, self._comparable(constant))
        if self.type.base in CHARACTER:
            return b"%b AND %b" % (found, self._same_bytes(constant))
        return found

    def _comparable(self, constant: bytes) -> bytes:
        return b"CAST(%b AS JSON)" % constant if self.type.base == "json" else constant

    def _same_bytes(self, constant: bytes) -> bytes:
        return b"CAST(CONVERT(%b USING utf8mb4) AS BINARY) = CAST(%b AS BINARY)" % (
            self.name.encode(),
            constant,
        )

    def joins(self, table: str, staged: str) -> str:
        """A condition on the table, by this name, and a staging table's column of the same type."""
        mine = f"{table}.{self.name}"
        found = f"{mine} = {staged}"
        if self.bytewise:
            return found
        return f"{found} AND CAST({mine} AS BINARY) = CAST({staged} AS BINARY)"


def judge(column: Column, other: TargetColumn, wire: str) -> Passage:
    """Whether the column's values may go into the target's."""
    if wire == NATIVE:
        return judge_native(parse(column.type.name), other.type)
    return judge_postgres(read(column.type), other.type)


def compile_column(index: int, column: Column, other: TargetColumn, wire: str) -> ColumnPlan:
    """The plan for a column whose values may go into the target's."""
    if wire == NATIVE:
        source = parse(column.type.name)
        encode, load = _native(source, other.type)
        bytewise = _compares_alike(source, other.type)
    else:
        encode, load = _interchange(read(column.type), other.type)
        bytewise = other.type.base not in CHARACTER or other.type.tells_bytes
    return ColumnPlan(
        index=index,
        plain=column.name,
        name=identifier(other.name),
        type=other.type,
        encode=encode,
        load=load,
        writable=not other.generated,
        watched=judge(column, other, wire) is not Passage.SAME,
        bytewise=bytewise,
    )


def constant(column: Column, declared: ColumnType, value: str) -> str:
    """A value in PostgreSQL's text as a constant for a column so declared. Raises UnfitError."""
    encode, _ = _interchange(read(column.type), declared)
    return encode(value.encode()).decode()


def _compares_alike(source: ColumnType, target: ColumnType) -> bool:
    if target.base not in CHARACTER:
        return True
    return source.collation == target.collation or target.tells_bytes


def _native(source: ColumnType, target: ColumnType) -> tuple[Encode, str]:
    if target.base in CHARACTER and source.base in CHARACTER:
        return literals.text, _loaded_text(target)
    if target.base == "json" or source.base == "json":
        return literals.text, _UTF8
    if source.base == "bit":
        return literals.raw_bits, ""
    if source.base in BINARY:
        return literals.raw, ""
    if source.base in TEMPORAL and source.base != "year":
        return literals.text, ""
    if source.base in INTEGERS or source.base in ("decimal", "float", "double", "year"):
        return literals.number, ""
    return literals.text, _UTF8


def _loaded_text(target: ColumnType) -> str:
    """Fields are read as bytes: a column of another character set would take them as its own."""
    return "" if target.charset == "utf8mb4" else _UTF8


def _interchange(source: PostgresType, target: ColumnType) -> tuple[Encode, str]:
    if target.base in CHARACTER:
        return literals.text, _loaded_text(target)
    if target.base in ("json", "uuid", "inet6", "inet4"):
        return literals.text, _UTF8
    special = _SPECIAL.get(source.base)
    if special is not None:
        return special
    if source.base == "real" and target.base == "float":
        return literals.single_float, _LARGEST_REAL
    return literals.number, ""


_SPECIAL: Final[dict[str, tuple[Callable[[bytes], bytes], str]]] = {
    "boolean": (literals.truth, "{value} = 't'"),
    "bytea": (literals.hexadecimal, "UNHEX(SUBSTR({value}, 3))"),
    "bit": (literals.bits, "CAST(CONV({value}, 2, 10) AS UNSIGNED)"),
    "date": (literals.moment, ""),
    "timestamp without time zone": (literals.moment, ""),
    "timestamp with time zone": (
        literals.moment_in_utc,
        "IF({value} LIKE '%+00', SUBSTR({value}, 1, LENGTH({value}) - 3), {value})",
    ),
    "time without time zone": (literals.text, ""),
}
