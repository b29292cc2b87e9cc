"""What an error of the source server, or of the link to it, means.

Numbers are those of the MySQL and MariaDB error references. The server's own words are shown only
where they hold names, never where they may hold values.
"""

import os
import ssl
from collections.abc import Mapping
from typing import Final

from pymysql.err import MySQLError

from engine.errors import PositionLostError, SourceConnectionError, SourceError

CERTIFICATE_HINT: Final = (
    "check sslrootcert in the url, the host name there, and the server's certificate"
)


NO_SERVER_HINT: Final = "see that host and port in the url are those of the server itself"


class TransportRefusedError(Exception):
    """We do not go on over this connection: it is not as safe as the URL asks for."""


class NotUnderstoodError(Exception):
    """What the server sent is no answer of a MySQL-compatible server."""


DRIVER_ERRORS: Final = (
    MySQLError, OSError, RuntimeError, TransportRefusedError, NotUnderstoodError
)  # fmt: skip
"""Everything that aiomysql raises when the server or the network says no. RuntimeError: a server
that asked for a file of ours, or closed the connection while it was upgraded."""

NO_SUCH_TABLE: Final = frozenset({1146, 1051, 1054, 1049, 1412})
"""A table, column or database that is not there, or whose definition is younger than a snapshot."""

DENIED: Final = frozenset({1044, 1045, 1142, 1143, 1227})
"""Refusals for want of a right. Amazon's servers refuse FLUSH TABLES WITH READ LOCK by 1045."""

LOCK_TIMEOUT: Final = 1205

_LINK: Final = frozenset({1152, 1158, 1159, 1160, 1161, 1184, 2002, 2003, 2006, 2013, 2014, 2055})
USED_UP: Final = frozenset({1040, 1203, 1226})
"""The server gives no further connection, or none to this user."""

NONE_LEFT: Final = (
    "end sessions there that nobody needs, or raise max_connections, or what the user is limited to"
)

_BACKOFF: Final = USED_UP | {1053, 1205, 1213, 3024, 1969, 1927, 1077, 1080}
_LOST: Final = frozenset({1236, 1373, 1785})
"""Of a binlog: cannot be read from there any more."""

_SAME_ID: Final = (
    "another replica, or another replication, has our server_id: give this one a server_id of its"
    " own in [source]"
)

_HINTS: Final[Mapping[int, str]] = {
    **dict.fromkeys(USED_UP, NONE_LEFT),
    1045: "check user and password",
    1044: "grant the user access to the database",
    1049: "mend the name in the url, or create what it names",
    1130: "let this address in: CREATE USER ... @'host'",
    1142: "grant the missing privilege; penstock check FILE prints the statement",
    1143: "grant the missing privilege; penstock check FILE prints the statement",
    1227: "grant the missing privilege; penstock check FILE prints the statement",
    1381: "turn the binary log on: --log-bin, and restart the server",
    1698: "this account is for local sessions without password; make another user",
    4052: _SAME_ID,
    3159: "set sslmode=require (or verify-full) in the url: the server takes no other connections",
}

_UNSENT: Final[Mapping[str, str]] = {
    "same server_uuid/server_id": _SAME_ID,
    "server_id is 0": "SET GLOBAL server_id to another number on the source",
    "server id was not set": "SET GLOBAL server_id to another number on the source",
    "max_allowed_packet": "SET GLOBAL max_allowed_packet = 1073741824 on the source",
}
"""Reasons that another position would not mend, by words of the server."""

_SHOWN: Final = frozenset(
    {*_HINTS, *_LINK, *_BACKOFF, *_LOST, *NO_SUCH_TABLE, 1064, 1115, 1193, 1227, 1235, 1290, 1295}
)
"""Numbers whose text holds names alone."""

LOAD_AGAIN: Final = (
    'load again: penstock cleanup, then penstock run with [load] prepare = "truncate"'
)
"""What is left to do when changes are lost; a load into tables with rows must be told so."""


def error_number(error: BaseException) -> int:
    """The server's number for it; 0 when it is not the server's."""
    first = error.args[0] if isinstance(error, MySQLError) and error.args else 0
    return first if isinstance(first, int) else 0


def source_error(error: BaseException, doing: str) -> SourceError:
    """The engine's error for a driver's. `doing` says what failed and where."""
    if isinstance(error, SourceError):
        return error
    if isinstance(error, TransportRefusedError):
        return SourceError(f"{doing}: {error}", hint="turn on TLS there, or set sslmode in the url")
    if isinstance(error, NotUnderstoodError):
        return SourceError(f"{doing}: {error}", hint=NO_SERVER_HINT)
    if isinstance(error, ssl.SSLCertVerificationError) or isinstance(
        error.__cause__, ssl.SSLCertVerificationError
    ):
        return SourceError(f"{doing}: certificate verify failed", hint=CERTIFICATE_HINT)
    number = error_number(error)
    if not number:
        return _without_number(error, doing)
    words = _words(error) if number in _SHOWN else "refused"
    text = f"{doing}: {words} (error {number})"
    context = {"error": number}
    if number in _LOST:
        return _unsent(text, context)
    if number in _LINK or number in _BACKOFF:
        return SourceConnectionError(text, hint=_HINTS.get(number, ""), context=context)
    return SourceError(text, hint=_HINTS.get(number, ""), context=context)


def _unsent(text: str, context: Mapping[str, object]) -> SourceError:
    """Why a binary log is not sent: one number stands for all reasons."""
    for words, hint in _UNSENT.items():
        if words in text:
            return SourceError(text, hint=hint, context=context)
    return PositionLostError(text, hint=LOAD_AGAIN, context=context)


def _without_number(error: BaseException, doing: str) -> SourceError:
    if isinstance(error, TimeoutError):
        return SourceConnectionError(f"{doing}: no answer in time")
    if isinstance(error, OSError):
        number = error.errno or 0
        words = os.strerror(number) if number > 0 else type(error).__name__
        return SourceConnectionError(f"{doing}: {words}")
    return SourceError(f"{doing}: {type(error).__name__}")


def _words(error: BaseException) -> str:
    lines = str(error.args[1]).strip().splitlines() if len(error.args) > 1 else []
    return lines[0] if lines else "refused"
