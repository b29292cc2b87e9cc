"""Events of the binary log: `binlog-events`. One of a stream is damaged; its checksum fits again in
most cases, or nothing behind it would be read."""

import struct
import zlib
from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

import zstandard

from connectors.mysql.binlog import codes
from connectors.mysql.binlog.decoder import EventDecoder
from connectors.mysql.binlog.events import RowsEvent, TransactionPayload
from connectors.mysql.binlog.table_map import TableMap
from connectors.mysql.gtid import GtidSet
from engine.errors import DecodeError
from tests.fuzz.mutation import mutated
from tests.fuzz.target import Decoded, Fuzzed
from tests.unit.connectors.mysql.binlog_bytes import (
    event,
    format_description,
    optional,
    packed,
    packed_bytes,
    query,
    rotate,
    rows,
    table_map,
)

UUID: Final = bytes(range(16))
GTID: Final = (
    b"\1" + UUID + struct.pack("<QBQQ", 7, 2, 1, 2) + (5 | 1 << 55).to_bytes(7, "little")
    + (3).to_bytes(7, "little") + packed(70_000) + struct.pack("<I", 90704)
)  # fmt: skip
TAGGED: Final = bytes.fromhex(
    "027c00000202ee450341025802690322c50369028241023502dcbedc3502040406"
    "10746573745f74616708000a040c7f003e8900fa5b0610450512dbd009"
)
TYPES: Final = (3, 15, 252, 254, 254, 255, 245, 8, 242, 246)
FACTS: Final = bytes([40, 0, 2, 247, 1, 248, 1, 4, 4, 4, 10, 2])
DESCRIBED: Final = (
    optional(1, b"\x60") + optional(2, packed(255) + packed(1) + packed(63))
    + optional(3, packed(33) + packed(63)) + optional(4, b"".join([packed_bytes(b"c")] * 10))
    + optional(5, packed(2) + packed_bytes(b"x") + packed_bytes(b"y"))
    + optional(6, packed(1) + packed_bytes(b"a")) + optional(7, packed(1)) + optional(8, packed(0))
    + optional(9, packed(0) + packed(10)) + optional(10, packed(8)) + optional(12, b"\xfe\x80")
    + optional(13, packed(512))
)  # fmt: skip
VARIABLES: Final = (
    b"\0" + bytes(4) + b"\1" + bytes(8) + b"\x06\x03std" + b"\x04" + struct.pack("<HHH", 28, 28, 8)
    + b"\x0b\x01u\x02h1" + b"\x0c\x02a\0bc\0" + b"\x11" + bytes(8) + b"\x80" + bytes(3)
)  # fmt: skip


def compressed(data: bytes) -> bytes:
    return bytes([0x82]) + len(data).to_bytes(2, "big") + zlib.compress(data)


INNER: Final = b"".join(
    event(code, body, checksum=False, end=0)
    for code, body in (
        (codes.QUERY, query(b"BEGIN")),
        (codes.TABLE_MAP, table_map([3])),
        (codes.WRITE_ROWS, rows(1, b"\0\1\0\0\0")),
        (codes.XID, bytes(8)),
    )
)
ZSTD: Final = zstandard.ZstdCompressor().compress(INNER)


def payload(data: bytes, algorithm: int, size: int) -> bytes:
    fields = ((1, len(data)), (2, algorithm), (3, size))
    return b"".join(packed(n) + packed_bytes(packed(v)) for n, v in fields) + b"\0" + data


BODIES: Final = (
    (codes.QUERY, query(b"CREATE TABLE t (a int)", variables=VARIABLES)),
    (codes.MARIA_QUERY_COMPRESSED, query(compressed(b"CREATE TABLE t (a int)"))),
    (codes.ROTATE, struct.pack("<Q", 4) + b"binlog.000007"),
    (codes.STOP, b""),
    (codes.XID, bytes(8)),
    (codes.GTID, GTID),
    (codes.ANONYMOUS_GTID, b"\0" + bytes(24)),
    (codes.GTID_TAGGED, TAGGED),
    (codes.GTID_TAGGED, TAGGED),
    (codes.PREVIOUS_GTIDS, GtidSet.parse(f"{UUID.hex()}:1-5:7:tag:1").encode()),
    (codes.MARIA_GTID, struct.pack("<QIBQIBB", 88, 3, 0x42, 9, 1, 3, 2) + b"abcde"),
    (codes.MARIA_GTID_LIST, struct.pack("<IIIQIIQ", 2, 0, 1, 5, 0, 2, 9)),
    (codes.XA_PREPARE, struct.pack("<BIII", 0, 1, 3, 1) + b"abcd"),
    (codes.HEARTBEAT, b"binlog.000007"),
    (codes.HEARTBEAT_V2, b"\1\x0dbinlog.000007\2\1\7\0"),
    (codes.INCIDENT, b"\1\0\0"),
    (codes.ROWS_QUERY, b"\6insert"),
    (codes.MARIA_ANNOTATE_ROWS, b"insert"),
    (codes.INTVAR, bytes(9)),
    (codes.TABLE_MAP, table_map(TYPES, FACTS, optional=DESCRIBED)),
    (codes.TABLE_MAP, table_map(TYPES, FACTS, optional=DESCRIBED)),
    (codes.WRITE_ROWS, rows(10, b"row")),
    (codes.UPDATE_ROWS, rows(10, b"row", b"\xff\3", b"\xff\3", extra=b"\0\5abc")),
    (codes.DELETE_ROWS_V1, rows(10, b"row", extra=None)),
    (codes.MARIA_WRITE_ROWS_COMPRESSED_V1, rows(10, compressed(b"row" * 9), b"\xff\3", extra=None)),
    (codes.TRANSACTION_PAYLOAD, payload(ZSTD, 0, len(INNER))),
    (codes.TRANSACTION_PAYLOAD, payload(INNER, 255, len(INNER))),
)


class Case(NamedTuple):
    events: tuple[bytes, ...]
    """The last one is damaged, or not."""


FORMATS: Final = tuple(format_description(checksums=on) for on in (True, False))
TABLE: Final = tuple(event(codes.TABLE_MAP, table_map(TYPES, FACTS), checksum=on)
                     for on in (True, False))  # fmt: skip


def cases(random: Random) -> Iterator[Case]:
    while True:
        code, body = random.choice(BODIES)
        if random.random() < 0.05:
            code = random.randrange(256)
        if random.random() < 0.9:
            body = mutated(body, random)
        plain = random.random() < 0.5
        flags = random.choice((0, 0, 0, codes.ARTIFICIAL, codes.MAY_BE_IGNORED, 1))
        last = event(code, body, checksum=not plain, flags=flags, end=random.choice((0, 900)))
        if random.random() < 0.1:
            last = mutated(last, random)
        first = (FORMATS[plain], TABLE[plain])
        if random.random() < 0.1:
            odd = (rotate(), mutated(rotate(), random), mutated(FORMATS[0], random))
            first = (random.choice(odd), TABLE[plain])
        yield Case((*first, last))


def decode(case: Case) -> Decoded:
    decoder = EventDecoder()
    refused = 0
    for data in case.events:
        try:
            _, found = decoder.decode(data)
            if isinstance(found, TransactionPayload):
                for _ in decoder.unpacked(found):
                    pass
            elif isinstance(found, TableMap):
                assert len(found.described.columns) == len(found.types) == len(found.metadata)
            elif isinstance(found, RowsEvent):
                assert 0 <= found.at <= found.end <= len(found.data)
        except DecodeError:
            refused += 1
    return Decoded(len(case.events), refused)


TARGETS: Final = (
    Fuzzed(name="binlog-events", generate=cases, decode=decode, errors=(), weight=60),
)
