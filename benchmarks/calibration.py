"""How fast the machine is right now: a fixed amount of work, timed.

A shared machine changes its speed by 2x within the hour, so both sides of a ratio carry the figure
that was measured just before them.
"""

import time
from typing import Final

ROUNDS: Final = 2_000_000
"""About a tenth of a second; short against any measured run, long against a time slice."""

DIFFERENCE_MAX: Final = 0.20
"""Relative difference between the two calibrations of a pair that makes it worthless."""


def calibrate() -> float:
    """Seconds for the fixed work."""
    started = time.perf_counter()
    total = 0
    for n in range(ROUNDS):
        total += n * n % 7
    return time.perf_counter() - started


def steady(first: float, second: float) -> bool:
    """Whether the machine was about as fast both times."""
    return abs(first - second) <= DIFFERENCE_MAX * min(first, second)
