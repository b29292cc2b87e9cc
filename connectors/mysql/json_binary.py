"""(pure) JSON documents of MySQL: the binary form that the log has, to the text that SELECT gives.

A document is read into a tree whose leaves are texts already: arrays are lists, objects are dicts.
Offsets in the binary form can point anywhere, so what is read is bounded by what there is: no more
values, and no more bytes of strings, than the document has bytes, and no deeper than servers go.

See: MySQL source, `sql-common/json_binary.h`; `json_dom.cc`, `Json_wrapper::to_string`, for the
text.
"""

import struct
from base64 import b64encode
from typing import Final, TypeAlias

from connectors.mysql.decimals import packed_bytes, text_of, unpacker
from connectors.mysql.floats import double_text
from connectors.mysql.temporal import date_text, datetime_text, time_text

Node: TypeAlias = "str | list[Node] | dict[str, Node]"
"""A leaf as its text, an array, or an object."""

DEPTH_MAX: Final = 100
"""Arrays and objects inside each other, the servers' own limit."""

_ESCAPES: Final = {
    **{i: f"\\u{i:04x}" for i in range(32)},
    8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\",
}  # fmt: skip
_LITERALS: Final = {0: "null", 1: "true", 2: "false"}
_SMALL_OBJECT: Final = 0
_LARGE_ARRAY: Final = 3
_LITERAL: Final = 4
_DOUBLE: Final = 0x0B
_STRING: Final = 0x0C
_OPAQUE: Final = 0x0F
_INTEGERS: Final = {5: (2, True), 6: (2, False), 7: (4, True), 8: (4, False), 9: (8, True),
                    10: (8, False)}  # fmt: skip
"""Bytes of a number, and whether it has a sign."""

_DATE: Final = 10
_TIME: Final = 11
_DATETIME: Final = 12
_TIMESTAMP: Final = 7
_DECIMAL: Final = 246
_F64: Final = struct.Struct("<d").unpack_from


def parse_json(data: bytes) -> Node:
    """The document's tree; no bytes at all are JSON's null. Raises ValueError."""
    if not data:
        return "null"
    return _Reader(data).value(data[0], 1, DEPTH_MAX)


def json_text(node: Node) -> bytes:
    """A tree as the text that SELECT gives."""
    parts: list[str] = []
    _write(node, parts)
    return "".join(parts).encode()


def quoted(text: str) -> str:
    """A string as JSON writes it."""
    return f'"{text.translate(_ESCAPES)}"'


def _write(node: Node, parts: list[str]) -> None:
    if isinstance(node, str):
        parts.append(node)
    elif isinstance(node, list):
        parts.append("[")
        for i, item in enumerate(node):
            if i:
                parts.append(", ")
            _write(item, parts)
        parts.append("]")
    else:
        parts.append("{")
        for i, (key, item) in enumerate(sorted(node.items(), key=_key_order)):
            parts.append(f"{', ' if i else ''}{quoted(key)}: ")
            _write(item, parts)
        parts.append("}")


def _key_order(item: tuple[str, Node]) -> tuple[int, bytes]:
    """Keys are ordered by length, then by bytes."""
    key = item[0].encode()
    return len(key), key


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._values_left = len(data)
        self._bytes_left = len(data)

    def value(self, kind: int, at: int, depth: int) -> Node:
        """A value of a kind that stands at `at`."""
        self._values_left -= 1
        if self._values_left < 0:
            raise ValueError("a JSON document has more values than bytes")
        if kind <= _LARGE_ARRAY:
            return self._container(kind, at, depth)
        if kind == _STRING:
            return quoted(self._string(at).decode())
        if kind == _DOUBLE:
            return _double(float(_F64(self._take(at, 8))[0]))
        if kind == _LITERAL:
            return _literal(self._take(at, 1)[0])
        if kind == _OPAQUE:
            return _opaque(self._take(at, 1)[0], self._string(at + 1))
        if kind not in _INTEGERS:
            raise ValueError("a JSON document has a value of an unknown kind")
        width, signed = _INTEGERS[kind]
        return str(int.from_bytes(self._take(at, width), "little", signed=signed))

    def _container(self, kind: int, at: int, depth: int) -> Node:
        if not depth:
            raise ValueError("a JSON document is deeper than servers let one be")
        large = bool(kind & 1)
        width = 4 if large else 2
        count = self._uint(at, width)
        size = self._uint(at + width, width)
        if at + size > len(self._data) or count > size:
            raise ValueError("a part of a JSON document is longer than the whole")
        entries = at + 2 * width
        if kind > 1:
            return [self._entry(at, entries + i * (1 + width), large, depth) for i in range(count)]
        values = entries + count * (width + 2)
        return {
            self._key(at, entries + i * (width + 2), width): self._entry(
                at, values + i * (1 + width), large, depth
            )
            for i in range(count)
        }

    def _key(self, start: int, entry: int, width: int) -> str:
        offset, size = self._uint(entry, width), self._uint(entry + width, 2)
        return self._counted(start + offset, size).decode()

    def _entry(self, start: int, entry: int, large: bool, depth: int) -> Node:
        """A value's entry: small ones stand in it, of others it has the place."""
        kind = self._take(entry, 1)[0]
        if kind in (4, 5, 6) or (large and kind in (7, 8)):
            return self.value(kind, entry + 1, depth - 1)
        return self.value(kind, start + self._uint(entry + 1, 4 if large else 2), depth - 1)

    def _uint(self, at: int, width: int) -> int:
        return int.from_bytes(self._take(at, width), "little")

    def _take(self, at: int, size: int) -> bytes:
        data = self._data[at : at + size]
        if len(data) != size:
            raise ValueError("a JSON document ends too early")
        return data

    def _counted(self, at: int, size: int) -> bytes:
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise ValueError("a JSON document has more text than bytes")
        return self._take(at, size)

    def _string(self, at: int) -> bytes:
        size = shift = 0
        while True:
            (byte,) = self._take(at, 1)
            at += 1
            size |= (byte & 0x7F) << shift
            if byte < 0x80:
                return self._counted(at, size)
            shift += 7
            if shift > 28:
                raise ValueError("a length in a JSON document is longer than five bytes")


def _literal(number: int) -> str:
    if number not in _LITERALS:
        raise ValueError("a JSON document has an unknown literal")
    return _LITERALS[number]


def _double(value: float) -> str:
    """A number with a point stays one."""
    text = double_text(value)
    return text if "." in text or "e" in text else f"{text}.0"


def _opaque(kind: int, data: bytes) -> str:
    """A value of one of the servers' own types."""
    if kind == _DECIMAL:
        if len(data) < 2:
            raise ValueError("a DECIMAL in a JSON document does not tell its digits")
        return _decimal(data[0], data[1], data[2:])
    if kind in (_DATE, _DATETIME, _TIMESTAMP, _TIME):
        if len(data) != 8:
            raise ValueError("a time in a JSON document is not eight bytes")
        return f'"{_temporal(kind, int.from_bytes(data, "little", signed=True))}"'
    return f'"base64:type{kind}:{b64encode(data).decode()}"'


def _decimal(precision: int, scale: int, data: bytes) -> str:
    unpack = unpacker(precision, scale)
    if len(data) != packed_bytes(precision, scale):
        raise ValueError("a DECIMAL in a JSON document is not as long as it says")
    return text_of(unpack(data), scale).decode()


def _temporal(kind: int, packed: int) -> str:
    if kind == _TIME:
        size = abs(packed)
        whole, us = size >> 24, size & 0xFFFFFF
        us += (((whole >> 12) * 60 + (whole >> 6 & 63)) * 60 + (whole & 63)) * 1_000_000
        return time_text(-us if packed < 0 else us, 6)
    whole, us = abs(packed) >> 24, abs(packed) & 0xFFFFFF
    year, month = divmod(whole >> 22, 13)
    day = year << 9 | month << 5 | whole >> 17 & 31
    if kind == _DATE:
        return date_text(day)
    clock = ((whole >> 12 & 31) * 60 + (whole >> 6 & 63)) * 60 + (whole & 63)
    return datetime_text(day, clock * 1_000_000 + us, 6)
