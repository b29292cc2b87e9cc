"""(pure) Which changes of a column's type leave every stored value what it was.

A session in strict mode refuses a change that a value does not fit, with one exception: blanks at
the end of a text that is too long are cut with a note. Only between two VARCHARs that are stored
alike, and in MySQL between two TEXTs, they count as what they are.
"""

from typing import Final

from connectors.mysql.types import BINARIES, INTEGERS, MysqlType

_BYTES: Final = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8}
_LENGTHS: Final = {
    "tinytext": 255, "text": 65_535, "mediumtext": 1 << 24, "longtext": 1 << 32,
    "tinyblob": 255, "blob": 65_535, "mediumblob": 1 << 24, "longblob": 1 << 32,
}  # fmt: skip
_STRINGS: Final = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
_EVERY_CHARACTER: Final = frozenset({"utf8mb4", "utf16", "utf16le", "utf32"})
_WITHIN: Final = frozenset({("ascii", "latin1"), ("ascii", "utf8mb3"), ("latin1", "utf8mb3")})
"""Character sets all of whose characters another one has."""
_UTF8: Final = ("utf8mb3", "utf8mb4")
_BYTES_A_CHARACTER: Final = {"ascii": 1, "latin1": 1, "utf8mb3": 3}
_BYTES_IN_UTF8: Final = {"ascii": 1, "latin1": 3, "utf8mb3": 3}
"""At most, of the characters of a set; those of other sets need up to `_BYTES_A_CHARACTER_MAX`."""
_BYTES_A_CHARACTER_MAX: Final = 4
_SHORT: Final = 255
"""Bytes of the longest VARCHAR whose length is stored in one byte."""
_TIMES: Final = ("datetime", "timestamp", "time")


def widens(old: MysqlType, new: MysqlType) -> bool:
    """Whether every value of the old type is the same value in the new one."""
    if old == new:
        return True
    if old.base in INTEGERS and new.base in INTEGERS:
        return _integer_widens(old, new)
    if old.base == new.base == "decimal":
        whole = new.size - new.scale >= old.size - old.scale
        return whole and new.scale >= old.scale and old.unsigned >= new.unsigned
    if (old.base, new.base) == ("float", "double"):
        return not new.size  # one with digits rounds
    if old.base in _TIMES and old.base == new.base:
        return new.size >= old.size
    if old.base in ("enum", "set") and old.base == new.base:
        # Labels that the new character set lacks become others without a word.
        return _has_characters(old, new) and new.labels[: len(old.labels)] == old.labels
    if old.base in _STRINGS and new.base in _STRINGS:
        return _has_characters(old, new) and _blanks_stay(old, new) and _string_fits(old, new)
    if old.base in BINARIES and new.base in BINARIES:
        # BINARY is filled up to its length.
        return _length(new) >= _length(old) and "binary" not in (old.base, new.base)
    return False


def keeps(old: MysqlType, new: MysqlType) -> bool:
    """Whether a session in strict mode that makes this change leaves every value what it was."""
    if widens(old, new):
        return True
    if old.base in INTEGERS and new.base in INTEGERS:
        return True
    if old.base in _STRINGS and new.base in _STRINGS:
        return _blanks_stay(old, new) and (_string_fits(old, new) or _blanks_count(old, new))
    if old.base in BINARIES and new.base in BINARIES:
        return "binary" not in (old.base, new.base)
    return old.base == new.base == "decimal" and new.scale >= old.scale


def grows(old: MysqlType, new: MysqlType) -> bool:
    """Whether the new type has texts or whole numbers that the old one has no place for."""
    both = any(old.base in alike and new.base in alike for alike in (INTEGERS, _STRINGS))
    return both and not widens(new, old)


def _has_characters(old: MysqlType, new: MysqlType) -> bool:
    if old.charset == new.charset or new.charset in _EVERY_CHARACTER:
        return True
    return (old.charset, new.charset) in _WITHIN


def _blanks_stay(old: MysqlType, new: MysqlType) -> bool:
    """CHAR has none at the end."""
    return new.base != "char" or old.base == "char"


def _blanks_count(old: MysqlType, new: MysqlType) -> bool:
    """Whether blanks that have no room make the change fail, as other characters do."""
    if old.base == "char":
        return new.base not in _LENGTHS  # it has none at the end
    if not old.base == new.base == "varchar":
        return False
    alike = (old.charset, old.collation) == (new.charset, new.collation)
    return alike and _is_short(old) == _is_short(new)


def _is_short(type_: MysqlType) -> bool:
    width = _BYTES_A_CHARACTER.get(type_.charset, _BYTES_A_CHARACTER_MAX)
    return type_.size * width <= _SHORT


def _string_fits(old: MysqlType, new: MysqlType) -> bool:
    """Whether the longest value does. The limit of a TEXT counts bytes, that of others characters,
    of which a text has no more than bytes."""
    if new.base == "longtext":
        return True  # larger than any value on its way
    if new.base not in _LENGTHS or (old.base in _LENGTHS and _same_bytes(old, new)):
        return _length(new) >= _length(old)
    return _length(new) >= _length(old) * _width(old.charset, new.charset)


def _same_bytes(old: MysqlType, new: MysqlType) -> bool:
    """Whether a text has as many bytes in the new character set."""
    return old.charset == new.charset or (old.charset in _UTF8 and new.charset in _UTF8)


def _width(charset: str, other: str) -> int:
    """Bytes that a character of the first set needs in the other, at most."""
    width = _BYTES_A_CHARACTER.get(other, _BYTES_A_CHARACTER_MAX)
    if other in _UTF8:
        width = min(width, _BYTES_IN_UTF8.get(charset, _BYTES_A_CHARACTER_MAX))
    return width


def _integer_widens(old: MysqlType, new: MysqlType) -> bool:
    before, after = _BYTES[old.base], _BYTES[new.base]
    if old.unsigned == new.unsigned:
        return after >= before
    return old.unsigned and after > before


def _length(type_: MysqlType) -> int:
    return _LENGTHS.get(type_.base, type_.size)
