"""Loads for the simulation: rows a second, one figure for each second. (pure)

A load is given in units of what one unit carries, so that it fits every model. Noise comes from a
seed and is the same everywhere.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

HOUR: Final = 3600
DAY: Final = 24 * HOUR

NOISE: Final = 0.1
"""Deviation of a second from what its load says, as a part of it."""

DRIFT: Final = 0.05
"""The same of what comes and goes within a minute."""

DRIFT_SECONDS: Final = 60.0

LOW: Final = 0.3
"""Units that the quiet half of a wave needs."""

HIGH: Final = 6.0


def step() -> Sequence[float]:
    """Ten quiet minutes, twenty at a height that eight units carry, half an hour quiet."""
    return [LOW] * 600 + [HIGH] * 1200 + [LOW] * 1800


def ramp() -> Sequence[float]:
    """Up for an hour, down for an hour."""
    up = [LOW + (12.0 - LOW) * second / HOUR for second in range(HOUR)]
    return [*up, *reversed(up)]


def spike() -> Sequence[float]:
    """Twenty times as much for ten seconds, every twelve minutes."""
    return ([LOW] * 355 + [LOW * 20] * 10 + [LOW] * 355) * 6


def square(
    period: int, *, low: float = LOW, high: float = HIGH, seconds: int = 0
) -> Sequence[float]:
    """Half of a period low, half of it high; at least four periods and an hour."""
    wave = [low] * (period // 2) + [high] * (period - period // 2)
    count = -(-max(seconds, HOUR, 4 * period) // period)
    return wave * count


def sine(seed: int = 1) -> Sequence[float]:
    """A day: the least at four in the morning, the most at four in the afternoon, with noise."""
    shape = [
        6.25 - 5.75 * math.cos(2 * math.pi * (second - 4 * HOUR) / DAY) for second in range(DAY)
    ]
    return _noisy(shape, seed)


def noisy(seed: int = 1) -> Sequence[float]:
    """Two hours around a height that just needs a fourth unit, with three times the noise."""
    return _noisy([3.4] * 2 * HOUR, seed, times=3.0)


def wobble(seconds: int, seed: int) -> Sequence[float]:
    """Factors around 1, for a target that is not always as fast: half of a load's noise."""
    return _noisy([1.0] * seconds, seed, times=0.5)


def _noisy(shape: Sequence[float], seed: int, times: float = 1.0) -> Sequence[float]:
    noise = _normal(seed)
    keep = math.exp(-1 / DRIFT_SECONDS)
    spread = DRIFT * math.sqrt(1 - keep * keep)
    drift, made = 0.0, []
    for value in shape:
        drift = drift * keep + next(noise) * spread
        made.append(max(0.0, value * (1 + times * (drift + next(noise) * NOISE))))
    return made


def _normal(seed: int) -> Iterator[float]:
    """Numbers of deviation 1 around 0: sums of three even ones (SplitMix64)."""
    mask, state = (1 << 64) - 1, seed
    while True:
        total = 0.0
        for _ in range(3):
            state = (state + 0x9E3779B97F4A7C15) & mask
            mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
            mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
            total += (mixed ^ (mixed >> 31)) / 2**64
        yield 2 * total - 3.0


LOADS: Final[Mapping[str, Callable[[], Sequence[float]]]] = {
    "step": step,
    "ramp": ramp,
    "spike": spike,
    "square": lambda: square(2 * HOUR),
    "sine": sine,
    "noisy": noisy,
}
"""By name, as the command line has them."""
