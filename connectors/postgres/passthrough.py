"""May a column's bytes go to the target untouched? Decided once per column, strictly. (pure)

The binary forms of different types have the same length often enough that the server would take one
for the other: int4 bytes become a float4, int8 bytes a timestamp, and nothing is said. So bytes go
through only between equal types; between types of the list below the value is bound in the source's
type and the server casts it; everything else is refused. The list holds only casts that keep every
value, or fail.

Source: PostgreSQL catalog `pg_type` (OIDs of built-in types never change) and, for type modifiers,
numeric.c, varchar.c, timestamp.c.
"""

from enum import Enum
from typing import Final

from engine.model.relation import ColumnType

FIRST_USER_OID: Final = 16384
"""OIDs from here on are given by a database to its own types (transam.h, FirstNormalObjectId)."""

ARRAYS_OF_USER_TYPES_FROM: Final = 140000
"""Server version whose array_recv and record_recv take element types by name, not by the OID that
another database gave them."""

INT2, INT4, INT8 = 21, 23, 20
FLOAT4, FLOAT8, NUMERIC = 700, 701, 1700
TEXT, VARCHAR, BPCHAR, NAME, CHAR = 25, 1043, 1042, 19, 18
DATE, TIME, TIMESTAMP, TIMESTAMPTZ, TIMETZ = 1082, 1083, 1114, 1184, 1266
BIT, VARBIT, JSON, JSONB, XML, UUID = 1560, 1562, 114, 3802, 142, 2950
CIDR, INET, INTERVAL, REGCLASS = 650, 869, 1186, 2205

_ANY_LENGTH: Final = frozenset(
    {
        (INT2, INT4), (INT2, INT8), (INT4, INT8),
        (INT2, FLOAT4), (INT2, FLOAT8), (INT4, FLOAT8), (FLOAT4, FLOAT8),
        (NAME, TEXT), (CHAR, TEXT), (VARCHAR, TEXT),
        (JSON, TEXT), (JSONB, TEXT), (JSONB, JSON), (XML, TEXT), (UUID, TEXT),
        (INT2, TEXT), (INT4, TEXT), (INT8, TEXT), (NUMERIC, TEXT),
        (CIDR, INET), (DATE, TIMESTAMP),
    }
)  # fmt: skip
"""(source, target) whose cast keeps every value whatever the lengths; the target has no modifier.
`json -> jsonb` (duplicate keys, order), `char(n) -> text` (blanks) and everything between
timestamp and timestamptz (the session's time zone) are not here."""

_DIGITS: Final = {INT2: 5, INT4: 10, INT8: 19}
_GROWING: Final = frozenset(
    {
        (VARCHAR, VARCHAR), (TEXT, VARCHAR), (BPCHAR, BPCHAR),
        (BIT, VARBIT), (VARBIT, VARBIT),
        (TIME, TIME), (TIMESTAMP, TIMESTAMP), (TIMESTAMPTZ, TIMESTAMPTZ), (TIMETZ, TIMETZ),
    }
)  # fmt: skip
"""Pairs where a larger modifier, or none, holds every value of a smaller one."""

_ELEMENT: Final = {
    1005: INT2, 1007: INT4, 1016: INT8, 1021: FLOAT4, 1022: FLOAT8, 1231: NUMERIC,
    1009: TEXT, 1015: VARCHAR, 1014: BPCHAR, 1003: NAME, 1002: CHAR,
    1182: DATE, 1183: TIME, 1115: TIMESTAMP, 1185: TIMESTAMPTZ, 1270: TIMETZ,
    1561: BIT, 1563: VARBIT, 199: JSON, 3807: JSONB, 143: XML, 2951: UUID, 651: CIDR, 1041: INET,
}  # fmt: skip
"""Element types of the built-in array types that the lists above speak of."""

_NUMERIC_MODIFIER_BIAS: Final = 4
_SCALE_BITS: Final = 0x7FF
_SCALE_SIGN: Final = 0x400


class Passage(Enum):
    SAME = "same"
    """The bytes are already the target's."""
    CAST = "cast"
    """Bound in the source's type, cast by the server."""
    LABEL = "label"
    """An enum's label: its binary form is its text, so it is bound as text and the server looks the
    label up."""
    REFUSED = "refused"


def judge(source: ColumnType, target: ColumnType, version: int) -> Passage:
    """How a value of `source` reaches a column of `target` on a server of this version."""
    if _is_user(source) or _is_user(target):
        return _judge_user(source, target, version)
    if source.oid == target.oid and source.modifier == target.modifier:
        return Passage.SAME
    pair = (_ELEMENT.get(source.oid), _ELEMENT.get(target.oid))
    if pair[0] is not None and pair[1] is not None:
        fits = widens(pair[0], source.modifier, pair[1], target.modifier)
    else:
        fits = widens(source.oid, source.modifier, target.oid, target.modifier)
    return Passage.CAST if fits else Passage.REFUSED


def widens(source: int, source_modifier: int, target: int, target_modifier: int) -> bool:
    """Whether every value of the first built-in type survives a cast to the second."""
    if (source, target) in _ANY_LENGTH:
        return target_modifier == -1
    if target == NUMERIC:
        return _numeric_widens(source, source_modifier, target_modifier)
    if source == target == INTERVAL:
        return target_modifier == -1
    if (source, target) not in _GROWING:
        return False
    if target_modifier == -1:
        return True
    return source_modifier != -1 and source_modifier <= target_modifier


def _numeric_widens(source: int, source_modifier: int, target_modifier: int) -> bool:
    if source != NUMERIC and source not in _DIGITS:
        return False
    if target_modifier == -1:
        return True
    precision, scale = _precision(target_modifier)
    if source in _DIGITS:
        return precision - scale >= _DIGITS[source] and scale >= 0
    if source_modifier == -1:
        return False
    source_precision, source_scale = _precision(source_modifier)
    return scale >= source_scale and precision - scale >= source_precision - source_scale


def _precision(modifier: int) -> tuple[int, int]:
    """(precision, scale); the scale may be negative from PostgreSQL 15 on."""
    bits = modifier - _NUMERIC_MODIFIER_BIAS
    scale = bits & _SCALE_BITS
    return (bits >> 16) & 0xFFFF, scale - 2 * (scale & _SCALE_SIGN)


def _is_user(column: ColumnType) -> bool:
    return column.oid >= FIRST_USER_OID or bool(column.definition)


def _judge_user(source: ColumnType, target: ColumnType, version: int) -> Passage:
    if _is_enum(source):
        same_name = source.name == target.name and _is_enum(target)
        if same_name and source.definition == target.definition:
            return Passage.SAME
        text = target.oid == TEXT or (target.oid == VARCHAR and target.modifier == -1)
        return Passage.LABEL if same_name or text else Passage.REFUSED
    same = source.name == target.name and source.definition == target.definition
    if not same or not _is_user(source):
        return Passage.REFUSED
    if version < ARRAYS_OF_USER_TYPES_FROM and not _travels_without_oids(source):
        return Passage.REFUSED
    return Passage.SAME


def _is_enum(column: ColumnType) -> bool:
    return column.definition.startswith("enum")


def _travels_without_oids(column: ColumnType) -> bool:
    return "array(" not in column.definition and "composite(" not in column.definition
