"""Canonical texts of MySQL's and MariaDB's values, for comparing with any system. (pure)

Texts are those of a session with the settings of `sql.PINNED`. See `engine.model.canonical`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from connectors.mysql.load_sql import is_no_date
from connectors.mysql.quoting import literal
from connectors.mysql.types import BINARIES, CHARACTERS, GEOMETRIES, INTEGERS, MysqlType
from engine.config.endpoint import ZeroDate
from engine.model.canonical import ABSENT, HASHED, TextForm

_TEXTUAL: Final = (TextForm.TEXT, TextForm.STRIPPED, TextForm.JSONB)
_DATE: Final = (TextForm.DATE_AS_STORED, TextForm.DATE)
_MOMENT: Final = (TextForm.MOMENT_AS_STORED, TextForm.MOMENT)

_FORMS: Final[Mapping[str, tuple[TextForm, ...]]] = {
    **dict.fromkeys((*INTEGERS, "decimal", "year"), (TextForm.NUMBER,)),
    **dict.fromkeys((*CHARACTERS, "enum", "set"), _TEXTUAL),
    **dict.fromkeys((*BINARIES, *GEOMETRIES, "vector"), (TextForm.BYTES,)),
    "float": (TextForm.FLOAT,),
    "double": (TextForm.DOUBLE,),
    "bit": (TextForm.BITS,),
    "date": _DATE,
    "datetime": _MOMENT,
    "timestamp": _MOMENT,
    "time": (TextForm.MICROSECONDS,),
    "json": (TextForm.JSON, TextForm.TEXT),
    "uuid": (TextForm.TEXT,),
    "inet4": (TextForm.ADDRESS, TextForm.TEXT),
    "inet6": (TextForm.ADDRESS, TextForm.TEXT),
}

_UTF8: Final = frozenset({"utf8mb4", "utf8mb3", "ascii"})
"""Character sets whose bytes are UTF-8."""

_ORDERED: Final = frozenset((*INTEGERS, "decimal", "year", "date", "datetime", "timestamp"))
_BYTEWISE: Final = frozenset({"utf8mb4_0900_bin", "utf8mb4_nopad_bin"})
_SEARCHED: Final = frozenset((*CHARACTERS, "enum", "set", "uuid"))

_NUMBER: Final = re.compile(r"-?[0-9]{1,80}(?:\.[0-9]{1,40})?", re.ASCII)
_BEFORE_CHRIST: Final = " BC"


def forms(type: MysqlType) -> tuple[TextForm, ...]:
    """The texts of a type, best first."""
    if type.text and type.charset == "binary":
        return (TextForm.BYTES,)
    return _FORMS[type.base]


def order(type: MysqlType) -> str | None:
    """The name of the order of a type's values, as `TableShape.orders` has it; None where no index
    serves the canonical text. `own` and `C` are PostgreSQL's names for what is the same order."""
    if type.base in _ORDERED:
        return "own"
    if type.base in _SEARCHED:
        bytewise = type.collation in _BYTEWISE and type.base in CHARACTERS
        return "C" if bytewise else ""
    return None


def constant(text: str, form: TextForm) -> str:
    """SQL for a key's value from its text in a searchable form. A text that is no number, where one
    is expected, stays a string: the server finds nothing by it."""
    if form is TextForm.NUMBER and _NUMBER.fullmatch(text):
        return text
    if form in (TextForm.DATE, TextForm.MOMENT) and text.endswith(_BEFORE_CHRIST):
        return literal("0000" + text[4:].removesuffix(_BEFORE_CHRIST))
    return literal(text)


def token(column: str, type: MysqlType, form: TextForm, zero: ZeroDate | None) -> str:
    """SQL for what a column adds to the text of its row; `column` is quoted. NULL only where the
    server could not make the text. `zero`: what becomes of a date that is none."""
    if form is TextForm.BYTES:
        printed = _hashed(column)
    elif form in HASHED:
        printed = _hashed(text(column, type, form, zero))
    else:
        printed = text(column, type, form, zero)
    absent = f"{column} IS NULL"
    if zero is ZeroDate.NULL and form in (TextForm.DATE, TextForm.MOMENT):
        absent = f"({absent} OR {is_no_date(column)})"
    return f"IF({absent}, '{ABSENT}', {printed})"


def text(column: str, type: MysqlType, form: TextForm, zero: ZeroDate | None) -> str:
    """SQL for a column's text in a form; `column` is quoted."""
    if form in (TextForm.DATE, TextForm.MOMENT):
        return _calendar(column, type, zero)
    return _TEXTS[form](column, type)


def _hashed(text: str) -> str:
    return f"LEFT(SHA2({text}, 256), 32)"


def _number(column: str, type: MysqlType) -> str:
    # Zeros that fill the width of the display are part of the text otherwise.
    printed = f"CONCAT({column} + 0)" if type.zerofill else f"CONCAT({column})"
    return _trimmed(printed) if type.base == "decimal" and type.scale else printed


def _trimmed(printed: str) -> str:
    return f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {printed}))"


def _text(column: str, type: MysqlType) -> str:
    if type.text:
        if type.charset in _UTF8 and type.base in CHARACTERS:
            return column
        return f"CONVERT({column} USING utf8mb4)"
    return f"CAST({column} AS CHAR CHARACTER SET utf8mb4)"


def _stripped(column: str, type: MysqlType) -> str:
    return f"TRIM(TRAILING ' ' FROM {_text(column, type)})"


def _bits(column: str, type: MysqlType) -> str:
    return f"LPAD(BIN({column} + 0), {type.size}, '0')"


def _as_stored(column: str, type: MysqlType) -> str:
    printed = f"CONCAT({column})"
    return _trimmed(printed) if type.base != "date" and type.size else printed


def _calendar(column: str, type: MysqlType, zero: ZeroDate | None) -> str:
    """Year 0 is 1 BC."""
    printed = _as_stored(column, type)
    year_0 = f"CONCAT('0001', SUBSTRING({printed}, 5), '{_BEFORE_CHRIST}')"
    right = f"IF(YEAR({column}) = 0, {year_0}, {printed})"
    if zero is not ZeroDate.EARLIEST:
        return right
    earliest = "0001-01-01" if type.base == "date" else "0001-01-01 00:00:00"
    return f"IF({is_no_date(column)}, '{earliest}', {right})"


def _microseconds(column: str, _type: MysqlType) -> str:
    seconds = f"HOUR({column}) * 3600 + MINUTE({column}) * 60 + SECOND({column})"
    number = f"(({seconds}) * 1000000 + MICROSECOND({column}))"
    return f"CONCAT(CAST({number} AS SIGNED) * IF({column} < 0, -1, 1))"


def _address(column: str, type: MysqlType) -> str:
    size = 4 if type.base == "inet4" else 16
    return f"LOWER(HEX(CAST({column} AS BINARY({size}))))"


def _double(column: str, _type: MysqlType) -> str:
    """The bits of the IEEE 754 double, by arithmetic that is exact: there is no function for them.

    A value is divided by powers of two only. Its exponent comes from a logarithm, which may be off
    by one beside a power of two; the quotient tells.
    """
    size = f"ABS({column} * 1e0)"
    guess = f"GREATEST(-1022, LEAST(1023, FLOOR(LOG2({size}))))"
    quotient = f"({size} / POW(2, {guess}))"
    exponent = f"({guess} + ({quotient} >= 2) - ({quotient} < 1))"
    fraction = f"CAST({size} / POW(2, {exponent}) * 4503599627370496 AS UNSIGNED)"
    normal = f"((CAST({exponent} + 1023 AS UNSIGNED) << 52) + {fraction} - 4503599627370496)"
    # Below the smallest normal number the bits count its smallest parts.
    bits = f"IF({size} < POW(2, -1022), CAST({size} / POW(2, -1074) AS UNSIGNED), {normal})"
    return f"LOWER(LPAD(HEX({bits} | IF({column} < 0, 9223372036854775808, 0)), 16, '0'))"


_TEXTS: Final[Mapping[TextForm, Callable[[str, MysqlType], str]]] = {
    TextForm.NUMBER: _number,
    TextForm.TEXT: _text,
    TextForm.STRIPPED: _stripped,
    TextForm.JSON: _text,
    TextForm.JSONB: _text,
    TextForm.BYTES: lambda column, _: f"LOWER(HEX({column}))",
    TextForm.BITS: _bits,
    TextForm.DATE_AS_STORED: _as_stored,
    TextForm.MOMENT_AS_STORED: _as_stored,
    TextForm.MICROSECONDS: _microseconds,
    TextForm.FLOAT: _double,
    TextForm.DOUBLE: _double,
    TextForm.ADDRESS: _address,
}
