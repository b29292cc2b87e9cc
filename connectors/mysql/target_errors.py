"""What a refusal of the target server means: error numbers to Penstock's errors.

Source: MySQL "Server Error Message Reference" and MariaDB "Error Codes"; numbers below 1900 are
shared. The server's message is shown only for classes whose messages hold names and no values:
`Duplicate entry '...' for key` quotes the row.
"""

import re
import ssl
from collections.abc import Mapping
from typing import Final

from connectors.mysql.errors import (
    CERTIFICATE_HINT,
    NONE_LEFT,
    USED_UP,
    TransportRefusedError,
    error_number,
)
from connectors.mysql.statements import CHANGED_ERRNO, COUNT_ERRNO
from connectors.mysql.target_link import LinkLostError, ServerError
from engine.errors import (
    RowMissingError,
    RowRejectedError,
    SchemaMismatchError,
    TablePrivilegeError,
    TargetBusyError,
    TargetConnectionError,
    TargetError,
    TargetFullError,
)

_BUSY: Final = frozenset({1213, 1205, 1317, 1020, 1412, 1615, 1637, 1969, 3024, 3572})
"""Deadlock, lock wait, interrupted, changed since read, altered under a statement."""

_FULL: Final = frozenset({1021, 1114, 1037, 1038, 1041, 1135, 1206})
"""Disk, table space, memory."""

_CONNECTION: Final = frozenset(
    {1040, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1927, 2006, 2013, 3169,
     4031}
)  # fmt: skip
"""Too many connections, shutdown, killed, idle too long."""

_ENDED: Final = frozenset({1053, 1077, 1079, 1927, 3169, 4031})
"""The server ends the session with this error."""

_READ_ONLY: Final = frozenset({1290, 1792, 1836, 3100})

_PRIVILEGE: Final = frozenset({1044, 1045, 1142, 1143, 1227, 1370, 1410, 1698})

_SHAPE: Final = frozenset({1054, 1136, 1146, 1364, 1906, 3105})
"""What a table altered since it was described would explain."""

_DUPLICATE: Final = frozenset({1022, 1062, 1169, 1586, 1859})
_NO_PARENT: Final = frozenset({1216, 1452})
_HAS_CHILD: Final = frozenset({1217, 1451})
_NULL: Final = frozenset({1048, 1263})
CONSTRAINTS: Final = _DUPLICATE | _NO_PARENT | _HAS_CHILD | _NULL
"""Numbers of refusals by a constraint."""

_CHECK: Final = frozenset({3819, 3820, 4025, 1644, 1369, 1526, 1748})
_ROW: Final = frozenset(
    {1153, 1118, 1261, 1262, 1264, 1265, 1292, 1300, 1301, 1366, 1367, 1406, 1411, 1416, 1425,
     1441, 1467, 1690, 1762, 1830, 1860, 3037, 3140, 3141, 3144, 3150, 3156, 3617, 3655, 3669,
     4078, 4126}
)  # fmt: skip
"""A value or a row that the server does not take."""

_NAMES_COLUMN: Final = frozenset({1048, 1264, 1265, 1406})
"""Numbers of messages that name the column and not its value."""

_KEY: Final = re.compile(r"for key '([^']*)'\Z")
_CONSTRAINT: Final = re.compile(r"CONSTRAINT [`']?([\w$.-]+)[`']?")
_COLUMN: Final = re.compile(r"(?:for|value for) column (?:[`'](?:[^`']*`\.`)*)([\w$ -]+)[`']")

READ_ONLY_HINT: Final = (
    "give the primary's address, or turn read_only and super_read_only off there"
)


def is_fatal(error: ServerError) -> bool:
    """Whether the server ended the session with this error."""
    return error.errno in _ENDED


def may_be_stale(error: ServerError) -> bool:
    """Whether a table altered since it was described would explain the refusal."""
    return error.errno in _SHAPE


def miscounted(error: ServerError, subject: str, expected: int) -> TargetError:
    """The error for a check that failed: its statement found another number of rows, or the server
    changed a value."""
    found = error.before[-1].affected if error.before else 0
    context = {"errno": error.errno}
    if error.errno == CHANGED_ERRNO:
        return RowRejectedError(
            f"{subject}: the target would have stored another value than the source's",
            sqlstate="22000",
            hint="widen the column on the target",
            context=context,
        )
    if error.errno == COUNT_ERRNO and found < expected:
        return RowMissingError(
            f"{subject}: {expected - found} of {expected} rows to change are not there",
            sqlstate="02000",
            context=context,
        )
    if error.errno == COUNT_ERRNO:
        return RowRejectedError(
            f"{subject}: more than one row of the target has the key of one row of the source",
            sqlstate="21000",
            hint="make the key unique on the target",
            context=context,
        )
    return refusal(error, subject)


def not_loaded(error: ServerError, subject: str) -> RowRejectedError:
    """The error for rows of changes that LOAD DATA did not store as they are, all of them."""
    return RowRejectedError(
        f"{subject}: the target did not load the rows as they are",
        sqlstate="22000",
        hint="widen the columns on the target, or see what its triggers do",
        context={"errno": error.errno},
    )


def refusal(error: ServerError, subject: str = "") -> TargetError:
    """The error for a refused statement. `subject` is the table it was about."""
    errno = error.errno
    context: dict[str, object] = {"sqlstate": error.sqlstate, "errno": errno}
    reason = _reason(errno, error.sqlstate)
    if reason:
        return _rejected(error, subject, reason, context)
    text = f"{subject + ': ' if subject else ''}{error.message} ({condition(error)})"
    if errno in _BUSY:
        return TargetBusyError(text, context=context)
    if errno in _FULL or (errno == 1030 and "28" in error.message):
        return TargetFullError(text, hint="make room on the target server", context=context)
    if errno in _READ_ONLY:
        return TargetConnectionError(
            f"the target takes no writes: {text}", hint=READ_ONLY_HINT, context=context
        )
    if errno in _CONNECTION or error.sqlstate.startswith("08"):
        hint = NONE_LEFT if errno in USED_UP else ""
        return TargetConnectionError(text, hint=hint, context=context)
    if errno in _PRIVILEGE:
        return TargetError(
            f"the target: {text}",
            hint="grant the missing privilege; penstock check FILE prints the statement",
            context=context,
        )
    if error.sqlstate.startswith("42") or errno in _SHAPE:
        return SchemaMismatchError(text, context=context)
    return TargetError(
        f"{subject + ': ' if subject else ''}the target refused a statement ({condition(error)})",
        context=context,
    )


def _reason(errno: int, sqlstate: str) -> str:
    if errno in _DUPLICATE:
        return "another row has the value of a unique key"
    if errno in _NO_PARENT:
        return "the row that a foreign key leads to is not there"
    if errno in _HAS_CHILD:
        return "rows of another table lead to it by a foreign key"
    if errno in _NULL:
        return "the column takes no NULL"
    if errno in _CHECK:
        return "a check, partition or trigger of the target refused it"
    if errno in _ROW or sqlstate[:2] == "22":
        return "its value does not fit the column"
    return "a constraint forbids it" if sqlstate[:2] == "23" else ""


def _rejected(
    error: ServerError, subject: str, reason: str, context: Mapping[str, object]
) -> RowRejectedError:
    column, key = _COLUMN.search(error.message), _KEY.search(error.message)
    constraint = _CONSTRAINT.search(error.message)
    where = [subject] if subject else []
    if key is not None and error.errno in _DUPLICATE:
        where.append(f"key {key[1]}")
    elif constraint is not None and error.errno in _NO_PARENT | _HAS_CHILD:
        where.append(f"constraint {constraint[1]}")
    elif column is not None and error.errno in _NAMES_COLUMN:
        where.append(f"column {column[1]}")
    return RowRejectedError(
        f"{', '.join(where) or 'a row'}: {reason} ({condition(error)})",
        sqlstate=error.sqlstate,
        hint="mend what forbids it on the target, or the row on the source",
        context=context,
    )


def condition(error: ServerError) -> str:
    """The error's number and state, e.g. `error 1062, 23000`."""
    return f"error {error.errno}, {error.sqlstate}"


def of_table(error: TargetError, table: str) -> TargetError:
    """The refusal of a statement about a user's table: a missing privilege is that table's alone.
    Any other error as it is."""
    if type(error) is not TargetError or error.context.get("errno") not in _PRIVILEGE:
        return error
    return TablePrivilegeError(
        error.message,
        hint=f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} to the user; what waits is then"
        " applied by itself",
        context=error.context,
    )


def not_followed(error: TargetError, table: str) -> TargetError:
    """The refusal of a statement that would change the shape of a table: it is that table's alone,
    whatever the reason, unless the server may take the same statement later."""
    error = of_table(error, table)
    if isinstance(error, TablePrivilegeError):
        hint = f"GRANT ALTER, CREATE, DROP, INDEX ON {table} to the user; what waits is then"
        return TablePrivilegeError(
            error.message, hint=f"{hint} applied by itself", context=error.context
        )
    if type(error) is not TargetError and not isinstance(error, RowRejectedError):
        return error
    return SchemaMismatchError(
        error.message,
        hint="make the source's change on the target by hand; what waits is then applied by itself",
        context=error.context,
    )


def lost(error: LinkLostError) -> TargetConnectionError:
    return TargetConnectionError(f"the connection to the target broke: {error}")


def not_connected(error: BaseException) -> TargetError:
    """The error for a connection that the driver could not make."""
    doing = "connecting to the target"
    if isinstance(error, TransportRefusedError):
        return TargetError(f"{doing}: {error}", hint="turn on TLS there, or set sslmode in the url")
    broken = (error, error.__cause__)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in broken):
        return TargetError(f"{doing}: certificate verify failed", hint=CERTIFICATE_HINT)
    number = error_number(error)
    if not number or 2000 <= number < 3000:
        reason = error.__cause__ or error
        words = reason.strerror if isinstance(reason, OSError) else ""
        return TargetConnectionError(
            f"{doing}: {words or type(reason).__name__}",
            hint="see that the server runs, and mend host and port in the url if need be",
        )
    words = str(error.args[1]) if len(error.args) > 1 else "refused"
    hint = "check user, password and the address it may come from"
    found = refusal(ServerError(number, "HY000", words))
    text = f"{doing}: {words} (error {number})"
    if isinstance(found, TargetConnectionError):
        return TargetConnectionError(text, hint=found.hint)
    return TargetError(text, hint=hint)
