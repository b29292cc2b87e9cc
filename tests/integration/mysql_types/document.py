"""Writes connectors/mysql/TYPES.md from the tables that the tests carry.

python -m tests.integration.mysql_types.document
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from connectors.mysql.declare import declare
from connectors.mysql.flavour import Flavour
from connectors.mysql.native_ddl import adapted
from engine.model.relation import ColumnType
from tests.integration.mysql_binlog.cases import CHARSETS
from tests.integration.mysql_types.values import CASES, MARIADB, MYSQL, TypeCase
from tests.integration.postgres_types.values import CASES as POSTGRES_CASES

PATH: Final = Path(__file__).parents[3] / "connectors" / "mysql" / "TYPES.md"

HEAD: Final = """# Types from and to MySQL and MariaDB

Written by `python -m tests.integration.mysql_types.document`; tests keep it true.

## MySQL and MariaDB to PostgreSQL

Every type below was carried with its extreme values and NULL from MariaDB 10.11 and MySQL 9
(nightly also MariaDB 11.8 and MySQL 8.0) into PostgreSQL 18, by the full load and through the
stream: inserted and updated, row by row and as sets, and deleted; rows of tables without a key were
found by all of their values, those loaded before too. What PostgreSQL prints is what is written in
the tests' list, the same both ways. A value arrives as the value it was, or its row is refused.

| type | only in | PostgreSQL | remark |
| --- | --- | --- | --- |
"""

CHARACTERS: Final = """
Texts are read in their character set, to the character the server itself makes of each: {sets}
and binary, which is bytes. A table with a column in eucjpms is not replicated, since other
programs know its characters by other numbers. Bytes that a set has no character for, which some
servers let into a column, refuse their row in the load as in the stream.

## Between MySQL-compatible servers

The same values, and dates without a day or month, were carried from MariaDB 10.11 into MySQL 9 and
the other way (nightly further pairs), in the servers' own form: both servers hold the same bytes
afterwards. Columns are declared as they are, with their character sets and collations, except:

| type | on | becomes | remark |
| --- | --- | --- | --- |
"""

BACK: Final = """
Values that the other dialect has no room for refuse their row: MariaDB's TIME in its last second
(838:59:59 and a fraction) in MySQL, an ENUM's empty text for what was no label in either. MariaDB
stores -0 of FLOAT and DOUBLE as 0. A spatial reference other than 0 stays as it is, without
MariaDB's knowing what it is.

## PostgreSQL to MySQL and MariaDB

What holds every value exactly is preferred to what has the same name. Texts are in utf8mb4, in a
collation that tells apart what PostgreSQL tells apart. Values that a type here cannot hold
(infinities, NaN, years before 1 or after 9999) refuse their row, and none is clipped: AWS DMS makes
a numeric without digits a decimal(28,6), and one of more than 38 digits a text.

*as a key*: how a column is declared that is part of a key or a unique index alone, where that
differs; a longer value refuses its row.

| type | MySQL, MariaDB | as a key | remark |
| --- | --- | --- | --- |
"""

MARIADB_10: Final = Flavour(mariadb=True, version=(10, 11, 6))
MARIADB_11: Final = Flavour(mariadb=True, version=(11, 8, 2))
MYSQL_9: Final = Flavour(mariadb=False, version=(9, 1, 0))
MYSQL_8: Final = Flavour(mariadb=False, version=(8, 0, 30))

COLLATIONS: Final = {
    MARIADB_10: frozenset(
        ("utf8mb4_bin", "utf8mb4_nopad_bin", "utf8mb4_unicode_520_nopad_ci", "utf8mb4_general_ci",
         "utf8mb4_uca1400_nopad_ai_ci", "utf8mb4_uca1400_nopad_as_cs")
    ),
    MYSQL_9: frozenset(
        ("utf8mb4_bin", "utf8mb4_0900_bin", "utf8mb4_0900_ai_ci", "utf8mb4_0900_as_cs",
         "gb18030_bin")
    ),
}  # fmt: skip
"""Of what the servers have, what decides."""

COLLATIONS_OF: Final = {MARIADB_11: MARIADB_10, MYSQL_8: MYSQL_9}

COUNTERPARTS: Final = (
    ("json", MARIADB_10, "its JSON is a text"),
    ("uuid", MYSQL_9, ""),
    ("inet4", MYSQL_9, ""),
    ("inet6", MYSQL_9, ""),
    ("vector(3)", MARIADB_10, "MariaDB has it from 11.7 on"),
    ("vector(3)", MYSQL_8, "MySQL has it from 9 on"),
    ("geomcollection", MARIADB_10, "the same by its other name"),
    ("text character set gb18030 collate gb18030_chinese_ci", MARIADB_10,
     "the character set is not there"),
    ("text character set utf8mb4 collate utf8mb4_0900_ai_ci", MARIADB_10,
     "the nearest that compares by letters"),
    ("text character set utf8mb4 collate utf8mb4_0900_as_cs", MARIADB_10, "as strict"),
    ("text character set utf8mb4 collate utf8mb4_0900_bin", MARIADB_10, "as strict"),
    ("text character set utf8mb4 collate utf8mb4_uca1400_ai_ci", MYSQL_9,
     "the nearest that compares by letters"),
    ("text character set utf8mb4 collate utf8mb4_nopad_bin", MYSQL_9, "as strict"),
)  # fmt: skip
"""Types that a server declares otherwise, or not at all."""

REMARKS: Final = {
    "boolean": "1 or 0",
    "numeric": "every digit, as text",
    "money": "as text; AWS DMS makes it a decimal(38,4)",
    "json": "the text as it is, which a JSON column would reorder",
    "jsonb": "the text as it is, which a JSON column would reorder",
    "timestamp with time zone": "in UTC; a TIMESTAMP ends in 2038",
    "time with time zone": "with its zone, as text",
    "interval": "as text",
    "bit varying": "as text",
    "character(5)": "with its blanks, which CHAR would lose",
    "real": "every value but infinities and NaN",
    "double precision": "every value but infinities and NaN",
    "date": "years 1 to 9999",
    "timestamp without time zone": "years 1 to 9999",
}

LONG_LABELS: Final = "`varchar` where a label is longer than 255 characters or ends in a blank"


def render() -> str:
    """The whole document."""
    into_postgres = [_postgres_line(case) for case in CASES if case.group != "charsets"]
    sets = ", ".join(sorted(CHARSETS))
    native = [counterpart_line(*each) for each in COUNTERPARTS]
    parts = (HEAD, *dict.fromkeys(into_postgres), CHARACTERS.format(sets=sets), *native, BACK,
             *_from_postgres())  # fmt: skip
    return "".join(parts)


def _postgres_line(case: TypeCase) -> str:
    only = {MARIADB: "MariaDB", MYSQL: "MySQL", ("mysql-9",): "MySQL 9",
            ("mariadb-11.8",): "MariaDB 11.8"}.get(case.servers, "")  # fmt: skip
    return _line(_short(case.declared), only, f"`{case.postgres}`", case.note)


def _short(declared: str) -> str:
    long = len(declared) > 60
    return f"`{declared.partition('(')[0]}(...)`" if long else f"`{declared}`"


def counterpart(type_: str, flavour: Flavour) -> str:
    """How a server of that kind declares a type."""
    known = COLLATIONS_OF.get(flavour, flavour)
    return adapted(type_, flavour, COLLATIONS[known])


def counterpart_line(type_: str, flavour: Flavour, note: str) -> str:
    major = ".".join(map(str, flavour.version[:2]))
    server = f"MariaDB {major}" if flavour.mariadb else f"MySQL {major}"
    return _line(f"`{type_}`", server, f"`{counterpart(type_, flavour)}`", note)


def _from_postgres() -> Iterator[str]:
    for case in POSTGRES_CASES:
        if case.kind != "built-in":
            continue
        name = case.declaration
        made, key = _declared(name, ()), _declared(name, (name,))
        as_key = f"`{key}`" if key != made else ""
        yield _line(f"`{name}`", f"`{made}`", as_key, REMARKS.get(name, ""))
    text = _declared("text", ())
    yield _line("arrays, composites, ranges, other types", f"`{text}`", "",
                "as PostgreSQL prints them")  # fmt: skip
    yield _line("enum types", "`enum(...)`", "", LONG_LABELS)
    yield _line("domains", "what they are made of", "", "")


def _declared(name: str, keyed: Sequence[str]) -> str:
    columns = {name: ColumnType(name)}
    sql = declare(columns, frozenset(keyed), MYSQL_9)[name].sql
    return sql.replace(f" character set utf8mb4 collate {MYSQL_9.bytewise_collation}", "")


def _line(*cells: str) -> str:
    return f"| {' | '.join([cell.replace('|', '&#124;') for cell in cells])} |\n"


def main() -> None:
    PATH.write_text(render())


if __name__ == "__main__":
    main()
