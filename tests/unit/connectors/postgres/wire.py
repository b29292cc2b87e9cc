"""Writes pgoutput messages as the server does (proto.c), for tests of the decoder."""

import struct
from collections.abc import Sequence

from connectors.postgres.lsn import EPOCH_OFFSET_US
from engine.model.relation import Column, ColumnType, Format, Relation, ReplicaIdentity
from engine.model.value import UNCHANGED, Value

OID = 16384
INT4, INT8, TEXT, NUMERIC, UUID = 23, 20, 25, 1700, 2950
WIDTHS = {INT4: 4, INT8: 8, UUID: 16}


def relation(
    types: Sequence[int] = (INT4, TEXT),
    *,
    key: Sequence[int] = (0,),
    identity: ReplicaIdentity = ReplicaIdentity.DEFAULT,
    form: Format = Format.BINARY,
    oid: int = OID,
    name: str = "t",
) -> Relation:
    full = identity is ReplicaIdentity.FULL
    columns = tuple(
        Column(f"c{i}", ColumnType("x", kind), form, True, full or i in key)
        for i, kind in enumerate(types)
    )
    return Relation(oid, "public", name, columns, tuple(key), identity, "postgres")


def begin(final: int, xid: int = 700, time_us: int = EPOCH_OFFSET_US) -> bytes:
    return struct.pack(">cQqI", b"B", final, time_us - EPOCH_OFFSET_US, xid)


def origin(name: str) -> bytes:
    return b"O" + struct.pack(">Q", 0) + name.encode() + b"\0"


def commit(final: int, end: int) -> bytes:
    return struct.pack(">cBQQq", b"C", 0, final, end, 0)


def describe(told: Relation) -> bytes:
    letters = {"default": b"d", "index": b"i", "full": b"f", "nothing": b"n"}
    head = b"R" + struct.pack(">I", told.id) + told.schema.encode() + b"\0" + told.name.encode()
    columns = b"".join(
        bytes([column.identity]) + column.name.encode() + b"\0"
        + struct.pack(">Ii", column.type.oid, column.type.modifier)
        for column in told.columns
    )  # fmt: skip
    count = struct.pack(">H", len(told.columns))
    return head + b"\0" + letters[told.replica_identity.value] + count + columns


def row(values: Sequence[Value], kind: bytes = b"b") -> bytes:
    return struct.pack(">H", len(values)) + b"".join(_value(value, kind) for value in values)


def _value(value: Value, kind: bytes) -> bytes:
    if value is None:
        return b"n"
    if value is UNCHANGED:
        return b"u"
    assert isinstance(value, bytes)
    return kind + struct.pack(">I", len(value)) + value


def insert(values: Sequence[Value], kind: bytes = b"b", oid: int = OID) -> bytes:
    return b"I" + struct.pack(">I", oid) + b"N" + row(values, kind)


def update(
    values: Sequence[Value],
    old: Sequence[Value] | None = None,
    letter: bytes = b"K",
    kind: bytes = b"b",
) -> bytes:
    before = b"" if old is None else letter + row(old, kind)
    return b"U" + struct.pack(">I", OID) + before + b"N" + row(values, kind)


def delete(old: Sequence[Value], letter: bytes = b"K", kind: bytes = b"b") -> bytes:
    return b"D" + struct.pack(">I", OID) + letter + row(old, kind)


def truncate(oids: Sequence[int], options: int = 0) -> bytes:
    return struct.pack(f">cIB{len(oids)}I", b"T", len(oids), options, *oids)


def message(content: bytes, prefix: bytes = b"penstock", flags: int = 1) -> bytes:
    head = struct.pack(">cBQ", b"M", flags, 5) + prefix + b"\0"
    return head + struct.pack(">I", len(content)) + content
