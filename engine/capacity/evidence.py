"""What the samples so far have shown, in a form that stays small however long it runs. (pure)"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from engine.capacity.rung import NEVER, Rung, learned, loaded
from engine.capacity.sample import SAMPLE_SECONDS, Sample
from engine.config.capacity import CapacityConfig

STEP_SECONDS_MAX: Final = 1.5 * SAMPLE_SECONDS
"""The oldest sample of a window is up to that much younger than it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`recent` are samples of the present size, no older than `up_after`."""

    rungs: tuple[Rung, ...]
    recent: tuple[Sample, ...] = ()
    pressed_since: float | None = None
    """Since when changes lag behind while queue or appliers are above the threshold."""
    full_since: float | None = None
    """Since when memory is above the threshold."""
    lagged: float = NEVER
    """When changes last lagged behind."""

    @staticmethod
    def begin(sizes: Iterable[int], at: float) -> "Evidence":
        """Nothing is known: the load may just have needed the most."""
        return Evidence(rungs=tuple(Rung(units=units, last=at) for units in sizes), lagged=at)

    def resumed(self, at: float) -> "Evidence":
        """After a time without samples that count: every period begins anew."""
        rungs = tuple(replace(r, last=at, waiting=0.0, over_since=None) for r in self.rungs)
        return Evidence(rungs=rungs, lagged=at)

    def resized(self) -> "Evidence":
        """After a change of size. What lags still lags; what is measured has another measure."""
        return replace(self, recent=(), full_since=None)

    @property
    def rate(self) -> float:
        """Rows that became durable, a second, over `recent`."""
        rates = [sample.rows_out or 0.0 for sample in self.recent]
        return sum(rates) / len(rates) if rates else 0.0

    @property
    def lag_slope(self) -> float:
        """Seconds of lag gained a second; negative while it catches up."""
        if len(self.recent) < 2:
            return 0.0
        first, last = self.recent[0], self.recent[-1]
        return ((last.lag_seconds or 0.0) - (first.lag_seconds or 0.0)) / (last.at - first.at)


def observed(config: CapacityConfig, before: Evidence, sample: Sample, seconds: float) -> Evidence:
    """What is known after one more sample, that many seconds after the last one and of the same
    size."""
    at = sample.at
    oldest = at - config.up_after_seconds
    pressed_since = _since(before.pressed_since, at, holds=_pressed(config, sample))
    now = Evidence(
        rungs=before.rungs,
        recent=(*[s for s in before.recent if s.at > oldest], sample),
        pressed_since=pressed_since,
        full_since=_since(
            before.full_since, at, holds=(sample.memory or 0.0) >= config.up_threshold
        ),
        lagged=at if lags(config, sample) else before.lagged,
    )
    rungs = before.rungs
    whole = at - now.recent[0].at >= config.up_after_seconds - STEP_SECONDS_MAX
    if whole and pressed_since is not None and at - pressed_since >= config.up_after_seconds:
        rungs = learned(rungs, sample.units, now.rate)
    full = (sample.queue or 0.0) >= config.up_threshold
    catching_up = full and now.lag_slope < 0
    rungs = loaded(config, rungs, sample, seconds, catching_up=catching_up)
    return replace(now, rungs=rungs)


def lags(config: CapacityConfig, sample: Sample) -> bool:
    """Whether changes lag behind."""
    return (sample.lag_seconds or 0.0) > config.lag_goal_seconds


def _pressed(config: CapacityConfig, sample: Sample) -> bool:
    busy = max(sample.queue or 0.0, sample.appliers or 0.0) >= config.up_threshold
    return busy and lags(config, sample)


def _since(before: float | None, at: float, *, holds: bool) -> float | None:
    if not holds:
        return None
    return at if before is None else before
