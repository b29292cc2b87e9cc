"""(pure) Numbers of the binary log: event types and their flags.

See: MySQL source, `binlog_event.h`; MariaDB source, `log_event.h`.
"""

from typing import Final

QUERY: Final = 2
STOP: Final = 3
ROTATE: Final = 4
INTVAR: Final = 5
LOAD: Final = 6
CREATE_FILE: Final = 8
APPEND_BLOCK: Final = 9
EXEC_LOAD: Final = 10
DELETE_FILE: Final = 11
NEW_LOAD: Final = 12
RAND: Final = 13
USER_VAR: Final = 14
FORMAT_DESCRIPTION: Final = 15
XID: Final = 16
BEGIN_LOAD_QUERY: Final = 17
EXECUTE_LOAD_QUERY: Final = 18
TABLE_MAP: Final = 19
WRITE_ROWS_V1: Final = 23
UPDATE_ROWS_V1: Final = 24
DELETE_ROWS_V1: Final = 25
INCIDENT: Final = 26
HEARTBEAT: Final = 27
IGNORABLE: Final = 28
ROWS_QUERY: Final = 29
WRITE_ROWS: Final = 30
UPDATE_ROWS: Final = 31
DELETE_ROWS: Final = 32
GTID: Final = 33
ANONYMOUS_GTID: Final = 34
PREVIOUS_GTIDS: Final = 35
TRANSACTION_CONTEXT: Final = 36
VIEW_CHANGE: Final = 37
XA_PREPARE: Final = 38
PARTIAL_UPDATE_ROWS: Final = 39
TRANSACTION_PAYLOAD: Final = 40
HEARTBEAT_V2: Final = 41
GTID_TAGGED: Final = 42
MARIA_ANNOTATE_ROWS: Final = 160
MARIA_BINLOG_CHECKPOINT: Final = 161
MARIA_GTID: Final = 162
MARIA_GTID_LIST: Final = 163
MARIA_START_ENCRYPTION: Final = 164
MARIA_QUERY_COMPRESSED: Final = 165
MARIA_WRITE_ROWS_COMPRESSED_V1: Final = 166
MARIA_UPDATE_ROWS_COMPRESSED_V1: Final = 167
MARIA_DELETE_ROWS_COMPRESSED_V1: Final = 168
MARIA_WRITE_ROWS_COMPRESSED: Final = 169
MARIA_UPDATE_ROWS_COMPRESSED: Final = 170
MARIA_DELETE_ROWS_COMPRESSED: Final = 171
MARIA_PARTIAL_ROWS: Final = 172

NAMES: Final = {
    value: name.removeprefix("MARIA_")
    for name, value in list(globals().items())
    if name.isupper() and isinstance(value, int)
}
"""A type's name, for messages."""

BINLOG_IN_USE: Final = 0x1
"""In the flags of a FORMAT_DESCRIPTION whose file is being written; no part of its checksum."""

ARTIFICIAL: Final = 0x20
"""The event stands in no file: the server made it for the reader."""

MAY_BE_IGNORED: Final = 0x80
"""A reader that does not know the event's type may pass over it."""
