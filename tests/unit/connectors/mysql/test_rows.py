"""Rows of the log, from bytes made by the format's description."""

import struct
import zlib
from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mysql.binlog import table_map as codes
from connectors.mysql.binlog.columns import Form
from connectors.mysql.binlog.events import RowsEvent
from connectors.mysql.binlog.rows import IMAGES_MAX, RowsDecoder
from connectors.mysql.binlog.table_map import TableMap
from connectors.mysql.charsets import UNDECODABLE
from connectors.mysql.types import MysqlType, parse_type
from engine.errors import DecodeError
from engine.model.change import DELETE, INSERT, UPDATE, Change
from engine.model.relation import Relation
from engine.model.value import UNCHANGED, Row
from tests.unit.connectors.mysql.binlog_bytes import bits, optional, packed, packed_bytes
from tests.unit.connectors.mysql.row_bytes import COLUMNS, Column, described, image

pytestmark = pytest.mark.usefixtures("loops")

RELATION: Final = Relation(1, "shop", "t", ())


def rows_event(
    kind: int, table: TableMap, data: bytes, before: bytes = b"", after: bytes = b""
) -> RowsEvent:
    padded = b"frame" + data + b"crc!"
    return RowsEvent(kind, table, before, after, padded, 5, 5 + len(data), False, True)


def row_of(held: Sequence[bool], values: Sequence[bytes | None]) -> Row:
    return tuple([v if h else UNCHANGED for h, v in zip(held, values, strict=True)])


@st.composite
def tables(
    draw: st.DrawFn,
) -> tuple[list[Column], list[bool], list[bool], list[list[bytes | None]]]:
    columns = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=20))
    before = draw(st.lists(st.booleans(), min_size=len(columns), max_size=len(columns)))
    after = draw(st.lists(st.booleans(), min_size=len(columns), max_size=len(columns)))
    before[0] = after[-1] = True
    value = st.tuples(*[st.none() | st.sampled_from(sorted(c.values)) for c in columns]).map(list)
    return columns, before, after, draw(st.lists(value, max_size=4))


@given(tables())
def test_rows_come_out_as_they_were_put_in(
    case: tuple[list[Column], list[bool], list[bool], list[list[bytes | None]]],
) -> None:
    columns, before, after, values = case
    table = described(columns)
    decoder = RowsDecoder(table, [c.type for c in columns], Form.NATIVE)
    inserted = b"".join(image(columns, after, row) for row in values)
    event = rows_event(INSERT, table, inserted, after=bits(after))
    assert decoder.decode(event, RELATION) == [
        Change(INSERT, RELATION, row_of(after, row), None) for row in values
    ]
    deleted = b"".join(image(columns, before, row) for row in values)
    event = rows_event(DELETE, table, deleted, before=bits(before))
    assert decoder.decode(event, RELATION) == [
        Change(DELETE, RELATION, None, row_of(before, row)) for row in values
    ]
    updates = list(zip(values, reversed(values), strict=True))
    changed = b"".join(image(columns, before, o) + image(columns, after, n) for o, n in updates)
    event = rows_event(UPDATE, table, changed, bits(before), bits(after))
    found = decoder.decode(event, RELATION)
    for change, (old, new) in zip(found, updates, strict=True):
        assert change.old == row_of(before, old)
        filled = [
            n if in_new else o if in_old else UNCHANGED
            for n, o, in_new, in_old in zip(new, old, after, before, strict=True)
        ]
        assert change.new == tuple(filled)


def test_columns_that_are_left_out_are_walked_over() -> None:
    table = described(COLUMNS)
    types: list[MysqlType | None] = [c.type if i % 3 == 0 else None for i, c in enumerate(COLUMNS)]
    decoder = RowsDecoder(table, types, Form.NATIVE)
    values: list[bytes | None] = [min(c.values) for c in COLUMNS]
    held = [True] * len(COLUMNS)
    for row in (values, [None if i % 2 else v for i, v in enumerate(values)]):
        data = image(COLUMNS, held, row)
        (change,) = decoder.decode(rows_event(INSERT, table, data, after=bits(held)), RELATION)
        assert change.new == tuple(row[::3])


SIMPLE: Final = (COLUMNS[3], COLUMNS[7])
BOTH: Final = [True, True]


def simple(
    data: bytes, kind: int = INSERT, before: bytes = b"", after: bytes = b"\x03"
) -> list[Change]:
    table = described(SIMPLE)
    decoder = RowsDecoder(table, [c.type for c in SIMPLE], Form.NATIVE)
    return decoder.decode(rows_event(kind, table, data, before, after), RELATION)


@pytest.mark.parametrize(
    "data",
    [
        b"\0",
        b"\0\1\0\0\0",
        b"\0\1\0\0\0\x05abc",
        b"\0\1\0\0\0\x01ab",
        b"\0\1\0\0\0\xff" + b"x" * 20,
    ],
)
def test_a_row_that_does_not_end_with_its_event_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match=r"a row of shop\.t in the binlog"):
        simple(data)


def test_rows_without_any_column_are_refused() -> None:
    with pytest.raises(DecodeError, match="binlog_row_image=FULL"):
        simple(b"", after=b"\0")
    with pytest.raises(DecodeError, match="binlog_row_image=FULL"):
        simple(b"", UPDATE, before=b"\0", after=b"\x03")


def test_a_new_row_that_is_not_held_is_the_old_one() -> None:
    (change,) = simple(b"\0\5\0\0\0\x01x", UPDATE, before=b"\x03", after=b"\0")
    assert change.new == change.old == (b"5", b"x")


def test_bits_beyond_the_columns_mean_nothing() -> None:
    (change,) = simple(b"\xfc\5\0\0\0\x01x", after=b"\xff")
    assert change.new == (b"5", b"x")


def test_bytes_that_their_charset_does_not_know_are_a_misfit() -> None:
    (change,) = simple(b"\0\5\0\0\0\x01\xff")
    assert change.new == (b"5", UNDECODABLE)


def one(column: Column, data: bytes, form: Form = Form.NATIVE) -> object:
    table = described([column])
    decoder = RowsDecoder(table, [column.type], form)
    (change,) = decoder.decode(rows_event(INSERT, table, b"\0" + data, after=b"\x01"), RELATION)
    assert change.new is not None
    return change.new[0]


def test_a_label_that_there_is_not_is_refused() -> None:
    with pytest.raises(DecodeError):
        one(COLUMNS[12], b"\x03")
    members = Column(codes.STRING, b"\xf8\x01", "set('a','b')", {})
    assert one(members, b"\x03") == b"a,b"
    with pytest.raises(DecodeError, match="more members"):
        one(members, b"\x04")


def test_old_forms_of_times() -> None:
    assert one(Column(codes.DATETIME, b"", "datetime", {}),
               (20240229010203).to_bytes(8, "little")) == b"2024-02-29 01:02:03"  # fmt: skip
    assert one(Column(codes.TIMESTAMP, b"", "timestamp", {}),
               (86_400).to_bytes(4, "little")) == b"1970-01-02 00:00:00"  # fmt: skip
    assert one(Column(codes.TIME, b"", "time", {}),
               (-8385959).to_bytes(3, "little", signed=True)) == b"-838:59:59"  # fmt: skip


def test_an_old_time_with_a_fraction_is_refused() -> None:
    column = Column(codes.DATETIME, b"", "datetime(3)", {})
    with pytest.raises(DecodeError, match="mysql56_temporal_format"):
        RowsDecoder(described([column]), [column.type], Form.NATIVE)


def deflated(plain: bytes) -> bytes:
    raw = zlib.compressobj(wbits=-15)
    body = raw.compress(plain) + raw.flush()
    return bytes([0x8A]) + len(plain).to_bytes(2, "big") + body


COMPRESSED: Final = Column(codes.BLOB_COMPRESSED, b"\x02", "blob", {})


@pytest.mark.parametrize(
    ("stored", "plain"),
    [(b"", b""), (b"\0plain", b"plain"), (deflated(b"ab" * 500), b"ab" * 500),
     (b"\x81\x05" + zlib.compress(b"12345"), b"12345")],
)  # fmt: skip
def test_compressed_columns(stored: bytes, plain: bytes) -> None:
    assert one(COMPRESSED, struct.pack("<H", len(stored)) + stored) == plain


@pytest.mark.parametrize(
    "stored",
    [b"\x81\x04" + zlib.compress(b"12345"), b"\x81\x06" + zlib.compress(b"12345"), b"\x91\x01x",
     b"\x84\xff\xff\xff\xff" + zlib.compress(bytes(1000)), b"\x81", b"\x81\x05garbage"],
)  # fmt: skip
def test_a_compressed_column_that_lies_is_refused(stored: bytes) -> None:
    with pytest.raises(DecodeError):
        one(COMPRESSED, struct.pack("<H", len(stored)) + stored)


@pytest.mark.parametrize(
    ("column", "declared"),
    [
        (COLUMNS[3], "bigint"),
        (COLUMNS[7], "text"),
        (COLUMNS[6], "decimal(6,2)"),
        (COLUMNS[12], "int"),
    ],
)
def test_a_catalog_that_the_log_contradicts_is_refused(column: Column, declared: str) -> None:
    with pytest.raises(DecodeError, match=r"column 1 of shop\.t cannot be read"):
        RowsDecoder(described([column]), [parse_type(declared, "latin1", None)], Form.NATIVE)


@pytest.mark.parametrize(
    ("column", "told", "message"),
    [
        (COLUMNS[3], optional(1, b"\x80"), "it is unsigned"),
        (COLUMNS[4], optional(1, b"\x00"), "it is signed"),
        (COLUMNS[7], optional(2, packed(8)), "is latin1, not utf8mb4"),
        (COLUMNS[9], optional(3, packed(45)), "is utf8mb4, not binary"),
        (COLUMNS[7], optional(2, packed(63)), "is binary, not utf8mb4"),
        (COLUMNS[12], optional(6, packed(2) + packed_bytes(b"b") + packed_bytes(b"a"))
         + optional(10, packed(45)), "other labels"),
    ],
)  # fmt: skip
def test_what_the_log_tells_of_a_column_must_fit_the_catalog(
    column: Column, told: bytes, message: str
) -> None:
    with pytest.raises(DecodeError, match=message):
        RowsDecoder(described([column], told), [column.type], Form.NATIVE)


def test_a_malformed_description_is_refused() -> None:
    with pytest.raises(DecodeError, match="is malformed"):
        RowsDecoder(described([COLUMNS[3]], b"\x01"), [COLUMNS[3].type], Form.NATIVE)


def test_a_catalog_of_another_width_is_refused() -> None:
    with pytest.raises(DecodeError, match="1 columns in the catalog, and 2 in"):
        RowsDecoder(described(SIMPLE), [SIMPLE[0].type], Form.NATIVE)


def test_a_charset_that_cannot_be_read_is_refused() -> None:
    types = [parse_type("varchar(10)", "eucjpms", None)]
    with pytest.raises(DecodeError, match="character set eucjpms"):
        RowsDecoder(described([COLUMNS[7]]), types, Form.NATIVE)


def test_row_images_are_remembered_up_to_a_limit() -> None:
    columns = [COLUMNS[3]] * 8
    table = described(columns)
    decoder = RowsDecoder(table, [c.type for c in columns], Form.NATIVE)
    for mask in range(1, IMAGES_MAX + 20):
        held = [bool(mask >> i & 1) for i in range(8)]
        data = image(columns, held, [b"5"] * 8)
        (change,) = decoder.decode(rows_event(INSERT, table, data, after=bytes([mask])), RELATION)
        assert change.new == row_of(held, [b"5"] * 8)
    assert len(decoder._made) <= IMAGES_MAX
