"""Columns, values of them, and rows as bytes, by the format's description."""

import struct
from collections.abc import Sequence
from typing import Final

from connectors.mysql.binlog import table_map as codes
from connectors.mysql.binlog.cursor import Cursor
from connectors.mysql.binlog.table_map import TableMap, parse_table_map
from connectors.mysql.flavour import Flavour
from connectors.mysql.types import parse_type
from tests.unit.connectors.mysql.binlog_bytes import bits, table_map


class Column:
    """One column of a test's table: how the log and the catalog call it, and values with their
    bytes in a row."""

    def __init__(
        self, code: int, fact: bytes, declared: str, values: dict[bytes, bytes], charset: str = ""
    ) -> None:
        self.code = code
        self.fact = fact
        self.type = parse_type(declared, charset or None, None)
        self.values = values


COLUMNS: Final = (
    Column(codes.TINY, b"", "tinyint", {b"-1": b"\xff", b"7": b"\x07"}),
    Column(codes.SHORT, b"", "smallint unsigned", {b"65535": b"\xff\xff"}),
    Column(codes.INT24, b"", "mediumint", {b"-8388608": b"\0\0\x80", b"1": b"\x01\0\0"}),
    Column(codes.LONG, b"", "int", {b"-2": struct.pack("<i", -2), b"5": struct.pack("<i", 5)}),
    Column(codes.LONGLONG, b"", "bigint unsigned", {b"18446744073709551615": b"\xff" * 8}),
    Column(codes.DOUBLE, b"\x08", "double", {b"1.5": struct.pack("<d", 1.5)}),
    Column(codes.NEWDECIMAL, b"\x05\x02", "decimal(5,2)", {b"-1.50": b"\x7f\xfe\xcd"}),
    Column(codes.VARCHAR, b"\x28\x00", "varchar(10)", {b"": b"\0", "é".encode(): b"\x02\xc3\xa9"},
           "utf8mb4"),
    Column(codes.VARCHAR, b"\x2c\x01", "varchar(300)", {b"x" * 299: b"\x2b\x01" + b"x" * 299},
           "latin1"),
    Column(codes.BLOB, b"\x03", "mediumblob",
           {b"\0" * 300: b"\x2c\x01\0" + b"\0" * 300, b"": b"\0\0\0"}),
    Column(codes.BLOB, b"\x04", "longtext", {b"t": b"\x01\0\0\0t"}, "utf8mb4"),
    Column(codes.DATETIME2, b"\x02", "datetime(2)",
           {b"2024-02-29 01:02:03.45": (0x8000000000 + ((2024 * 13 + 2) << 22 | 29 << 17 | 1 << 12
                                        | 2 << 6 | 3)).to_bytes(5, "big") + b"\x2d"}),
    Column(codes.STRING, b"\xf7\x01", "enum('a','b')", {b"b": b"\x02", b"": b"\0"},
           "utf8mb4"),
    Column(codes.STRING, b"\xfe\x04", "binary(4)", {b"a\0\0\0": b"\x01a"}),
)  # fmt: skip


SERVER: Final = Flavour(mariadb=False, version=(9, 0, 0))


def described(columns: Sequence[Column], optional: bytes = b"") -> TableMap:
    facts = b"".join(c.fact for c in columns)
    body = table_map([c.code for c in columns], facts, optional=optional)
    return parse_table_map(Cursor(body, 0, len(body)), 6, SERVER)


def image(columns: Sequence[Column], held: Sequence[bool], values: Sequence[bytes | None]) -> bytes:
    """A row's bytes: what of it is held."""
    there = [(c, v) for c, h, v in zip(columns, held, values, strict=True) if h]
    nulls = bits([value is None for _, value in there])
    return nulls + b"".join(c.values[v] for c, v in there if v is not None)
