"""The byte form of rows survives any cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.memory.rows import RowDecoder, encode

CELLS = st.lists(st.tuples(st.none() | st.binary(max_size=9), st.binary(max_size=3)), max_size=9)


@given(rows=CELLS, size=st.integers(1, 17))
def test_rows_read_back_whatever_the_buffers(
    rows: list[tuple[bytes | None, bytes]], size: int
) -> None:
    data = b"".join(map(encode, rows))
    decoder = RowDecoder(2)
    read = [r for i in range(0, len(data), size) for r in decoder.feed(data[i : i + size])]
    decoder.finish()
    assert read == rows


def test_an_incomplete_row_is_told() -> None:
    decoder = RowDecoder(1)
    assert list(decoder.feed(encode((b"abc",))[:-1])) == []
    with pytest.raises(ValueError, match="incomplete"):
        decoder.finish()
