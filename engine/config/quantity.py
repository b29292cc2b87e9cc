"""Sizes and durations as people write them. (pure)"""

import re
from collections.abc import Mapping
from typing import Final

SIZE_UNITS: Final = {
    "B": 1,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
"""Bytes of each unit. KB, MB, GB are decimal as in SI: whoever means powers of two writes KiB."""

DURATION_UNITS: Final = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Seconds of each unit."""

_QUANTITY: Final = re.compile(r"\A([0-9]{1,16}(?:\.[0-9]{1,6})?) ?([A-Za-z]{1,3})\Z", re.ASCII)

SIZE_EXPECTED: Final = 'a size such as "256MiB" or "10GiB", or a whole number of bytes'
DURATION_EXPECTED: Final = 'a duration such as "10s" or "5min"'


def parse_size(value: object) -> int:
    """Read a size in bytes from `"10GiB"` or a plain integer.

    Raises:
        ValueError: with what was expected; never repeats the value.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number, unit = _split(value, SIZE_UNITS, SIZE_EXPECTED)
    size = number * SIZE_UNITS[unit]
    if size != int(size):
        raise ValueError("must be a whole number of bytes")
    return int(size)


def parse_duration(value: object) -> float:
    """Read a duration in seconds from `"5min"`. A bare 0 is accepted, other bare numbers are not:
    they would leave the unit to a guess.

    Raises:
        ValueError: with what was expected; never repeats the value.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        return 0.0
    number, unit = _split(value, DURATION_UNITS, DURATION_EXPECTED)
    return round(number * DURATION_UNITS[unit], 6)


def _split(value: object, units: Mapping[str, float], expected: str) -> tuple[float, str]:
    match = _QUANTITY.match(value) if isinstance(value, str) else None
    if match is None or match.group(2) not in units:
        raise ValueError(f"expected {expected}")
    return float(match.group(1)), match.group(2)


def format_size(size: int) -> str:
    """The shortest exact text that `parse_size` reads back, in binary units."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % SIZE_UNITS[unit] == 0:
            return f"{size // SIZE_UNITS[unit]}{unit}"
    return f"{size}B"


def format_duration(seconds: float) -> str:
    """A text that `parse_duration` reads back."""
    for unit in ("d", "h", "min", "s"):
        count = seconds / DURATION_UNITS[unit]
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    return f"{seconds * 1000:.3f}".rstrip("0").rstrip(".") + "ms" if seconds else "0s"
