"""Which types of a source may go into which types of a MySQL or MariaDB table. (pure)

SAME: every value of the source's column is a value of the target's, so nothing has to be watched.
WATCHED: most are, and the server tells of the others (strict mode, warnings), so each is looked
for. REFUSED: some would be changed silently.
"""

from enum import Enum
from typing import Final

from connectors.mysql.column_type import (
    BINARY,
    BLOBS,
    CHARACTER,
    GEOMETRIES,
    INTEGERS,
    TEXTS,
    ColumnType,
)
from connectors.mysql.postgres_type import PostgresType

UNICODE: Final = frozenset({"utf8mb4", "utf16", "utf16le", "utf32"})
"""Character sets that have every character."""


_ADDRESSES: Final = {"uuid": 36, "inet4": 15, "inet6": 39}
"""Types that only MariaDB has, and the characters of their longest text."""


class Passage(Enum):
    SAME = "same"
    WATCHED = "watched"
    REFUSED = "refused"


def _if(condition: bool, otherwise: Passage = Passage.REFUSED) -> Passage:
    return Passage.SAME if condition else otherwise


# --- from MySQL -----------------------------------------------------------------------------------


def judge_native(source: ColumnType, target: ColumnType) -> Passage:
    """How values of the native form go from one column to another."""
    base, other = source.base, target.base
    if base in INTEGERS or base == "decimal":
        return _number(source, target)
    if base in ("float", "double"):
        return _if(other in ("double", base))
    if base in CHARACTER:
        return _text(source, target)
    if base in BINARY:
        return _bytes(source, target)
    if base in ("time", "datetime", "timestamp"):
        return _moment(source, target)
    if base == "bit":
        return _if(other == "bit" and (source.size or 1) <= (target.size or 1))
    if base == "json":
        return _if(other in ("json", "longtext"))
    if base in _ADDRESSES and other in CHARACTER:
        return _if(other in TEXTS or _ADDRESSES[base] <= (target.length or 0))
    if base == "year":
        return _if(other in ("year", "smallint", "int", "bigint"))
    return _if(base == other)


def takes(there: ColumnType, new: ColumnType) -> bool:
    """Whether a column that is there is as good as one of the new type, or has more room."""
    return there.collation == new.collation and judge_native(new, there) is Passage.SAME


def alters(old: ColumnType, new: ColumnType) -> bool:
    """Whether ALTER TABLE in strict mode makes one of the other and keeps every value. What it
    refuses for sure: characters that the new character set lacks, whole numbers out of range."""
    if judge_native(old, new) is Passage.SAME or (old.base in INTEGERS and new.base in INTEGERS):
        return True
    texts = ("char", "varchar", *TEXTS)
    return old.base in texts and new.base in texts and _fits(old, new)


def _number(source: ColumnType, target: ColumnType) -> Passage:
    whole, fraction = source.digits
    if target.base in INTEGERS and source.base in INTEGERS:
        low, high = source.bounds
        lowest, highest = target.bounds
        return _if(lowest <= low and high <= highest, Passage.WATCHED)
    if target.base == "decimal" or (target.base in INTEGERS and fraction == 0):
        holds, places = target.digits
        if places < fraction or (target.base == "decimal" and target.unsigned):
            return Passage.WATCHED
        exact = target.base == "decimal" and holds >= whole
        return _if(exact, Passage.WATCHED)
    return Passage.REFUSED


def _text(source: ColumnType, target: ColumnType) -> Passage:
    if target.base not in CHARACTER and target.base != "json":
        return Passage.REFUSED
    if target.base == "json":
        return _watched(source.base in TEXTS)
    if source.base == target.base == "set" and source.labels != target.labels:
        return Passage.REFUSED
    if target.base in ("enum", "set"):
        known = source.base == target.base and set(source.labels) <= set(target.labels)
        return _if(known and _same_characters(source, target), Passage.WATCHED)
    return _if(_fits(source, target) and _same_characters(source, target), Passage.WATCHED)


def _same_characters(source: ColumnType, target: ColumnType) -> bool:
    return source.charset == target.charset or target.charset in UNICODE


def _fits(source: ColumnType, target: ColumnType) -> bool:
    """Whether the longest value does. A text's limit counts bytes, four a character at most."""
    length, room = source.length, target.length
    if source.base in TEXTS:
        return target.base in TEXTS and TEXTS[source.base] <= TEXTS[target.base]
    if length is None:
        return False
    if target.base in TEXTS:
        return 4 * length < TEXTS[target.base]
    # CHAR loses trailing spaces that VARCHAR has.
    padded = target.base == "char" and source.base != "char"
    return room is not None and length <= room and not padded


def _bytes(source: ColumnType, target: ColumnType) -> Passage:
    if source.base in GEOMETRIES or source.base == "vector":
        general = source.base in GEOMETRIES and target.base == "geometry"
        return _if(source.base == target.base or general or target.base == "longblob")
    if target.base not in (*BLOBS, "binary", "varbinary"):
        return Passage.REFUSED
    if source.base in BLOBS:
        return _if(
            target.base in BLOBS and BLOBS[source.base] <= BLOBS[target.base], Passage.WATCHED
        )
    length, room = source.length or 0, target.length
    if target.base == "binary":
        return _if(source.base == "binary" and length == room)
    return _if((room is None and length < BLOBS.get(target.base, 0)) or length <= (room or 0),
               Passage.WATCHED)  # fmt: skip


def _moment(source: ColumnType, target: ColumnType) -> Passage:
    """Digits that do not fit are rounded without a word, so they are refused here."""
    same = source.base == target.base or (source.base, target.base) == ("timestamp", "datetime")
    return _if(same and source.fraction <= target.fraction)


# --- from PostgreSQL ------------------------------------------------------------------------------

_INTEGER_BITS: Final = {"smallint": 16, "integer": 32, "oid": 33, "bigint": 64}


def judge_postgres(source: PostgresType, target: ColumnType) -> Passage:
    """How values of the interchange form's texts go into a column."""
    if target.base in TEXTS or target.base in ("char", "varchar"):
        return _as_text(source, target)
    if source.is_array:
        return Passage.REFUSED
    name = source.base
    if name in _INTEGER_BITS:
        bits = _INTEGER_BITS[name]
        if target.base in INTEGERS:
            low, high = target.bounds
            return _if(low <= -(2 ** (bits - 1)) and 2 ** (bits - 1) <= high + 1, Passage.WATCHED)
        enough = target.base == "decimal" and target.digits[0] >= len(str(2 ** (bits - 1)))
        return _if(enough, _watched(target.base == "decimal"))
    if name == "numeric":
        return _numeric(source, target)
    if name in ("real", "double precision"):
        return _if(target.base == "double" or (name == "real" and target.base == "float"))
    if name in _MOMENTS:
        digits = 6 if source.size is None else source.size
        return _watched(target.base in _MOMENTS[name] and digits <= target.fraction)
    if name == "date":
        return _watched(target.base == "date")
    if name == "bit":
        return _if(target.base == "bit" and (source.size or 1) <= (target.size or 1))
    return _other(source, target)


def _other(source: PostgresType, target: ColumnType) -> Passage:
    name = source.base
    if name == "boolean":
        return _if(target.base in INTEGERS)
    if name == "bytea":
        return _watched(target.base in BLOBS or target.base == "varbinary")
    if name in ("json", "jsonb"):
        return _watched(target.base == "json")
    if source.labels is not None and target.base == "enum":
        return _if(set(source.labels) <= set(target.labels), Passage.WATCHED)
    return _if(name == target.base == "uuid" or (name, target.base) == ("inet", "inet6"))


_MOMENTS: Final = {
    "timestamp without time zone": ("datetime",),
    "timestamp with time zone": ("datetime", "timestamp"),
    "time without time zone": ("time",),
}


def _watched(condition: bool) -> Passage:
    return Passage.WATCHED if condition else Passage.REFUSED


def _numeric(source: PostgresType, target: ColumnType) -> Passage:
    """NaN is in every numeric, and looked for when it comes."""
    if target.base != "decimal" or target.unsigned:
        return Passage.REFUSED
    if source.size is None:
        return Passage.WATCHED
    whole, fraction = source.size - (source.scale or 0), source.scale or 0
    holds, places = target.digits
    return _if(fraction <= places and whole <= holds, Passage.WATCHED)


def _as_text(source: PostgresType, target: ColumnType) -> Passage:
    """Every value has a text; bytes and truth values are no text of anybody's."""
    if source.base in ("bytea", "boolean") and not source.is_array:
        return Passage.REFUSED
    if target.base == "char":
        return _watched(source.base in ("uuid", "character"))
    if target.base == "longtext" and target.charset in UNICODE:
        return Passage.SAME
    bounded = source.base in ("character", "character varying") and not source.is_array
    fits = bounded and source.size is not None and source.size <= (target.length or 0)
    return _if(fits and target.charset in UNICODE, Passage.WATCHED)
