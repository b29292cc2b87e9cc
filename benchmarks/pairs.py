"""Run two sides alternately and keep only pairs measured on an equally fast machine."""

import sys
from collections.abc import Callable
from typing import Final

from benchmarks.calibration import calibrate, steady
from benchmarks.result import Figure, Pair

REPEATS_MAX: Final = 3
"""Times a pair is repeated; then it is kept, and its calibrations show why not to trust it."""


def alternate(
    case: str, ours: Callable[[], Figure], theirs: Callable[[], Figure], count: int
) -> list[Pair]:
    """`count` pairs; every other one begins with theirs."""
    pairs = []
    for number in range(count):
        for repeats in range(REPEATS_MAX + 1):
            pair = _pair(ours, theirs, repeats, ours_first=number % 2 == 0)
            _tell(case, number, pair)
            if steady(*pair.calibration):
                break
        pairs.append(pair)
    return pairs


def _pair(
    ours: Callable[[], Figure], theirs: Callable[[], Figure], repeats: int, *, ours_first: bool
) -> Pair:
    if ours_first:
        first, left = calibrate(), ours()
        second, right = calibrate(), theirs()
        return Pair(left, right, (first, second), repeats)
    second, right = calibrate(), theirs()
    first, left = calibrate(), ours()
    return Pair(left, right, (first, second), repeats)


def _tell(case: str, number: int, pair: Pair) -> None:
    ratio = pair.ours.value / pair.theirs.value
    print(
        f"{case} {number + 1}: ours {pair.ours.value:,.4g}, theirs {pair.theirs.value:,.4g},"
        f" ratio {ratio:.3g}, calibration {pair.calibration[0]:.3f}/{pair.calibration[1]:.3f} s",
        file=sys.stderr,
        flush=True,
    )
