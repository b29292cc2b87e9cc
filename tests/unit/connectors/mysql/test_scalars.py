"""Numbers, times, addresses and characters, without a server."""

import struct
from datetime import date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mysql import temporal
from connectors.mysql.addresses import inet_text
from connectors.mysql.charsets import UNDECODABLE, charset_of, known, statement_codec, to_utf8
from connectors.mysql.decimals import number_of, packed_bytes, sender, text_of, unpacker
from connectors.mysql.floats import double_text
from connectors.mysql.interchange import bit_sender
from connectors.mysql.temporal import NO_DATE, ZeroDates
from connectors.mysql.types import parse_type
from connectors.mysql.values import row_converter
from engine.config.endpoint import ZeroDate
from engine.errors import DecodeError

# --- decimals -------------------------------------------------------------------------------------

BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)


def packed(number: int, precision: int, scale: int) -> bytes:
    """The servers' form, group by group of its digits."""
    digits = f"{abs(number):0{precision}}"
    whole, fraction = digits[: precision - scale], digits[precision - scale :]
    groups = [whole[: len(whole) % 9]]
    groups += [whole[i : i + 9] for i in range(len(whole) % 9, len(whole), 9)]
    groups += [fraction[i : i + 9] for i in range(0, len(fraction), 9)]
    data = bytearray(b"".join(int(g).to_bytes(BYTES[len(g)], "big") for g in groups if g))
    data[0] |= 0x80
    return bytes(data) if number >= 0 else bytes(byte ^ 0xFF for byte in data)


@st.composite
def decimals(draw: st.DrawFn) -> tuple[int, int, int]:
    precision = draw(st.integers(1, 65))
    scale = draw(st.integers(0, min(precision, 30)))
    return draw(st.integers(1 - 10**precision, 10**precision - 1)), precision, scale


@given(decimals())
def test_a_decimal_in_all_its_forms(case: tuple[int, int, int]) -> None:
    number, precision, scale = case
    data = packed(number, precision, scale)
    assert len(data) == packed_bytes(precision, scale)
    assert unpacker(precision, scale)(data) == number
    text = text_of(number, scale)
    exact = Fraction(number, 10**scale)
    assert Fraction(text.decode()) == exact
    assert number_of(text, scale) == number
    count, weight, sign, shown = struct.unpack_from(">HhHH", sender(scale)(number))
    digits = struct.unpack(f">{count}H", sender(scale)(number)[8:])
    value = sum((d * Fraction(10_000) ** (weight - i) for i, d in enumerate(digits)), Fraction())
    assert (-value if sign else value) == exact
    assert shown == scale
    assert not digits or (digits[0] and digits[-1])


@pytest.mark.parametrize(("precision", "scale"), [(0, 0), (66, 0), (5, 6), (65, 39)])
def test_a_decimal_with_impossible_digits_is_refused(precision: int, scale: int) -> None:
    with pytest.raises(ValueError, match="digits"):
        unpacker(precision, scale)


@pytest.mark.parametrize(("text", "scale"), [(b"1.5", 2), (b"1", 1), (b"1.", 0), (b"x", 0)])
def test_a_decimal_of_another_scale_is_refused(text: bytes, scale: int) -> None:
    with pytest.raises(ValueError, match=r"digits|literal"):
        number_of(text, scale)


# --- floats and bits ------------------------------------------------------------------------------


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_doubles_text_reads_back_the_same(value: float) -> None:
    assert float(double_text(value)) == value
    assert struct.pack("<d", float(double_text(value))) == struct.pack("<d", value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "-0"), (1.0, "1"), (1e15, "1e15"), (1e14, "100000000000000"),
        (123456789012345.0, "123456789012345"), (3758146468885238.5, "3758146468885238.5"),
        (0.1, "0.1"), (1e-14, "0.00000000000001"), (1e-15, "0.000000000000001"), (1e-16, "1e-16"),
        (1.5e-20, "1.5e-20"), (1.7976931348623157e308, "1.7976931348623157e308"),
        (-12.5, "-12.5"),
    ],
)  # fmt: skip
def test_a_doubles_text_is_the_servers(value: float, text: str) -> None:
    assert double_text(value) == text


def test_bits_move_to_the_left_end() -> None:
    assert bit_sender(10)(b"\x02\x01") == b"\0\0\0\x0a\x80\x40"
    assert bit_sender(64)(b"\xff" * 8) == b"\0\0\0\x40" + b"\xff" * 8
    with pytest.raises(ValueError, match="more bits"):
        bit_sender(10)(b"\x04\x00")


# --- times ----------------------------------------------------------------------------------------


@given(st.dates())
def test_days_are_those_of_the_calendar(day: date) -> None:
    assert temporal.days_of(day.year, day.month, day.day) == (day - date(2000, 1, 1)).days


def test_year_0_is_no_leap_year() -> None:
    last = temporal.days_of(0, 12, 31)
    first = temporal.days_of(1, 1, 1)
    assert last is not None
    assert first is not None
    assert first - last == 1
    assert temporal.days_of(0, 2, 29) is None
    assert temporal.days_of(0, 2, 30) is None
    assert temporal.days_of(0, 4, 31) is None
    march, february = temporal.days_of(0, 3, 1), temporal.days_of(0, 2, 28)
    assert march is not None
    assert february is not None
    assert march - february == 2, "PostgreSQL's 1 BC has a leap day that MySQL's year 0 lacks"


@given(st.datetimes(min_value=datetime(1, 1, 1)), st.integers(0, 6))  # noqa: DTZ001
def test_a_datetimes_text_reads_back_the_same(when: datetime, digits: int) -> None:
    packed_day = when.year << 9 | when.month << 5 | when.day
    midnight = when.replace(hour=0, minute=0, second=0, microsecond=0)
    us = (when - midnight) // timedelta(microseconds=1)
    us -= us % 10 ** (6 - digits)
    text = temporal.datetime_text(packed_day, us, digits)
    assert temporal.parse_datetime(text.encode()) == (packed_day, us)
    assert len(text) == 19 + digits + bool(digits)


@given(st.integers(-3020399999999, 3020399999999))
def test_a_times_text_reads_back_the_same(us: int) -> None:
    assert temporal.parse_clock(temporal.time_text(us, 6).encode()) == us


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (ZeroDate.NULL, None),
        (ZeroDate.ERROR, NO_DATE),
        (ZeroDate.EARLIEST, struct.pack(">i", (date(1, 1, 1) - date(2000, 1, 1)).days)),
    ],
)
def test_a_date_that_is_none_becomes_what_the_setting_says(
    policy: ZeroDate, expected: object
) -> None:
    zero = ZeroDates(policy)
    send = temporal.date_sender(zero)
    for none in (0, 2024 << 9 | 5 << 5, 2023 << 9 | 2 << 5 | 31):
        assert send(none) == expected
    assert zero.met == 3
    send(2024 << 9 | 1 << 5 | 1)
    assert zero.met == 3


def test_the_message_of_a_date_that_is_none_holds_no_value() -> None:
    assert "zero_dates" in NO_DATE.message


# --- addresses and characters ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("01020304", "1.2.3.4"), ("00" * 16, "::"), ("00" * 15 + "01", "::1"),
        ("00" * 10 + "ffff01020304", "::ffff:1.2.3.4"), ("00" * 12 + "01020304", "::1.2.3.4"),
        ("20010db8" + "00" * 12, "2001:db8::"), ("0001" + "0000" + "0002" * 6, "1::2:2:2:2:2:2"),
        ("0001" * 8, "1:1:1:1:1:1:1:1"),
    ],
)  # fmt: skip
def test_an_address_as_mariadb_writes_it(address: str, text: str) -> None:
    assert inet_text(bytes.fromhex(address)).decode() == text


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("latin1", b"\x80\x81\xe9", "€\x81é"), ("utf8mb4", "é😀".encode(), "é😀"),
        ("utf16", "é😀".encode("utf-16-be"), "é😀"), ("swe7", b"A[", "AÄ"),
        ("sjis", b"\x81\x5f", "\\"),
        ("gb18030", b"\xa8\xbc", "\u1e3f"), ("cp866", b"\xfc", "\u207f"), ("ascii", b"a", "a"),
        ("keybcs2", b"\x80", "Č"), ("armscii8", b"\xb2", "\u0531"), ("geostd8", b"\xc0", "ა"),
    ],
)  # fmt: skip
def test_characters_of_a_set(charset: str, data: bytes, text: str) -> None:
    assert to_utf8(charset)(data) == text.encode()


@pytest.mark.parametrize(
    ("charset", "data"),
    [("utf8mb4", b"\xff"), ("utf8mb3", b"\xed\xa0\x80"), ("ascii", b"\x80"), ("gbk", b"\x81"),
     ("utf16", b"\xd8\x00"), ("utf16", b"a"), ("utf32", b"\0\x11\0\0"), ("geostd8", b"\x81")],
)  # fmt: skip
def test_bytes_without_a_character_are_a_misfit(charset: str, data: bytes) -> None:
    assert to_utf8(charset)(data) is UNDECODABLE


def test_sets_that_cannot_be_read_are_known() -> None:
    assert not known("eucjpms")
    assert not known("martian")
    with pytest.raises(KeyError):
        to_utf8("eucjpms")


def test_collations_tell_their_charset() -> None:
    assert charset_of(255) == charset_of(45) == charset_of(2304) == charset_of(1069) == "utf8mb4"
    assert charset_of(63) == "binary"
    assert charset_of(9999) is None
    assert (statement_codec(0), statement_codec(28)) == ("utf_8", "gbk")


# --- a row of the full load -----------------------------------------------------------------------


def test_a_row_of_texts() -> None:
    types = [parse_type(name, None, None) for name in ("int", "decimal(5,2)", "varbinary(5)")]
    convert = row_converter(types, ZeroDates(), "shop.t")
    numeric = struct.pack(">HhHHHH", 2, 0, 0x4000, 2, 1, 5000)
    assert convert([b"-7", b"-1.50", b"\0x"]) == (b"\xff\xff\xff\xf9", numeric, b"\0x")
    assert convert([None, None, None]) == (None, None, None)


@pytest.mark.parametrize(
    ("declared", "text"),
    [("int", b"secret"), ("smallint", b"99999"), ("decimal(5,2)", b"1.5"), ("date", b"2024-1-1"),
     ("datetime", b"2024-01-01"), ("time", b"12:00"), ("inet4", b"1.2.3"), ("uuid", b"zz"),
     ("double", b"x"), ("bit(3)", b"\xff"), ("year", b"99999")],
)  # fmt: skip
def test_a_text_that_is_not_of_its_type_is_refused_without_showing_it(
    declared: str, text: bytes
) -> None:
    convert = row_converter([parse_type(declared, None, None)], ZeroDates(), "shop.t")
    with pytest.raises(DecodeError, match=r"shop\.t, column 1") as caught:
        convert([text])
    assert text.decode("latin1") not in str(caught.value)


def test_a_row_of_another_width_is_refused() -> None:
    convert = row_converter([parse_type("int", None, None)], ZeroDates(), "shop.t")
    with pytest.raises(DecodeError, match="1 columns, not 2"):
        convert([b"1", b"2"])
