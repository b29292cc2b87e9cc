"""What is known of each size: what it carries, and whether the load would need more than it. (pure)

For every size a queue is kept in mind that fills with what the source brings and empties by what
the size carries. Where changes would wait in it longer than the lag goal, for longer than
`up_after`, the load needs more than that size: the same measure by which a size is stepped up, so
that what was left for good reason is not taken again for the same one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from engine.capacity.sample import Sample
from engine.config.capacity import CapacityConfig

NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One size. `since` to `last`: the last stretch in which the load needed more; pauses shorter
    than `down_after` are part of it."""

    units: int
    carried: float | None = None
    """Rows a second that came out of it while work waited; None while that was never seen."""
    waiting: float = 0.0
    """Rows in its queue."""
    over_since: float | None = None
    since: float = NEVER
    last: float = NEVER


def carries(rungs: Iterable[Rung], units: int) -> float | None:
    """Rows a second that a size carries at least, as far as was seen; None: nothing was.

    What a larger one carried is divided: sizes lose by growing, they do not gain.
    """
    seen = [r.carried * min(1.0, units / r.units) for r in rungs if r.carried is not None]
    return max(seen, default=None)


def may_carry(rungs: Iterable[Rung], units: int) -> float | None:
    """The same as far as one may hope: what a smaller one carried is multiplied."""
    known = [r for r in rungs if r.carried is not None]
    below = [r for r in known if r.units <= units]
    if not below or below[-1].carried is None:
        return carries(known, units)
    return below[-1].carried * units / below[-1].units


def learned(rungs: tuple[Rung, ...], units: int, rate: float) -> tuple[Rung, ...]:
    """Work waits, so what comes out of a size is what it carries; smaller ones carry no more than
    that, larger ones no less."""
    return tuple(_corrected(rung, units, rate) for rung in rungs)


def _corrected(rung: Rung, units: int, rate: float) -> Rung:
    if rung.units == units:
        return replace(rung, carried=rate)
    if rung.carried is None or (rung.units < units) == (rung.carried <= rate):
        return rung
    return replace(rung, carried=rate)


def loaded(
    config: CapacityConfig,
    rungs: tuple[Rung, ...],
    sample: Sample,
    seconds: float,
    *,
    catching_up: bool,
) -> tuple[Rung, ...]:
    """The sizes after that many more seconds of a load. While a full queue is emptied the source
    brings what we take and not what it has: then it says nothing."""
    return tuple(
        _loaded(config, rung, rungs, sample, 0.0 if catching_up else seconds) for rung in rungs
    )


def _loaded(
    config: CapacityConfig, rung: Rung, rungs: tuple[Rung, ...], sample: Sample, seconds: float
) -> Rung:
    larger = rung.units < sample.units
    carried = carries(rungs, rung.units) if larger else may_carry(rungs, rung.units)
    excess = 0.0 if carried is None else _excess(config, rung, sample, carried)
    waiting = max(0.0, rung.waiting + excess * seconds)
    over = larger and _used(sample.memory, sample, rung) >= config.down_threshold
    if carried is not None:
        over = over or waiting > carried * config.lag_goal_seconds
    elif larger and seconds:
        over = over or _used(sample.appliers, sample, rung) >= config.down_threshold
    if over:
        return _over(config, rung, waiting, sample.at, goes_on=excess > 0)
    if waiting == rung.waiting and rung.over_since is None:
        return rung
    return replace(rung, waiting=waiting, over_since=None)


def _excess(config: CapacityConfig, rung: Rung, sample: Sample, carried: float) -> float:
    """Rows a second that come and would not be carried. Where appliers have time to spare, rows
    cost less than when it was seen what the size carries."""
    enough = carried * config.carried_threshold
    rows_in = sample.rows_in or 0.0
    if rung.units < sample.units:
        busy = _used(sample.appliers, sample, rung) / config.down_threshold
        rows_in = min(rows_in, busy * enough)
    return rows_in - enough


def _used(part: float | None, sample: Sample, rung: Rung) -> float:
    """What a part of utilization would be with another size."""
    return (part or 0.0) * sample.units / rung.units


def _over(config: CapacityConfig, rung: Rung, waiting: float, at: float, *, goes_on: bool) -> Rung:
    over_since = at if rung.over_since is None else rung.over_since
    if at - over_since < config.up_after_seconds:
        return replace(rung, waiting=waiting, over_since=over_since)
    again = at - rung.last > config.down_after_seconds
    return replace(
        rung,
        waiting=waiting if goes_on else 0.0,  # a larger size has taken it
        over_since=over_since,
        since=at if again else rung.since,
        last=at,
    )
