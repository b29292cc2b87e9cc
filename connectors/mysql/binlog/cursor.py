"""(pure) Reads the parts of one event in order; numbers are little-endian.

See: MySQL internals, "Protocol::LengthEncodedInteger"; the fields of single events in their source.
"""

import struct
from typing import Final

_U16: Final = struct.Struct("<H").unpack_from
_U32: Final = struct.Struct("<I").unpack_from
_U64: Final = struct.Struct("<Q").unpack_from
_LENGTHS: Final = {0xFC: 2, 0xFD: 3, 0xFE: 8}


class Cursor:
    """A place between `at` and `end` in `data`. Every method raises ValueError when the bytes asked
    for are not there."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end

    @property
    def left(self) -> int:
        return self.end - self.at

    def _step(self, size: int) -> int:
        at = self.at
        if size > self.end - at:
            raise ValueError("it ends too early")
        self.at = at + size
        return at

    def skip(self, size: int) -> None:
        self._step(size)

    def take(self, size: int) -> bytes:
        at = self._step(size)
        return self.data[at : at + size]

    def rest(self) -> bytes:
        return self.take(self.left)

    def u8(self) -> int:
        return self.data[self._step(1)]

    def u16(self) -> int:
        return int(_U16(self.data, self._step(2))[0])

    def u32(self) -> int:
        return int(_U32(self.data, self._step(4))[0])

    def u64(self) -> int:
        return int(_U64(self.data, self._step(8))[0])

    def uint(self, size: int) -> int:
        """An unsigned number of any width."""
        return int.from_bytes(self.take(size), "little")

    def packed(self) -> int:
        """A length-encoded integer."""
        first = self.u8()
        if first < 0xFB:
            return first
        size = _LENGTHS.get(first)
        if size is None:
            raise ValueError("a length is not one")
        return self.uint(size)

    def packed_bytes(self) -> bytes:
        """Bytes behind their length-encoded length."""
        return self.take(self.packed())

    def terminated(self, size: int) -> bytes:
        """Bytes of a known size, and the zero behind them."""
        found = self.take(size)
        if self.u8():
            raise ValueError("a name does not end where it should")
        return found
