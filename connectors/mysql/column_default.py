"""(pure) Defaults that are the same for every row: what a new row has in a column that the log
leaves out.

With a row image that is not full, servers leave out of a new row what its statement did not name.
What is computed for each row (CURRENT_TIMESTAMP, expressions, AUTO_INCREMENT) and what a trigger
has set stands in the log all the same; a constant does not.

A default is known only where its text says without doubt what the server stores: a number with more
digits than its column, or a date that is worded freely, is not.

See: MySQL manual, "Data Type Default Values"; MySQL source, `sql/table.cc`,
`mark_columns_per_binlog_row_image`.
"""

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from connectors.mysql.added_value import implicit
from connectors.mysql.binlog.columns import Form
from connectors.mysql.catalog import CatalogColumn
from connectors.mysql.ddl_steps import ColumnDef
from connectors.mysql.decimals import text_of
from connectors.mysql.floats import double_text
from connectors.mysql.quoting import unescaped
from connectors.mysql.temporal import ZeroDates
from connectors.mysql.types import BINARIES, CHARACTERS, INTEGERS, MysqlType
from connectors.mysql.values import to_interchange
from engine.model.value import Value

_ZEROS: Final = {
    "year": "0000",
    "date": "0000-00-00",
    "datetime": "0000-00-00 00:00:00",
    "timestamp": "0000-00-00 00:00:00",
}

_RAW: Final = frozenset((*BINARIES, "bit"))
"""Types whose values are bytes that are no text."""

_ZERO_DATE: Final = re.compile(r"0000-00-00(?: 00:00:00(?:\.0+)?)?")
_QUOTED: Final = re.compile(r"'((?:[^'\\]|''|\\.)*)'", re.DOTALL)
_BITS: Final = re.compile(r"b'([01]+)'|0b([01]+)", re.IGNORECASE)
_WHOLE: Final = re.compile(r"[+-]?\d+")
_FIXED: Final = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?")
_YEAR: Final = re.compile(r"\d{4}")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{1,6}))?")
_CLOCK: Final = re.compile(r"(-?\d{2,3}:\d\d:\d\d)(?:\.(\d{1,6}))?")


@dataclass(frozen=True, slots=True)
class Constant:
    """What a column has in every row that does not say otherwise: `text` of the native form, raw
    bytes as latin1; None for NULL."""

    text: str | None

    def filler(self, type: MysqlType, form: Form, zero: ZeroDates) -> Callable[[], Value]:
        """What gives the value for one row after the other; a date that is none is counted each
        time."""
        if self.text is None:
            return lambda: None
        data = self.text.encode("latin-1" if type.base in _RAW else "utf-8")
        convert = None if form is Form.NATIVE else to_interchange(type, zero)
        if convert is None:
            return lambda: data
        if _ZERO_DATE.fullmatch(self.text):
            return lambda: convert(data)
        value = convert(data)
        return lambda: value


NULL: Final = Constant(None)


def of_catalog(column: CatalogColumn, type: MysqlType) -> Constant | None:
    """The default of a column of the catalog; None where it is computed, or not known."""
    if column.generated or column.auto_increment:
        return None
    if column.default is None:
        return _without(type, nullable=column.nullable)
    if column.default_expression or type.base == "bit":
        return _of_sql(column.default, type)
    return _constant(column.default, type)


def of_statement(column: ColumnDef, type: MysqlType) -> Constant | None:
    """The same of a column of a statement. Which default a TIMESTAMP gets by itself depends on the
    server."""
    if column.generated is not None or column.auto_increment:
        return None
    if column.default is None:
        nullable = column.nullable and column.key != "primary"
        return None if type.base == "timestamp" else _without(type, nullable=nullable)
    return of_clause(column.default, type)


def of_clause(default: str | None, type: MysqlType) -> Constant | None:
    """The default that ALTER ... SET DEFAULT gives a column; `default` None: it has none, and
    whether NULL takes its place is not told."""
    return None if default is None else _of_sql(default, type)


def _without(type: MysqlType, *, nullable: bool) -> Constant | None:
    """A column without a default. One that must not be NULL gets its type's own from a session that
    is not strict."""
    if nullable:
        return NULL
    value = implicit(type)
    if isinstance(value, bytes):
        return Constant(value.decode("latin-1"))
    return _constant(_ZEROS.get(type.base, value), type)


def _of_sql(text: str, type: MysqlType) -> Constant | None:
    """A literal as SQL has it."""
    text = text.strip()
    if text.upper() == "NULL":
        return NULL
    if type.base == "bit":
        return _of_bits(text, type)
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        return _constant(unescaped(quoted[1]), type)
    if type.base in INTEGERS and text.upper() in ("TRUE", "FALSE"):
        return Constant(str(int(text.upper() == "TRUE")))
    return None if type.text else _constant(text, type)


def _of_bits(text: str, type: MysqlType) -> Constant | None:
    match = _BITS.fullmatch(text)
    digits = (match[1] or match[2]) if match is not None else ""
    if not digits:
        if not text.isdecimal():
            return None
        digits = f"{int(text):b}"
    value = int(digits, 2).to_bytes((type.size + 7) // 8, "big")
    return Constant(value.decode("latin-1"))


def _constant(text: str, type: MysqlType) -> Constant | None:
    """What the server stores for the text of a constant; None where that is not sure."""
    if type.base in INTEGERS:
        return _integer(text, type)
    make = _BY_BASE.get(type.base)
    if make is None:
        return None
    try:
        return Constant(make(text, type))
    except (ValueError, OverflowError):
        return None


def _integer(text: str, type: MysqlType) -> Constant | None:
    if not _WHOLE.fullmatch(text):
        return None
    width = type.size if type.zerofill else 0
    return Constant(f"{int(text):0{width}d}")


def _decimal(text: str, type: MysqlType) -> str:
    match = _FIXED.fullmatch(text)
    if match is None or type.zerofill:
        raise ValueError
    fraction = (match[3] or "").rstrip("0")
    if len(fraction) > type.scale:
        raise ValueError
    number = int(match[1] + match[2] + fraction.ljust(type.scale, "0"))
    return text_of(number, type.scale).decode()


def _floating(text: str, type: MysqlType) -> str:
    value = float(text)
    if type.scale or type.zerofill or (not value and "-" in text):
        raise ValueError
    if type.base == "float":
        (value,) = struct.unpack("<f", struct.pack("<f", value))
    return double_text(value)


def _year(text: str, _type: MysqlType) -> str:
    return _matched(_YEAR, text)[0]


def _date(text: str, _type: MysqlType) -> str:
    return _matched(_DATE, text)[0]


def _timestamp(text: str, type: MysqlType) -> str:
    """Only the zero date is the same in every time zone."""
    if not _ZERO_DATE.fullmatch(text):
        raise ValueError
    return _moment(text, type)


def _moment(text: str, type: MysqlType) -> str:
    return _with_fraction(_matched(_MOMENT, text), type.size)


def _clock(text: str, type: MysqlType) -> str:
    return _with_fraction(_matched(_CLOCK, text), type.size)


def _matched(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError
    return match


def _with_fraction(match: re.Match[str], digits: int) -> str:
    fraction = (match[2] or "").rstrip("0")
    if len(fraction) > digits:
        raise ValueError
    return match[1] + f".{fraction.ljust(digits, '0')}" * bool(digits)


def _characters(text: str, type: MysqlType) -> str:
    return text.rstrip(" ") if type.base == "char" else text


def _label(text: str, type: MysqlType) -> str:
    """Labels are found whatever their letters' case is, which only the collation knows."""
    if text not in type.labels:
        raise ValueError
    return text


def _labels(text: str, type: MysqlType) -> str:
    members = [label for label in type.labels if label in text.split(",")]
    if ",".join(members) != text:
        raise ValueError
    return text


_BY_BASE: Final[Mapping[str, Callable[[str, MysqlType], str]]] = {
    "decimal": _decimal,
    "float": _floating,
    "double": _floating,
    "year": _year,
    "date": _date,
    "datetime": _moment,
    "timestamp": _timestamp,
    "time": _clock,
    "enum": _label,
    "set": _labels,
    **dict.fromkeys(CHARACTERS, _characters),
}
