"""Statements that real servers logged, read again: what they are said to do is what they did."""

import re
from dataclasses import dataclass, field, replace
from typing import Final

import pytest

from connectors.mysql.ddl import parse
from connectors.mysql.ddl_steps import (
    Action,
    AddColumn,
    AlterTable,
    ChangeColumn,
    ColumnDef,
    CreateLike,
    CreateTable,
    DefaultCharset,
    DropColumn,
    DropTable,
    Place,
    RenameColumn,
    RenameTable,
    RenameTo,
    Step,
    Understood,
)
from connectors.mysql.ddl_tokens import Speech
from connectors.mysql.flavour import Flavour
from engine.model.relation import TableName
from tests.servers.mysql import MysqlDatabase

TYPES: Final = """
i1 int unsigned NOT NULL AUTO_INCREMENT, i2 integer(5) zerofill, i3 int1, i4 middleint, i5 int8,
b1 bool, n1 decimal, n2 numeric(65, 30) unsigned, n3 dec(5), n4 fixed(6, 2), d1 double precision,
d2 real, d3 float, d4 float(7, 3), d5 float4, d6 float(24), d7 float(25), d8 double(8, 0),
bits bit, more bit(64), y year,
t1 date, t2 time(3), t3 datetime(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
t4 timestamp NULL DEFAULT NULL, c1 char, c2 character(3), c3 character varying(20), c4 varchar(9)
CHARACTER SET latin1 COLLATE latin1_german1_ci, c5 nchar(3), c6 national varchar(4), c7 char(3)
ascii, c8 varchar(5) COLLATE latin1_bin, c9 char(2) byte, x1 binary, x2 varbinary(16), x3 tinyblob,
x4 longblob, x5 long varbinary, s1 tinytext, s2 text, s3 longtext, s4 long, s5 text CHARSET gbk,
e enum('a', 'it''s', 'sp ', 'b\\\\c', 'n\\nl', 't\\t', 'x\\_y') NOT NULL,
m set('x', 'y') DEFAULT 'x,y', p point, g geometry,
v1 int AS (i4 + 1), v2 int GENERATED ALWAYS AS (i4 * (2)) STORED COMMENT 'x, y)',
q1 int DEFAULT -5, q2 varchar(9) DEFAULT 'a,b) c' COMMENT 'it''s', q3 bit(3) DEFAULT b'101',
`odd ``name` int, `key` int CHECK (`key` > 0)
"""

STATEMENTS: Final = (
    f"CREATE TABLE t ({TYPES}, PRIMARY KEY (i1), UNIQUE u (c3(5), i4), KEY (y)) CHARSET=utf8mb4",
    "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY, x text, y int) DEFAULT CHARACTER SET latin1",
    "CREATE TABLE b LIKE a",
    "ALTER TABLE a ADD z varchar(3), ADD COLUMN (w int, v enum('p','q')), ADD INDEX k (y)",
    "ALTER TABLE a ADD COLUMN first_one bigint unsigned FIRST, ADD after_x json AFTER x",
    "ALTER TABLE a MODIFY y bigint NOT NULL DEFAULT 7 AFTER id, CHANGE COLUMN w ww smallint",
    "ALTER TABLE a DROP z, DROP COLUMN ww, DROP KEY k, ALGORITHM=COPY",
    "ALTER TABLE a /*!50100 ADD old_news int, */ /*!999999 ADD never int, */ COMMENT = 'x'",
    "ALTER TABLE a /*M! ADD maria int, */ ENGINE=InnoDB",
    "ALTER TABLE a DEFAULT CHARACTER SET utf8mb4, ADD u varchar(5)",
    "ALTER TABLE a ALTER y SET DEFAULT 8, ALTER COLUMN x DROP DEFAULT",
    "CREATE INDEX k ON a (y)",
    "DROP INDEX k ON a",
    "ALTER TABLE a RENAME COLUMN u TO uu",
    "ALTER TABLE a RENAME TO c, ADD last_one int",
    "RENAME TABLE b TO tmp, c TO b, tmp TO a",
    "ALTER TABLE a PARTITION BY HASH (id) PARTITIONS 2",
    "ALTER TABLE a ADD PARTITION PARTITIONS 1",
    "ALTER TABLE a REMOVE PARTITIONING",
    "CREATE TABLE `drop me` (id int); DROP TABLE IF EXISTS `drop me`, `never was`",
    "TRUNCATE a",
    "CREATE VIEW seen AS SELECT * FROM a",
    "CREATE TRIGGER g BEFORE INSERT ON a FOR EACH ROW SET NEW.y = 1",
    'SET SESSION sql_mode = \'ANSI_QUOTES\'; CREATE TABLE "ansi" ("a b" int)',
)

DISPLAY_WIDTH: Final = re.compile(r"\b(tinyint|smallint|mediumint|int|bigint|year)\(\d+\)")
"""Shown or not by version."""

TEXTUAL: Final = re.compile(r"(var)?char|(tiny|medium|long)?text|enum|set")


@dataclass(frozen=True, slots=True)
class Shown:
    """A column as far as the catalogs of all versions agree about how it is shown."""

    name: str
    type: str
    charset: str


@dataclass(slots=True)
class Tables:
    """What the statements say that the tables of one database are like."""

    columns: dict[str, list[Shown]] = field(default_factory=dict[str, list[Shown]])
    charsets: dict[str, str] = field(default_factory=dict[str, str])

    def take(self, step: Step) -> None:
        if isinstance(step, CreateTable):
            self._create(step)
        elif isinstance(step, CreateLike):
            self.columns[step.table.name] = list(self.columns[step.like.name])
            self.charsets[step.table.name] = self.charsets[step.like.name]
        elif isinstance(step, DropTable):
            self.columns.pop(step.table.name, None)
        elif isinstance(step, RenameTable):
            self._rename(step.table, step.to)
        elif isinstance(step, AlterTable):
            for action in step.actions:
                self._alter(step.table, action)

    def _create(self, step: CreateTable) -> None:
        name = step.table.name
        self.charsets[name] = step.charset or "utf8mb4"
        self.columns[name] = [self._shown(name, column) for column in step.columns]

    def _rename(self, table: TableName, to: TableName) -> None:
        self.columns[to.name] = self.columns.pop(table.name)
        self.charsets[to.name] = self.charsets.pop(table.name)

    def _alter(self, table: TableName, action: Action) -> None:
        columns = self.columns[table.name]
        if isinstance(action, AddColumn):
            _put(columns, self._shown(table.name, action.column), action.place, len(columns))
        elif isinstance(action, DropColumn):
            columns.pop(_index(columns, action.name))
        elif isinstance(action, ChangeColumn):
            at = _index(columns, action.name)
            columns.pop(at)
            _put(columns, self._shown(table.name, action.column), action.place, at)
        elif isinstance(action, RenameColumn):
            at = _index(columns, action.name)
            columns[at] = replace(columns[at], name=action.to)
        elif isinstance(action, DefaultCharset):
            self.charsets[table.name] = action.charset
        elif isinstance(action, RenameTo):
            self._rename(table, action.to)
            self.columns[table.name] = self.columns[action.to.name]  # for what is said after it
            self.charsets[table.name] = self.charsets[action.to.name]

    def _shown(self, table: str, column: ColumnDef) -> Shown:
        charset = ""
        if TEXTUAL.match(column.type):
            by_collation = column.collation.partition("_")[0]
            charset = column.charset or by_collation or self.charsets[table]
        return shown(column.name, column.type, charset)


def shown(name: str, type: str, charset: str | None) -> Shown:
    plain = type if "zerofill" in type else DISPLAY_WIDTH.sub(r"\1", type)
    return Shown(name, plain, {"utf8": "utf8mb3"}.get(charset or "", charset or ""))


def _index(columns: list[Shown], name: str) -> int:
    return [column.name for column in columns].index(name)


def _put(columns: list[Shown], column: Shown, place: Place | None, at: int) -> None:
    if place is not None:
        at = _index(columns, place.after) + 1 if place.after else 0
    columns.insert(at, column)


def logged(database: MysqlDatabase, sql: str) -> list[str]:
    """Run a statement; what the log has of it."""
    server = database.server
    log, before = server.execute("SHOW BINARY LOGS")[-1][:2]
    database.execute(sql)
    events = server.execute(f"SHOW BINLOG EVENTS IN '{log}' FROM {before}")
    return [
        re.sub(r"\Ause `[^`]*`; ", "", event[5])
        for event in events
        if event[2] == "Query" and event[5] not in ("BEGIN", "COMMIT")
    ]


def catalog(database: MysqlDatabase) -> dict[str, list[Shown]]:
    found: dict[str, list[Shown]] = {}
    for table, *column in database.execute(
        "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME"
        " FROM information_schema.COLUMNS JOIN information_schema.TABLES"
        " USING (TABLE_SCHEMA, TABLE_NAME) WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA = %s"
        " ORDER BY TABLE_NAME, ORDINAL_POSITION",
        database.name,
    ):
        found.setdefault(table, []).append(shown(*column))
    return found


ANSI: Final = 4


def test_what_is_read_of_a_statement_is_what_it_did(mysql_database: MysqlDatabase) -> None:
    ((version,),) = mysql_database.execute("SELECT @@version")
    tables = Tables()
    for sql in STATEMENTS:
        speech = Speech(Flavour.of(version), ANSI if "ANSI_QUOTES" in sql else 0)
        for statement in logged(mysql_database, sql):
            found = parse(statement, mysql_database.name, speech)
            assert isinstance(found, Understood), (sql, found)
            for step in found.steps:
                tables.take(step)
        there = catalog(mysql_database)
        for name, columns in there.items():
            assert tables.columns.get(name, []) == columns, (sql, name, tables.columns)
    assert {"t", "a", "b", "ansi"} == there.keys()


@pytest.mark.parametrize("before", ["text", "varchar(20)"])
def test_a_conversion_may_widen_a_text(mysql_database: MysqlDatabase, before: str) -> None:
    """So that a longer character set loses nothing: whoever keeps a history has to know."""
    mysql_database.execute(f"CREATE TABLE t (c {before}) CHARSET latin1")
    mysql_database.execute("ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4")
    after = {"text": "mediumtext"}.get(before, before)
    assert catalog(mysql_database) == {"t": [Shown("c", after, "utf8mb4")]}
