"""(pure) DECIMAL: the servers' packed form, text, and PostgreSQL's binary form.

Between them stands a whole number, the value times ten to the power of its scale. Packed, nine
digits take four bytes, fewer take fewer; the first bit is the sign, inverted, and negative values
are inverted as a whole. PostgreSQL's form has digits of base 10,000.

See: MySQL source, `strings/decimal.cc`, `decimal2bin`; PostgreSQL source, `numeric.c`,
`numeric_send`.
"""

import struct
from collections.abc import Callable
from typing import Final

PRECISION_MAX: Final = 65
SCALE_MAX: Final = 38
"""MariaDB's limit; MySQL's is 30."""

_GROUP_DIGITS: Final = 9
_GROUP_BYTES: Final = 4
_BYTES: Final = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
"""Bytes of a group by the number of its digits."""

_BASE: Final = 10_000
_BASE_DIGITS: Final = 4
_NEGATIVE: Final = 0x4000
_DIGITS_MAX: Final = 32
"""Digits of base 10,000 that the widest DECIMAL comes to, and some more."""
_PACKERS: Final = tuple([struct.Struct(f">HhHH{count}H").pack for count in range(_DIGITS_MAX)])
"""PostgreSQL's form by the number of its digits."""


def packed_bytes(precision: int, scale: int) -> int:
    """Bytes of the packed form."""
    whole, fraction = precision - scale, scale
    return sum(
        digits // _GROUP_DIGITS * _GROUP_BYTES + _BYTES[digits % _GROUP_DIGITS]
        for digits in (whole, fraction)
    )


def unpacker(precision: int, scale: int) -> Callable[[bytes], int]:
    """From the packed form to the whole number.

    Raises:
        ValueError: there is no such type.
    """
    if not 0 < precision <= PRECISION_MAX or not 0 <= scale <= min(precision, SCALE_MAX):
        raise ValueError("a DECIMAL has more digits than the servers allow")
    size = packed_bytes(precision, scale)
    every = (1 << 8 * size) - 1
    sign = 1 << 8 * size - 1
    groups = _groups(precision, scale)

    def unpack(data: bytes) -> int:
        number = int.from_bytes(data, "big")
        positive = number & sign
        number ^= sign if positive else every ^ sign
        value = 0
        for shift, mask, power in groups:
            value += (number >> shift & mask) * power
        return value if positive else -value

    return unpack if len(groups) > _FEW else _unpacker_of_few(groups, sign, every)


_FEW: Final = 3


def _unpacker_of_few(
    groups: list[tuple[int, int, int]], sign: int, every: int
) -> Callable[[bytes], int]:
    """The same for up to three groups, which most types have, without a loop."""
    (_, low, _), (shift1, mask1, power1), (shift2, mask2, power2) = (*groups, *_NONE)[:3]
    negated = every ^ sign

    def unpack(data: bytes) -> int:
        number = int.from_bytes(data, "big")
        if number & sign:
            number ^= sign
            return (
                (number & low)
                + (number >> shift1 & mask1) * power1
                + (number >> shift2 & mask2) * power2
            )
        number ^= negated
        return -(
            (number & low)
            + (number >> shift1 & mask1) * power1
            + (number >> shift2 & mask2) * power2
        )

    return unpack


_NONE: Final = ((0, 0, 0), (0, 0, 0))


def _groups(precision: int, scale: int) -> list[tuple[int, int, int]]:
    """Of each group: where it stands, in bits from the right, its mask, and its power of ten."""
    whole, fraction = precision - scale, scale
    digits = [whole % _GROUP_DIGITS, *[_GROUP_DIGITS] * (whole // _GROUP_DIGITS)]
    digits += [*[_GROUP_DIGITS] * (fraction // _GROUP_DIGITS), fraction % _GROUP_DIGITS]
    groups: list[tuple[int, int, int]] = []
    shift = places = 0
    for count in reversed(digits):
        bits = 8 * _BYTES[count]
        if bits:
            groups.append((shift, (1 << bits) - 1, 10**places))
        shift += bits
        places += count
    return groups


def number_of(text: bytes, scale: int) -> int:
    """The whole number of a text with `scale` digits behind the point. Raises ValueError."""
    whole, point, fraction = text.partition(b".")
    if len(fraction) != scale or bool(point) != bool(scale):
        raise ValueError("a DECIMAL does not have as many digits as its type")
    return int(whole + fraction)


def text_of(number: int, scale: int) -> bytes:
    """The text, with as many digits behind the point as the scale."""
    if not scale:
        return b"%d" % number
    digits = b"%0*d" % (scale + 1, abs(number))
    return (b"-" if number < 0 else b"") + digits[:-scale] + b"." + digits[-scale:]


def sender(scale: int) -> Callable[[int], bytes]:
    """From the whole number to PostgreSQL's binary form of a numeric with this scale."""
    fill = -scale % _BASE_DIGITS
    factor = 10**fill
    behind = (scale + fill) // _BASE_DIGITS
    zero = _PACKERS[0](0, 0, 0, scale)

    def send(number: int) -> bytes:
        if not number:
            return zero
        sign = 0
        if number < 0:
            sign, number = _NEGATIVE, -number
        rest = number * factor
        weight = -1 - behind
        digits: list[int] = []
        while rest:
            digits.append(rest % _BASE)
            rest //= _BASE
            weight += 1
        digits.reverse()
        while not digits[-1]:
            digits.pop()
        count = len(digits)
        return _PACKERS[count](count, weight, sign, scale, *digits)

    return send
