"""One thing at a time limits a load between real servers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final

import psycopg

from engine.capacity.sample import Cause
from tests.servers.postgres import Database
from tests.servers.proxy import FaultProxy

TABLES: Final = 6

ROWS: Final = 6_000

SCHEMA: Final = "".join(
    f"CREATE TABLE t{n} (id int PRIMARY KEY, value text NOT NULL);" for n in range(TABLES)
)

FILLED: Final = "".join(
    f"INSERT INTO t{n} SELECT g, repeat(md5(g::text), 16) FROM generate_series(1, {ROWS}) g;"
    for n in range(TABLES)
)
"""Half a kilobyte a row: 3 MB a table."""

INDEXED: Final = "CREATE INDEX t0_value ON t0 (value);"

SLOW_BYTES: Final = 400_000.0
"""What a slow source sends in a second over each connection."""


def _slow(proxy: FaultProxy) -> None:
    proxy.throttle(SLOW_BYTES)


DAWDLING: Final = (
    "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN IF NEW.id % 10 = 0 THEN PERFORM pg_sleep(0.01); END IF; RETURN NEW; END $$;"
    + "".join(
        f"CREATE TRIGGER dawdle BEFORE INSERT ON t{n} FOR EACH ROW EXECUTE FUNCTION dawdle();"
        f"ALTER TABLE t{n} ENABLE ALWAYS TRIGGER dawdle;"
        for n in range(TABLES)
    )
)
"""600 rows a table take six seconds to sleep through."""


@contextmanager
def written_to(target: Database) -> Iterator[None]:
    """Somebody else has written to a table and does not commit: no index of it can be made."""
    with psycopg.connect(target.dsn) as other:
        other.execute("LOCK TABLE t0 IN ROW EXCLUSIVE MODE")
        yield
        other.rollback()


def undisturbed(_: Database) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadLimit:
    """`cause` limits; `words` stand in the log line that tells of it. `slow_source`: what is done
    to the way there; `beside`: what goes on on the target meanwhile."""

    cause: Cause
    words: tuple[str, ...]
    on_source: str = ""
    on_target: str = ""
    slow_source: Callable[[FaultProxy], None] | None = None
    beside: Callable[[Database], AbstractContextManager[None]] = undisturbed
    load: Mapping[str, object] = field(default_factory=dict[str, object])


LOAD_LIMITS: Final = {
    "source": LoadLimit(
        cause=Cause.SOURCE, words=("wait for the source's rows", "its disk"), slow_source=_slow
    ),
    "target": LoadLimit(
        cause=Cause.TARGET,
        words=("wait for the target to take rows", "triggers"),
        on_target=SCHEMA + DAWDLING,
    ),
    "target-indexes": LoadLimit(
        cause=Cause.TARGET,
        words=("makes indexes and keys", "maintenance_work_mem", "locks"),
        on_source=INDEXED,
        on_target=SCHEMA,
        beside=written_to,
    ),
    "copiers": LoadLimit(
        cause=Cause.COPIERS,
        words=("chunks wait", "parallel_tables"),
        on_target=SCHEMA + DAWDLING,
        load={"parallel_tables": 1},
    ),
}
"""What can limit a load, each alone."""
