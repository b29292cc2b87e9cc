"""(pure) PostgreSQL's binary form of what has no module of its own here: integers, bits, addresses.

See: PostgreSQL source, the types' send functions.
"""

import struct
from collections.abc import Callable
from typing import Final

from connectors.mysql.decimals import sender
from connectors.mysql.types import INT2, INT4, INT8, MysqlType, interchange

_WIDTHS: Final = {INT2: 2, INT4: 4, INT8: 8}
INTEGER_BYTES: Final = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8}
_BITS: Final = struct.Struct(">I").pack
_INET: Final = {4: bytes((2, 32, 0, 4)), 16: bytes((3, 128, 0, 16))}
"""Family, bits of the mask, not a network, bytes; by the latter."""


def integer_bytes(type: MysqlType) -> int | None:
    """Bytes of the PostgreSQL type of an integer type; None for one that becomes a numeric."""
    return _WIDTHS.get(interchange(type).oid)


def integer_packer(type: MysqlType) -> Callable[[int], bytes]:
    """From a number of an integer type, or a year, to the form of its PostgreSQL type."""
    width = integer_bytes(type)
    if width is None:
        return sender(0)
    return struct.Struct({2: ">h", 4: ">i", 8: ">q"}[width]).pack


def integer_sender(type: MysqlType) -> Callable[[bytes], bytes]:
    """The same from the number's little-endian bytes. Turning them round is enough where the widths
    are equal, or zeros fill the difference."""
    width = integer_bytes(type)
    fill = 0 if width is None else width - INTEGER_BYTES[type.base]
    if width is not None and not fill:
        return lambda data: data[::-1]
    if width is not None and type.unsigned:
        zeros = bytes(fill)
        return lambda data: zeros + data[::-1]
    pack = integer_packer(type)
    signed = not type.unsigned
    return lambda data: pack(int.from_bytes(data, "little", signed=signed))


def bit_sender(size: int) -> Callable[[bytes], bytes]:
    """Bits: a BIT has them at the right end of its bytes, PostgreSQL at the left."""
    head = _BITS(size)
    width = (size + 7) // 8
    fill = -size % 8

    def send(data: bytes) -> bytes:
        bits = int.from_bytes(data, "big") << fill
        if bits >> 8 * width:
            raise ValueError("a BIT has more bits than its type")
        return head + bits.to_bytes(width, "big")

    return send


def inet(address: bytes) -> bytes:
    """An address of 4 or 16 bytes."""
    return _INET[len(address)] + address
