"""The byte form of rows survives any cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.memory.rows import MemoryRows, encode

CELLS = st.lists(st.tuples(st.none() | st.binary(max_size=9), st.binary(max_size=3)), max_size=9)


@given(rows=CELLS, size=st.integers(1, 17))
def test_rows_read_back_whatever_the_buffers(
    rows: list[tuple[bytes | None, bytes]], size: int
) -> None:
    data = b"".join(map(encode, rows))
    decoder = MemoryRows(2)
    cut = [r for i in range(0, len(data), size) for r in decoder.feed(data[i : i + size])]
    decoder.finish()
    assert [decoder.values(row) for row in cut] == rows
    assert decoder.join(cut) == data


def test_an_incomplete_row_is_told() -> None:
    decoder = MemoryRows(1)
    assert list(decoder.feed(encode((b"abc",))[:-1])) == []
    with pytest.raises(ValueError, match="incomplete"):
        decoder.finish()
