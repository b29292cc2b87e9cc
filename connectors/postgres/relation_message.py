"""(pure) What pgoutput says about a table before it sends its rows."""

import struct
from dataclasses import dataclass
from typing import Final

from engine.model.relation import ReplicaIdentity

IDENTITIES: Final = {
    "d": ReplicaIdentity.DEFAULT,
    "i": ReplicaIdentity.INDEX,
    "f": ReplicaIdentity.FULL,
    "n": ReplicaIdentity.NOTHING,
}
"""`pg_class.relreplident`, which is also the letter on the wire."""

_HEAD: Final = struct.Struct(">BH")
_TYPE: Final = struct.Struct(">Ii")
_IN_IDENTITY: Final = 1


@dataclass(frozen=True, slots=True)
class MessageColumn:
    """`identity`: part of what is sent of an old row; true for every column under FULL."""

    name: str
    type_oid: int
    modifier: int
    identity: bool


@dataclass(frozen=True, slots=True)
class RelationMessage:
    """A Relation message, as sent: true at its place in the log, unlike the catalog."""

    oid: int
    schema: str
    name: str
    replica_identity: ReplicaIdentity
    columns: tuple[MessageColumn, ...]


def parse_relation(data: bytes) -> RelationMessage:
    """Read a whole Relation message.

    Raises:
        ValueError, IndexError, struct.error: it is malformed.
    """
    (oid,) = struct.unpack_from(">I", data, 1)
    schema, at = _string(data, 5)
    name, at = _string(data, at)
    letter, count = _HEAD.unpack_from(data, at)
    at += _HEAD.size
    columns = []
    for _ in range(count):
        column, at = _column(data, at)
        columns.append(column)
    if at != len(data):
        raise ValueError("bytes left over")
    identity = IDENTITIES.get(chr(letter))
    if identity is None:
        raise ValueError("unknown replica identity")
    return RelationMessage(oid, schema or "pg_catalog", name, identity, tuple(columns))


def _column(data: bytes, at: int) -> tuple[MessageColumn, int]:
    flags = data[at]
    name, at = _string(data, at + 1)
    oid, modifier = _TYPE.unpack_from(data, at)
    return MessageColumn(name, oid, modifier, bool(flags & _IN_IDENTITY)), at + _TYPE.size


def _string(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(0, at)
    return data[at:end].decode(), end + 1
