"""A type of one dialect in the other's words."""

import pytest

from connectors.mysql.column_type import parse
from connectors.mysql.flavour import Flavour
from connectors.mysql.native_ddl import adapted
from connectors.mysql.passage import Passage, judge_native

MARIADB = Flavour(mariadb=True, version=(10, 11, 6))
MYSQL = Flavour(mariadb=False, version=(9, 1, 0))
COLLATIONS = frozenset({"utf8mb4_bin", "utf8mb4_general_ci", "utf8mb4_unicode_520_nopad_ci"})


@pytest.mark.parametrize(
    ("type_", "flavour", "declared"),
    [
        ("uuid", MYSQL, "char(36) character set ascii collate ascii_general_ci"),
        ("inet6", MYSQL, "varchar(39) character set ascii collate ascii_general_ci"),
        ("uuid", MARIADB, "uuid"),
        ("vector(3)", MARIADB, "longblob"),
        ("vector(3)", MYSQL, "vector(3)"),
        ("json", MARIADB, "longtext character set utf8mb4 collate utf8mb4_bin"),
        ("text character set gb18030 collate gb18030_bin", MARIADB,
         "text character set utf8mb4 collate utf8mb4_bin"),
        ("char(5) character set gb18030 collate gb18030_chinese_ci", MARIADB,
         "char(5) character set utf8mb4 collate utf8mb4_unicode_520_nopad_ci"),
    ],
)  # fmt: skip
def test_what_the_other_server_has_not(type_: str, flavour: Flavour, declared: str) -> None:
    found = adapted(type_, flavour, COLLATIONS)
    assert found == declared
    assert judge_native(parse(type_), parse(found)) is not Passage.REFUSED


def test_a_collation_that_is_there_stays() -> None:
    type_ = "varchar(3) character set utf8mb4 collate utf8mb4_bin"
    assert adapted(type_, MARIADB, COLLATIONS) == type_


@pytest.mark.parametrize("target", ["char(35)", "varchar(10)", "int", "blob"])
def test_an_address_goes_into_no_column_that_is_too_short(target: str) -> None:
    assert judge_native(parse("uuid"), parse(target)) is Passage.REFUSED
