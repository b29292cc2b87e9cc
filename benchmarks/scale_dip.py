"""A saturated replication whose size is changed every other second, whatever it needs.

From one unit to sixteen and back in all kinds of steps (`tests/scenario/swinging.py`), which no law
would do; what is measured is for how long nothing became durable around each change.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from benchmarks.calibration import calibrate
from benchmarks.case import Options
from benchmarks.penstock import Replication, compare, started
from benchmarks.pressure import Pressure
from benchmarks.result import Figure, Pair, Result, from_pairs
from benchmarks.servers import ACTIVE, Servers, Watcher
from tests.scenario.pauses import Moves, pauses, resizes, swinging

LIMIT_SECONDS: Final = 1.0

TABLES: Final = 16

BATCH_ROWS: Final = 100
"""`[apply] batch_rows_max`: so few that there is a commit every few milliseconds while nothing
holds them up."""

WAITING_ROWS: Final = 1_000_000
"""Many times what the queue of one unit holds: it is over-full after each large step down."""

UNIT_MEMORY: Final = "128MiB"

SWING_SECONDS: Final = 2

CHANGES: Final = 30
"""Changes of one run: each step of the swing five times."""


def scale_dip(servers: Servers, options: Options) -> Iterator[Result]:
    """Longest time without a commit around any change, in so many runs."""
    seconds = SWING_SECONDS * options.sized(CHANGES, 12)
    pairs = []
    for _ in range(options.pairs):
        speed = calibrate()
        figure = _swung(servers, seconds)
        print(f"scale-dip: {figure.value:.3f} s at most", file=sys.stderr, flush=True)
        pairs.append(Pair(figure, Figure(LIMIT_SECONDS), (speed, speed)))
    yield from_pairs(
        "scale-dip",
        pairs,
        unit="s",
        better="lower",
        reach=1.0,
        versions=servers.versions,
        facts={"mode": "table-parallel", "against": "the limit", "batch_rows_max": BATCH_ROWS},
    )


def _swung(servers: Servers, seconds: float) -> Figure:
    with (
        servers.source_database() as source,
        servers.target_database() as target,
        Watcher(source.dsn) as watcher,
    ):
        pressure, moves = Pressure(source, target, TABLES, waiting_rows=WAITING_ROWS), Moves(target)
        pressure.prepare()
        replication = Replication(
            source=source.dsn,
            target=target.dsn,
            id="dip",
            sections={
                "capacity": {"unit_memory": UNIT_MEMORY, "max": 16},
                "apply": {"batch_rows_max": BATCH_ROWS},
            },
        )
        command = swinging(SWING_SECONDS)
        with (
            started(replication, command, "--log-format", "json") as run,
            pressure.going(),
        ):
            watcher.until(ACTIVE, "penstock_dip", alive=run.alive)
            pressure.rate = None
            pressure.until(lambda: pressure.applied > 0, "the first rows")
            with moves.watched():
                time.sleep(seconds)
            changed = [
                at
                for at in resizes(run.log.read_text().splitlines())
                if moves.times[0] < at < moves.times[-1]
            ]
            pressure.until_applied()
            run.stop()
        equal = compare(source, target)
    found = sorted(pauses(moves.times, changed))
    facts = {
        "changes": len(found),
        "pauses": _told(found),
        "looked_apart": round(moves.looked_apart, 3),
    }
    return Figure(found[-1], equal=equal, facts=facts)


def _told(found: Sequence[float]) -> dict[str, float]:
    """The longest pauses around changes, sorted."""
    return {
        "median": round(median(found), 3),
        "p90": round(found[int(len(found) * 0.9)], 3),
        "max": round(found[-1], 3),
    }
