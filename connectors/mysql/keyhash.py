"""A number for a row's key: the same for equal keys, in every process and either form. (pure)

It decides in which bucket of a table a row is, and stored positions depend on that: what it gives
for a key must never change. Keys are only taken where equal values have equal bytes; whole numbers
go as PostgreSQL's do (`_interchange.keyhash`), eight bytes whatever their column's width, so that a
column which is widened, or becomes unsigned, keeps its buckets.
"""

from typing import Final

from connectors._interchange import keyhash
from connectors.mysql.binlog.columns import Form
from connectors.mysql.column_type import BYTEWISE
from connectors.mysql.description import parse_declared
from connectors.mysql.types import BINARIES, CHARACTERS, INTEGERS, MysqlType
from connectors.mysql.whole_numbers import reader
from engine.model.relation import Relation
from engine.model.value import KeyHash

NUMBERS: Final = frozenset((*INTEGERS, "year"))
DATES: Final = frozenset(("date", "datetime", "timestamp"))
AS_BYTES: Final = frozenset((*BINARIES, "uuid"))

_SIGNED: Final = 1 << 63
_LONG_BYTES: Final = 9


def tells(type_: MysqlType) -> bool:
    """Whether equal values of a type have equal bytes, and others have others."""
    if type_.base in CHARACTERS:
        return type_.collation in BYTEWISE
    return type_.base in NUMBERS or type_.base in DATES or type_.base in AS_BYTES


def key_hash(relation: Relation) -> KeyHash | None:
    """See `contracts.KeyedSource.key_hash`."""
    types = [parse_declared(relation.columns[index].native) for index in relation.key]
    if not types or not all(map(tells, types)):
        return None
    native = relation.wire == Form.NATIVE.value
    shared = None if native else keyhash.key_hash(relation)
    if shared is not None:
        return shared
    return keyhash.joined(
        [
            (index, _number(relation, index) if type_.base in NUMBERS else _as_bytes(type_, native))
            for index, type_ in zip(relation.key, types, strict=True)
        ]
    )


def _number(relation: Relation, index: int) -> keyhash.Reader:
    read = reader(relation.columns[index])

    def to_bytes(value: bytes) -> bytes:
        number = read(value)
        size = keyhash.NUMBER_BYTES if -_SIGNED <= number < _SIGNED else _LONG_BYTES
        return number.to_bytes(size, "big", signed=True)

    return to_bytes


def _as_bytes(type_: MysqlType, native: bool) -> keyhash.Reader:
    return _without_zeros if native and type_.base in DATES else bytes


def _without_zeros(text: bytes) -> bytes:
    """A moment without the zeros that its fraction ends in: a column may get more digits."""
    return text.rstrip(b"0").rstrip(b".") if b"." in text else text
