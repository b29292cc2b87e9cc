"""(pure) What existing rows have in a column that was added to their table."""

import re
from typing import Final

from connectors._sql.quoting import literal as postgres_literal
from connectors.mysql.binlog.columns import Form
from connectors.mysql.ddl_steps import ColumnDef
from connectors.mysql.quoting import literal as mysql_literal
from connectors.mysql.quoting import unescaped
from connectors.mysql.types import BINARIES, INTEGERS, MysqlType

COMPUTED: Final = "default that is computed for each row"
NUMBERED: Final = "number for each row"
ZERO_DATE: Final = "zero date"
"""Why the value is not known, behind `was added with a`."""

_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
_STRING: Final = re.compile(r"(?:_\w+\s*)?'((?:[^'\\]|''|\\.)*)'", re.DOTALL)
_BITS: Final = re.compile(r"b'([01]*)'|0b([01]+)", re.IGNORECASE)
_HEX: Final = re.compile(r"x'([0-9a-f]*)'|0x([0-9a-f]+)", re.IGNORECASE)

_NUMERIC: Final = frozenset((*INTEGERS, "decimal", "float", "double", "year"))
_DATES: Final = frozenset(("date", "datetime", "timestamp"))
_IMPLICIT: Final = {"json": "null", "time": "00:00:00"}


def existing_rows(column: ColumnDef, type_: MysqlType, form: Form) -> tuple[str, str]:
    """The value as SQL of the form's language, empty for NULL; or, second, why it is not known."""
    if column.generated is not None:
        return "", COMPUTED
    if column.auto_increment:
        return "", NUMBERED
    text = _value(column, type_)
    if text is None:
        return "", ""
    if isinstance(text, bytes):
        return _binary(text, type_, form), ""
    if not text and type_.base in _DATES:
        return "", ZERO_DATE
    if text is _COMPUTED:
        return "", COMPUTED
    quote = mysql_literal if form is Form.NATIVE else postgres_literal
    return quote(text), ""


_COMPUTED: Final = "(computed)"


def _value(column: ColumnDef, type_: MysqlType) -> str | bytes | None:
    """A text, bytes of a binary type or BIT, None for NULL, `_COMPUTED` for what is no constant."""
    default = (column.default or "").strip()
    if not default or default.upper() == "NULL":
        return None if column.nullable else implicit(type_)
    if default.upper() in ("TRUE", "FALSE"):
        return "1" if default.upper() == "TRUE" else "0"
    if (match := _BITS.fullmatch(default)) is not None:
        return _bits(match[1] or match[2] or "0", type_)
    if (match := _HEX.fullmatch(default)) is not None:
        return bytes.fromhex(match[1] or match[2] or "")
    if _NUMBER.fullmatch(default):
        return _bits(f"{int(default):b}", type_) if type_.base == "bit" else default
    if (match := _STRING.fullmatch(default)) is not None:
        text = unescaped(match[1])
        return text.encode() if type_.base in BINARIES else text
    return _COMPUTED


def _bits(digits: str, type_: MysqlType) -> str | bytes:
    number = int(digits, 2)
    if type_.base != "bit":
        return str(number)
    return number.to_bytes((type_.size + 7) // 8, "big")


def implicit(type_: MysqlType) -> str | bytes:
    """What a column has that must not be NULL and has no default (MySQL manual, "Data Type Default
    Values")."""
    if type_.base in _NUMERIC:
        return "0"
    if type_.base == "bit":
        return bytes((type_.size + 7) // 8)
    if type_.base == "enum":
        return type_.labels[0]
    if type_.base in BINARIES:
        return bytes(type_.size if type_.base == "binary" else 0)
    return _IMPLICIT.get(type_.base, "")


def _binary(value: bytes, type_: MysqlType, form: Form) -> str:
    if form is Form.NATIVE:
        return f"x'{value.hex()}'"
    if type_.base == "bit":
        return f"B'{int.from_bytes(value, 'big'):0{type_.size}b}'"
    return postgres_literal("\\x" + value.hex())
