"""JSON documents, and changes of them, in the servers' binary form."""

import struct
from collections.abc import Sequence
from typing import Any

from tests.unit.connectors.mysql.binlog_bytes import packed_bytes


def length(size: int) -> bytes:
    found = bytearray()
    while size >= 0x80:
        found.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*found, size])


def binary(value: Any, large: bool = False) -> bytes:
    """A document: its type and what follows."""
    kind, data = part(value, large)
    return bytes([kind]) + data


def part(value: Any, large: bool) -> tuple[int, bytes]:
    if value is None or isinstance(value, bool):
        return 4, bytes([0 if value is None else 1 if value else 2])
    if isinstance(value, int):
        for code, form in ((5, "<h"), (6, "<H"), (7, "<i"), (8, "<I"), (9, "<q"), (10, "<Q")):
            try:
                return code, struct.pack(form, value)
            except struct.error:
                continue
    if isinstance(value, float):
        return 11, struct.pack("<d", value)
    if isinstance(value, str):
        data = value.encode()
        return 12, length(len(data)) + data
    if isinstance(value, dict):
        keys = sorted((key.encode() for key in value), key=lambda key: (len(key), key))
        values = [value[key.decode()] for key in keys]
        return large * 1, container(keys, values, large)
    return 2 + large, container(None, list(value), large)


def container(keys: Sequence[bytes] | None, values: Sequence[Any], large: bool) -> bytes:
    width, form = (4, "<I") if large else (2, "<H")
    head = 2 * width + len(keys or ()) * (width + 2) + len(values) * (1 + width)
    tail = b"".join(keys or ())
    entries = b""
    at = head
    for key in keys or ():
        entries += struct.pack(form, at) + struct.pack("<H", len(key))
        at += len(key)
    for value in values:
        kind, data = part(value, large)
        if kind in (4, 5, 6) or (large and kind in (7, 8)):
            entries += bytes([kind]) + data.ljust(width, b"\0")
        else:
            entries += bytes([kind]) + struct.pack(form, head + len(tail))
            tail += data
    whole = 2 * width + len(entries) + len(tail)
    return struct.pack(form, len(values)) + struct.pack(form, whole) + entries + tail


def diff(operation: int, path: str, value: Any = None) -> bytes:
    body = bytes([operation]) + packed_bytes(path.encode())
    return body if operation == 2 else body + packed_bytes(binary(value))
