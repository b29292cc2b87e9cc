"""Any bytes of a column come to the same in the compiled loop and in its twin in Python."""

import gc
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._interchange import compiled
from connectors.mysql.binlog import table_map as codes
from connectors.mysql.binlog.columns import Form, frame
from connectors.mysql.binlog.events import RowsEvent
from connectors.mysql.binlog.rows import RowsDecoder
from engine.errors import DecodeError
from engine.model.change import INSERT, Change
from engine.model.relation import Relation
from tests.unit.connectors.mysql.row_bytes import Column, described

pytestmark = pytest.mark.skipif(compiled.LOOPS is None, reason="the compiled loops are not built")

RELATION: Final = Relation(1, "shop", "t", ())


def decimal(precision: int, scale: int) -> Column:
    fact = bytes([precision, scale])
    return Column(codes.NEWDECIMAL, fact, f"decimal({precision},{scale})", {})


COLUMNS: Final = (
    Column(codes.DATE, b"", "date", {}),
    *[Column(codes.DATETIME2, bytes([d]), f"datetime({d})", {}) for d in range(7)],
    *[Column(codes.TIMESTAMP2, bytes([d]), f"timestamp({d})", {}) for d in range(7)],
    *[Column(codes.TIME2, bytes([d]), f"time({d})", {}) for d in range(7)],
    *[decimal(p, s) for p, s in ((1, 0), (1, 1), (5, 2), (9, 9), (10, 0), (12, 2), (18, 9), (20, 0),
                                 (38, 10), (65, 0), (65, 30), (65, 38))],
    *[Column(code, b"", f"{name}{sign}", {})
      for code, name in ((codes.TINY, "tinyint"), (codes.SHORT, "smallint"),
                         (codes.INT24, "mediumint"), (codes.LONG, "int"),
                         (codes.LONGLONG, "bigint"))
      for sign in ("", " unsigned", " unsigned zerofill")],
)  # fmt: skip


def outcome(
    column: Column, form: Form, data: bytes, loops: compiled.Loops | None
) -> list[Change] | str:
    before, compiled.LOOPS = compiled.LOOPS, loops
    try:
        decoder = RowsDecoder(described([column]), [column.type], form)
        event = RowsEvent(INSERT, described([column]), b"", b"\x01", data, 0, len(data), False,
                          False)  # fmt: skip
        return decoder.decode(event, RELATION)
    except DecodeError as error:
        return str(error)
    finally:
        compiled.LOOPS = before


def alike(column: Column, data: bytes) -> None:
    for form in Form:
        found = outcome(column, form, b"\0" + data, compiled.LOOPS)
        assert found == outcome(column, form, b"\0" + data, None), (column.type, form, data.hex())


@st.composite
def values(draw: st.DrawFn) -> tuple[Column, bytes]:
    column = draw(st.sampled_from(COLUMNS))
    width = frame(column.code, _metadata(column))[0]
    data = draw(st.binary(min_size=width, max_size=width))
    if draw(st.booleans()) and column.code in (codes.DATETIME2, codes.TIME2):
        # small fields in the place of the fraction and of the clock: mostly sound values
        data = bytes([data[0] | 0x80]) + data[1:]
    return column, data


def _metadata(column: Column) -> int:
    fact = column.fact
    if column.code == codes.NEWDECIMAL:
        return fact[0] << 8 | fact[1]
    return fact[0] if fact else 0


@given(values())
def test_any_bytes_come_to_the_same(case: tuple[Column, bytes]) -> None:
    alike(*case)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.type.base))
def test_the_ends_of_each_type_come_to_the_same(column: Column) -> None:
    width = frame(column.code, _metadata(column))[0]
    for fill in (b"\0", b"\xff", b"\x80", b"\x7f", b"\x01"):
        alike(column, fill * width)
        alike(column, b"\x80" + fill * (width - 1))
        alike(column, b"\x7f" + fill * (width - 1))


@pytest.mark.parametrize(
    ("column", "data", "text"),
    [
        (Column(codes.TIMESTAMP2, b"\x06", "timestamp(6)", {}),
         (951_782_399).to_bytes(4, "big") + (1).to_bytes(3, "big"), b"2000-02-28 23:59:59.000001"),
        (Column(codes.TIMESTAMP2, b"\0", "timestamp", {}),
         (951_868_799).to_bytes(4, "big"), b"2000-02-29 23:59:59"),
        (Column(codes.TIMESTAMP2, b"\x01", "timestamp(1)", {}),
         (4_294_967_295).to_bytes(4, "big") + b"\x5a", b"2106-02-07 06:28:15.9"),
        (Column(codes.DATE, b"", "date", {}), (9999 << 9 | 12 << 5 | 31).to_bytes(3, "little"),
         b"9999-12-31"),
        (Column(codes.DATE, b"", "date", {}), b"\0\0\0", b"0000-00-00"),
        (Column(codes.TIME2, b"\x03", "time(3)", {}),
         (0x8000000000 - (838 << 28 | 59 << 22 | 58 << 16 | 1230)).to_bytes(5, "big"),
         b"-838:59:58.123"),
        (decimal(5, 2), b"\x7f\xfe\xcd", b"-1.50"),
        (decimal(5, 2), b"\x80\x00\x05", b"0.05"),
        (decimal(5, 2), b"\x7f\xff\xff", b"0.00"),
        (decimal(1, 1), b"\x87", b"0.7"),
    ],
)  # fmt: skip
def test_values_as_the_servers_write_them(column: Column, data: bytes, text: bytes) -> None:
    for loops in (compiled.LOOPS, None):
        found = outcome(column, Form.NATIVE, b"\0" + data, loops)
        assert found == [Change(INSERT, RELATION, (text,), None)]


def test_the_collector_of_cycles_does_not_look_at_what_was_read() -> None:
    column = Column(codes.LONG, b"", "int", {})
    found = outcome(column, next(iter(Form)), b"\0\1\0\0\0", compiled.LOOPS)
    assert not isinstance(found, str)
    (change,) = found
    assert change.new is not None
    assert not any(map(gc.is_tracked, (change, change.new)))
