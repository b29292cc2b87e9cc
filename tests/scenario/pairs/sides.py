"""One end of a replication, of whatever family: a database, and its rows as plain values."""

import datetime as dt
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Final, Protocol

from tests.scenario.dialects import (
    MYSQL_WORDS,
    POSTGRES_WORDS,
    AnyDatabase,
    AnyServer,
    Rows,
    Session,
    Words,
    connect,
    filled,
)
from tests.servers.mysql import MysqlDatabase, MysqlServer
from tests.servers.postgres import Cluster, Database

SCHEMA: Final = "shop"


class Side(Protocol):
    engine: str
    url: str

    @property
    def words(self) -> Words: ...

    @property
    def database(self) -> AnyDatabase: ...

    def execute(self, sql: str) -> Rows:
        """Run one statement, committed; its words filled in."""
        ...

    def session(self) -> Session: ...

    def drop(self) -> None: ...


@dataclass
class PostgresSide:
    database: Database
    engine: str = "postgres"
    words: ClassVar[Words] = POSTGRES_WORDS

    def __post_init__(self) -> None:
        self.url = self.database.dsn

    def execute(self, sql: str) -> Rows:
        return self.database.execute(filled(sql, self.words))

    def session(self) -> Session:
        return connect(self.database)

    def drop(self) -> None:
        self.database.drop()


@dataclass
class MysqlSide:
    database: MysqlDatabase
    engine: str
    words: ClassVar[Words] = MYSQL_WORDS

    def __post_init__(self) -> None:
        self.url = self.database.server.url()

    def execute(self, sql: str) -> Rows:
        return self.database.execute(filled(sql, self.words).replace("%", "%%"))

    def session(self) -> Session:
        return connect(self.database)

    def drop(self) -> None:
        self.database.drop()


def side(server: AnyServer, name: str, *, source: bool) -> Side:
    """An empty end on a server; `name`: of the database, where a schema is something else."""
    if isinstance(server, MysqlServer):
        return mysql_side(server)
    return postgres_side(server, name, source=source)


def postgres_side(cluster: Cluster, name: str, *, source: bool) -> PostgresSide:
    """Its sessions find tables of `SCHEMA` by their names alone, as those of a MySQL side do."""
    side = PostgresSide(Database.create(cluster, name))
    side.execute(f"ALTER DATABASE {name} SET search_path = {SCHEMA}")
    if source:
        side.execute(f"CREATE SCHEMA {SCHEMA}")
    return side


def mysql_side(server: MysqlServer) -> MysqlSide:
    """A schema is a database here, so a server is one side."""
    engine = "mariadb" if server.mariadb else "mysql"
    server.execute(f"DROP DATABASE IF EXISTS {SCHEMA}")
    server.execute("DROP DATABASE IF EXISTS penstock")
    return MysqlSide(MysqlDatabase.create(server, SCHEMA), engine)


def content(side: Side, table: str, columns: str) -> list[tuple[str, ...]]:
    """All rows of a table as texts that do not depend on the system, sorted."""
    rows = side.execute(f"SELECT {columns} FROM {SCHEMA}.{table}")
    return sorted(tuple(map(plain, row)) for row in rows)


def plain(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None).isoformat(" ", "microseconds")
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True)
    return repr(value) if isinstance(value, float) else str(value)
