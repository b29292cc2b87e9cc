"""Each cause that may limit a replication, injected alone: how often the worker tells it right.

One sample a second of its own metrics, from five seconds after the load has begun.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.calibration import calibrate
from benchmarks.case import Options
from benchmarks.result import Figure, Pair, Result, from_pairs
from benchmarks.servers import Servers
from tests.scenario.limits import LIMITS, Limit, Observed

REACH: Final = 0.95


def verdict(servers: Servers, options: Options) -> Iterator[Result]:
    """The part of samples that are right, and whether the log says what helps."""
    samples = options.sized(60, 8)
    for name, limit in LIMITS.items():
        with (
            tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder,
            servers.source_database() as source,
            servers.target_database() as target,
        ):
            speed = calibrate()
            observed = limit.observe(Path(folder), source, target, samples)
        yield _result(name, limit, observed, servers, speed)


def _result(name: str, limit: Limit, observed: Observed, servers: Servers, speed: float) -> Result:
    right = Figure(observed.right(limit.cause), equal=observed.tells(limit.words))
    print(f"verdict {name}: {right.value:.3f} right", file=sys.stderr, flush=True)
    return from_pairs(
        "verdict",
        [Pair(right, Figure(1.0), (speed, speed))],
        unit="of samples right",
        better="higher",
        reach=REACH,
        versions=servers.versions,
        facts={
            "mode": name,
            "against": "all",
            "cause": limit.cause.value,
            "samples": len(observed.causes),
            "others": sorted({*observed.causes} - {limit.cause.value}),
            "remedy_logged": observed.tells(limit.words),
        },
    )
