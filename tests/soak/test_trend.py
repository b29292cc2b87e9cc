"""The test of trend, against what is known of it and a direct count."""

import random
from itertools import combinations

import pytest

from tests.soak.trend import SIGNIFICANCE, chance_of_no_rise, growth, slope, stretches


def test_the_p_value_is_that_of_the_textbook() -> None:
    """S = 45 of ten rising values, variance 125: z = 44 / sqrt(125) = 3.935."""
    assert chance_of_no_rise(range(10)) == pytest.approx(4.15e-05, rel=0.01)


def test_ties_lower_the_variance() -> None:
    """Three pairs of equal values, by hand: z = 11 / sqrt(25.33) = 2.186."""
    values = [1, 1, 2, 2, 3, 3]
    score = sum((b > a) - (b < a) for a, b in combinations(values, 2))
    assert score == 12
    variance = (6 * 5 * 17 - 3 * 2 * 1 * 9) / 18
    assert variance == pytest.approx(25.333, abs=1e-3)
    assert chance_of_no_rise(values) == pytest.approx(0.0144, abs=2e-4)


@pytest.mark.parametrize("values", [[], [1], [1, 2, 3], [5] * 50, list(range(50, 0, -1))])
def test_too_few_equal_or_falling_values_do_not_rise(values: list[float]) -> None:
    assert chance_of_no_rise(values) == 1.0
    assert growth(values) == 0.0


def test_noise_is_taken_for_a_rise_about_as_often_as_said() -> None:
    chance = random.Random(7)
    runs = [[chance.gauss(0, 1) for _ in range(30)] for _ in range(1_000)]
    share = sum(chance_of_no_rise(run) < SIGNIFICANCE for run in runs) / len(runs)
    assert share < 3 * SIGNIFICANCE


def test_a_leak_is_seen_through_noise_and_its_size_told() -> None:
    chance = random.Random(7)
    values = [100 + 0.5 * step + chance.gauss(0, 3) for step in range(60)]
    assert chance_of_no_rise(values) < 1e-6
    assert growth(values) == pytest.approx(0.5 * 59, rel=0.15)


def test_an_outlier_is_no_rise() -> None:
    assert growth([10.0] * 20 + [900.0] + [10.0] * 3 + [800.0]) == 0.0


def test_a_slope_is_the_median_of_all_pairs() -> None:
    assert slope([0, 1, 2, 30]) == 5.5  # between 1 and 10 of 1, 1, 1, 10, 14.5, 28
    assert slope([3]) == 0.0


def test_a_long_series_is_looked_at_by_stretches() -> None:
    values = list(range(1_000))
    thinned = stretches(values, 200)
    assert len(thinned) == 200
    assert (thinned[0], thinned[-1]) == (2, 997)
    assert stretches(values[:200], 200) == values[:200]
    assert growth(values) == pytest.approx(995)
