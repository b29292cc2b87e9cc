"""The generated and the compiled encoder give what packing row by row gives."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._interchange.copy_rows import (
    HEADER,
    LENGTHS_KEPT,
    PIECE_BYTES,
    TRAILER,
    compile_encoder,
    encode,
)
from engine.model.value import UNCHANGED, Row

pytestmark = pytest.mark.usefixtures("loops")

VALUES = st.none() | st.binary(max_size=20) | st.sampled_from([b"x" * LENGTHS_KEPT, b"y" * 5000])


def plainly(rows: list[Row], indexes: tuple[int, ...]) -> bytes:
    out = bytearray()
    for row in rows:
        out += struct.pack("!h", len(indexes))
        for index in indexes:
            value = row[index]
            assert value is None or isinstance(value, bytes)
            out += struct.pack("!i", -1 if value is None else len(value)) + (value or b"")
    return bytes(out)


@given(st.data())
def test_rows_are_packed(data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 5))
    indexes = tuple(data.draw(st.permutations(range(width)))[: data.draw(st.integers(1, width))])
    rows = data.draw(st.lists(st.tuples(*[VALUES] * width), max_size=8))
    assert compile_encoder(indexes, width)(rows) == plainly(rows, indexes)


def test_a_stream_is_whole_and_its_pieces_stay_small() -> None:
    encoder = compile_encoder((0, 1), 2)
    rows: list[Row] = [(b"k", b"w" * 20_000)] * 300
    pieces = list(encode(encoder, rows))
    assert b"".join(pieces) == HEADER + plainly(rows, (0, 1)) + TRAILER
    assert max(map(len, pieces)) < 3 * PIECE_BYTES


def test_an_unchanged_value_is_never_written() -> None:
    with pytest.raises(TypeError):
        compile_encoder((0,), 1)([(UNCHANGED,)])


def test_a_row_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="values"):
        compile_encoder((0,), 2)([(b"a",)])
