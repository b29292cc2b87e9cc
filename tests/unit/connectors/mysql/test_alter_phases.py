"""ALTERs of MariaDB that are logged twice (`binlog_alter_two_phase`)."""

import pytest

from connectors.mysql.binlog.cursor import Cursor
from connectors.mysql.binlog.query import parse_query
from tests.unit.connectors.mysql.binlog_bytes import query


@pytest.mark.parametrize(
    ("flags", "void"),
    [(b"\x02", True), (b"\x04" + bytes(8), False), (b"\x08" + bytes(8), True), (b"\0", False)],
)
def test_of_an_alter_in_two_phases_only_the_end_counts(flags: bytes, void: bool) -> None:
    body = query(b"ALTER", variables=b"\x82" + flags)
    found = parse_query(Cursor(body, 0, len(body)), Cursor.rest)
    assert (found.sql, found.void) == ("ALTER", void)
