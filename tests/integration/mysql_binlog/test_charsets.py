"""Every character that a set can hold, as the server stores it and as it is read here."""

from collections.abc import Iterator
from typing import Final

import pytest

from connectors.mysql.charsets import REFUSED, charset_of, known, to_utf8
from engine.model.value import Misfit
from tests.integration.mysql_binlog.log_file import selected_rows
from tests.servers.mysql import MysqlDatabase

PRIVATE: Final = range(0xE000, 0xF900)
"""Characters for private use, which ujis and others keep rows free for: those are Misfits."""

ROWS: Final = 8_000


def characters() -> Iterator[str]:
    """The basic plane, and a sample of the others; not U+FFFD, which stands for no character."""
    for code in (*range(0xD800), *range(0xE000, 0xFFFD), *range(0x10000, 0x30000, 37)):
        yield chr(code)


@pytest.fixture
def table(mysql_database: MysqlDatabase) -> MysqlDatabase:
    mysql_database.execute("CREATE TABLE chars (c varchar(1) CHARACTER SET utf8mb4 NOT NULL)")
    every = list(characters())
    for first in range(0, len(every), ROWS):
        values = ",".join(f"(0x{c.encode().hex()})" for c in every[first : first + ROWS])
        mysql_database.execute(f"INSERT INTO chars VALUES {values}")
    return mysql_database


def test_every_character_comes_back(table: MysqlDatabase) -> None:
    rows = table.execute("SELECT character_set_name FROM information_schema.character_sets")
    charsets = [row[0] for row in rows if row[0] != "binary"]
    assert {name for name in charsets if not known(name)} == set(REFUSED) & set(charsets)
    wrong: list[str] = []
    for charset in filter(known, charsets):
        convert = to_utf8(charset)
        there = f"CONVERT(c USING {charset})"
        back = f"CONVERT({there} USING utf8mb4)"
        wanted = f"WHERE {back} = BINARY c"
        found = selected_rows(table, [f"HEX({there})", "HEX(c)"], "chars", wanted)
        assert len(found) > 100
        for stored, text in found:
            assert stored is not None
            assert text is not None
            value = convert(bytes.fromhex(stored.decode()))
            character = bytes.fromhex(text.decode()).decode()
            private = isinstance(value, Misfit) and ord(character) in PRIVATE
            if value != character.encode() and not private:
                wrong.append(f"{charset}: U+{ord(character):04X} is stored as {stored.decode()}")
    assert not wrong, f"{len(wrong)}: {wrong[:20]}"


def test_every_collation_has_its_charset(mysql_database: MysqlDatabase) -> None:
    source = (
        "SELECT a.id, a.character_set_name FROM"
        " information_schema.collation_character_set_applicability a WHERE a.id IS NOT NULL"
        if mysql_database.server.mariadb
        else "SELECT id, character_set_name FROM information_schema.collations"
    )
    rows = mysql_database.execute(source)
    assert len(rows) > 200
    for number, charset in rows:
        assert charset_of(int(number)) == ("utf8mb3" if charset == "utf8" else charset), number
