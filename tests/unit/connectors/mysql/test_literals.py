import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mysql import literals
from connectors.mysql.literals import UnfitError


@pytest.mark.parametrize(
    ("encode", "value", "expected"),
    [
        (literals.number, b"18446744073709551615", b"18446744073709551615"),
        (literals.number, b"-1.5e-7", b"-1.5e-7"),
        (literals.text, b"it's", b"'it''s'"),
        (literals.text, b"a\\", b"'a\\\\'"),
        (literals.raw, b"\x00'\xff", b"_binary'\x00''\xff'"),
        (literals.raw_bits, b"\x01\x00", b"256"),
        (literals.single_float, b"0.1", b"0.10000000149011612"),
        (literals.truth, b"t", b"1"),
        (literals.truth, b"f", b"0"),
        (literals.hexadecimal, rb"\x00ff", b"x'00ff'"),
        (literals.hexadecimal, rb"\x", b"x''"),
        (literals.moment, b"2020-02-29 10:00:00.5", b"'2020-02-29 10:00:00.5'"),
        (literals.moment_in_utc, b"2020-02-29 10:00:00.5+00", b"'2020-02-29 10:00:00.5'"),
        (literals.bits, b"0101", b"5"),
    ],
)
def test_a_value_becomes_a_constant(
    encode: Callable[[bytes], bytes], value: bytes, expected: bytes
) -> None:
    assert encode(value) == expected


@pytest.mark.parametrize(
    ("encode", "value"),
    [
        (literals.number, b"NaN"),
        (literals.number, b"Infinity"),
        (literals.number, b"1;DROP TABLE t"),
        (literals.number, b"1\n"),
        (literals.number, b""),
        (literals.single_float, b"1e300"),
        (literals.hexadecimal, rb"\x00'"),
        (literals.hexadecimal, b"00"),
        (literals.moment, b"infinity"),
        (literals.moment, b"-infinity"),
        (literals.moment, b"10000-01-01"),
        (literals.moment, b"0044-03-15 BC"),
        (literals.bits, b"012"),
    ],
)
def test_what_has_no_form_here_is_refused_without_being_shown(
    encode: Callable[[bytes], bytes], value: bytes
) -> None:
    with pytest.raises(UnfitError) as caught:
        encode(value)
    assert not value or value.decode() not in str(caught.value)


@given(st.binary())
def test_no_value_ends_its_constant(value: bytes) -> None:
    for encode in (literals.text, literals.raw, literals.moment):
        try:
            constant = encode(value)
        except UnfitError:
            continue
        assert re.fullmatch(rb"(?:_binary)?'(?:[^'\\]|''|\\\\)*'", constant, re.DOTALL)


@given(st.binary())
def test_what_is_written_bare_is_a_number(value: bytes) -> None:
    for encode in (literals.number, literals.bits, literals.single_float):
        try:
            assert re.fullmatch(rb"[-+0-9.eE]+", encode(value))
        except UnfitError:
            continue
