"""Targets that take no more, however many apply: how often the size changes.

The law may try one step, which it takes back; where the verdict names the target it tries none.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from benchmarks.calibration import calibrate
from benchmarks.case import Options
from benchmarks.result import Figure, Pair, Result, from_pairs
from benchmarks.servers import Servers
from engine.capacity.sample import Cause
from tests.scenario.limits import LIMITS, Limit, Observed, dawdling

CHANGES_MAX: Final = 2

SECONDS: Final = 60
"""A step is tried after six, and judged after ten more: what follows would be oscillation."""

ONE_AT_A_TIME: Final = Limit(
    cause=Cause.TARGET,
    words=(),
    on_target=dawdling("PERFORM pg_advisory_xact_lock(1), count(*) FROM generate_series(1, 1000)"),
)
"""Each transaction waits for the one before. Rows take it no longer than others, so nothing but a
try tells."""

BOUND: Final[Mapping[str, Limit]] = {
    "one-at-a-time": ONE_AT_A_TIME,
    "starved": LIMITS["target-starved"],
    "no-index": LIMITS["target-no-index"],
}


def target_bound(servers: Servers, options: Options) -> Iterator[Result]:
    """The number of changes of size under a load that no size carries."""
    for name, limit in BOUND.items():
        with (
            tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder,
            servers.source_database() as source,
            servers.target_database() as target,
        ):
            speed = calibrate()
            seconds = options.sized(SECONDS, 25)
            observed = limit.observe(Path(folder), source, target, seconds, min=1, max=16)
        yield _result(name, observed, servers, speed)


def _result(name: str, observed: Observed, servers: Servers, speed: float) -> Result:
    figure = Figure(float(len(observed.changes)), facts={"changes": observed.changes})
    print(f"target-bound {name}: {observed.changes}", file=sys.stderr, flush=True)
    return from_pairs(
        "target-bound",
        [Pair(figure, Figure(float(CHANGES_MAX)), (speed, speed))],
        unit="changes of size",
        better="lower",
        reach=1.0,
        versions=servers.versions,
        facts={
            "mode": name,
            "against": "the limit",
            "causes": {cause: observed.causes.count(cause) for cause in sorted({*observed.causes})},
        },
    )
