"""Key values from wire form to what compares. The server's own order is checked in integration."""

import struct
import uuid
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._interchange import keyorder
from connectors._interchange.keyorder import decoder, orderable, text_decoder
from engine.model.relation import Column, ColumnType, Format

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def binary(oid: int, value: bytes) -> object:
    return decoder(Column("k", ColumnType("", oid), Format.BINARY))(value)


def text(oid: int, value: str) -> object:
    return decoder(Column("k", ColumnType("", oid), Format.TEXT))(value.encode())


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_is_the_same_from_either_form(number: int) -> None:
    assert binary(keyorder.INT8, struct.pack("!q", number)) == number
    assert text(keyorder.INT8, str(number)) == number


@given(st.uuids())
def test_a_uuid_is_the_same_from_either_form(value: uuid.UUID) -> None:
    assert binary(keyorder.UUID, value.bytes) == text(keyorder.UUID, str(value)) == value.bytes


@given(st.binary())
def test_bytes_are_the_same_from_either_form(value: bytes) -> None:
    assert binary(keyorder.BYTEA, value) == text(keyorder.BYTEA, "\\x" + value.hex()) == value


@given(st.dates())
def test_a_date_is_the_same_from_either_form(value: date) -> None:
    days = (value - EPOCH.date()).days
    assert binary(keyorder.DATE, struct.pack("!i", days)) == days
    assert text(keyorder.DATE, value.isoformat()) == days


@given(st.datetimes(), st.integers(-15 * 3600, 15 * 3600))
def test_a_timestamp_with_any_offset_is_the_same_moment(value: datetime, offset: int) -> None:
    zone = timezone(timedelta(seconds=offset))
    moment = value.replace(tzinfo=UTC)
    try:
        local = moment.astimezone(zone)
    except OverflowError:
        return
    microseconds = (moment - EPOCH) // timedelta(microseconds=1)
    written = local.isoformat(sep=" ")
    assert text(keyorder.TIMESTAMPTZ, written) == microseconds
    assert binary(keyorder.TIMESTAMPTZ, struct.pack("!q", microseconds)) == microseconds


def test_years_outside_pythons_calendar_continue_it() -> None:
    year_one = text(keyorder.DATE, "0001-01-01")
    assert text(keyorder.DATE, "0001-12-31 BC") == year_one - 1  # type: ignore[operator]
    last = text(keyorder.DATE, "9999-12-31")
    assert text(keyorder.DATE, "10000-01-01") == last + 1  # type: ignore[operator]
    assert text(keyorder.DATE, "4714-11-24 BC") == -keyorder.POSTGRES_EPOCH_JULIAN


def test_infinities_are_where_the_binary_form_has_them() -> None:
    assert text(keyorder.DATE, "infinity") == binary(keyorder.DATE, b"\x7f\xff\xff\xff")
    assert text(keyorder.TIMESTAMP, "-infinity") == binary(keyorder.TIMESTAMP, b"\x80" + b"\0" * 7)


@pytest.mark.parametrize(
    ("oid", "value"),
    [
        (keyorder.DATE, "01/02/2024"),
        (keyorder.TIMESTAMP, "2024-01-01"),
        (keyorder.BYTEA, "\\000"),
        (keyorder.INT4, "1.5"),
        (keyorder.UUID, "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"),
    ],
)
def test_a_text_of_another_style_is_refused(oid: int, value: str) -> None:
    with pytest.raises(ValueError, match="form") as refused:
        text_decoder(oid)(value.encode())
    assert value not in str(refused.value)


@pytest.mark.parametrize("oid", [1700, 701, 1042, 1186, 16, 114])
def test_types_of_unknown_order_bound_no_chunk(oid: int) -> None:
    assert not orderable(oid)
