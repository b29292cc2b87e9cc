"""Sessions of a test's own statements, kept for the next one.

A new session is a new process that reads its catalogs anew: several milliseconds of a processor,
and tests that look whether something has come yet ask some dozen times a second.
"""

import select
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus

Session: TypeAlias = psycopg.Connection[tuple[Any, ...]]

APPLICATION: Final = "tests"
"""The application that these sessions say they are: not who is tested."""

FORGET: Final = b"DISCARD ALL"
"""Settings, temporary tables, roles, locks: the next statement finds a session like a new one."""


class Sessions:
    """Idle sessions by database. Any thread may ask; each gets a session of its own."""

    def __init__(self, connect: Callable[[str], Session]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._idle: dict[str, list[Session]] = defaultdict(list)

    @contextmanager
    def lent(self, database: str) -> Iterator[Session]:
        """One to work with, kept afterwards unless the work failed."""
        session = self._taken(database) or self._connect(database)
        try:
            yield session
            if session.info.transaction_status is not TransactionStatus.IDLE:
                raise RuntimeError("a statement left its transaction open")
            session.execute(FORGET)
        except BaseException:
            session.close()
            raise
        with self._lock:
            self._idle[database].append(session)

    def close(self, database: str | None = None) -> None:
        """End the idle ones, of one database or all: so that it can be dropped, or so that what is
        set for new sessions counts."""
        with self._lock:
            names = list(self._idle) if database is None else [database]
            ended = [session for name in names for session in self._idle.pop(name, ())]
        for session in ended:
            session.close()

    def _taken(self, database: str) -> Session | None:
        while True:
            with self._lock:
                session = self._idle[database].pop() if self._idle[database] else None
            if session is None or not _has_ended(session):
                return session
            session.close()


def _has_ended(session: Session) -> bool:
    """An idle session is told nothing but that it has been ended."""
    return bool(select.select([session.fileno()], [], [], 0)[0])
