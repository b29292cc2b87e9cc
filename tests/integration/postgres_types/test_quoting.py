"""What we quote means to the server what it means to us, whatever its settings say."""

from random import Random
from typing import Final

import psycopg
import pytest

from connectors._sql.quoting import identifier, literal
from connectors.postgres.control_sql import _array
from tests.fuzz.mutation import mutated_text
from tests.servers.postgres import Database

COUNT: Final = 300
NAME_BYTES_MAX: Final = 63
"""What a server keeps of a name (NAMEDATALEN - 1)."""

SEEDS: Final = (
    "plain", "it's", 'quo"te', "back\\slash", "\\'", "E'x'", "$1 $$ $a$", "ünïcode", "-- /*",
    "{a,b}", "NULL", "", "a\nb", "%s %(x)s", "U&'\\0041'",
)  # fmt: skip


def texts(seed: int) -> list[str]:
    """Texts of everything that quoting could stumble over, none of them impossible in SQL."""
    random = Random(seed)
    found = list(SEEDS)
    while len(found) < COUNT:
        text = mutated_text("".join(random.choices(SEEDS, k=2)), random)
        if len(text) < 500 and "\0" not in text and text.isprintable() | ("\n" in text):
            found.append(text.encode(errors="ignore").decode())
    return found


@pytest.mark.parametrize("conforming", ["on", "off"])
def test_constants_and_names_read_back(source_database: Database, conforming: str) -> None:
    wanted = texts(1)
    rows = ", ".join(f"({n}, {literal(text)})" for n, text in enumerate(wanted))
    options = f"-c standard_conforming_strings={conforming}"
    with psycopg.connect(source_database.dsn, options=options) as connection:
        found = connection.execute(
            f"SELECT text FROM (VALUES {rows}) v(n, text) ORDER BY n".encode()
        )
        assert [row[0] for row in found] == wanted
    names = sorted({text for text in wanted if 0 < len(text.encode()) <= NAME_BYTES_MAX})
    columns = ", ".join(f"{identifier(name)} int" for name in names)
    source_database.execute(f"CREATE TABLE odd ({columns})")
    read = source_database.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'odd'::regclass AND attnum > 0"
        " ORDER BY attnum"
    )
    assert [row[0] for row in read] == names


def test_arrays_read_back(source_database: Database) -> None:
    wanted = texts(2)
    read = source_database.execute(f"SELECT unnest({literal(_array(wanted) or '')}::text[])")
    assert [row[0] for row in read] == wanted
