"""TYPES.md says what the tests' tables say, and what the servers know."""

import pytest

from connectors.mysql.flavour import Flavour
from connectors.mysql.native_ddl import adapted
from tests.integration.mysql_types.document import (
    COUNTERPARTS,
    MARIADB_10,
    MYSQL_9,
    PATH,
    counterpart,
    render,
)
from tests.servers.mysql import MysqlServer


def test_the_document_is_what_its_program_writes() -> None:
    assert PATH.read_text() == render()


@pytest.mark.parametrize("flavour", [MARIADB_10, MYSQL_9], ids=str)
def test_counterparts_are_those_of_the_servers(mysql: MysqlServer, flavour: Flavour) -> None:
    """With all collations the server has, in place of those the document is made of; and the server
    takes every one."""
    if mysql.mariadb is not flavour.mariadb:
        pytest.skip("the other dialect's")
    rows = mysql.execute("SELECT collation_name FROM information_schema.collations")
    names = frozenset([str(name) for (name,) in rows])
    names |= {f"utf8mb4_{name}" for name in names if name.startswith("uca")}
    chosen = [type_ for type_, known, _ in COUNTERPARTS if known == flavour]
    assert len(chosen) > 3
    mysql.drop_database("counterparts")
    mysql.create_database("counterparts")
    for number, type_ in enumerate(chosen):
        declared = adapted(type_, flavour, names)
        assert declared == counterpart(type_, flavour)
        mysql.execute(f"CREATE TABLE counterparts.t{number} (c {declared})")
    mysql.drop_database("counterparts")
