import pytest

from connectors.mysql.column_type import parse
from connectors.mysql.passage import Passage, alters, judge_native, judge_postgres
from connectors.mysql.postgres_type import PostgresType, read
from engine.model.relation import ColumnType

SAME, WATCHED, REFUSED = Passage.SAME, Passage.WATCHED, Passage.REFUSED

LATIN = " character set latin1 collate latin1_swedish_ci"
UTF8 = " character set utf8mb4 collate utf8mb4_bin"


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("int", "int(11)", SAME),
        ("int", "bigint", SAME),
        ("int unsigned", "int", WATCHED),
        ("bigint unsigned", "decimal(20,0)", SAME),
        ("int", "varchar(20)", REFUSED),
        ("int", "double", REFUSED),
        ("decimal(10,2)", "decimal(12,2)", SAME),
        ("decimal(10,2)", "decimal(10,3)", WATCHED),
        ("decimal(10,2)", "decimal(10,1)", WATCHED),
        ("float", "double", SAME),
        ("double", "float", REFUSED),
        (f"varchar(20){LATIN}", f"varchar(20){LATIN}", SAME),
        (f"varchar(20){LATIN}", f"varchar(20){UTF8}", SAME),
        (f"varchar(20){UTF8}", f"varchar(20){LATIN}", WATCHED),
        (f"varchar(20){UTF8}", f"varchar(19){UTF8}", WATCHED),
        (f"varchar(20){UTF8}", f"char(20){UTF8}", WATCHED),
        (f"text{UTF8}", f"longtext{UTF8}", SAME),
        (f"longtext{UTF8}", f"text{UTF8}", WATCHED),
        (f"longtext{UTF8}", "json", WATCHED),
        (f"varchar(9){UTF8}", "varbinary(9)", REFUSED),
        ("varbinary(9)", "blob", SAME),
        ("blob", "tinyblob", WATCHED),
        ("binary(4)", "binary(8)", REFUSED),
        ("datetime(3)", "datetime(6)", SAME),
        ("datetime(6)", "datetime(3)", REFUSED),
        ("timestamp", "datetime", SAME),
        ("datetime", "timestamp", REFUSED),
        ("time(2)", "time(2)", SAME),
        ("date", "datetime", REFUSED),
        ("bit(8)", "bit(9)", SAME),
        ("bit(9)", "bit(8)", REFUSED),
        (f"enum('a','b'){UTF8}", f"enum('b','a','c'){UTF8}", SAME),
        (f"enum('a','b'){UTF8}", f"enum('a'){UTF8}", WATCHED),
        (f"enum('a','b'){UTF8}", f"varchar(1){UTF8}", SAME),
        (f"set('a','b'){UTF8}", f"set('b','a'){UTF8}", REFUSED),
        ("point", "geometry", SAME),
        ("geometry", "point", REFUSED),
        ("uuid", "uuid", SAME),
        ("uuid", "inet6", REFUSED),
    ],
)
def test_types_of_the_native_form(source: str, target: str, expected: Passage) -> None:
    assert judge_native(parse(source), parse(target)) is expected


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("integer", "int", SAME),
        ("integer", "bigint unsigned", WATCHED),
        ("bigint", "decimal(19,0)", SAME),
        ("bigint", "decimal(18,0)", WATCHED),
        ("integer", "double", REFUSED),
        ("integer", f"longtext{UTF8}", SAME),
        ("numeric(10,2)", "decimal(10,2)", SAME),
        ("numeric(10,2)", "decimal(10,1)", WATCHED),
        ("numeric", "decimal(65,30)", WATCHED),
        ("numeric", "double", REFUSED),
        ("real", "float", SAME),
        ("double precision", "float", REFUSED),
        ("boolean", "tinyint(1)", SAME),
        ("boolean", f"varchar(5){UTF8}", REFUSED),
        ("bytea", "longblob", WATCHED),
        ("bytea", f"longtext{UTF8}", REFUSED),
        ("bytea[]", f"longtext{UTF8}", SAME),
        ("integer[]", "int", REFUSED),
        ("character varying(20)", f"varchar(20){UTF8}", SAME),
        ("character varying(20)", f"varchar(10){UTF8}", WATCHED),
        ("character varying", f"varchar(255){UTF8}", WATCHED),
        ("text", f"longtext{UTF8}", SAME),
        ("text", f"longtext{LATIN}", WATCHED),
        ("timestamp without time zone", "datetime(6)", WATCHED),
        ("timestamp without time zone", "datetime", REFUSED),
        ("timestamp(3) without time zone", "datetime(3)", WATCHED),
        ("timestamp with time zone", "timestamp(6)", WATCHED),
        ("timestamp without time zone", "timestamp(6)", REFUSED),
        ("time without time zone", "time(6)", WATCHED),
        ("interval", "time(6)", REFUSED),
        ("date", "date", WATCHED),
        ("bit(8)", "bit(8)", SAME),
        ("bit(8)", "bit(4)", REFUSED),
        ("jsonb", "json", WATCHED),
        ("uuid", "uuid", SAME),
        ("uuid", f"char(36){UTF8}", WATCHED),
    ],
)
def test_types_of_the_interchange_form(source: str, target: str, expected: Passage) -> None:
    assert judge_postgres(read(ColumnType(source)), parse(target)) is expected


def test_an_enum_goes_into_one_that_has_its_labels() -> None:
    mood = read(ColumnType("public.mood", definition='enum(["sad", "ok"])'))
    assert mood.labels == ("sad", "ok")
    assert judge_postgres(mood, parse(f"enum('ok','sad'){UTF8}")) is SAME
    assert judge_postgres(mood, parse(f"enum('ok'){UTF8}")) is WATCHED


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("domain(integer CHECK ((VALUE > 0)))", PostgresType("integer")),
        ("domain(numeric(10,2) not null)", PostgresType("numeric", 10, 2)),
        ("domain(character varying(20) )", PostgresType("character varying", 20)),
    ],
)
def test_a_domain_is_what_it_is_made_of(definition: str, expected: PostgresType) -> None:
    assert read(ColumnType("public.d", definition=definition)) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (f"varchar(20){UTF8}", f"varchar(30){UTF8}", True),
        (f"varchar(20){UTF8}", f"varchar(30){LATIN}", True),
        (f"varchar(20){UTF8}", f"varchar(10){UTF8}", False),
        (f"varchar(20){UTF8}", f"char(30){UTF8}", False),
        (f"enum('a','b'){UTF8}", f"enum('a','b'){LATIN}", False),
        ("decimal(10,2)", "decimal(10,1)", False),
        ("int", "int unsigned", True),
        ("int", "decimal(20,0)", True),
        ("int", "float", False),
    ],
)
def test_what_alter_table_keeps_or_refuses(old: str, new: str, expected: bool) -> None:
    assert alters(parse(old), parse(new)) is expected
