"""What somebody would have done who knew the future, to measure the law by. (pure)

The clairvoyant obeys the same ladder, sustain periods and cool-down as the law. It may step up when
changes would have waited longer than the lag goal for `up_after` with its size, and has to then; it
may step down when the smaller size would have done for `down_after`. It knows what every size
carries, uses all of it, and is free from what waited as soon as it has changed. Of all ways to
change sizes within these rules it takes the one with the fewest unit-seconds. Nobody can do that;
how close one comes is worth knowing.
"""

from collections.abc import Sequence
from itertools import pairwise

from engine.capacity.law import Parameters
from engine.capacity.simulate import Model


def clairvoyant(parameters: Parameters, model: Model, load: Sequence[float]) -> list[int]:
    """Its size in each second of a load in rows a second, from the smallest one on."""
    return _Plan(parameters, model, load).sizes()


def unconstrained(parameters: Parameters, model: Model, load: Sequence[float]) -> list[int]:
    """The smallest size that carries each second of the load, without any other rule."""
    ladder = parameters.config.ladder
    carried = [(units, model.carries(parameters, units)) for units in ladder]
    return [next((u for u, rows_max in carried if rows_max >= rows), ladder[-1]) for rows in load]


class _Plan:
    """The cheapest way, found from the end: what each size costs from each second on, for one whose
    cool-down is over. A change costs the new size for the length of a cool-down."""

    def __init__(self, parameters: Parameters, model: Model, load: Sequence[float]) -> None:
        config = parameters.config
        self._seconds = len(load)
        self._ladder = config.ladder
        self._cool_down = max(1, round(config.cool_down_seconds))
        self._short = [_short(parameters, model, units, load) for units in self._ladder]
        self._fits = [_lasting(short, config.down_after_seconds) for short in self._short]

    def sizes(self) -> list[int]:
        """The size in each second."""
        ways = self._ways()
        made: list[int] = []
        rung = 0
        while len(made) < self._seconds:
            change = ways[len(made)][rung]
            rung += change
            made += [self._ladder[rung]] * (self._cool_down if change else 1)
        return made[: self._seconds]

    def _ways(self) -> list[tuple[int, ...]]:
        """In each second, for each rung: 1 to step up, -1 to step down, 0 to stay."""
        costs = [[0.0] * len(self._ladder) for _ in range(self._seconds + 1)]
        ways: list[tuple[int, ...]] = [()] * self._seconds
        for second in range(self._seconds - 1, -1, -1):
            later = min(self._seconds, second + self._cool_down)
            chosen = []
            for rung, units in enumerate(self._ladder):
                best, way = units + costs[second + 1][rung], 0
                change = self._change(second, rung)
                if change:
                    to = rung + change
                    cost = self._ladder[to] * (later - second) + costs[later][to]
                    if change > 0 or cost < best:
                        best, way = cost, change
                costs[second][rung] = best
                chosen.append(way)
            ways[second] = tuple(chosen)
        return ways

    def _change(self, second: int, rung: int) -> int:
        """What is permitted besides to stay: a step up is due, a step down may be put off."""
        if self._short[rung][second] and rung + 1 < len(self._ladder):
            return 1
        return -1 if rung and self._fits[rung - 1][second] else 0


def _short(parameters: Parameters, model: Model, units: int, load: Sequence[float]) -> list[bool]:
    """Seconds in which a size has been too small for `up_after`."""
    config, carried = parameters.config, model.carries(parameters, units)
    waiting, since, made = 0.0, None, []
    for second, rows in enumerate(load):
        waiting = max(0.0, waiting + rows - carried)
        if waiting <= carried * config.lag_goal_seconds:
            since = None
            made.append(False)
            continue
        since = second if since is None else since
        made.append(second - since >= config.up_after_seconds)
        if made[-1] and rows <= carried:
            waiting = 0.0  # a larger size has taken it
    return made


def _lasting(short: Sequence[bool], seconds: float) -> list[bool]:
    """Seconds in which it has not been short for so long."""
    lasts, made = 0, []
    for one in short:
        lasts = 0 if one else lasts + 1
        made.append(lasts > seconds)
    return made


def changes(sizes: Sequence[int]) -> int:
    """How often the size changed."""
    return sum(before != after for before, after in pairwise(sizes))
