"""(pure) Types of columns: what the catalog says of them, and what they are elsewhere.

A type is read from `information_schema.columns`. It has two faces: the native one, in which it is
declared on another MySQL-compatible server, and the interchange one, PostgreSQL's nearest type that
holds every value: unsigned integers widen, TIME becomes an interval since it goes beyond a day.

See: MySQL manual, "Data Types"; MariaDB documentation, "Data Types".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from connectors.mysql.type_parts import take_apart
from engine.model.relation import ColumnType

INT2: Final = 21
INT4: Final = 23
INT8: Final = 20
NUMERIC: Final = 1700
FLOAT4: Final = 700
FLOAT8: Final = 701
BIT: Final = 1560
DATE: Final = 1082
TIMESTAMP: Final = 1114
TIMESTAMPTZ: Final = 1184
INTERVAL: Final = 1186
VARCHAR: Final = 1043
TEXT: Final = 25
JSON: Final = 114
BYTEA: Final = 17
UUID: Final = 2950
INET: Final = 869
"""Type OIDs of PostgreSQL (pg_type.dat)."""

INTEGERS: Final = ("tinyint", "smallint", "mediumint", "int", "bigint")
CHARACTERS: Final = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
BINARIES: Final = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
GEOMETRIES: Final = ("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring",
                     "multipolygon", "geometrycollection")  # fmt: skip

_OTHERS: Final = ("decimal", "float", "double", "bit", "year", "date", "datetime", "timestamp",
                  "time", "enum", "set", "json", "vector", "uuid", "inet4", "inet6")  # fmt: skip
_SIGNS: Final = frozenset({"unsigned", "zerofill"})
_BASES: Final = frozenset((*INTEGERS, *CHARACTERS, *BINARIES, *GEOMETRIES, *_OTHERS))


@dataclass(frozen=True, slots=True)
class MysqlType:
    """A column's type.

    `base` is its name without anything behind, one name for several that mean the same. `size` and
    `scale` are what stands in its parentheses, 0 where nothing does: of DECIMAL, FLOAT and DOUBLE
    digits and digits of the fraction, of times digits of the fraction (as `size`), of an integer
    the width of its display. `labels` are those of an ENUM or SET. `charset` and `collation` are
    empty for what is no text. `compressed`: stored compressed (MariaDB).
    """

    base: str
    size: int = 0
    scale: int = 0
    unsigned: bool = False
    zerofill: bool = False
    labels: tuple[str, ...] = ()
    charset: str = ""
    collation: str = ""
    compressed: bool = False

    @property
    def text(self) -> bool:
        """Whether its values are characters of a character set."""
        return self.base in CHARACTERS or self.base in ("enum", "set")


def parse_type(column_type: str, charset: str | None, collation: str | None) -> MysqlType:
    """A type from COLUMN_TYPE, CHARACTER_SET_NAME and COLLATION_NAME of the catalog.

    Raises:
        ValueError: a type that is unknown here.
    """
    parts = take_apart(column_type)
    words = parts.words
    if parts.base not in _BASES or not _SIGNS.issuperset(words):
        raise ValueError(f"the column type {column_type.partition('(')[0][:40]!r} is not supported")
    size, scale = (*parts.numbers, 0, 0)[:2]
    return MysqlType(
        parts.base,
        size,
        scale,
        unsigned="unsigned" in words or "zerofill" in words,
        zerofill="zerofill" in words,
        labels=parts.labels,
        charset=_charset_name(charset),
        collation=collation or "",
        compressed="COMPRESSED" in parts.comments,
    )


def _charset_name(charset: str | None) -> str:
    """`utf8` is what older servers call utf8mb3."""
    return "utf8mb3" if charset == "utf8" else charset or ""


# --- native ---------------------------------------------------------------------------------------


def native(type: MysqlType) -> ColumnType:
    """The type as a MySQL-compatible target declares it."""
    return ColumnType(_declared(type))


def _declared(type: MysqlType) -> str:
    name = type.base + _parentheses(type)
    if type.zerofill:
        return f"{name} unsigned zerofill"
    if type.unsigned:
        return f"{name} unsigned"
    if type.charset and type.charset != "binary":
        collation = f" collate {type.collation}" if type.collation else ""
        return f"{name} character set {type.charset}{collation}"
    return name


def _parentheses(type: MysqlType) -> str:
    base = type.base
    if base in ("enum", "set"):
        return f"({','.join(map(_quoted, type.labels))})"
    if base == "decimal" or (base in ("float", "double") and type.size):
        return f"({type.size},{type.scale})"
    if base in INTEGERS:
        boolean = base == "tinyint" and type.size == 1
        return f"({type.size})" if type.zerofill or boolean else ""
    if base in ("char", "varchar", "binary", "varbinary", "bit", "vector"):
        return f"({type.size})"
    if base in ("datetime", "timestamp", "time") and type.size:
        return f"({type.size})"
    return ""


def _quoted(label: str) -> str:
    escaped = label.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0")
    return f"'{escaped}'"


# --- interchange ----------------------------------------------------------------------------------


def interchange(type: MysqlType) -> ColumnType:
    """PostgreSQL's type that holds every value of this one."""
    fixed = _FIXED.get((type.base, type.unsigned)) or _FIXED.get((type.base, False))
    if fixed is not None:
        return fixed
    return _SIZED[type.base](type)


_SMALLINT: Final = ColumnType("smallint", INT2)
_INTEGER: Final = ColumnType("integer", INT4)
_BIGINT: Final = ColumnType("bigint", INT8)
_TEXT: Final = ColumnType("text", TEXT)
_BYTEA: Final = ColumnType("bytea", BYTEA)


def _numeric(precision: int, scale: int) -> ColumnType:
    modifier = (precision << 16 | scale) + 4
    return ColumnType(f"numeric({precision},{scale})", NUMERIC, modifier)


def _varchar(length: int) -> ColumnType:
    """PostgreSQL has no varchar(0)."""
    length = max(1, length)
    return ColumnType(f"character varying({length})", VARCHAR, length + 4)


def _timestamp(type: MysqlType) -> ColumnType:
    digits = type.size
    if type.base == "timestamp":
        return ColumnType(f"timestamp({digits}) with time zone", TIMESTAMPTZ, digits)
    return ColumnType(f"timestamp({digits}) without time zone", TIMESTAMP, digits)


def _interval(type: MysqlType) -> ColumnType:
    return ColumnType(f"interval({type.size})", INTERVAL, 0x7FFF << 16 | type.size)


def _enum(type: MysqlType) -> ColumnType:
    return _varchar(max(map(len, type.labels), default=0))


def _set(type: MysqlType) -> ColumnType:
    return _varchar(sum(map(len, type.labels)) + len(type.labels) - 1)


_FIXED: Final = {
    ("tinyint", False): _SMALLINT,
    ("smallint", False): _SMALLINT,
    ("smallint", True): _INTEGER,
    ("mediumint", False): _INTEGER,
    ("int", False): _INTEGER,
    ("int", True): _BIGINT,
    ("bigint", False): _BIGINT,
    ("bigint", True): _numeric(20, 0),
    ("float", False): ColumnType("real", FLOAT4),
    ("double", False): ColumnType("double precision", FLOAT8),
    ("year", False): _SMALLINT,
    ("date", False): ColumnType("date", DATE),
    ("json", False): ColumnType("json", JSON),
    ("vector", False): _BYTEA,
    ("uuid", False): ColumnType("uuid", UUID),
    ("inet4", False): ColumnType("inet", INET),
    ("inet6", False): ColumnType("inet", INET),
    **{(base, False): _TEXT for base in CHARACTERS if base.endswith("text")},
    **{(base, False): _BYTEA for base in (*BINARIES, *GEOMETRIES)},
}

_SIZED: Final[dict[str, Callable[[MysqlType], ColumnType]]] = {
    "decimal": lambda found: _numeric(found.size, found.scale),
    "bit": lambda found: ColumnType(f"bit({found.size})", BIT, found.size),
    "datetime": _timestamp,
    "timestamp": _timestamp,
    "time": _interval,
    "char": lambda found: _varchar(found.size),
    "varchar": lambda found: _varchar(found.size),
    "enum": _enum,
    "set": _set,
}


# --- reading --------------------------------------------------------------------------------------


def selected(type: MysqlType, column: str) -> str:
    """What a SELECT lists for a column, so that its text is the native form. `column` is quoted.

    The text of a FLOAT is cut to six digits, and that of a type with declared digits is rounded to
    them: as a DOUBLE it is whole, and keeps the sign of zero. A plain DOUBLE must stay a column:
    newer MySQL cuts the text of any expression to 22 characters, one short of the longest.
    """
    whole = type.base == "float" or (type.base == "double" and (type.scale or type.zerofill))
    return f"{column} * 1e0" if whole else column
