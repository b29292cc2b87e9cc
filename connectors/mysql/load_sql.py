"""(pure) SQL that reads a chunk's rows, and what each column becomes in a line.

Columns are read as they are, and lines are written here (`load_lines.py`): a server that writes
them itself takes three times as long for a row.

See: MySQL manual, "Character Set Conversion" of results; PostgreSQL manual, COPY, "Text Format".
"""

from collections.abc import Sequence
from typing import Final

from connectors.mysql import load_lines
from connectors.mysql.charsets import ALWAYS_TEXT
from connectors.mysql.description import DescribedColumn, Description
from connectors.mysql.literals import number
from connectors.mysql.load_text import utf8
from connectors.mysql.quoting import identifier, literal, qualified
from connectors.mysql.types import BINARIES, GEOMETRIES, INTEGERS, MysqlType, selected
from engine.model.chunk import Chunk

POSTGRES_TEXT: Final = "postgres-text"
MYSQL_TEXT: Final = "mysql-text"
FORMS: Final = (POSTGRES_TEXT, MYSQL_TEXT)

_DATES: Final = {
    "date": load_lines.DATE,
    "datetime": load_lines.DATETIME,
    "timestamp": load_lines.TIMESTAMP,
}

_PLAIN: Final = frozenset((*INTEGERS, "decimal", "year", "time", "float", "double"))
"""Types whose text needs no escape and is the same in both forms."""

_NUMBERS: Final = frozenset((*INTEGERS, "decimal", "float", "double", "year"))

_SPECIAL: Final = frozenset(("json", "uuid", "inet4", "inet6"))
"""Types that have a text of their own."""


def rows_query(chunk: Chunk, description: Description, form: str) -> str:
    """The SELECT of a chunk: its columns and range, no order of rows. `form`: one of `FORMS`."""
    where = _range(chunk, description)
    return f"{_selection(description, form)}{f' WHERE {where}' if where else ''}"


def keyed_query(description: Description, keys: Sequence[Sequence[bytes]]) -> str:
    """The SELECT of the rows with these keys, at least one, as for `MYSQL_TEXT`; a key has native
    values, in the order of `Description.identity`."""
    types = {column.name: column.type for column in description.columns}
    names = description.identity
    wanted = ", ".join(
        f"({', '.join([constant(types[n], v) for n, v in zip(names, key, strict=True)])})"
        for key in keys
    )
    key = f"({', '.join(map(identifier, names))})"
    return f"{_selection(description, MYSQL_TEXT)} WHERE {key} IN ({wanted})"


def constant(type_: MysqlType, value: bytes) -> str:
    """A native value in SQL, as it compares with its column."""
    if type_.base in _NUMBERS:
        return number(value).decode()
    if type_.base == "bit":
        return str(int.from_bytes(value, "big"))
    dated = type_.base in _DATES or type_.base == "time"
    text = dated or (type_.text and type_.charset != "binary")
    return f"{'_utf8mb4 ' if text else ''}x'{value.hex()}'"


def _selection(description: Description, form: str) -> str:
    names = ", ".join([_expression(column, form) for column in description.columns])
    return f"SELECT {names} FROM {qualified(description.table.schema, description.table.name)}"


def kinds(description: Description, form: str) -> Sequence[int]:
    """What each column of the query becomes, as `load_lines` names it."""
    return [_kind(column.type, native=form == MYSQL_TEXT) for column in description.columns]


def _expression(column: DescribedColumn, form: str) -> str:
    name, type_ = identifier(column.name), column.type
    if _is_converted(type_):
        text = f"COALESCE({utf8(name, type_.charset)}, x'{load_lines.TOO_LONG.hex()}')"
        return f"IF({name} IS NULL, NULL, {text})" if column.nullable else text
    if type_.base == "bit" and form != MYSQL_TEXT:
        return f"LPAD(BIN({name} + 0), {type_.size}, '0')"
    return selected(type_, name)


def _kind(type_: MysqlType, *, native: bool) -> int:
    base = type_.base
    if base in _PLAIN or (base in _DATES and native):
        return load_lines.PLAIN
    if base in _DATES:
        return _DATES[base]
    if type_.text and type_.charset != "binary":
        return load_lines.CHECKED if _is_converted(type_) else load_lines.ESCAPED
    if base in _SPECIAL:
        return load_lines.ESCAPED
    if native:
        return load_lines.ESCAPED_NUL
    if base == "bit":
        return load_lines.PLAIN
    assert base in (*BINARIES, *GEOMETRIES, "vector") or type_.charset == "binary"
    return load_lines.HEX


def _is_converted(type_: MysqlType) -> bool:
    """Whether the text is made UTF-8 by an expression of ours, which sees what has no character:
    what the server does by itself to results has a question mark for that."""
    return type_.text and type_.charset != "binary" and type_.charset not in ALWAYS_TEXT


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
