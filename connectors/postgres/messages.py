"""Takes messages out of libpq: one call per message, or one call for all of them in C.

The compiled loop calls the libpq that psycopg itself has loaded. It is found by asking psycopg's
extension module for the symbol, which the dynamic linker answers from that module's own libraries;
where psycopg is not an extension module, each message is taken by psycopg.
"""

import ctypes
import sys
from functools import lru_cache
from typing import Final, NamedTuple

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGconn

from connectors._interchange import compiled

EXTENSIONS: Final = ("binary", "c")
"""psycopg's implementations whose `pgconn_ptr` is an address."""


class Taken(NamedTuple):
    """`other` is a message of another kind: it ends a take before its room is used up. `ended`: the
    server sends nothing more."""

    size: int
    ended: bool
    other: bytes | None


class _Libpq(NamedTuple):
    get: int
    free: int


def take(pgconn: PGconn, room: int, kind: int, messages: list[bytes]) -> Taken:
    """Append whole messages that begin with `kind`, as long as libpq has some and less than `room`
    bytes were taken.

    Raises:
        psycopg.Error.
    """
    loops, libpq = compiled.LOOPS, _libpq()
    if loops is None or libpq is None:
        return _take(pgconn, room, kind, messages)
    address = getattr(pgconn, "pgconn_ptr", None)
    if not isinstance(address, int):
        raise psycopg.OperationalError("the connection is closed")
    taken, last, other = loops.take_messages(*libpq, address, room, kind, messages)
    if last < -1:
        raise psycopg.OperationalError(pgconn.get_error_message())
    return Taken(taken, last == -1, other)


def _take(pgconn: PGconn, room: int, kind: int, messages: list[bytes]) -> Taken:
    get, append = pgconn.get_copy_data, messages.append
    taken = 0
    while taken < room:
        size, view = get(1)
        if size <= 0:
            return Taken(taken, size < 0, None)
        taken += size
        message = view.tobytes()
        if message[0] != kind:
            return Taken(taken, False, message)
        append(message)
    return Taken(taken, False, None)


@lru_cache(maxsize=1)
def _libpq() -> _Libpq | None:
    """Addresses in the libpq that psycopg uses."""
    if pq.__impl__ not in EXTENSIONS:
        return None
    file = sys.modules[pq.PGconn.__module__].__file__
    if file is None:
        return None
    library = ctypes.CDLL(file)
    try:
        found = [library.PQgetCopyData, library.PQfreemem, library.PQlibVersion]
    except AttributeError:  # linked into the module and not shown
        return None
    if found[2]() != pq.version():
        return None
    get, free = [ctypes.cast(function, ctypes.c_void_p).value for function in found[:2]]
    return _Libpq(get, free) if get and free else None
