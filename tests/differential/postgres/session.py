"""A session of PostgreSQL that does random works."""

from typing import Any, Final

import psycopg

from tests.differential.work import Charset, Copy, InVainError, Work

LOCK_TIMEOUT: Final = "5s"
"""Writers, schema changes among their work, must not wait for each other for ever."""

TRIED_IN_VAIN: Final = (
    psycopg.errors.IntegrityError,  # the rows of two statements meet
    psycopg.errors.OperationalError,  # deadlocks, lock timeouts, rows that moved meanwhile
    psycopg.errors.ProgrammingError,  # a column that the other writer has just dropped
    psycopg.errors.DataError,
)
"""What an application meets here; its transaction is rolled back."""


class PostgresSession:
    def __init__(self, dsn: str, schema: str = "public") -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)
        self._connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        self._connection.execute(f"SET search_path = {schema}".encode())

    def do(self, work: Work) -> None:
        try:
            _tried(self._connection, work)
        except TRIED_IN_VAIN as error:
            self._connection.execute("ROLLBACK")
            raise InVainError(str(error)) from error

    def close(self) -> None:
        self._connection.close()


def _tried(connection: "psycopg.Connection[Any]", work: Work) -> None:
    connection.execute("BEGIN")
    for step in work.steps:
        assert not isinstance(step, Charset)
        if isinstance(step, Copy):
            with connection.cursor().copy(step.statement) as copy:
                copy.write("".join(f"{line}\n" for line in step.lines))
        else:
            connection.execute(step.encode())
    if work.end != "PREPARE":
        connection.execute(work.end.encode())
        return
    connection.execute(f"PREPARE TRANSACTION '{work.named}'".encode())
    connection.execute(f"COMMIT PREPARED '{work.named}'".encode())
