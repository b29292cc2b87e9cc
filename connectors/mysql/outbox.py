"""Statements of a transaction on their way to the server. (pure)"""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from connectors.mysql.control_sql import COMMIT
from connectors.mysql.target_rows import Statement


class Kind(Enum):
    """What a refusal of a statement means. LOADED is the check behind a LOAD."""

    PLAIN = "plain"
    FENCE = "fence"
    CHECK = "check"
    LOAD = "load"
    LOADED = "loaded"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True)
class Sent:
    """A statement with the table or lane it is about. `rows`: what a check expects. `feed`: the
    data of a LOAD DATA."""

    sql: bytes
    subject: str
    kind: Kind
    rows: int = 0
    feed: AsyncIterable[bytes] | None = None


@dataclass(slots=True)
class Outbox:
    """Statements in order, and their size in bytes."""

    waiting: list[Sent] = field(default_factory=list[Sent])
    size: int = 0

    def add(self, sql: bytes, subject: str = "", kind: Kind = Kind.PLAIN, rows: int = 0) -> None:
        self.waiting.append(Sent(sql, subject, kind, rows))
        self.size += len(sql) + 1

    def add_rows(self, statement: Statement, subject: str) -> None:
        """A statement about rows, with the check that must follow it."""
        if statement.data:
            feed = _whole(statement.data)
            self.waiting.append(Sent(statement.sql, subject, Kind.LOAD, feed=feed))
            self.size += len(statement.sql) + len(statement.data)
            self.add(statement.check, subject, Kind.LOADED, statement.rows)
            return
        self.add(statement.sql, subject)
        if statement.check:
            self.add(statement.check, subject, Kind.CHECK, statement.rows)

    def commit(self, after: Sequence[bytes] = ()) -> None:
        self.add(COMMIT, "", Kind.COMMIT)
        for sql in after:
            self.add(sql)


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data
