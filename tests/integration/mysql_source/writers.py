"""Writers that change a few rows again and again."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import pymysql

from tests.integration.mysql_source.conftest import SCHEMA
from tests.servers.mysql import MysqlServer

WRITERS: Final = 3

RETRIED: Final = (1213, 1205, 1062)
"""Deadlock, lock timeout, a key that is taken."""

TABLES: Final = {
    # Few keys and many changes: each window meets this one.
    "hot": "id int PRIMARY KEY, n int NOT NULL, note varchar(20)",
    # Keys that are equal under the collation and are not the same bytes; two columns.
    "named": (
        "k varchar(20) COLLATE utf8mb4_general_ci, b varbinary(4), day date,"
        " amount decimal(10,2), f float, j json, PRIMARY KEY (k, b)"
    ),
    "calm": "id bigint unsigned PRIMARY KEY",
}


@dataclass
class Writer(threading.Thread):
    """Small transactions until stopped."""

    server: MysqlServer
    number: int
    seed: int
    error: BaseException | None = None
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._random = random.Random(f"{self.seed} {self.number}")

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        try:
            with self.server.connect(SCHEMA) as connection, connection.cursor() as cursor:
                while not self.stopping.is_set():
                    try:
                        cursor.execute(";".join(["BEGIN", *self._statements(), "COMMIT"]))
                        while cursor.nextset():
                            pass
                    except (pymysql.err.OperationalError, pymysql.err.IntegrityError) as error:
                        if error.args[0] not in RETRIED:
                            raise
                        cursor.execute("ROLLBACK")
        except BaseException as error:  # noqa: BLE001 - raised where the writer is stopped
            self.error = error

    def _statements(self) -> list[str]:
        return [self._statement() for _ in range(self._random.choice([1, 1, 2, 4]))]

    def _statement(self) -> str:
        chosen = self._random
        key, other = chosen.randint(1, 12), chosen.randint(1, 12)
        row = f'{other}.5, {other / 3}, \'{{"a": [{key}, "x"]}}\''
        name = chosen.choice(["a", "A", "ä", "b", "B"]) + str(chosen.randint(1, 3))
        return chosen.choice(
            [
                f"UPDATE hot SET n = n + 1 WHERE id = {key}",
                f"UPDATE hot SET n = n % 2, note = NULL WHERE id = {key}",
                f"UPDATE hot SET id = {other} WHERE id = {key}",
                f"DELETE FROM hot WHERE id = {key}",
                f"REPLACE INTO hot VALUES ({key}, {other}, 'tab\tand\\\\{other}')",
                f"INSERT INTO hot VALUES ({key}, {other}, 'new')",
                f"UPDATE named SET k = '{name}' WHERE k = '{name.swapcase()}'",
                f"DELETE FROM named WHERE k = '{name}'",
                f"UPDATE named SET f = {key / 7}, j = JSON_SET(j, '$.b', {key})",
                f"REPLACE INTO named VALUES ('{name}', x'00{key:02x}', '2020-01-{key:02}', {row})",
            ]
        )


@contextmanager
def writers(server: MysqlServer, seed: int) -> Iterator[None]:
    started = [Writer(server, number, seed) for number in range(WRITERS)]
    for writer in started:
        writer.start()
    try:
        yield
    finally:
        for writer in started:
            writer.stopping.set()
        for writer in started:
            writer.join()
    for writer in started:
        if writer.error is not None:
            raise writer.error
