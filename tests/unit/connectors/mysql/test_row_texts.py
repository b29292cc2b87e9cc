"""Rows as constants and as lines, by the loop in Python and by the compiled one."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mysql import literals, row_texts
from connectors.mysql.column_plan import ColumnPlan
from connectors.mysql.column_type import parse
from connectors.mysql.literals import UnfitError
from connectors.mysql.row_texts import PIECE_ROWS_MAX, RowTexts
from engine.errors import RowRejectedError, SchemaMismatchError
from engine.model.value import UNCHANGED, Row

pytestmark = pytest.mark.usefixtures("loops")

SPECIAL: Final = (
    b"", b"'", b"\\", b"\\'", b"\t\n\r\0\x1a", rb"\N", b"NULL", b"a\tb\nc\\d'e", b"\xff",
)  # fmt: skip

TEXTS: Final = st.none() | st.binary() | st.sampled_from(SPECIAL)


def column(index: int, encode: Callable[[bytes], bytes]) -> ColumnPlan:
    return ColumnPlan(
        index=index,
        plain=f"c{index}",
        name=f"`c{index}`",
        type=parse("int"),
        encode=encode,
        load="",
        writable=True,
        watched=False,
        bytewise=True,
    )


def texts(*encodes: Callable[[bytes], bytes]) -> RowTexts:
    columns = [column(index, encode) for index, encode in enumerate(encodes)]
    return RowTexts("s.t", columns, len(columns))


def fields(line: bytes) -> Row:
    """What LOAD DATA reads in a line."""
    escapes = {b"t": b"\t", b"n": b"\n", b"\\": b"\\"}
    return tuple(
        [
            None
            if field == rb"\N"
            else re.sub(rb"(?s)\\(.)", lambda found: escapes[found[1]], field)
            for field in line.split(b"\t")
        ]
    )


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=20))
def test_lines_hold_what_was_written(rows: list[Row]) -> None:
    ((text, count),) = texts(literals.text, literals.raw).lines(rows)
    assert count == len(rows)
    assert text.endswith(b"\n")
    assert [fields(line) for line in text[:-1].split(b"\n")] == rows


NUMBERS: Final = (
    st.none() | st.just(literals.NEGATIVE_ZERO) | st.integers().map(lambda number: b"%d" % number)
)
TRUTHS: Final = st.none() | st.sampled_from((b"t", b"f"))


@given(st.lists(st.tuples(TEXTS, TEXTS, NUMBERS, TRUTHS), min_size=1, max_size=20))
def test_constants_are_those_of_each_column(rows: list[Row]) -> None:
    encodes = (literals.text, literals.raw, literals.number, literals.truth)
    columns = [column(index, encode) for index, encode in enumerate(encodes)]
    expected = [b"(%b)" % b",".join(row_texts.constants("s.t", columns, row)) for row in rows]
    found = list(texts(*encodes).constants(rows))
    assert found == [(b",".join(expected), len(rows))]


@pytest.mark.parametrize(
    "text", [b"1", b"-1", b"+1.", b".5", b"1.5e3", b"1E-10", b"00", b"-0.0e+00", b"9" * 65]
)
def test_numbers_stand_bare(text: bytes) -> None:
    assert list(texts(literals.number).constants([(text,)])) == [(b"(" + text + b")", 1)]


@pytest.mark.parametrize(
    "text",
    [b"", b"-", b".", b"1e", b"1e+", b"e5", b"1 ", b" 1", b"1)", b"0x10", b"nan", b"1\n", b"--1",
     b"1.2.3", b"\xd9\xa1", b"1\0"],
)  # fmt: skip
def test_what_is_no_number_is_refused_with_its_column(text: bytes) -> None:
    with pytest.raises(RowRejectedError, match=r"s\.t, column c1: the number") as caught:
        list(texts(literals.text, literals.number).constants([(b"a", b"1"), (b"b", text)]))
    assert text not in str(caught.value).encode() or text in b" 1 1)."


def test_what_a_column_cannot_hold_is_refused_with_its_column() -> None:
    def refuses(_: bytes) -> bytes:
        raise UnfitError("it does not fit", "22003")

    with pytest.raises(RowRejectedError, match=r"s\.t, column c0: it does not fit"):
        list(texts(refuses).constants([(None,), (b"x",)]))


@pytest.mark.parametrize("lines", [True, False])
def test_a_value_that_was_not_sent_is_refused(lines: bool) -> None:
    written = texts(literals.text)
    with pytest.raises(SchemaMismatchError, match=r"s\.t: a value of column c0"):
        list((written.lines if lines else written.constants)([(b"x",), (UNCHANGED,)]))


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize("size", [1, 100, 1_000, row_texts.PIECE_BYTES_MAX + 1])
def test_pieces_are_as_large_as_may_be(lines: bool, size: int) -> None:
    rows: list[Row] = [(b"x" * size,)] * min(2 * PIECE_ROWS_MAX + 1, 5_000_000 // size)
    written = texts(literals.text)
    pieces = list((written.lines if lines else written.constants)(rows))
    assert sum(count for _, count in pieces) == len(rows)
    row = size + (1 if lines else 4)
    comma = 0 if lines else 1
    for (text, count), _ in pairwise(pieces):
        assert len(text) == count * (row + comma) - comma
        assert count <= PIECE_ROWS_MAX
        if count > 1:
            assert len(text) <= row_texts.PIECE_BYTES_MAX
        if count < PIECE_ROWS_MAX:
            assert len(text) + comma + row > row_texts.PIECE_BYTES_MAX


def test_columns_stand_in_the_order_asked_for_and_others_are_left_out() -> None:
    chosen = RowTexts("s.t", [column(2, literals.number), column(0, literals.text)], 3)
    assert list(chosen.constants([(b"a", UNCHANGED, b"1")])) == [(b"(1,'a')", 1)]
    assert list(chosen.lines([(b"a", UNCHANGED, b"1"), (None, None, b"2")])) == [
        (b"1\ta\n2\t\\N\n", 2)
    ]


def test_no_rows_are_no_piece() -> None:
    assert list(texts(literals.text).constants([])) == []
