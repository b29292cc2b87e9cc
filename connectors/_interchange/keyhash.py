"""A number for a row's key: the same for equal keys, in every process and wire form. (pure)

It decides in which bucket of a table a row is, and stored positions depend on that: what it gives
for a key must never change. It is the CRC-32 of the key's values one after the other, each in the
form that `keyorder` gives it: integers, dates and timestamps as the number they are stored as, in
eight bytes (so that a column which is widened keeps its buckets), anything else as its bytes.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias
from zlib import crc32

from connectors._interchange import keyorder
from engine.errors import DecodeError
from engine.model.relation import Column, Format, Relation
from engine.model.value import KeyHash, Row

NUMBER_BYTES: Final = 8

AS_SENT: Final = frozenset(
    {
        keyorder.INT8,
        keyorder.TIMESTAMP,
        keyorder.TIMESTAMPTZ,
        keyorder.UUID,
        keyorder.BYTEA,
        keyorder.TEXT,
        keyorder.VARCHAR,
    }
)
"""Types whose binary form is what is hashed."""

_PLUS: Final = bytes(NUMBER_BYTES)
_MINUS: Final = b"\xff" * NUMBER_BYTES

Reader: TypeAlias = Callable[[bytes], bytes]
"""What turns a value as it was sent into the bytes that are hashed."""


def key_hash(relation: Relation) -> KeyHash | None:
    """See `contracts.KeyedSource.key_hash`."""
    columns = [relation.columns[index] for index in relation.key]
    if not columns or not all(keyorder.orderable(column.type.oid) for column in columns):
        return None
    readers = [_reader(column) for column in columns]
    if len(readers) == 1 and readers[0] is bytes:
        return _plain(relation.key[0])
    return joined(list(zip(relation.key, readers, strict=True)))


def _plain(index: int) -> KeyHash:
    def hashed(row: Row) -> int | None:
        value = row[index]
        return crc32(value) if isinstance(value, bytes) else None

    return hashed


def joined(parts: Sequence[tuple[int, Reader]]) -> KeyHash:
    """The hash of several columns: each at its place in a row, with what gives its bytes."""

    def hashed(row: Row) -> int | None:
        number = 0
        for index, read in parts:
            value = row[index]
            if not isinstance(value, bytes):
                return None
            number = crc32(read(value), number)
        return number

    return hashed


def _widened(value: bytes) -> bytes:
    """A shorter integer in eight bytes."""
    return _MINUS[len(value) :] + value if value[0] & 0x80 else _PLUS[len(value) :] + value


def _reader(column: Column) -> Reader:
    """What turns a column's wire value into the bytes that are hashed."""
    if column.format is Format.BINARY and column.type.oid in AS_SENT:
        return bytes
    if column.format is Format.BINARY:
        return _widened
    decode = keyorder.decoder(column)
    name = column.name

    def read(value: bytes) -> bytes:
        try:
            decoded = decode(value)
        except ValueError as error:
            raise DecodeError(f"key column {name}: {error}") from error
        if isinstance(decoded, int):
            return decoded.to_bytes(NUMBER_BYTES, "big", signed=True)
        return decoded

    return read
