"""Columns of the interchange form as a MySQL or MariaDB table declares them. (pure)

What holds every value exactly is preferred to what has the same name: JSON columns here reorder
keys and drop digits, TIMESTAMP ends in 2038, TIME has no time zone. See TYPES.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from connectors.mysql.flavour import Flavour
from connectors.mysql.postgres_type import PostgresType, read
from engine.model.relation import ColumnType

VARCHAR_MAX: Final = 16_383
"""Characters of the longest VARCHAR in utf8mb4: a row has at most 65,535 bytes."""

ROW_BYTES_MAX: Final = 65_535
"""MySQL manual, "Limits on Table Column Count and Row Size"; texts and blobs stand apart."""

KEY_BYTES_MAX: Final = 3_072
"""Bytes of one index entry of InnoDB with 16 KB pages."""

KEY_LENGTH: Final = 255
"""Characters or bytes of a key column whose type has no length on the source."""

DECIMAL_DIGITS_MAX: Final = 65
DECIMAL_SCALE_MAX: Final = 30
BIT_MAX: Final = 64
LABEL_CHARACTERS_MAX: Final = 255

LONG_TEXT: Final = "longtext"
LONG_BLOB: Final = "longblob"


@dataclass(frozen=True, slots=True)
class Declared:
    """`sql` is the type as a statement has it. `size`: bytes it takes at most within the row, and
    within a key. `shortened`: the longest value of the source may not fit."""

    sql: str
    size: int
    shortened: bool = False


def declare(
    columns: Mapping[str, ColumnType], keyed: frozenset[str], flavour: Flavour
) -> dict[str, Declared]:
    """A declaration for each column. `keyed` columns get a length that an index takes whole."""
    room = KEY_BYTES_MAX // max(len(keyed), 1)
    made: dict[str, Declared] = {}
    for name, type_ in columns.items():
        found = _declare(read(type_), flavour)
        made[name] = _within_key(found, room, flavour) if name in keyed else found
    return _within_row(made, keyed, flavour)


def _declare(type_: PostgresType, flavour: Flavour) -> Declared:
    if type_.is_array:
        return _long_text(flavour)
    if type_.labels is not None:
        return _enum(type_.labels, flavour)
    base = type_.base
    if base in _PLAIN:
        return _PLAIN[base]
    if base in _FRACTIONAL:
        digits = 6 if type_.size is None else type_.size
        return Declared(f"{_FRACTIONAL[base]}({digits})", 11)
    if base in ("character", "character varying"):
        length = 1 if base == "character" and type_.size is None else type_.size
        if length is not None and length <= VARCHAR_MAX:
            return _varchar(length, flavour)
    if base in _ASCII:
        return _ascii(*_ASCII[base])
    return _measured(type_) or _long_text(flavour)


def _measured(type_: PostgresType) -> Declared | None:
    """A type that holds what its own length allows; None where that is more than this one can."""
    base = type_.base
    if base == "numeric" and type_.size is not None:
        scale = type_.scale or 0
        if type_.size <= DECIMAL_DIGITS_MAX and 0 <= scale <= min(DECIMAL_SCALE_MAX, type_.size):
            return Declared(f"decimal({type_.size},{scale})", 32)
    if base == "bit" and (type_.size or 1) <= BIT_MAX:
        return Declared(f"bit({type_.size or 1})", 9)
    return None


_PLAIN: Final = {
    "smallint": Declared("smallint", 2),
    "integer": Declared("int", 4),
    "bigint": Declared("bigint", 8),
    "oid": Declared("int unsigned", 4),
    "real": Declared("float", 4),
    "double precision": Declared("double", 8),
    "boolean": Declared("tinyint(1)", 1),
    "date": Declared("date", 3),
    "bytea": Declared(LONG_BLOB, 12),
}

_FRACTIONAL: Final = {
    "timestamp without time zone": "datetime",
    "timestamp with time zone": "datetime",
    "time without time zone": "time",
}

_ASCII: Final = {
    "uuid": ("char", 36),
    "inet": ("varchar", 50),
    "cidr": ("varchar", 50),
    "macaddr": ("varchar", 50),
    "macaddr8": ("varchar", 50),
    "time with time zone": ("varchar", 32),
    "money": ("varchar", 64),
    "interval": ("varchar", 255),
}


def _ascii(base: str, length: int) -> Declared:
    return Declared(f"{base}({length}) character set ascii collate ascii_bin", length + 1)


def _utf8(flavour: Flavour) -> str:
    return f"character set utf8mb4 collate {flavour.bytewise_collation}"


def _varchar(length: int, flavour: Flavour, *, shortened: bool = False) -> Declared:
    return Declared(f"varchar({length}) {_utf8(flavour)}", 4 * length + 2, shortened)


def _long_text(flavour: Flavour) -> Declared:
    return Declared(f"{LONG_TEXT} {_utf8(flavour)}", 12)


def _enum(labels: tuple[str, ...], flavour: Flavour) -> Declared:
    """Labels that end in a space would lose it, and some are too long: those stay text."""
    plain = [label for label in labels if len(label) <= LABEL_CHARACTERS_MAX]
    if len(plain) != len(labels) or any(label != label.rstrip(" ") for label in labels):
        return _varchar(max(map(len, labels), default=1), flavour)
    return Declared(f"enum({','.join(map(_quoted, labels))}) {_utf8(flavour)}", 2)


def _quoted(label: str) -> str:
    """As the catalog spells it: backslashes escape."""
    return "'" + label.replace("\\", "\\\\").replace("'", "''") + "'"


# --- limits ---------------------------------------------------------------------------------------


def _within_key(found: Declared, room: int, flavour: Flavour) -> Declared:
    """The column with a length that fits into its share of an index entry."""
    if found.sql.startswith(LONG_BLOB):
        length = min(KEY_LENGTH, room)
        return Declared(f"varbinary({length})", length + 2, shortened=True)
    if found.sql.startswith(LONG_TEXT):
        return _varchar(min(KEY_LENGTH, room // 4), flavour, shortened=True)
    if found.sql.startswith("varchar") and "utf8mb4" in found.sql and found.size - 2 > room:
        return _varchar(room // 4, flavour, shortened=True)
    return found


def _within_row(
    made: dict[str, Declared], keyed: frozenset[str], flavour: Flavour
) -> dict[str, Declared]:
    """Long VARCHARs become texts, the longest first, until a row fits."""
    names = sorted(made, key=lambda name: made[name].size, reverse=True)
    movable = [name for name in names if name not in keyed and made[name].sql.startswith("varchar")]
    while movable and sum(d.size for d in made.values()) + len(made) > ROW_BYTES_MAX:
        made[movable.pop(0)] = _long_text(flavour)
    return made
