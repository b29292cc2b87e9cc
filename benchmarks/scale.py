"""A target ten milliseconds away, and more to do on 32 tables than the smallest size carries: the
law begins with one unit."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from benchmarks.case import Options
from benchmarks.distant import (
    FACTS,
    LAG_SECONDS,
    PATIENCE_SECONDS,
    RECOVERY_SECONDS,
    flowing,
    told_changes,
)
from benchmarks.pairs import alternate
from benchmarks.penstock import Run, compare
from benchmarks.pressure import Pressure
from benchmarks.result import Figure, Pair, Result, from_pairs
from benchmarks.servers import Servers

LADDER: Final = (1, 2, 4, 8, 16)

STEP: Final = 0.5
"""The load's step, as part of what the best size carries."""

REACH: Final = 0.9

WARM_SECONDS: Final = 3.0
"""From the beginning of the load to a steady flow: a queue has filled by then."""

SETTLED_SECONDS: Final = 15.0
"""A size that was not changed for so long stands: an effect is judged after ten."""

SOONER: Final[Mapping[str, object]] = {
    "up_after": "1s",
    "cool_down": "2s",
    "effect_after": "2s",
}
"""Of the law, to try the harness."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What runs have in common. Times are in seconds."""

    servers: Servers
    capacity: Mapping[str, object]
    window: float
    settled: float

    def fixed(self, units: int) -> Figure:
        """What a fixed size carries."""
        with self._flowing(units, units) as (_, pressure):
            pressure.rate = None
            pressure.until(lambda: pressure.applied > 0, "the first rows")
            pressure.throughput(WARM_SECONDS)
            rate = pressure.throughput(self.window)
        print(f"scale-rtt: {units} units carry {rate:,.0f} rows/s", file=sys.stderr, flush=True)
        return Figure(rate, facts={"units": units})

    def scaled(self, rate: float) -> Figure:
        """From one unit: a step of the load to `rate`, then all that is carried."""
        with self._flowing(LADDER[0], LADDER[-1]) as (run, pressure):
            pressure.rate = rate
            pressure.until(lambda: pressure.applied > 0, "the first rows")
            began = pressure.looks[-1].at
            recovered = pressure.until_recovered(began, LAG_SECONDS, PATIENCE_SECONDS)
            after_step = _units(run)
            pressure.rate = None
            self._until_settled(run, pressure)
            carried = pressure.throughput(self.window)
            units = _units(run)
            pressure.until_applied()
            run.stop()
            equal = compare(pressure.source, pressure.target)
        facts = {
            "recovered_seconds": round(recovered, 1),
            "step_rows_per_second": round(rate),
            "units_after_step": after_step,
            "units": units,
            "changes": told_changes(run),
        }
        return Figure(carried, equal=equal, facts=facts)

    def _flowing(self, smallest: int, largest: int) -> AbstractContextManager[tuple[Run, Pressure]]:
        capacity = {**self.capacity, "min": smallest, "max": largest}
        return flowing(self.servers, capacity)

    def _until_settled(self, run: Run, pressure: Pressure) -> None:
        """Until the size has stood for long enough under a load that has no end."""
        while True:
            before = len(told_changes(run))
            pressure.throughput(self.settled)
            if len(told_changes(run)) == before:
                return


def scale_rtt(servers: Servers, options: Options) -> Iterator[Result]:
    """Rows a second once the size stands, and seconds until a step of the load is caught up."""
    capacity = SOONER if options.quick else {}
    scene = Scene(
        servers, capacity, options.sized(10, 3), SETTLED_SECONDS if not options.quick else 5.0
    )
    ladder = {units: scene.fixed(units).value for units in LADDER}
    best = max(ladder, key=lambda units: ladder[units])
    step = max(STEP * ladder[best], 1.5 * ladder[LADDER[0]])
    pairs = alternate(
        "scale-rtt", partial(scene.scaled, step), partial(scene.fixed, best), options.pairs
    )
    facts = {
        "mode": "steady",
        "against": f"fixed size of {best}",
        **FACTS,
        "ladder_rows_per_second": {str(units): round(rate) for units, rate in ladder.items()},
    }
    yield from_pairs(
        "scale-rtt",
        pairs,
        unit="rows/s",
        better="higher",
        reach=REACH,
        versions=servers.versions,
        facts=facts,
    )
    yield from_pairs(
        "scale-rtt",
        [_recovery(pair) for pair in pairs],
        unit="s",
        better="lower",
        reach=1.0,
        versions=servers.versions,
        facts={**facts, "mode": "step", "against": "the limit"},
    )


def _recovery(pair: Pair) -> Pair:
    """The pair with its time to recover as the value."""
    seconds = pair.ours.facts["recovered_seconds"]
    assert isinstance(seconds, float)
    return replace(pair, ours=replace(pair.ours, value=seconds), theirs=Figure(RECOVERY_SECONDS))


def _units(run: Run) -> int:
    """The size now."""
    found = run.events("capacity")
    units = found[-1]["units_to"] if found else LADDER[0]
    assert isinstance(units, int)
    return units
