"""A session of MySQL or MariaDB that does random works."""

import contextlib
from typing import Any, Final

import pymysql

from tests.differential.work import Charset, Copy, InVainError, Work
from tests.scenario.pairs.sides import SCHEMA
from tests.servers.mysql import MysqlServer

TRIED_IN_VAIN: Final = (
    pymysql.err.IntegrityError,  # the rows of two statements meet
    pymysql.err.OperationalError,  # deadlocks, lock timeouts, a table's other definition
    pymysql.err.ProgrammingError,  # a table that the other writer has just renamed
    pymysql.err.DataError,
    UnicodeEncodeError,  # a statement that the session's character set has no letters for
)
"""What an application meets here; its transaction is rolled back."""

BROKEN: Final = (2006, 2013, 2055)
"""Lost connections, which nothing here asks for."""


class MysqlSession:
    def __init__(self, server: MysqlServer, opening: list[str]) -> None:
        self._connection = server.connect(SCHEMA)
        for statement in opening:
            self._execute(statement)

    def do(self, work: Work) -> None:
        try:
            self._tried(work)
        except TRIED_IN_VAIN as error:
            if error.args[0] in BROKEN:
                raise
            self._give_up(work)
            raise InVainError(str(error)) from error
        finally:
            for statement in work.last:
                self._execute(statement)

    def _tried(self, work: Work) -> None:
        for statement in work.before:
            self._execute(statement)
        distributed = work.end == "PREPARE"
        if work.end:
            self._execute(f"XA START '{work.named}'" if distributed else "BEGIN")
        for step in work.steps:
            assert not isinstance(step, Copy)
            if isinstance(step, Charset):
                self._connection.set_character_set(step.name)
            else:
                self._execute(step)
        if distributed:
            for word in ("END", "PREPARE", "COMMIT"):
                self._execute(f"XA {word} '{work.named}'")
        elif work.end:
            self._execute(work.end)

    def _give_up(self, work: Work) -> None:
        if work.end != "PREPARE":
            self._execute("ROLLBACK")
            return
        for word in ("END", "ROLLBACK"):
            # Which of them it takes depends on where it stopped, and why.
            with contextlib.suppress(pymysql.err.OperationalError):
                self._execute(f"XA {word} '{work.named}'")

    def _execute(self, sql: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            more: Any = True
            while more:
                more = cursor.nextset()

    def close(self) -> None:
        self._connection.close()
