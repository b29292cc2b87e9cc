"""When a lag counts as gone, in the benchmarks of capacity."""

from collections.abc import Sequence

from benchmarks.pressure import Look, recovery


def looks(*lags: float) -> Sequence[Look]:
    """One a second, the first at 100 s."""
    return [Look(100.0 + second, 0, lag) for second, lag in enumerate(lags)]


def test_a_lag_is_gone_when_it_stays_away() -> None:
    assert recovery(looks(0, 2, 3, 2, 0, 0, 0, 0, 0), since=100.0, goal=1.0) == 3.0
    assert recovery(looks(0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0), since=100.0, goal=1.0) == 5.0


def test_a_lag_that_may_come_back_is_not_gone() -> None:
    assert recovery(looks(0, 2, 3, 2, 0, 0, 0), since=100.0, goal=1.0) is None
    assert recovery([], since=100.0, goal=1.0) is None


def test_a_lag_of_before_does_not_count() -> None:
    assert recovery(looks(5, 5, 0, 0, 0, 0, 0, 0, 0), since=103.0, goal=1.0) == 0.0
    assert recovery(looks(5, 5, 0, 0, 0, 0, 0), since=103.0, goal=1.0) is None
