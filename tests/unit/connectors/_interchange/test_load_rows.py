"""COPY data cut into rows, whatever the buffers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._interchange.copy_rows import HEADER, TRAILER, compile_encoder, encode
from connectors._interchange.load_rows import BinaryRows, TextRows
from engine.model.load_rows import LoadRows

ROWS = st.lists(st.tuples(st.none() | st.binary(max_size=9), st.binary(max_size=3)), max_size=9)
SIZES = st.integers(1, 23)


def cut(rows: LoadRows, data: bytes, size: int) -> list[bytes]:
    found = [row for i in range(0, len(data), size) for row in rows.feed(data[i : i + size])]
    rows.finish()
    return found


@given(values=ROWS, size=SIZES)
def test_binary_rows_are_found_and_joined_again(
    values: list[tuple[bytes | None, bytes]], size: int
) -> None:
    data = b"".join(encode(compile_encoder((0, 1), 2), values))
    assert data.startswith(HEADER)
    rows = BinaryRows()
    found = cut(rows, data, size)
    assert [rows.values(row) for row in found] == values
    assert rows.join(found) == data


@given(size=SIZES)
def test_a_longer_header_is_passed_over(size: int) -> None:
    header = HEADER[:15] + b"\0\0\0\3abc"
    row = b"\0\1\0\0\0\1x"
    assert cut(BinaryRows(), header + row + TRAILER, size) == [row]


def test_binary_data_without_its_end_is_told() -> None:
    rows = BinaryRows()
    assert list(rows.feed(HEADER + b"\0\1\0\0\0\1x")) == [b"\0\1\0\0\0\1x"]
    with pytest.raises(ValueError, match="before its last row"):
        rows.finish()


TEXT = b"1\t\\N\n2\ta\\tb\\nc\\\\N\n3\t\\\\N\n4\t\n"
TEXT_VALUES = [(b"1", None), (b"2", b"a\tb\nc\\N"), (b"3", b"\\N"), (b"4", b"")]


@given(size=SIZES)
def test_text_rows_are_found_read_and_joined_again(size: int) -> None:
    rows = TextRows(2)
    found = cut(rows, TEXT, size)
    assert [rows.values(row) for row in found] == TEXT_VALUES
    assert rows.join(found) == TEXT


def test_rows_without_columns() -> None:
    rows = TextRows(0)
    assert [rows.values(row) for row in cut(rows, b"\n\n", 1)] == [(), ()]
    binary = BinaryRows()
    found = cut(binary, HEADER + b"\0\0\0\0" + TRAILER, 4)
    assert [binary.values(row) for row in found] == [(), ()]


def test_text_data_without_its_end_is_told() -> None:
    rows = TextRows(1)
    assert list(rows.feed(b"1\n2")) == [b"1"]
    with pytest.raises(ValueError, match="inside a row"):
        rows.finish()
