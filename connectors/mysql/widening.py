"""(pure) Which changes of a column's type leave every stored value what it was."""

from typing import Final

from connectors.mysql.types import BINARIES, INTEGERS, MysqlType

_BYTES: Final = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8}
_LENGTHS: Final = {
    "tinytext": 255, "text": 65_535, "mediumtext": 1 << 24, "longtext": 1 << 32,
    "tinyblob": 255, "blob": 65_535, "mediumblob": 1 << 24, "longblob": 1 << 32,
}  # fmt: skip
_STRINGS: Final = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
_EVERY_CHARACTER: Final = frozenset({"utf8mb4", "utf16", "utf16le", "utf32"})
_BYTES_A_CHARACTER: Final = {"ascii": 1, "latin1": 1, "utf8mb3": 3}
"""At most; other character sets need up to `_BYTES_A_CHARACTER_MAX`."""
_BYTES_A_CHARACTER_MAX: Final = 4
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
        return True
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
    """Whether a value that fits into the new type is the same there; a session in strict mode
    refuses the change where one does not. Of a text too long for a TEXT MariaDB does not, where
    only blanks are cut."""
    if widens(old, new):
        return True
    if old.base in INTEGERS and new.base in INTEGERS:
        return True
    if old.base in _STRINGS and new.base in _STRINGS:
        return _blanks_stay(old, new) and (new.base not in _LENGTHS or _string_fits(old, new))
    if old.base in BINARIES and new.base in BINARIES:
        return "binary" not in (old.base, new.base)
    return old.base == new.base == "decimal" and new.scale >= old.scale


def grows(old: MysqlType, new: MysqlType) -> bool:
    """Whether the new type has texts or whole numbers that the old one has no place for."""
    both = any(old.base in alike and new.base in alike for alike in (INTEGERS, _STRINGS))
    return both and not widens(new, old)


def _has_characters(old: MysqlType, new: MysqlType) -> bool:
    return old.charset == new.charset or new.charset in _EVERY_CHARACTER


def _blanks_stay(old: MysqlType, new: MysqlType) -> bool:
    """CHAR has none at the end."""
    return new.base != "char" or old.base == "char"


def _string_fits(old: MysqlType, new: MysqlType) -> bool:
    """Whether the longest value does. The limit of a TEXT counts bytes, that of others characters,
    of which a text has no more than bytes."""
    if new.base not in _LENGTHS or (old.base in _LENGTHS and old.charset == new.charset):
        return _length(new) >= _length(old)
    width = _BYTES_A_CHARACTER.get(new.charset, _BYTES_A_CHARACTER_MAX)
    return _length(new) >= _length(old) * width


def _integer_widens(old: MysqlType, new: MysqlType) -> bool:
    before, after = _BYTES[old.base], _BYTES[new.base]
    if old.unsigned == new.unsigned:
        return after >= before
    return old.unsigned and after > before


def _length(type_: MysqlType) -> int:
    return _LENGTHS.get(type_.base, type_.size)
