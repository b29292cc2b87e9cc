"""(pure) The frame of a ROWS event: whose rows, which columns they hold, where they stand.

See: MySQL source, `rows_event.h`, "Rows_event"; MariaDB source, `log_event.cc`,
"row_log_event_uncompress".
"""

from collections.abc import Mapping
from typing import Final

from connectors.mysql.binlog import codes
from connectors.mysql.binlog.compression import inflated
from connectors.mysql.binlog.cursor import Cursor
from connectors.mysql.binlog.events import RowsEvent
from connectors.mysql.binlog.table_map import TableMap
from engine.model.change import DELETE, INSERT, UPDATE

ROWS_EVENTS: Final = {
    codes.WRITE_ROWS_V1: (INSERT, False),
    codes.UPDATE_ROWS_V1: (UPDATE, False),
    codes.DELETE_ROWS_V1: (DELETE, False),
    codes.WRITE_ROWS: (INSERT, False),
    codes.UPDATE_ROWS: (UPDATE, False),
    codes.DELETE_ROWS: (DELETE, False),
    codes.PARTIAL_UPDATE_ROWS: (UPDATE, False),
    codes.MARIA_WRITE_ROWS_COMPRESSED_V1: (INSERT, True),
    codes.MARIA_UPDATE_ROWS_COMPRESSED_V1: (UPDATE, True),
    codes.MARIA_DELETE_ROWS_COMPRESSED_V1: (DELETE, True),
    codes.MARIA_WRITE_ROWS_COMPRESSED: (INSERT, True),
    codes.MARIA_UPDATE_ROWS_COMPRESSED: (UPDATE, True),
    codes.MARIA_DELETE_ROWS_COMPRESSED: (DELETE, True),
}
"""Event types that hold rows: the kind of change, and whether the rows are compressed."""

COMPRESSED: Final = frozenset(code for code, (_, packed) in ROWS_EVENTS.items() if packed)

NO_TABLE: Final = 0xFFFFFF
"""Number of no table, in an event without rows that ends a statement."""

_OLD: Final = 6
_WITH_EXTRA: Final = 10
_ENDS_STATEMENT: Final = 0x1


def parse_rows(
    cursor: Cursor,
    code: int,
    post_header: int,
    tables: Mapping[int, tuple[bytes, TableMap]],
) -> RowsEvent:
    """Read an event's frame. `post_header` is the size that the file's format tells, `tables` what
    was described, by number. Raises ValueError."""
    kind, compressed = ROWS_EVENTS[code]
    number = cursor.uint(4 if post_header == _OLD else 6)
    ends = bool(cursor.u16() & _ENDS_STATEMENT)
    if post_header == _WITH_EXTRA:
        extra = cursor.u16()
        if extra < 2:
            raise ValueError("its extra data is shorter than its length")
        cursor.skip(extra - 2)
    width = cursor.packed()
    known = tables.get(number)
    if known is None:
        if number == NO_TABLE and not width:
            return RowsEvent(kind, None, b"", b"", b"", 0, 0, False, ends)
        raise ValueError(f"its rows are of table number {number}, which was not described")
    table = known[1]
    if width != len(table.types):
        raise ValueError(f"its rows have {width} columns, the table {len(table.types)}")
    mask = (width + 7) // 8
    before = cursor.take(mask) if kind != INSERT else b""
    after = cursor.take(mask) if kind != DELETE else b""
    data, at, end = cursor.data, cursor.at, cursor.end
    if compressed:
        data = inflated(cursor)
        at, end = 0, len(data)
    partial = code == codes.PARTIAL_UPDATE_ROWS
    return RowsEvent(kind, table, before, after, data, at, end, partial, ends)
