"""(pure) The byte form of rows in a full load: each value its length, then its bytes."""

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final

from connectors.memory.storage import Cells
from engine.model.relation import Format
from engine.model.value import Row

FORM: Final = "memory"
_LENGTH: Final = Struct("!i")
_NULL: Final = _LENGTH.pack(-1)


def encode(row: Cells) -> bytes:
    parts: list[bytes] = []
    for value in row:
        if value is None:
            parts.append(_NULL)
        else:
            assert isinstance(value, bytes)
            parts.append(_LENGTH.pack(len(value)))
            parts.append(value)
    return b"".join(parts)


class MemoryRows:
    """Cuts buffers of any size into rows, which may be cut anywhere. See `model.load_rows`."""

    format = Format.BINARY

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        buffer = self._rest + data
        at = 0
        while (end := self._row_end(buffer, at)) is not None:
            yield buffer[at:end]
            at = end
        self._rest = buffer[at:]

    def finish(self) -> None:
        """Raises ValueError when the last row is incomplete."""
        if self._rest:
            raise ValueError(f"{len(self._rest)} bytes of an incomplete row")

    def join(self, rows: Sequence[bytes]) -> bytes:
        return b"".join(rows)

    def values(self, row: bytes) -> Row:
        values: list[bytes | None] = []
        at = 0
        for _ in range(self._columns):
            (size,) = _LENGTH.unpack_from(row, at)
            at += 4
            values.append(None if size < 0 else row[at : at + size])
            at += max(0, size)
        return tuple(values)

    def _row_end(self, buffer: bytes, at: int) -> int | None:
        if at == len(buffer):
            return None
        for _ in range(self._columns):
            if at + 4 > len(buffer):
                return None
            at += 4 + max(0, _LENGTH.unpack_from(buffer, at)[0])
        return at if at <= len(buffer) else None
