"""The file of an SQLite store: made private, recognised as ours, brought to this version's format.

What is found is left as it is until it is known to be ours: the mark of the format (SQLite's
`application_id`) is in its header.
"""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.control.store import migrations, sql
from engine.control.store.errors import StoreFormatError
from engine.control.store.turns import TURN_SECONDS
from engine.errors import StateError

APPLICATION_ID: Final = int.from_bytes(b"Pnsk")
"""Marks a file as Penstock's store (SQLite manual, PRAGMA application_id)."""

HEADER: Final = b"SQLite format 3\0"
"""How every database file begins (SQLite, "Database File Format")."""

SQLITE_MIN: Final = (3, 24)
"""The first with ON CONFLICT DO UPDATE."""

MODE: Final = 0o600
"""Only the daemon's account reads the store, its log and its index (SQLite gives the latter two the
mode of the first)."""

LOG_BYTES_KEPT: Final = 64 << 20
"""The write-ahead log is cut back to this after a burst, so that it does not keep the disk."""


def make_private(path: Path) -> None:
    """The file, empty if it is new, its directory entry on the disk; readable by nobody else.

    Raises StoreFormatError for a file that is no database, StateError for a place that takes none.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, MODE))
        except FileExistsError:
            _look_at(path)
            return
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise StateError(
            f"the store {path} cannot be made or opened: {error.strerror}",
            hint="the directory of the state must exist and belong to the account that runs the"
            " daemon",
        ) from error


def _look_at(path: Path) -> None:
    """SQLite itself would take a file of a few bytes for an empty one."""
    with path.open("rb") as file:
        beginning = file.read(len(HEADER))
    if beginning not in (b"", HEADER):
        raise StoreFormatError(
            f"{path} is not a store of Penstock",
            hint="name another file or directory for the store; nothing was changed",
        )
    if path.stat().st_mode & 0o077:
        path.chmod(MODE)


def connect(path: Path) -> sqlite3.Connection:
    """A connection for one thread at a time. Transactions are begun and ended by the caller."""
    connection = sqlite3.connect(
        path, timeout=TURN_SECONDS, isolation_level=None, check_same_thread=False
    )
    # A commit that was answered survives a power cut: the log is synced before it returns.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES_KEPT}")
    return connection


def prepare(
    connection: sqlite3.Connection,
    path: Path,
    now: Callable[[], float],
    steps: migrations.Steps = migrations.STEPS,
) -> None:
    """Make the file ours and bring it to the newest format, one transaction a step.

    Raises StoreFormatError for a file of another program or a newer format, which is left as it is.
    """
    if sqlite3.sqlite_version_info < SQLITE_MIN:
        raise StateError(
            f"SQLite {sqlite3.sqlite_version} is too old for the store",
            hint=f"install SQLite {'.'.join(map(str, SQLITE_MIN))} or newer, or name a PostgreSQL"
            " database as the store",
        )
    _recognise(connection, path)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # counts while the file is empty
    ((mode,),) = connection.execute("PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise StateError(
            f"the file system of the store {path} cannot hold a write-ahead log of SQLite",
            hint="keep the state on a local disk; network file systems share no memory",
        )
    _transaction(connection, lambda: _mark(connection, path))
    for number, statements in migrations.missing(
        _format(connection), steps, migrations.SQLITE, str(path)
    ):
        _transaction(connection, lambda: _step(connection, number, statements, now()))  # noqa: B023


def _recognise(connection: sqlite3.Connection, path: Path) -> None:
    # In this order: a daemon that makes it ours meanwhile does both at once.
    ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_schema")
    ((mark,),) = connection.execute("PRAGMA application_id")
    if mark != APPLICATION_ID and (mark or tables):
        raise StoreFormatError(
            f"{path} is an SQLite file of another program",
            hint="name another file or directory for the store; nothing was changed",
        )


def _mark(connection: sqlite3.Connection, path: Path) -> None:
    """Two daemons may have found the same new file: who is second finds it marked."""
    _recognise(connection, path)
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'format'").fetchone():
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(migrations.FORMAT_TABLE)


def _format(connection: sqlite3.Connection) -> int:
    ((number,),) = connection.execute(sql.FORMAT)
    return int(number)


def _step(
    connection: sqlite3.Connection, number: int, statements: list[str], applied: float
) -> None:
    if _format(connection) >= number:
        return  # another process was faster
    for statement in statements:
        connection.execute(statement)
    connection.execute(sql.INSERT_FORMAT, (number, applied))


def _transaction(connection: sqlite3.Connection, work: Callable[[], None]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        work()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
