"""What bytes the servers let into a column are read by the load and by the stream as the same."""

from itertools import product
from typing import Final

from connectors.mysql.charsets import known, to_utf8
from connectors.mysql.load_text import utf8
from engine.model.value import Misfit
from tests.integration.mysql_binlog.log_file import selected_rows
from tests.servers.mysql import MysqlDatabase

ONE: Final = [bytes([a]) for a in range(256)]
SEVERAL: Final = [
    *ONE,
    *[bytes(pair) for pair in product(range(0x80, 0x100), range(0x30, 0x100))],
    *[bytes((0x8F, *pair)) for pair in product(range(0xA1, 0xFF), repeat=2)],
]
ROWS: Final = 20_000

SURROGATES: Final = ("EDA", "EDB")
"""Halves of characters, which MariaDB lets out in a form that no target takes for text."""


def _fill(database: MysqlDatabase, table: str, codes: list[bytes]) -> None:
    database.execute(f"CREATE TABLE {table} (b varbinary(4) NOT NULL)")
    for first in range(0, len(codes), ROWS):
        values = ",".join([f"(x'{code.hex()}')" for code in codes[first : first + ROWS]])
        database.execute(f"INSERT INTO {table} VALUES {values}")


def _wrong(database: MysqlDatabase, charset: str, codes: str) -> list[tuple[str, str, str]]:
    """Codes that the two ways do not read alike: with what the stream and the load make of it."""
    database.execute(
        "SET sql_mode = ''; DROP TABLE IF EXISTS c;"
        f"CREATE TABLE c (b varbinary(4), c varchar(4) CHARACTER SET {charset});"
        f"INSERT IGNORE INTO c SELECT b, CONVERT(b USING {charset}) FROM {codes}"
    )
    found = selected_rows(
        database, ["HEX(c)", f"HEX({utf8('c', charset)})"], "c", "WHERE HEX(c) = HEX(b)"
    )
    assert found or charset == "utf32"
    convert = to_utf8(charset)
    wrong: list[tuple[str, str, str]] = []
    for stored, text in found:
        assert stored is not None
        value = convert(bytes.fromhex(stored.decode()))
        told = "FF" if isinstance(value, Misfit) else bytes(value).hex().upper()
        loaded = (text or b"NULL").decode()
        if told != loaded and not (told == "FF" and loaded.startswith(SURROGATES)):
            wrong.append((stored.decode(), told, loaded))
    return wrong


def test_every_code_is_read_alike(mysql_database: MysqlDatabase) -> None:
    _fill(mysql_database, "one", ONE)
    _fill(mysql_database, "several", SEVERAL)
    sets = mysql_database.execute(
        "SELECT character_set_name, maxlen FROM information_schema.character_sets"
    )
    wrong = {
        str(charset): _wrong(mysql_database, charset, "one" if length == 1 else "several")[:5]
        for charset, length in sets
        if known(charset) and charset != "binary" and not charset.startswith("utf8")
    }
    assert len(wrong) > 30
    assert {charset: codes for charset, codes in wrong.items() if codes} == {}
