"""Events of the binary log as bytes, by the servers' description of them."""

import struct
from collections.abc import Sequence
from typing import Final
from zlib import crc32

from connectors.mysql.binlog import codes

MYSQL: Final = "9.7.4"
MARIA: Final = "10.11.18-MariaDB-log"

POST_HEADERS: Final = {
    codes.QUERY: 13, codes.ROTATE: 8, codes.FORMAT_DESCRIPTION: 98, codes.TABLE_MAP: 8,
    codes.WRITE_ROWS_V1: 8, codes.UPDATE_ROWS_V1: 8, codes.DELETE_ROWS_V1: 8, codes.INCIDENT: 2,
    codes.WRITE_ROWS: 10, codes.UPDATE_ROWS: 10, codes.DELETE_ROWS: 10, codes.GTID: 42,
    codes.ANONYMOUS_GTID: 42, codes.PARTIAL_UPDATE_ROWS: 10, codes.MARIA_GTID: 19,
    codes.MARIA_GTID_LIST: 4, codes.MARIA_QUERY_COMPRESSED: 13,
    codes.MARIA_WRITE_ROWS_COMPRESSED_V1: 8, codes.MARIA_UPDATE_ROWS_COMPRESSED_V1: 8,
    codes.MARIA_DELETE_ROWS_COMPRESSED_V1: 8, codes.MARIA_WRITE_ROWS_COMPRESSED: 10,
    codes.MARIA_UPDATE_ROWS_COMPRESSED: 10, codes.MARIA_DELETE_ROWS_COMPRESSED: 10,
}  # fmt: skip

END: Final = 4711


def event(
    code: int,
    body: bytes = b"",
    *,
    checksum: bool = True,
    end: int = END,
    flags: int = 0,
    server: int = 7,
    timestamp: int = 1_700_000_000,
) -> bytes:
    size = 19 + len(body) + 4 * checksum
    data = struct.pack("<IBIIIH", timestamp, code, server, size, end, flags) + body
    return data + struct.pack("<I", crc32(data)) if checksum else data


def format_description(
    server: str = MYSQL,
    *,
    checksums: bool = True,
    in_use: bool = False,
    old_tables: bool = False,
    end: int = END,
) -> bytes:
    sizes = bytearray(codes.MARIA_PARTIAL_ROWS)
    for code, size in POST_HEADERS.items():
        sizes[code - 1] = 6 if old_tables and size in (8, 10) else size
    body = struct.pack("<H50sIB", 4, server.encode(), 0, 19) + bytes(sizes) + bytes([checksums])
    plain = event(codes.FORMAT_DESCRIPTION, body, end=end)
    return plain[:17] + bytes([in_use]) + plain[18:]


def rotate(
    file: str = "binlog.000002", offset: int = 4, *, end: int = 0, checksum: bool = True
) -> bytes:
    body = struct.pack("<Q", offset) + file.encode()
    return event(codes.ROTATE, body, end=end, flags=0 if end else codes.ARTIFICIAL,
                 checksum=checksum)  # fmt: skip


def packed(number: int) -> bytes:
    if number < 251:
        return bytes([number])
    if number < 1 << 16:
        return b"\xfc" + number.to_bytes(2, "little")
    if number < 1 << 24:
        return b"\xfd" + number.to_bytes(3, "little")
    return b"\xfe" + number.to_bytes(8, "little")


def packed_bytes(data: bytes) -> bytes:
    return packed(len(data)) + data


def bits(flags: Sequence[bool]) -> bytes:
    """A bit each, least significant first."""
    whole = sum(flag << i for i, flag in enumerate(flags))
    return whole.to_bytes((len(flags) + 7) // 8, "little")


def table_map(
    types: Sequence[int],
    metadata: bytes = b"",
    *,
    number: int = 90,
    schema: str = "shop",
    name: str = "t",
    optional: bytes = b"",
    id_bytes: int = 6,
) -> bytes:
    body = number.to_bytes(id_bytes, "little") + b"\x01\0"
    body += bytes([len(schema)]) + schema.encode() + b"\0"
    body += bytes([len(name)]) + name.encode() + b"\0"
    body += packed(len(types)) + bytes(types) + packed_bytes(metadata)
    return body + bits([True] * len(types)) + optional


def rows(
    width: int,
    data: bytes,
    *masks: bytes,
    number: int = 90,
    flags: int = 1,
    extra: bytes | None = b"",
    id_bytes: int = 6,
) -> bytes:
    """`masks`: which columns old and new rows hold; all, once, when none is given. `extra` None: an
    event of version 1."""
    body = number.to_bytes(id_bytes, "little") + struct.pack("<H", flags)
    if extra is not None:
        body += struct.pack("<H", len(extra) + 2) + extra
    return body + packed(width) + b"".join(masks or (bits([True] * width),)) + data


def query(
    sql: bytes, *, schema: str = "shop", variables: bytes = b"", thread: int = 5, error: int = 0
) -> bytes:
    head = struct.pack("<IIBHH", thread, 0, len(schema), error, len(variables))
    return head + variables + schema.encode() + b"\0" + sql


def optional(kind: int, body: bytes) -> bytes:
    """A field of a TABLE_MAP's optional part."""
    return bytes([kind]) + packed_bytes(body)
