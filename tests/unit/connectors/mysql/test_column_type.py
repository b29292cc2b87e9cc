import pytest

from connectors.mysql.column_type import ColumnType, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int(10) unsigned zerofill", ColumnType("int", unsigned=True)),
        ("int unsigned", ColumnType("int", unsigned=True)),
        ("tinyint(1)", ColumnType("tinyint")),
        ("decimal(10,2)", ColumnType("decimal", 10, 2)),
        ("double", ColumnType("double")),
        ("datetime(6)", ColumnType("datetime", 6)),
        ("year(4)", ColumnType("year")),
        (
            "varchar(20) character set latin1 collate latin1_swedish_ci",
            ColumnType("varchar", 20, charset="latin1", collation="latin1_swedish_ci"),
        ),
        (
            "enum('a','b''c','(d)','e\\\\f') character set utf8mb4",
            ColumnType("enum", charset="utf8mb4", labels=("a", "b'c", "(d)", "e\\f")),
        ),
        ("set('x','character set y')", ColumnType("set", labels=("x", "character set y"))),
        ("geometry", ColumnType("geometry")),
        ("vector(3)", ColumnType("vector", 3)),
        ("", ColumnType("")),
    ],
)
def test_a_type_is_taken_apart(text: str, expected: ColumnType) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "length"),
    [("char", 1), ("char(7)", 7), ("varbinary(9)", 9), ("enum('a','bcd')", 3),
     ("set('a','bcd')", 5), ("text", None), ("int", None)],
)  # fmt: skip
def test_the_longest_value(text: str, length: int | None) -> None:
    assert parse(text).length == length


@pytest.mark.parametrize(
    ("text", "digits"),
    [("tinyint", (3, 0)), ("int unsigned", (10, 0)), ("bigint unsigned", (20, 0)),
     ("decimal", (10, 0)), ("decimal(65,30)", (35, 30))],
)  # fmt: skip
def test_digits_before_and_after_the_point(text: str, digits: tuple[int, int]) -> None:
    assert parse(text).digits == digits


def test_bounds_of_integers() -> None:
    assert parse("mediumint").bounds == (-8388608, 8388607)
    assert parse("bigint unsigned").bounds == (0, 2**64 - 1)
