"""What a random writer does, whatever the language: transactions that are made up and tried.

The same seed makes the same works. What two writers come to together is the servers' to say.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread
from typing import Final, Protocol

WRITERS: Final = 2

SCHEMA_CHANGES: Final = 25
"""Transactions of one writer between two with a schema change."""

IN_VAIN_MAX: Final = 500
"""Works of a writer in a row that may be in vain; more are no work."""


@dataclass(slots=True)
class Copy:
    """Rows for COPY, one expressionless text line each."""

    statement: str
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Charset:
    """From here on the session's statements are in this character set."""

    name: str


Step = str | Copy | Charset


@dataclass(slots=True)
class Work:
    """Steps of one transaction and how it ends: COMMIT, ROLLBACK, PREPARE, or nothing, where each
    step is a transaction of its own. `after` is done once it has been committed."""

    steps: list[Step]
    end: str
    named: str = ""
    """Of a prepared transaction."""
    after: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    before: list[str] = field(default_factory=list[str])
    last: list[str] = field(default_factory=list[str])
    """Outside of the transaction; `last` is done however it ended."""


class InVainError(Exception):
    """A work met what any application meets; its transaction is rolled back."""


class Works(Protocol):
    """Makes up works. `met` counts what they were made of."""

    met: Counter[str]

    def work(self) -> Work:
        """The next transaction."""
        ...

    def schema_work(self) -> Work:
        """One with a schema change."""
        ...


class Session(Protocol):
    """A connection of the application."""

    def do(self, work: Work) -> None:
        """Raises InVainError, with nothing of the transaction left open."""
        ...

    def close(self) -> None: ...


class Writer:
    """One session at a time that does works of its own."""

    def __init__(self, opened: Callable[[], Session], works: Works, *, schema: bool) -> None:
        self._opened = opened
        self._works = works
        self._schema = schema
        self._count = 0
        self._in_vain = 0
        self.committed = 0
        self.error: Exception | None = None

    @property
    def met(self) -> Counter[str]:
        return self._works.met

    def write(self, count: int) -> None:
        """Commit so many transactions. An error that no application expects is kept in `error`."""
        try:
            session = self._opened()
            try:
                goal = self.committed + count
                while self.committed < goal:
                    self._one(session)
            finally:
                session.close()
        except Exception as error:  # noqa: BLE001 (raised by whoever joins the thread)
            self.error = error

    def _one(self, session: Session) -> None:
        self._count += 1
        schema = self._schema and self._count % SCHEMA_CHANGES == 0
        work = self._works.schema_work() if schema else self._works.work()
        try:
            session.do(work)
        except InVainError:
            self.met["in vain"] += 1
            self._in_vain += 1
            if self._in_vain > IN_VAIN_MAX:
                raise
            return
        self._in_vain = 0
        for done in work.after:
            done()
        self.committed += work.end != "ROLLBACK"


def write(writers: list[Writer], count: int) -> None:
    """Let all of them commit so many transactions, side by side."""
    threads = [Thread(target=writer.write, args=(count,), daemon=True) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for writer in writers:
        if writer.error is not None:
            raise writer.error


@dataclass(slots=True)
class Result:
    """What was run; `differences` are tables that were not equal at a marker."""

    transactions: int = 0
    markers: int = 0
    differences: list[str] = field(default_factory=list[str])
    met: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0.0
