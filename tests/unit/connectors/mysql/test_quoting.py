"""Texts inside SQL of MySQL and MariaDB."""

import pytest

from connectors.mysql.quoting import unescaped


@pytest.mark.parametrize(
    ("text", "meant"),
    [("it''s", "it's"), (r"it\'s", "it's"), (r"a\\nb", r"a\nb"), (r"a\nb\0\Z\q", "a\nb\0\x1aq")],
)
def test_what_stands_between_quotes_is_read_as_the_server_does(text: str, meant: str) -> None:
    assert unescaped(text) == meant
