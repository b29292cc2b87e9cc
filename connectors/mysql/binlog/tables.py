"""(pure) The tables that rows refer to by number, in one file of the log.

Servers describe a table anew before every statement, and of one statement after another the frames
of rows are alike: what was read before is found again by its bytes.
"""

from typing import Final

from connectors.mysql.binlog import codes
from connectors.mysql.binlog.cursor import Cursor
from connectors.mysql.binlog.events import RowsEvent
from connectors.mysql.binlog.rows_event import COMPRESSED, parse_rows
from connectors.mysql.binlog.table_map import TableMap, parse_table_map
from connectors.mysql.flavour import Flavour

TABLES_MAX: Final = 4096
"""Tables remembered by number, and as many frames of rows."""

_OLD_POST_HEADER: Final = 6
"""Bytes before the body of servers that number tables in four bytes, not six."""


class Tables:
    """What was described since the file began. `post_headers` are the sizes that its format tells,
    by event type less one; `server` wrote it."""

    def __init__(self, post_headers: bytes, server: Flavour) -> None:
        self._post_headers = post_headers
        self._server = server
        self._id_bytes = 6
        if self._post_header(codes.TABLE_MAP) == _OLD_POST_HEADER:
            self._id_bytes = 4
        self._tables: dict[int, tuple[bytes, TableMap]] = {}
        self._frames: dict[tuple[int, bytes], tuple[bytes, RowsEvent]] = {}

    def _post_header(self, code: int) -> int:
        """0 for a type that the format does not tell of."""
        return self._post_headers[code - 1] if code <= len(self._post_headers) else 0

    def describe(self, data: bytes, at: int, end: int) -> TableMap:
        """The table of a TABLE_MAP; one that is described as before is the same object. Raises
        ValueError."""
        body = data[at:end]
        number = int.from_bytes(body[: self._id_bytes], "little")
        known = self._tables.get(number)
        if known is not None and known[0] == body:
            return known[1]
        table = parse_table_map(Cursor(body, 0, len(body)), self._id_bytes, self._server)
        self._frames.clear()
        if len(self._tables) >= TABLES_MAX:
            self._tables.clear()
        self._tables[number] = (body, table)
        return table

    def rows(self, code: int, data: bytes, at: int, end: int) -> RowsEvent:
        """The rows of an event. Raises ValueError."""
        name = (code, data[at : at + 8])
        known = self._frames.get(name)
        if known is not None:
            frame, (kind, table, before, after, _, _, _, partial, ends) = known
            rest = at + len(frame)
            if rest <= end and data[at:rest] == frame:
                return RowsEvent(kind, table, before, after, data, rest, end, partial, ends)
        post_header = self._post_header(code)
        if not post_header:
            raise ValueError("the file's format does not tell of such events")
        found = parse_rows(Cursor(data, at, end), code, post_header, self._tables)
        if code not in COMPRESSED and found.table is not None:
            if len(self._frames) >= TABLES_MAX:
                self._frames.clear()
            # The frame alone, without the rows, which may be large.
            self._frames[name] = data[at : found.at], found._replace(data=b"", at=0, end=0)
        return found
