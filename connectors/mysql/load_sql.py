"""(pure) SQL that reads a chunk's rows, each as one text: a line of COPY or of LOAD DATA.

The server writes the line; reading takes bytes, not values. It runs beside us, and what has to be
done for each value costs it a tenth of what it would cost here.

A line whose text would be longer than the server's `max_allowed_packet` is NULL, never cut short:
no part of it may be asked for behind a function that would hide that (IFNULL, CONCAT_WS).

See: PostgreSQL manual, COPY, "Text Format"; MySQL manual, "LOAD DATA Statement", "String
Functions".
"""

from collections.abc import Sequence
from typing import Final

from connectors.mysql.description import DescribedColumn, Description
from connectors.mysql.literals import number
from connectors.mysql.load_text import LONG_BYTES, escaped, utf8
from connectors.mysql.quoting import identifier, literal, qualified
from connectors.mysql.temporal import ZeroDate
from connectors.mysql.types import BINARIES, GEOMETRIES, INTEGERS, MysqlType, selected
from engine.model.chunk import Chunk

POSTGRES_TEXT: Final = "postgres-text"
MYSQL_TEXT: Final = "mysql-text"
FORMS: Final = (POSTGRES_TEXT, MYSQL_TEXT)

_TAB: Final = "x'09'"
_NULL: Final = "x'5c4e'"

DATES: Final = ("date", "datetime", "timestamp")

_PLAIN: Final = frozenset((*INTEGERS, "decimal", "year", "time"))
"""Types whose text needs no escape and is the same in both forms."""

_NUMBERS: Final = frozenset((*INTEGERS, "decimal", "float", "double", "year"))

_SPECIAL: Final = frozenset(("json", "uuid", "inet4", "inet6"))
"""Types that have a text of their own."""


def rows_query(
    chunk: Chunk, description: Description, form: str, zero: ZeroDate, *, mariadb: bool
) -> str:
    """The SELECT of a chunk: one column, its range, no order of rows. `form`: one of `FORMS`."""
    line = _line(description, form, zero, mariadb=mariadb)
    where = _range(chunk, description)
    table = qualified(description.table.schema, description.table.name)
    return f"SELECT {line} FROM {table}{f' WHERE {where}' if where else ''}"


def keyed_query(description: Description, keys: Sequence[Sequence[bytes]]) -> str:
    """The SELECT of the rows with these keys, at least one, in MySQL's form of `MYSQL_TEXT`; a key
    has native values, in the order of `Description.identity`."""
    types = {column.name: column.type for column in description.columns}
    names = description.identity
    wanted = ", ".join(
        f"({', '.join([constant(types[n], v) for n, v in zip(names, key, strict=True)])})"
        for key in keys
    )
    line = _line(description, MYSQL_TEXT, ZeroDate.ERROR, mariadb=False)
    table = qualified(description.table.schema, description.table.name)
    return f"SELECT {line} FROM {table} WHERE ({', '.join(map(identifier, names))}) IN ({wanted})"


def constant(type_: MysqlType, value: bytes) -> str:
    """A native value in SQL, as it compares with its column."""
    if type_.base in _NUMBERS:
        return number(value).decode()
    if type_.base == "bit":
        return str(int.from_bytes(value, "big"))
    text = type_.base in DATES or type_.base == "time" or (type_.text and type_.charset != "binary")
    return f"{'_utf8mb4 ' if text else ''}x'{value.hex()}'"


def _line(description: Description, form: str, zero: ZeroDate, *, mariadb: bool) -> str:
    parts: list[str] = []
    for place, column in enumerate(description.columns):
        parts += [_TAB] * bool(place)
        parts.append(_nullable(column, _field(column, form, zero, mariadb=mariadb)))
    return f"CONCAT({', '.join(parts)})"


def none_query(chunk: Chunk, description: Description, form: str, zero: ZeroDate) -> str:
    """How many dates of a chunk become something else; empty where none does."""
    dates = [c.name for c in description.columns if c.type.base in DATES]
    if form == MYSQL_TEXT or zero is ZeroDate.ERROR or not dates:
        return ""
    sums = " + ".join(f"COALESCE({is_no_date(identifier(name))}, 0)" for name in dates)
    where = _range(chunk, description)
    table = qualified(description.table.schema, description.table.name)
    return f"SELECT SUM({sums}) FROM {table}{f' WHERE {where}' if where else ''}"


def _nullable(column: DescribedColumn, field: str) -> str:
    if not column.nullable:
        return field
    return f"IF({identifier(column.name)} IS NULL, {_NULL}, {field})"


def _field(column: DescribedColumn, form: str, zero: ZeroDate, *, mariadb: bool) -> str:
    name, type_ = identifier(column.name), column.type
    moves = mariadb and _may_be_long(type_)
    native = form == MYSQL_TEXT
    if type_.base in _PLAIN:
        return _bytes(name)
    if type_.base in ("float", "double"):
        return _bytes(selected(type_, name))
    if type_.base in DATES:
        return _bytes(name) if native else _date(name, type_, zero)
    if type_.text and type_.charset != "binary":
        return escaped(utf8(name, type_.charset), moves=moves)
    if type_.base in _SPECIAL:
        return escaped(_bytes(f"CAST({name} AS CHAR CHARACTER SET utf8mb4)"), moves=moves)
    if native:
        return escaped(_bytes(name), nul=True, moves=moves)
    if type_.base == "bit":
        return f"LPAD(BIN({name} + 0), {type_.size}, '0')"
    assert type_.base in (*BINARIES, *GEOMETRIES, "vector") or type_.charset == "binary"
    return f"CONCAT(x'5c5c78', HEX({name}))"


def _bytes(expression: str) -> str:
    """Of one collation with everything else."""
    return f"CAST({expression} AS BINARY)"


def _may_be_long(type_: MysqlType) -> bool:
    sized = type_.base in ("char", "varchar", "binary", "varbinary", "enum", *_SPECIAL)
    return not sized or 4 * type_.size >= LONG_BYTES


# --- dates ----------------------------------------------------------------------------------------


def _date(name: str, type_: MysqlType, zero: ZeroDate) -> str:
    """Year 0 of MySQL is 1 BC. A date that is none becomes what the setting says; its own text is
    none to PostgreSQL either, which refuses it."""
    zone = "'+00'" if type_.base == "timestamp" else "''"
    text = _bytes(f"CONCAT({name}, {zone})")
    year_0 = _bytes(f"CONCAT('0001', SUBSTRING({name}, 5), {zone}, ' BC')")
    right = f"IF(YEAR({name}) = 0, {year_0}, {text})"
    if zero is ZeroDate.ERROR:
        return f"IF({is_no_date(name)}, {text}, {right})"
    instead = _NULL if zero is ZeroDate.NULL else literal(_EARLIEST[type_.base])
    return f"IF({is_no_date(name)}, {instead}, {right})"


_EARLIEST: Final = {
    "date": "0001-01-01",
    "datetime": "0001-01-01 00:00:00",
    "timestamp": "0001-01-01 00:00:00+00",
}


def is_no_date(name: str) -> str:
    """SQL for: a month or day of zero, or a day that its month has not. Year 0 is no leap year.
    `name` is a quoted column."""
    month = f"MONTH({name})"
    days = (
        f"CASE {month} WHEN 2 THEN 28 + (YEAR({name}) % 4 = 0 AND YEAR({name}) > 0 AND"
        f" (YEAR({name}) % 100 <> 0 OR YEAR({name}) % 400 = 0))"
        f" WHEN 4 THEN 30 WHEN 6 THEN 30 WHEN 9 THEN 30 WHEN 11 THEN 30 ELSE 31 END"
    )
    return f"({month} = 0 OR DAYOFMONTH({name}) = 0 OR DAYOFMONTH({name}) > {days})"


# --- ranges ---------------------------------------------------------------------------------------


def _range(chunk: Chunk, description: Description) -> str:
    names = [identifier(name) for name in description.identity]
    bounds = ((">", chunk.low), ("<=", chunk.high))
    return " AND ".join(f"({_compared(names, sign, text)})" for sign, text in bounds if text)


def _compared(names: Sequence[str], sign: str, texts: Sequence[str]) -> str:
    """Key columns against a bound, spelt out: a comparison of rows uses no index in MariaDB."""
    name, value = names[0], literal(texts[0])
    if len(texts) == 1:
        return f"{name} {sign} {value}"
    rest = _compared(names[1:], sign, texts[1:])
    return f"{name} {sign[0]} {value} OR ({name} = {value} AND ({rest}))"
