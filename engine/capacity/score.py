"""How well the law did in a simulation, in figures. (pure)"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from engine.capacity.clairvoyant import clairvoyant, unconstrained
from engine.capacity.simulate import Run

PERIODS: Final = (10, 12, 16, 20, 30, 45, 60, 90, 120, 180, 240, 300, 420, 600, 620, 660, 700, 800)
LONG_PERIODS: Final = (900, 1200, 1800, 2400, 3600, 5400, 7200)
"""Seconds of square waves, from ten to two hours; denser where half a period is near `up_after` or
`down_after`, which is where sizes could be taken and given back for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """`avoidable_seconds`: longest time in which changes lagged behind although a larger size was
    there to be taken, would have carried more, and the cool-down was over. `gap_seconds`: shortest
    time between two changes; None when there were fewer than two."""

    unit_hours: float
    clairvoyant_hours: float
    optimum_hours: float
    """Of the smallest size that carries each second, changed at will."""
    changes: int
    gap_seconds: int | None
    avoidable_seconds: int
    lagging_seconds: int
    lag_max_seconds: float

    @property
    def ratio(self) -> float:
        """Unit-hours by those of the clairvoyant."""
        return self.unit_hours / self.clairvoyant_hours


def score(run: Run) -> Score:
    """The figures of a run; the clairvoyant is asked too."""
    parameters, model = run.parameters, run.model
    goal = parameters.config.lag_goal_seconds
    changed = [second for second, (a, b) in enumerate(pairwise(run.units), start=1) if a != b]
    return Score(
        unit_hours=run.unit_seconds / 3600,
        clairvoyant_hours=sum(clairvoyant(parameters, model, run.load)) / 3600,
        optimum_hours=sum(unconstrained(parameters, model, run.load)) / 3600,
        changes=len(changed),
        gap_seconds=min((b - a for a, b in pairwise(changed)), default=None),
        avoidable_seconds=_avoidable(run, changed),
        lagging_seconds=sum(lag > goal for lag in run.lag),
        lag_max_seconds=max(run.lag, default=0.0),
    )


def _avoidable(run: Run, changed: Sequence[int]) -> int:
    config, carries = run.parameters.config, run.model.carries
    changes = iter([*changed, len(run.units)])
    last, following = 0, next(changes)
    longest, since = 0, None
    for second, (units, lag) in enumerate(zip(run.units, run.lag, strict=True)):
        while second >= following:
            last, following = following, next(changes, len(run.units))
        larger = run.parameters.above(units)
        permitted = second - last >= config.cool_down_seconds and larger is not None
        helps = larger and carries(run.parameters, larger) > carries(run.parameters, units)
        if lag <= config.lag_goal_seconds or not permitted or not helps:
            since = None
            continue
        since = second if since is None else since
        longest = max(longest, second - since)
    return longest
