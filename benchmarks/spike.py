"""Twenty times the load for ten seconds, with the defaults of capacity: one unit to begin with."""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from benchmarks.calibration import calibrate
from benchmarks.case import Options
from benchmarks.distant import (
    FACTS,
    LAG_SECONDS,
    PATIENCE_SECONDS,
    RECOVERY_SECONDS,
    flowing,
    told_changes,
)
from benchmarks.memory import peak_mib
from benchmarks.penstock import compare
from benchmarks.result import Figure, Pair, Result, from_pairs
from benchmarks.servers import Servers
from engine.config.capacity import UNIT_MEMORY_BYTES, UNITS_MAX, UNITS_MIN

WIDTH: Final = 500
"""Bytes of text in a row: what a spike leaves waiting is more than a queue holds."""

RATE: Final = 2_000.0
"""Rows a second before and after, a third of what one unit carries."""

TIMES: Final = 20

SPIKE_SECONDS: Final = 10

BEFORE_SECONDS: Final = 5.0

MIB: Final = 1 << 20


def spike(servers: Servers, options: Options) -> Iterator[Result]:
    """Seconds until the lag is gone again, and the highest resident memory."""
    pairs = []
    for _ in range(options.pairs):
        speed = calibrate()
        figure = _spiked(servers, options.sized(SPIKE_SECONDS, 3))
        print(f"spike: {figure.value:.1f} s, {figure.facts}", file=sys.stderr, flush=True)
        pairs.append(Pair(figure, Figure(RECOVERY_SECONDS), (speed, speed)))
    facts = {**FACTS, "against": "the limit", "rows_per_second": RATE, "times": TIMES}
    yield from_pairs(
        "spike",
        pairs,
        unit="s",
        better="lower",
        reach=1.0,
        versions=servers.versions,
        facts={**facts, "mode": "recovery"},
    )
    yield from_pairs(
        "spike",
        [_memory(pair) for pair in pairs],
        unit="MiB",
        better="lower",
        reach=1.0,
        versions=servers.versions,
        facts={**facts, "mode": "memory"},
    )


def _spiked(servers: Servers, seconds: int) -> Figure:
    rows = round(RATE * TIMES * seconds)
    capacity = {"unit_memory": f"{UNIT_MEMORY_BYTES // MIB}MiB", "max": UNITS_MAX}
    with flowing(servers, capacity, WIDTH) as (run, pressure):
        pressure.rate = RATE
        pressure.until(lambda: pressure.applied > 0, "the first rows")
        pressure.throughput(BEFORE_SECONDS)
        began, enough = time.monotonic(), pressure.written + pressure.transactions(rows)
        pressure.rate = RATE * TIMES
        pressure.until(lambda: pressure.written >= enough, "the source to write the spike")
        took = time.monotonic() - began
        pressure.rate = RATE
        recovered = pressure.until_recovered(time.monotonic(), LAG_SECONDS, PATIENCE_SECONDS)
        pressure.until_applied()
        peak = peak_mib(run.worker())
        run.stop()
        equal = compare(pressure.source, pressure.target)
    workers = len(run.events("started"))
    facts = {
        "spike_seconds": round(took, 1),
        "spike_rows": rows,
        "lag_seconds_max": round(max(look.lag for look in pressure.looks if look.at > began), 1),
        "peak_mib": round(peak, 1),
        "workers": workers,
        "changes": told_changes(run),
    }
    return Figure(recovered, equal=equal and workers == 1, cpu_seconds=run.cpu_seconds, facts=facts)


def _memory(pair: Pair) -> Pair:
    """The pair with its highest memory as the value."""
    peak = pair.ours.facts["peak_mib"]
    assert isinstance(peak, float)
    limit = Figure(UNITS_MIN * UNIT_MEMORY_BYTES / MIB)
    return replace(pair, ours=replace(pair.ours, value=peak), theirs=limit)
