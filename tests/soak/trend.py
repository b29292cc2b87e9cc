"""Whether a series of figures rises: the test of Mann and Kendall, and the slope of Theil and Sen.

Both look at pairs of figures only, so a single outlier hardly counts, and no distribution is
assumed. (pure)
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist, median
from typing import Final

SIGNIFICANCE: Final = 0.01
"""How often a series without a trend may be taken for one that rises. The slope must exceed a limit
beside it, so this decides little alone."""

POINTS_MAX: Final = 200
"""Of a longer series the medians of so many stretches are looked at: pairs grow by the square, and
neighbours that depend on each other would pass for evidence."""


def chance_of_no_rise(values: Sequence[float]) -> float:
    """One-sided p-value of the Mann-Kendall test: how likely so much rising is where there is no
    trend. By the normal approximation, with its corrections for ties and continuity; 1 for fewer
    than four values, which tell nothing."""
    count = len(values)
    if count < 4:
        return 1.0
    score = sum([(late > early) - (late < early) for early, late in combinations(values, 2)])
    ties = sum([n * (n - 1) * (2 * n + 5) for n in Counter(values).values()])
    variance = (count * (count - 1) * (2 * count + 5) - ties) / 18
    if variance <= 0 or score <= 0:
        return 1.0
    return 1.0 - NormalDist().cdf((score - 1) / math.sqrt(variance))


def slope(values: Sequence[float]) -> float:
    """The median of the slopes of all pairs, per step; 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    pairs = combinations(enumerate(values), 2)
    return median([(late - early) / (j - i) for (i, early), (j, late) in pairs])


def growth(values: Sequence[float]) -> float:
    """By how much a series rises from its first to its last value, by its slope; 0 unless a trend
    is there at all."""
    thinned = stretches(values)
    if chance_of_no_rise(thinned) > SIGNIFICANCE:
        return 0.0
    return max(0.0, slope(thinned) * (len(thinned) - 1))


def stretches(values: Sequence[float], points_max: int = POINTS_MAX) -> Sequence[float]:
    """The medians of so many stretches, equal in length but for one; all values when there are not
    more."""
    if len(values) <= points_max:
        return values
    length = -(-len(values) // points_max)
    return [median(values[at : at + length]) for at in range(0, len(values), length)]
