"""(pure) The text of a DOUBLE, as the servers write it: the shortest that reads back the same.

See: MySQL source, `strings/dtoa.cc`, `my_gcvt`.
"""

from math import isfinite
from typing import Final

_DECIMAL_POINT_MAX: Final = 15
"""Digits before the point, or zeros behind it, up to which no exponent is written; nor is it while
there are digits on both sides."""


def double_text(value: float) -> str:
    """Digits and exponent are those of `repr`, where the point stands is the servers' rule.

    Raises:
        ValueError: no number; servers store none.
    """
    if not isfinite(value):
        raise ValueError("a DOUBLE is no number")
    shown = repr(value)
    if "e" not in shown and not shown.endswith(".0"):
        return shown
    return _respelled(shown)


def _respelled(shown: str) -> str:
    digits, _, exponent = shown.partition("e")
    sign = "-" if digits[0] == "-" else ""
    whole, _, fraction = digits.lstrip("-").partition(".")
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).rstrip("0")
    stripped = digits.lstrip("0")
    if not stripped:
        return f"{sign}0"
    point -= len(digits) - len(stripped)
    return sign + _placed(stripped, point)


def _placed(digits: str, point: int) -> str:
    """Digits with the point behind `point` of them."""
    count = len(digits)
    if not -_DECIMAL_POINT_MAX < point <= _DECIMAL_POINT_MAX and not 0 < point < count:
        fraction = f".{digits[1:]}" if count > 1 else ""
        return f"{digits[0]}{fraction}e{point - 1}"
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    if point >= count:
        return digits + "0" * (point - count)
    return f"{digits[:point]}.{digits[point:]}"
