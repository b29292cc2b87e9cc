"""What the samples so far have shown, in a form that stays small however long it runs. (pure)

Rates are averaged over `up_after`: what lasts less long than that is nothing to size for.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from engine.capacity.sample import Sample
from engine.config.capacity import CapacityConfig

NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """What is known of one size.

    `carried`: rows a second that it was seen to carry when work waited for it, None while that was
    never seen. `since` to `last`: the last stretch in which the load needed more than this size;
    pauses shorter than `down_after` are part of it.
    """

    units: int
    carried: float | None = None
    since: float = NEVER
    last: float = NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`recent` are samples of the present size, no older than `up_after`."""

    recent: tuple[Sample, ...] = ()
    pressed_since: float | None = None
    """Since when changes lag behind while queue or appliers are above the threshold."""
    full_since: float | None = None
    """Since when memory is above the threshold."""
    lagged: float = NEVER
    """When changes last lagged behind."""
    rungs: tuple[Rung, ...]

    @staticmethod
    def begin(ladder: Iterable[int], at: float) -> "Evidence":
        """Nothing is known: the load may just have needed the most."""
        rungs = tuple(Rung(units=units, since=NEVER, last=at) for units in ladder)
        return Evidence(rungs=rungs, lagged=at)

    def resumed(self, at: float) -> "Evidence":
        """After a time without samples that count: every period begins anew."""
        rungs = tuple(replace(rung, last=at) for rung in self.rungs)
        return Evidence(rungs=rungs, lagged=at)

    def resized(self) -> "Evidence":
        """After a change of size. What lags still lags; what is measured has another measure."""
        return replace(self, recent=(), full_since=None)

    def mean(self, part: Callable[[Sample], float | None]) -> float:
        """Average over `recent`; 0 while there is nothing."""
        values = [value for value in map(part, self.recent) if value is not None]
        return sum(values) / len(values) if values else 0.0

    @property
    def rate(self) -> float:
        """Rows that became durable, a second."""
        return self.mean(lambda sample: sample.rows_out)

    @property
    def lag_slope(self) -> float:
        """Seconds of lag gained a second; negative while it catches up."""
        if len(self.recent) < 2:
            return 0.0
        first, last = self.recent[0], self.recent[-1]
        return ((last.lag_seconds or 0.0) - (first.lag_seconds or 0.0)) / (last.at - first.at)

    def carries(self, units: int) -> float | None:
        """Rows a second that a size carries at least, as far as was seen; None: nothing was.

        What a larger one carried is divided: sizes lose by growing, they do not gain.
        """
        seen = [
            rung.carried * min(1.0, units / rung.units)
            for rung in self.rungs
            if rung.carried is not None
        ]
        return max(seen, default=None)

    def may_carry(self, units: int) -> float | None:
        """The same as far as one may hope: what a smaller one carried is multiplied."""
        below = [r for r in self.rungs if r.carried is not None and r.units <= units]
        if not below or below[-1].carried is None:
            return self.carries(units)
        return below[-1].carried * units / below[-1].units


def pressed(config: CapacityConfig, sample: Sample) -> bool:
    """Whether changes lag behind, and queue or appliers have no more to give."""
    busy = max(sample.queue or 0.0, sample.appliers or 0.0) >= config.up_threshold
    return busy and lags(config, sample)


def lags(config: CapacityConfig, sample: Sample) -> bool:
    return (sample.lag_seconds or 0.0) > config.lag_goal_seconds


def observed(config: CapacityConfig, before: Evidence, sample: Sample) -> Evidence:
    """What is known after one more sample, of the same size as those in `recent`."""
    at = sample.at
    oldest = at - config.up_after_seconds
    recent = (*[s for s in before.recent if s.at > oldest], sample)
    now = replace(
        before,
        recent=recent,
        pressed_since=_since(before.pressed_since, at, holds=pressed(config, sample)),
        full_since=_since(
            before.full_since, at, holds=(sample.memory or 0.0) >= config.up_threshold
        ),
        lagged=at if lags(config, sample) else before.lagged,
    )
    now = replace(now, rungs=_learned(config, now, sample))
    return replace(now, rungs=tuple(_needed(config, now, rung, sample) for rung in now.rungs))


def _since(before: float | None, at: float, *, holds: bool) -> float | None:
    if not holds:
        return None
    return at if before is None else before


def _learned(config: CapacityConfig, now: Evidence, sample: Sample) -> tuple[Rung, ...]:
    """While work waits, what comes out is what the size carries; smaller ones carry no more than
    that, larger ones no less."""
    since = now.pressed_since
    whole = sample.at - now.recent[0].at >= config.up_after_seconds - _STEP
    if since is None or sample.at - since < config.up_after_seconds or not whole:
        return now.rungs
    rate = now.rate
    return tuple(_corrected(rung, sample.units, rate) for rung in now.rungs)


_STEP: Final = 1.5
"""Samples are a second apart, so the oldest of a window is up to that much younger than it."""


def _corrected(rung: Rung, units: int, rate: float) -> Rung:
    if rung.units == units:
        return replace(rung, carried=rate)
    if rung.carried is None:
        return rung
    if rung.units < units:
        return replace(rung, carried=min(rung.carried, rate))
    return replace(rung, carried=max(rung.carried, rate))


def _needed(config: CapacityConfig, now: Evidence, rung: Rung, sample: Sample) -> Rung:
    """The rung after a sample that may have needed more than it."""
    if _use(config, now, rung.units) < config.down_threshold:
        return rung
    again = sample.at - rung.last > config.down_after_seconds
    return replace(rung, since=sample.at if again else rung.since, last=sample.at)


def _use(config: CapacityConfig, now: Evidence, units: int) -> float:
    """How much of a size the load would use: memory, and what its rows need of appliers.

    What was seen to be carried says more than how long appliers were busy, as batches grow with
    what waits. While the queue is full the source brings what we take, not what it has: that
    counts unless we catch up by it.
    """
    ratio = now.recent[-1].units / units
    memory = now.mean(lambda sample: sample.memory) * ratio
    full = now.mean(lambda sample: sample.queue) >= config.up_threshold
    if full and now.lag_slope < 0:
        return memory
    rows_in = now.mean(lambda sample: sample.rows_in)
    if ratio <= 1:
        return _part(rows_in, now.may_carry(units), otherwise=0.0)
    appliers = now.mean(lambda sample: sample.appliers) * ratio
    return max(memory, min(appliers, _part(rows_in, now.carries(units), otherwise=appliers)))


def _part(rate: float, carried: float | None, *, otherwise: float) -> float:
    if carried is None:
        return otherwise
    return rate / carried if carried else float("inf")
