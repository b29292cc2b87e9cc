import pytest

from connectors.mysql.types import MysqlType, interchange, native, parse_type, selected


@pytest.mark.parametrize(
    ("column_type", "expected"),
    [
        ("int(11)", MysqlType("int", 11)),
        ("int unsigned", MysqlType("int", unsigned=True)),
        ("bigint(20) unsigned zerofill", MysqlType("bigint", 20, unsigned=True, zerofill=True)),
        ("decimal(10,2)", MysqlType("decimal", 10, 2)),
        ("float(7,3)", MysqlType("float", 7, 3)),
        ("double", MysqlType("double")),
        ("datetime(6)", MysqlType("datetime", 6)),
        ("datetime(3) /* mariadb-5.3 */", MysqlType("datetime", 3)),
        ("year(4)", MysqlType("year", 4)),
        ("bit(64)", MysqlType("bit", 64)),
        ("geomcollection", MysqlType("geometrycollection")),
        ("varbinary(16)", MysqlType("varbinary", 16)),
        ("text /*M!100301 COMPRESSED*/", MysqlType("text", compressed=True)),
        ("uuid", MysqlType("uuid")),
        ("vector(3)", MysqlType("vector", 3)),
        ("enum('a','b''c','d\\\\e','h,i','','new\\nline','(x) unsigned')",
         MysqlType("enum", labels=("a", "b'c", "d\\e", "h,i", "", "new\nline", "(x) unsigned"))),
        ("set('X','y z')", MysqlType("set", labels=("X", "y z"))),
    ],
)  # fmt: skip
def test_types_as_the_catalog_writes_them(column_type: str, expected: MysqlType) -> None:
    assert parse_type(column_type, None, None) == expected


def test_a_text_has_a_charset() -> None:
    found = parse_type("varchar(20)", "utf8", "utf8_general_ci")
    assert (found.charset, found.collation, found.text) == ("utf8mb3", "utf8_general_ci", True)
    assert native(found).name == "varchar(20) character set utf8mb3 collate utf8_general_ci"


@pytest.mark.parametrize("column_type", ["", "xmltype", "int(", "enum('a'b')", "my type"])
def test_other_types_are_refused(column_type: str) -> None:
    with pytest.raises(ValueError, match=r"not supported|labels"):
        parse_type(column_type, None, None)


@pytest.mark.parametrize(
    ("column_type", "name"),
    [
        ("int(11)", "int"), ("tinyint(1)", "tinyint(1)"), ("int(5) unsigned zerofill",
         "int(5) unsigned zerofill"), ("bigint(20) unsigned", "bigint unsigned"),
        ("decimal(10,0)", "decimal(10,0)"), ("float(7,3)", "float(7,3)"), ("double", "double"),
        ("double(8,0)", "double(8,0)"),
        ("datetime", "datetime"), ("time(3)", "time(3)"), ("bit(8)", "bit(8)"), ("year(4)", "year"),
        ("varbinary(4)", "varbinary(4)"), ("longblob", "longblob"), ("json", "json"),
        ("enum('a','b''c','d\\\\e')", "enum('a','b''c','d\\\\e')"), ("point", "point"),
    ],
)  # fmt: skip
def test_the_native_name(column_type: str, name: str) -> None:
    found = parse_type(column_type, None, None)
    assert native(found).name == name
    again = parse_type(native(found).name, None, None)
    assert (native(again), interchange(again)) == (native(found), interchange(found))


def test_what_a_select_lists() -> None:
    assert selected(parse_type("float", None, None), "`c`") == "`c` * 1e0"
    assert selected(parse_type("double(5,2)", None, None), "`c`") == "`c` * 1e0"
    assert selected(parse_type("double", None, None), "`c`") == "`c`"
    assert selected(parse_type("int", None, None), "`c`") == "`c`"
