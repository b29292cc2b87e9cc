"""The engine orders key values as the server does."""

import struct
from typing import Final

import pytest

from connectors._interchange import keyorder
from connectors._interchange.keyorder import decoder
from connectors.postgres.load_connection import Connection
from engine.model.relation import Column, ColumnType, Format

pytestmark = pytest.mark.in_turn

RANDOM: Final = "SELECT setseed(0.42)"

VALUES: Final = {
    "int2": (
        keyorder.INT2,
        (
            "SELECT (random() * 65535 - 32768)::int2 FROM generate_series(1, 500)"
            " UNION ALL VALUES ((-32768)::int2), (32767), (0), (-1)"
        ),
    ),
    "int4": (
        keyorder.INT4,
        (
            "SELECT (random() * 4294967295 - 2147483648)::int4 FROM generate_series(1, 500)"
            " UNION ALL VALUES ((-2147483648)::int4), (2147483647), (0), (-1)"
        ),
    ),
    "int8": (
        keyorder.INT8,
        (
            "SELECT ((random() - 0.5) * 1.8e19)::int8 FROM generate_series(1, 500)"
            " UNION ALL VALUES ((-9223372036854775808)::int8), (9223372036854775807), (0), (-1)"
        ),
    ),
    "uuid": (
        keyorder.UUID,
        (
            "SELECT md5(random()::text)::uuid FROM generate_series(1, 500)"
            " UNION ALL VALUES ('00000000-0000-0000-0000-000000000000'::uuid),"
            " ('ffffffff-ffff-ffff-ffff-ffffffffffff')"
        ),
    ),
    "date": (
        keyorder.DATE,
        (
            "SELECT '2000-01-01'::date + ((random() - 0.4) * 3e6)::int4"
            " FROM generate_series(1, 500) UNION ALL VALUES ('infinity'::date), ('-infinity'),"
            " ('4713-01-01 BC'), ('5874897-12-31'), ('0001-01-01'), ('0001-12-31 BC'),"
            " ('2000-02-29'), ('1900-03-01'), ('9999-12-31'), ('10000-01-01')"
        ),
    ),
    "timestamp": (
        keyorder.TIMESTAMP,
        (
            "SELECT '2000-01-01'::timestamp + random() * 9e5 * interval '1 day'"
            " - random() * 9e5 * interval '1 day' FROM generate_series(1, 500)"
            " UNION ALL VALUES ('infinity'::timestamp), ('-infinity'), ('4713-01-01 00:00:00 BC'),"
            " ('294276-12-31 23:59:59.999999'), ('0001-12-31 23:59:59.999999 BC'), ('0001-01-01')"
        ),
    ),
    "timestamptz": (
        keyorder.TIMESTAMPTZ,
        (
            "SELECT '2000-01-01 00:00+00'::timestamptz + random() * 9e5 * interval '1 day'"
            " - random() * 9e5 * interval '1 day' FROM generate_series(1, 500)"
            " UNION ALL VALUES ('infinity'::timestamptz), ('-infinity'),"
            " ('4713-01-01 00:00:00+00 BC'), ('294276-12-31 23:59:59.999999+00')"
        ),
    ),
    "bytea": (
        keyorder.BYTEA,
        (
            "SELECT decode(left(md5(random()::text), 2 * (random() * 8)::int4), 'hex')"
            " FROM generate_series(1, 500) UNION ALL VALUES (''::bytea), ('\\x00'), ('\\x0000'),"
            " ('\\xff'), ('\\x7f80')"
        ),
    ),
    'text COLLATE "C"': (
        keyorder.TEXT,
        (
            "SELECT left(md5(random()::text), 3) || chr(64 + (random() * 900)::int4)"
            " FROM generate_series(1, 500) UNION ALL VALUES (''), ('a'), ('A'), ('a b'), ('ä'),"
            " ('z'), ('😀'), ('\uffff'), ('a'''), ('\\')"
        ),
    ),
    'varchar(9) COLLATE "C"': (
        keyorder.VARCHAR,
        "SELECT left(md5(random()::text), (random() * 9)::int4) FROM generate_series(1, 500)",
    ),
}


@pytest.mark.parametrize("name", VALUES)
async def test_values_sort_as_on_the_server(source: Connection, name: str) -> None:
    oid, query = VALUES[name]
    await source.execute(RANDOM)
    await source.execute(f"CREATE TEMP TABLE k (v {name})")
    await source.execute(f"INSERT INTO k {query}")
    ordered = [row[0] for row in await source.fetch("SELECT v::text AS shown FROM k ORDER BY v")]
    by_text = [form(oid, Format.TEXT, value.encode()) for value in ordered]
    by_bytes = [
        form(oid, Format.BINARY, value)
        for value in await sent(source, "SELECT v FROM k ORDER BY v")
    ]
    assert by_text == by_bytes
    assert by_text == sorted(by_text)  # type: ignore[type-var]
    assert len(set(by_text)) == await source.fetchval("SELECT count(DISTINCT v) FROM k")


def form(oid: int, wire: Format, value: bytes) -> object:
    return decoder(Column("v", ColumnType("", oid), wire))(value)


async def sent(connection: Connection, query: str) -> list[bytes]:
    """The binary form of a query's only column, out of COPY data."""
    pieces: list[bytes] = []

    async def keep(data: bytes) -> None:
        pieces.append(data)

    await connection.copy_from_query(query, output=keep, format="binary")
    data, values, at = b"".join(pieces), [], 19
    while data[at : at + 2] == b"\0\1":
        (length,) = struct.unpack_from("!i", data, at + 2)
        values.append(data[at + 6 : at + 6 + length])
        at += 6 + length
    return values
