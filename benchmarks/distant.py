"""A target ten milliseconds away, written to in small batches.

These spend their time on the way to the target and back, so what is carried grows with the appliers
at work, until a core or the tables are the limit.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks.penstock import Replication, Run, running
from benchmarks.pressure import Pressure
from benchmarks.servers import ACTIVE, Servers, Watcher
from tests.scenario.faults.proxied import proxied
from tests.scenario.limits import TRIP_SECONDS, changes

TABLES: Final = 32

BATCH_ROWS: Final = 20
"""`[apply] batch_rows_max`: with the default a batch grows with what waits until a round trip no
longer counts, and the smallest size carries whatever two cores do."""

LAG_SECONDS: Final = 1.0
"""A lag that is gone is below."""

RECOVERY_SECONDS: Final = 60.0

PATIENCE_SECONDS: Final = 90.0

FACTS: Final[Mapping[str, object]] = {
    "trip_ms": TRIP_SECONDS * 1000,
    "batch_rows_max": BATCH_ROWS,
    "tables": TABLES,
}


@contextmanager
def flowing(
    servers: Servers, capacity: Mapping[str, object], width: int = 10
) -> Iterator[tuple[Run, Pressure]]:
    """A replication whose stream has begun, and a load that has not, of rows with that many bytes
    of text."""
    with (
        servers.source_database() as source,
        servers.target_database() as target,
        proxied(target.cluster) as proxy,
        Watcher(source.dsn) as watcher,
    ):
        pressure = Pressure(source, target, TABLES, width=width)
        pressure.prepare()
        proxy.do(lambda one: one.delay(TRIP_SECONDS / 2))
        replication = Replication(
            source=source.dsn,
            target=target.cluster.dsn(target.name, port=proxy.port),
            id="distant",
            sections={"capacity": capacity, "apply": {"batch_rows_max": BATCH_ROWS}},
        )
        with running(replication) as run, pressure.going():
            watcher.until(ACTIVE, "penstock_distant", alive=run.alive)
            yield run, pressure


def told_changes(run: Run) -> Sequence[str]:
    """Changes of size so far, in words."""
    return changes([dict(event) for name in ("started", "capacity") for event in run.events(name)])
