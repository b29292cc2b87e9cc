"""Every type of PostgreSQL at its boundaries in a MySQL or MariaDB target, by load and stream."""

import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import asyncpg
import psycopg

from connectors.postgres.catalog import Catalog
from connectors.postgres.definitions import read_definitions
from connectors.postgres.load_connection import close, prepare
from connectors.postgres.sql import Sql
from engine.model.batch import Run
from engine.model.change import DELETE, INSERT, UPDATE
from engine.model.relation import Relation
from engine.model.table import TableDefinition
from engine.model.value import Row
from tests.integration.mysql_target.conftest import Rig
from tests.integration.mysql_target.test_from_postgres import as_text
from tests.servers.postgres import Database

TYPES: Final = """
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('sad', 'it''s ok', 'a\\b', 'Ä😀');
CREATE TYPE shop.blank AS ENUM ('ends ', 'ends');
CREATE TYPE shop.pair AS (n int, t text);
CREATE TYPE shop.floats AS RANGE (subtype = float8);
CREATE DOMAIN shop.money2 AS numeric(12,2) CHECK (VALUE >= 0);
CREATE DOMAIN shop.words AS text[]
"""

NINES: Final = "9" * 35
TEXTS: Final = ("", " ends ", "NULL", r"\N", "é😀", "a\tb\nc\rd\\e'f\"g`", "\x01\x1a\x7f", "%_")

VALUES: Final[dict[str, tuple[str, ...]]] = {
    "smallint": ("-32768", "32767", "0"),
    "integer": ("-2147483648", "2147483647"),
    "bigint": ("-9223372036854775808", "9223372036854775807"),
    "oid": ("0", "4294967295"),
    "xid8": ("18446744073709551615",),
    "pg_lsn": ("FFFFFFFF/FFFFFFFF", "0/0"),
    "numeric": ("NaN", "Infinity", "-Infinity", "1e131071", "1e-16383", "0.00", "-0.10", "1e3"),
    "numeric(65,30)": (f"-{NINES}.{'9' * 30}", f"0.{'0' * 29}1", "0"),
    "numeric(66,30)": (f"-{'9' * 36}.{'9' * 30}", "NaN"),
    "numeric(40,31)": (f"0.{'0' * 30}1", "-1"),
    "numeric(5,0)": ("99999", "-99999"),
    "numeric(3,5)": ("0.00999", "-0.00001"),
    "numeric(3,-2)": ("99900", "-100"),
    "numeric(1,1)": ("0.9", "-0.1"),
    "real": (
        "3.4028235e38", "-3.4028235e38", "1.17549435e-38", "1e-45", "-0", "0", "0.1", "16777217",
        "1.0000001", "3.4028233e38",
    ),
    "double precision": (
        "1.7976931348623157e308", "-1.7976931348623157e308", "2.2250738585072014e-308", "5e-324",
        "-0", "0", "0.1", "1e23", "-1.2345678901234567e-300", "9007199254740993",
    ),
    "money": ("-92233720368547758.08", "92233720368547758.07", "0"),
    "boolean": ("t", "f"),
    "text": (*TEXTS, "x" * 100_000),
    "xml": ("<a b='c'>é</a>", ""),
    "name": ("n" * 63, ""),
    '"char"': ("a", "", " "),
    "character varying(20)": TEXTS,
    "character varying(10485760)": ("ä" * 20_000, ""),
    "character varying": TEXTS,
    "character(5)": ("ab", "", "ä😀"),
    "character(20000)": ("x",),
    "bytea": (r"\x", r"\x00ff275c0a0d1a09", r"\x" + "00ff" * 40_000),
    "date": ("0001-01-01", "9999-12-31", "1582-10-10", "2000-02-29"),
    "timestamp": ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "1969-12-31 23:59:59.5"),
    "timestamp(0)": ("9999-12-31 23:59:59", "2000-01-01 00:00:00"),
    "timestamp(3)": ("2024-02-29 12:34:56.789", "2024-02-29 12:34:56"),
    "timestamptz": ("0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00",
                    "2038-01-19 03:14:08+00", "1901-12-13 20:45:51.5+05:53:28"),
    "timestamptz(0)": ("2024-03-31 02:30:00+02",),
    "time": ("00:00:00", "24:00:00", "23:59:59.999999"),
    "time(0)": ("24:00:00", "12:00:00"),
    "timetz": ("00:00:00+15:59:59", "24:00:00-15:59:59", "12:00:00.000001+00"),
    "interval": (
        "-178000000 years", "178000000 years", "1 year -2 mons +3 days -04:05:06.000007",
        "-00:00:00.000001", "00:00:00", "2562047788:00:54.775807",
    ),
    "interval(0)": ("1 day 00:00:01",),
    "uuid": ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    "inet": ("0.0.0.0", "255.255.255.255/0", "::", "::ffff:1.2.3.4/128",
             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/1"),
    "cidr": ("10.0.0.0/8", "2001:db8::/32"),
    "macaddr": ("ff:ff:ff:ff:ff:ff",),
    "macaddr8": ("ff:ff:ff:ff:ff:ff:ff:ff",),
    "bit(1)": ("1", "0"),
    "bit(9)": ("101010101",),
    "bit(64)": ("1" * 64, "0" * 64, "1" + "0" * 63),
    "bit(65)": ("1" * 65,),
    "bit varying": ("", "1" * 100),
    "bit varying(3)": ("101",),
    "json": ('{"b": 1, "a" : 1.0, "a": null}', '"\\u0041"', "[]", "  1e400  "),
    "jsonb": ('{"b": 1, "a": 1.00}', "1e400", '"é😀\\n"', "null"),
    "jsonpath": ('$."a"[*]?(@ > 1)',),
    "tsvector": ("'a':1A,2 'it''s':3",),
    "tsquery": ("'a' & !'b' <-> 'c':*",),
    "point": ("(1.5,-1e+300)",),
    "line": ("{1,-1,0}",),
    "lseg": ("[(0,0),(1,1)]",),
    "box": ("(1,1),(0,0)",),
    "path": ("((0,0),(1,1))", "[(0,0),(1,1)]"),
    "polygon": ("((0,0),(1,1),(1,0))",),
    "circle": ("<(0,0),1.5>",),
    "int4range": ("empty", "[1,10)", "(,)"),
    "int8range": ("[-9223372036854775808,9223372036854775807)",),
    "numrange": ("(1.50,2]",),
    "tsrange": ('["2020-01-01 00:00:00",infinity)',),
    "tstzrange": ('["2020-01-01 00:00:00+00",)',),
    "daterange": ("[2020-01-01,2020-02-01)",),
    "int4multirange": ("{}", "{[1,3),[5,7)}"),
    "shop.floats": ("[0.5,1e+300)",),
    "integer[]": ("{}", "{{1,NULL},{3,4}}", "[0:1]={5,6}"),
    "text[]": ("{}", '{"a,b","q\\"uo\\\\te",NULL,"NULL",""}'),
    "bytea[]": ('{"\\\\x00ff"}',),
    "timestamptz[]": ('{"2020-01-01 00:00:00+00"}',),
    "shop.mood": ("sad", "it's ok", "a\\b", "Ä😀"),
    "shop.mood[]": ('{sad,"it\'s ok"}',),
    "shop.blank": ("ends ", "ends"),
    "shop.pair": ('(1,"a,b")', "(,)"),
    "shop.money2": ("9999999999.99", "0.00"),
    "shop.words": ("{a,b}",),
}  # fmt: skip

COLUMNS: Final = {f"c{number}": type_ for number, type_ in enumerate(VALUES)}
ROWS: Final = max(map(len, VALUES.values()))

_FLOAT: Final = struct.Struct("<f")


def _filled(source: Database) -> None:
    columns = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS.items())
    source.execute(f"{TYPES}; CREATE TABLE shop.t (id int PRIMARY KEY, {columns})")
    names = ", ".join(["id", *COLUMNS])
    places = ", ".join(["%s::text::int", *[f"%s::text::{type_}" for type_ in VALUES]])
    with psycopg.connect(source.dsn) as connection:
        for number in range(ROWS + 1):  # the last is NULL in every column
            row = [v[number] if number < len(v) else None for v in VALUES.values()]
            connection.execute(
                f"INSERT INTO shop.t ({names}) VALUES ({places})",
                [str(number), *row],
            )


async def _definition(source: Database) -> TableDefinition:
    sql = Sql(source.dsn, "test")
    relations = [as_text(relation) for relation in await Catalog(sql).relations()]
    await sql.close()
    connection = await asyncpg.connect(source.dsn)
    await prepare(connection)
    (found,) = await read_definitions(connection, [r for r in relations if r.name == "t"])
    await close(connection)
    return found


def _copied(source: Database) -> list[bytes]:
    """In COPY's text form, pinned as a source pins it."""
    with psycopg.connect(source.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'; SET extra_float_digits = 3")
        cursor.execute("SET DateStyle = 'ISO, MDY'; SET bytea_output = 'hex'")
        cursor.execute("SET IntervalStyle = 'postgres'")
        with cursor.copy("COPY (SELECT * FROM shop.t ORDER BY id) TO STDOUT") as copy:
            return [bytes(piece) for piece in copy]


# --- what is expected -----------------------------------------------------------------------------


def _moment(digits: int) -> Callable[[bytes], object]:
    def expected(text: bytes) -> str:
        whole, _, fraction = text.decode().removesuffix("+00").partition(".")
        return whole + f".{fraction.ljust(digits, '0')}" * bool(digits)

    return expected


def _real(text: bytes) -> object:
    return repr(_FLOAT.unpack(_FLOAT.pack(float(text)))[0])


_SPECIAL: Final[dict[str, tuple[str, Callable[[bytes], object]]]] = {
    "real": ("{} * 1e0", _real),
    "double precision": ("{}", lambda text: repr(float(text))),
    "bytea": ("LOWER(HEX({}))", lambda text: text[2:].decode()),
    "boolean": ("{}", lambda text: str(int(text == b"t"))),
    "timestamp": ("CAST({} AS CHAR)", _moment(6)),
    "timestamp(0)": ("CAST({} AS CHAR)", _moment(0)),
    "timestamp(3)": ("CAST({} AS CHAR)", _moment(3)),
    "timestamptz": ("CAST({} AS CHAR)", _moment(6)),
    "timestamptz(0)": ("CAST({} AS CHAR)", _moment(0)),
    "time": ("CAST({} AS CHAR)", _moment(6)),
    "time(0)": ("CAST({} AS CHAR)", _moment(0)),
    **{f"bit({n})": (f"LPAD(BIN({{}} + 0), {n}, '0')", bytes.decode) for n in (1, 9, 64)},
}
"""How a column is read, and what its value in PostgreSQL's text then is."""


def _expected(rows: list[Row], *, negative_zero: bool) -> list[list[object]]:
    found: list[list[object]] = []
    for row in rows:
        values: list[object] = []
        for (_, type_), value in zip(COLUMNS.items(), row[1:], strict=True):
            _, make = _SPECIAL.get(type_, ("", bytes.decode))
            made = None if value is None else make(value)  # type: ignore[arg-type]
            values.append("0.0" if made == "-0.0" and not negative_zero else made)
        found.append(values)
    return found


def _found(rig: Rig, table: str) -> list[list[object]]:
    expressions = [
        _SPECIAL.get(type_, ("{}", bytes.decode))[0].format(f"`{name}`")
        for name, type_ in COLUMNS.items()
    ]
    rows = rig.execute(f"SELECT {', '.join(expressions)} FROM shop.{table} ORDER BY id")
    return [[_shown(value) for value in row] for row in rows]


def _shown(value: object) -> object:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value if value is None or isinstance(value, str) else str(value)


def _differences(
    relation: Relation, found: list[list[object]], expected: list[list[object]]
) -> list[str]:
    assert len(found) == len(expected)
    return [
        f"{column.type.name}, row {number}: {got!r:.80} for {wanted!r:.80}"
        for number, rows in enumerate(zip(found, expected, strict=True))
        for column, got, wanted in zip(relation.columns[1:], *rows, strict=True)
        if got != wanted
    ]


async def test_every_value_arrives_by_load_and_by_stream(
    rig: Rig, source_database: Database
) -> None:
    _filled(source_database)
    definition = await _definition(source_database)
    relation = definition.relation
    data = _copied(source_database)
    reader = rig.target.load_rows(relation, "postgres-text")
    rows = [reader.values(row) for row in reader.feed(b"".join(data))]
    expected = _expected(rows, negative_zero=not rig.database.server.mariadb)
    rig.database.server.drop_database("shop")
    try:
        for way in ("load", "load-by-insert", "write"):
            await rig.target.ensure([definition], "drop-and-create")
            rig.session.loads = way == "load"
            if way == "write":
                await rig.apply(Run(INSERT, relation, rows, net=True))
            else:
                await rig.load(relation, data)
            assert _differences(relation, _found(rig, "t"), expected) == [], way
        sent = tuple(range(len(relation.columns)))
        await rig.apply(Run(UPDATE, relation, rows, sent))
        assert _differences(relation, _found(rig, "t"), expected) == []
        await rig.apply(Run(DELETE, relation, rows))
        assert _found(rig, "t") == []
    finally:
        rig.database.server.drop_database("shop")
