"""(pure) Which changes of a column's type leave every stored value what it was."""

from typing import Final

from connectors.mysql.types import BINARIES, INTEGERS, MysqlType

_BYTES: Final = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8}
_LENGTHS: Final = {
    "tinytext": 255, "text": 65_535, "mediumtext": 1 << 24, "longtext": 1 << 32,
    "tinyblob": 255, "blob": 65_535, "mediumblob": 1 << 24, "longblob": 1 << 32,
}  # fmt: skip
_STRINGS: Final = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
_TIMES: Final = ("datetime", "timestamp", "time")


def widens(old: MysqlType, new: MysqlType) -> bool:
    """Whether every value of the old type is the same value in the new one."""
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
        return new.labels[: len(old.labels)] == old.labels
    if old.base in _STRINGS and new.base in _STRINGS:
        return _length(new) >= _length(old)
    if old.base in BINARIES and new.base in BINARIES:
        # BINARY is filled up to its length.
        return _length(new) >= _length(old) and "binary" not in (old.base, new.base)
    return old == new


def keeps(old: MysqlType, new: MysqlType) -> bool:
    """Whether a value that fits into the new type is the same there; a session in strict mode
    refuses the change where one does not."""
    if widens(old, new):
        return True
    if old.base in INTEGERS and new.base in INTEGERS:
        return True
    if old.base in _STRINGS and new.base in _STRINGS:
        return True
    if old.base in BINARIES and new.base in BINARIES:
        return "binary" not in (old.base, new.base)
    return old.base == new.base == "decimal" and new.scale >= old.scale


def _integer_widens(old: MysqlType, new: MysqlType) -> bool:
    before, after = _BYTES[old.base], _BYTES[new.base]
    if old.unsigned == new.unsigned:
        return after >= before
    return old.unsigned and after > before


def _length(type_: MysqlType) -> int:
    return _LENGTHS.get(type_.base, type_.size)
