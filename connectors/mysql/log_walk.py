"""(pure) Where events of the binary log stand, by their headers.

Offsets in headers have 32 bits; files may be longer, and their offsets only grow.
"""

from collections.abc import Container
from typing import Final

from connectors.mysql.binlog.decoder import HEADER_BYTES
from connectors.mysql.binlog.events import Header, Rotate
from connectors.mysql.position import LogPlace

OFFSET_MAX: Final = (1 << 32) - 1
"""The largest offset that a header holds, and that a log can be asked for."""

_CODE_AT: Final = 4
_END: Final = slice(13, 17)
"""Of an event's header."""


class LogWalk:
    """Follows a log from event to event."""

    def __init__(self) -> None:
        self.file = ""
        self._offset = 0

    @property
    def place(self) -> LogPlace:
        """Behind everything that was passed."""
        return LogPlace(self.file, self._offset)

    def rotate(self, event: Rotate) -> None:
        """The log goes on elsewhere."""
        self.file, self._offset = event.file, event.offset

    def advance(self, end: int) -> None:
        """Pass an event that ends there, by its header; one without a place says 0."""
        if not end:
            return
        end |= self._offset & ~OFFSET_MAX
        self._offset = end if end >= self._offset else end + OFFSET_MAX + 1

    def passes_by(self, data: bytes, told: Container[int]) -> bool:
        """Pass an event unread, unless its code is one of `told` or it has no whole header."""
        if len(data) < HEADER_BYTES or data[_CODE_AT] in told:
            return False
        self.advance(int.from_bytes(data[_END], "little"))
        return True

    def end_of(self, header: Header) -> LogPlace:
        """Where the event that comes now ends; it is passed then."""
        self.advance(header.end)
        return self.place

    def start_of(self, header: Header) -> LogPlace:
        """Where it begins; it is passed then."""
        end = self.end_of(header)
        return LogPlace(end.file, end.offset - header.size)
