from collections.abc import AsyncIterator

import pytest

from connectors.mysql import load_data
from connectors.mysql.load_data import INTERCHANGE_TEXT, NATIVE_TEXT, Feed, NativeRows
from engine.errors import SchemaMismatchError
from engine.model.relation import Column, ColumnType, Format, Relation

RELATION = Relation(1, "s", "t", (Column("a", ColumnType("text"), Format.TEXT),), wire="postgres")


async def _pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_escapes_of_copy_that_load_data_does_not_know_become_their_characters(
    size: int,
) -> None:
    data = rb"a\fb\\fc\v\\\v" + b"\n" + rb"\N" + b"\n"
    feed = Feed(RELATION, INTERCHANGE_TEXT, _pieces(data, size))
    got = b"".join([piece async for piece in feed])
    assert got == b"a\x0cb" + rb"\\fc" + b"\x0b" + rb"\\" + b"\x0b\n" + rb"\N" + b"\n"
    assert (feed.rows, feed.bytes) == (2, len(data))


async def test_the_native_form_passes_as_it_is() -> None:
    feed = Feed(RELATION, NATIVE_TEXT, _pieces(rb"\f\\" + b"\n", 1))
    assert b"".join([piece async for piece in feed]) == rb"\f\\" + b"\n"


def test_rows_of_the_native_form() -> None:
    rows = NativeRows(3)
    first, second = list(rows.feed(rb"a\tb" + b"\t" + rb"\N" + b"\t" + rb"\\\0\Z\n" + b"\n\t\t\n"))
    rows.finish()
    assert rows.values(first) == (b"a\tb", None, b"\\\x00\x1a\n")
    assert rows.values(second) == (b"", b"", b"")


def test_a_form_that_rows_do_not_have_is_refused() -> None:
    with pytest.raises(SchemaMismatchError):
        load_data.require_form(RELATION, NATIVE_TEXT)
