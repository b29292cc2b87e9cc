"""`penstock compare` between families: every type as it was carried, differences, writers."""

import json
import random
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.scenario.pairs.conftest import Ends, Replicate, each_of
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import Side
from tests.scenario.workload import create
from tests.scenario.writers import Writers

SEED: Final = random.SystemRandom().randrange(1 << 32)

PAIRS: Final = (
    ("mariadb-10.11", "18"),
    ("mysql-9", "18"),
    ("18", "mariadb-10.11"),
    ("18", "mysql-9"),
    ("mariadb-10.11", "mysql-9"),
)

ONCE: Final = (
    *each_of((PAIRS[0], PAIRS[3])),
    *each_of((PAIRS[1], PAIRS[2], PAIRS[4]), nightly=True),
)
"""For a test of half a minute: each family is a source and a target, the others nightly."""

NIGHTLY: Final = (
    ("mariadb-11.8", "13"),
    ("mysql-8.0", "15"),
    ("13", "mariadb-11.8"),
    ("15", "mysql-8.0"),
    ("mysql-8.0", "mariadb-11.8"),
)

MYSQL_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "tinyint": ("-128", "127", "0"),
    "tinyint(1)": ("1", "0", "-7"),
    "tinyint unsigned": ("255",),
    "smallint": ("-32768",),
    "mediumint unsigned": ("16777215",),
    "int": ("-2147483648", "7"),
    "int(8) unsigned zerofill": ("42", "4294967295"),
    "bigint": ("-9223372036854775808",),
    "bigint unsigned": ("18446744073709551615", "0"),
    "decimal(12,4)": ("-12345678.9000", "0", "100", "0.0001"),
    "decimal(65,30)": ("-1.5", f"{'9' * 35}.{'0' * 29}1"),
    "decimal(10,0)": ("100", "-1200"),
    "float": ("0.1", "-3.4028234e38", "1e-45", "16777216", "-0e0", "-1.1754943508222875e-38"),
    "double": (
        "0.1", "-0e0", "1e23", "-1.7976931348623157e308", "5e-324", "2.2250738585072014e-308",
        "2.225073858507201e-308", "9007199254740993", "8", "0.125", "-2", "4503599627370496",
        "0.9999999999999999", "1.9999999999999998", "3.9999999999999996", "-123.456",
        "-1.2345678901234567e-300",
    ),
    "double(10,3)": ("1.235",),
    "bit(1)": ("b'1'", "b'0'"),
    "bit(10)": ("b'1'", "b'1000000001'"),
    "bit(64)": ("b'" + "1" * 64 + "'", "0"),
    "year": ("1901", "2155"),
    "date": ("'1000-01-01'", "'9999-12-31'", "'0099-02-03'", "'0000-03-01'"),
    "datetime": ("'2024-02-29 23:59:59'", "'0000-05-06 07:08:09'"),
    "datetime(6)": ("'2024-02-29 23:59:59.120000'", "'1000-01-01 00:00:00.000001'"),
    "datetime(3)": ("'2024-02-29 10:00:00.100'", "'2024-02-29 10:20:30.000'"),
    "timestamp(6) NULL": ("'1970-01-01 00:00:01.5'", "'2037-12-31 23:59:59.999999'"),
    "timestamp NULL": ("'2001-02-03 04:05:06'",),
    "time": ("'-838:59:59'", "'838:59:59'", "'00:00:00'"),
    "time(6)": ("'-00:00:00.000001'", "'26:00:00.120000'"),
    "char(10)": ("'ab  '", "''", "'ä€😀'"),
    "varchar(20)": ("'ab  '", "''", "'ä|~'", "'~'", r"'a\\b\nc\t'"),
    "varchar(20) CHARACTER SET latin1": ("'äöü€'",),
    "varchar(20) CHARACTER SET utf16": ("'ä😀'",),
    "varchar(20) CHARACTER SET gbk": ("'汉字'",),
    "varchar(20) CHARACTER SET utf8mb3": ("'é'",),
    "longtext": ("REPEAT('x😀', 20000)", "''"),
    "tinytext": ("'t'",),
    "enum('a','b c','ä''')": ("'a'", "'ä'''", "'b c'"),
    "set('x','y','ö')": ("'x,ö'", "''"),
    "binary(5)": ("x'00ff'", "'abcde'"),
    "varbinary(20)": ("x'007e7cff'", "''"),
    "longblob": ("REPEAT(x'00ff', 50000)",),
    "json": ("""'{"b": [1, 2.50, null], "a": "ä"}'""", "'[]'"),
    "point": ("ST_GeomFromText('POINT(1 -2)')",),
}  # fmt: skip
"""Columns and their values; every column has NULL too."""

MARIADB_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "uuid": ("'123E4567-e89b-12d3-a456-426655440000'",),
    "inet4": ("'192.0.2.1'",),
    "inet6": ("'2001:db8::1'", "'::ffff:192.0.2.1'", "'::1.2.3.4'", "'::'", "'1:0:0:2::3'"),
}

POSTGRES_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "smallint": ("-32768",),
    "integer": ("2147483647",),
    "bigint": ("-9223372036854775808",),
    "oid": ("4294967295",),
    "numeric(12,4)": ("-1.5", "100", "0"),
    "numeric": ("1.500", "-1e50", "'NaN'"),
    "real": ("0.1", "-3.4028233e38", "'-0'", "1e-40"),
    "double precision": ("0.1", "1e23", "5e-324", "-1.7976931348623157e308", "'-0'", "8", "1e-310"),
    "boolean": ("true", "false"),
    "char(5)": ("'ab'", "''", "'ä'"),
    "varchar(10)": ("'ab  '", "'ä😀'", "''"),
    "text": ("'~'", "repeat('x€', 50000)", r"E'a\\b\n\t'"),
    "bytea": (r"'\x00ff7c'", "''"),
    "date": ("'0001-01-01'", "'9999-12-31'"),
    "timestamp": ("'2024-02-29 23:59:59.12'", "'1000-01-01'"),
    "timestamp(3)": ("'2024-02-29 23:59:59.120'",),
    "timestamptz": ("'2024-02-29 23:59:59.000001+05:30'",),
    "time": ("'23:59:59.5'", "'00:00'"),
    "timetz": ("'23:59:59.5+02'",),
    "interval": ("'1 mon 2 days -03:00'", "'26:00'"),
    "uuid": ("'123e4567-e89b-12d3-a456-426655440000'",),
    "inet": ("'192.0.2.1'", "'10.0.0.0/8'", "'::1'"),
    "cidr": ("'10.0.0.0/8'",),
    "macaddr": ("'08:00:2b:01:02:03'",),
    "money": ("-1234.5",),
    "bit(10)": ("B'0000000001'",),
    "bit(70)": ("B'" + "1" * 70 + "'",),
    "varbit": ("B'101'",),
    "json": ("""'{"b":  1, "a": 2}'""",),
    "jsonb": ("""'{"b": 1, "a": 2.50}'""",),
    "xml": ("'<a/>'",),
    "int[]": ("'{1,NULL,2}'",),
    "text[][]": ("""'{{"a b",c},{NULL,""}}'""",),
    "int4range": ("'[1,5)'",),
    "point": ("'(1,2)'",),
    "tsvector": ("'a b'",),
}


@pytest.fixture(params=[*each_of(PAIRS), *each_of(NIGHTLY, nightly=True)])
def pair(request: pytest.FixtureRequest, ends: Ends) -> Iterator[tuple[Side, Side]]:
    """Every direction, also within the family."""
    source, target = ends.source(request.param[0]), ends.target(request.param[1])
    yield source, target
    source.drop()
    target.drop()


def types_of(replication: PairReplication) -> dict[str, tuple[str, ...]]:
    match replication.source.engine:
        case "postgres":
            return POSTGRES_TYPES
        case "mariadb":
            own = MARIADB_TYPES if replication.target.engine != "mysql" else {}
            return MYSQL_TYPES | own
        case _:
            return MYSQL_TYPES


def compare(replication: PairReplication, *arguments: str) -> tuple[int, str]:
    return replication.command("compare", *arguments)


def verdict(replication: PairReplication) -> dict[str, Any]:
    """The JSON document."""
    _, said = replication.command("compare", "--json")
    document: dict[str, Any] = json.loads(said.splitlines()[0])
    return document


def fill_every_type(replication: PairReplication, offset: int) -> int:
    """A row for each value of each type, the other columns NULL; gives their number."""
    rows = [
        (type_number * 100 + offset + place, f"c{type_number}", value)
        for type_number, values in enumerate(types_of(replication).values())
        for place, value in enumerate(values)
    ]
    session = replication.source.session()
    for id_, column, value in rows:
        session.execute(f"INSERT INTO shop.every (id, {column}) VALUES ({id_}, {value})")
    session.commit()
    session.close()
    return len(rows)


def test_loaded_and_streamed_every_type_is_equal_and_a_lost_value_of_any_is_found(
    replicate: Replicate,
) -> None:
    replication = replicate()
    types = types_of(replication)
    declared = ", ".join(f"c{number} {type_}" for number, type_ in enumerate(types))
    replication.source.execute(f"CREATE TABLE shop.every (id int PRIMARY KEY, {declared})")
    rows = fill_every_type(replication, 0)
    replication.catch_up()
    rows += fill_every_type(replication, 50)
    replication.catch_up()
    code, said = compare(replication)
    assert code == 0, said
    assert f"0 differences in 1 table, {rows} rows" in said
    for number in range(len(types)):
        replication.target.execute(
            f"UPDATE shop.every SET c{number} = NULL"
            f" WHERE id BETWEEN {number * 100} AND {number * 100 + 99}"
        )
    found = verdict(replication)["tables"][0]
    assert found["different"] == rows
    assert found["missing"] == found["extra"] == found["unsettled"] == 0


CHANGES: Final = {
    "different": "UPDATE shop.item SET price = price + 0.01 WHERE k = 'k7'",
    "emptied": "UPDATE shop.item SET note = '' WHERE note IS NULL AND k = 'k9'",
    "nothing": "UPDATE shop.item SET note = NULL WHERE note = '' AND k = 'k3'",
    "missing": "DELETE FROM shop.item WHERE k = 'k11'",
    "extra": "INSERT INTO shop.item (k) VALUES ('K11 ')",
}


TABLES: Final = (
    "CREATE TABLE shop.item (k varchar(9) PRIMARY KEY, n int, price decimal(12,2), note text)",
    "CREATE TABLE shop.plain (who int, what varchar(20))",
)


def test_what_differs_is_named_by_its_key(replicate: Replicate) -> None:
    replication = replicate()
    source = replication.source
    for statement in TABLES:
        source.execute(statement)
    if source.engine == "postgres":
        source.execute("ALTER TABLE shop.plain REPLICA IDENTITY FULL")
    notes = dict.fromkeys(range(200), "'note'") | {3: "''", 9: "NULL"}
    rows = ", ".join([f"('k{n}', {n}, {n}.5, {note})" for n, note in notes.items()])
    source.execute(f"INSERT INTO shop.item VALUES {rows}")
    rows = ", ".join([f"({n % 5}, NULL)" for n in range(200)])
    source.execute(f"INSERT INTO shop.plain VALUES {rows}")
    replication.catch_up()
    code, said = compare(replication)
    assert code == 0
    assert "0 differences in 2 tables, 400 rows" in said.splitlines()
    for statement in CHANGES.values():
        replication.target.execute(statement)
    replication.target.execute("UPDATE shop.plain SET what = '' WHERE who = 3")
    code, said = compare(replication)
    assert code == 1
    lines = said.splitlines()
    assert "85 differences in 2 tables, 400 rows" in lines
    for line in ("  different: k7", "  different: k9", "  different: k3", "  missing: k11"):
        assert line in lines
    assert "  extra: K11 " in lines


@pytest.mark.parametrize("pair", ONCE, indirect=True)
def test_under_writers_nothing_differs_until_a_row_is_lost(replicate: Replicate) -> None:
    replication = replicate(load={"rows_per_chunk": 1_000})
    source, target = replication.source, replication.target
    create(source.database)
    source.execute("INSERT INTO shop.item (k, n) VALUES ('still', 1)")
    with replication.run() as run:
        run.state("streaming")
        with Writers(source.database, seed=SEED, keyed=True) as writers:
            for _ in range(2):
                found = verdict(replication)
                assert (found["equal"], found["differences"]) == (True, 0), (SEED, found)
            target.execute("DELETE FROM shop.item WHERE k = 'still'")
            tables = {table["source"]: table for table in verdict(replication)["tables"]}
            assert tables["shop.item"]["keys"] == [{"kind": "missing", "key": ["still"]}]
        assert writers.committed
        run.stop()
