"""Two PostgreSQL servers for a measurement: a source, and a target for both sides of the ratio."""

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import psycopg

from tests.servers.postgres import Cluster, Database

SETTINGS: Final[Mapping[str, object]] = {
    "shared_buffers": "256MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_replication_slots": 40,
    "max_wal_senders": 40,
    "max_logical_replication_workers": 8,
    # A quarter of a busy machine's pages; the default would spill every decoded transaction.
    "logical_decoding_work_mem": "64MB",
    "log_checkpoints": "off",
    # Else a subscription waits up to 5 s for its worker, when another was started just before.
    "wal_retrieve_retry_interval": "100ms",
}
"""The same on both servers. No checkpoint and no vacuum falls into one side's run by chance."""

ACTIVE: Final = "SELECT active FROM pg_replication_slots WHERE slot_name = %s"
"""Whether a slot's reader has asked for the stream: what came before is start-up."""

POLL_SECONDS: Final = 0.005
"""Time between two looks at whether a run is over."""

DEADLINE_SECONDS: Final = 900.0
"""A run that takes longer has failed."""


@dataclass(slots=True)
class Servers:
    """Both servers, and numbered databases on them."""

    source_cluster: Cluster
    target_cluster: Cluster
    settings: Mapping[str, object]
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def number(self) -> int:
        """A number not used before, for names."""
        return next(self._numbers)

    @contextmanager
    def target_database(self, template: str = "template0") -> Iterator[Database]:
        """A new database on the target, dropped afterwards."""
        with self._database(self.target_cluster, "target", template) as database:
            self.settle()
            yield database

    @contextmanager
    def source_database(self) -> Iterator[Database]:
        """A new database on the source, dropped afterwards with its slots."""
        with self._database(self.source_cluster, "source", "template0") as database:
            yield database

    @contextmanager
    def _database(self, cluster: Cluster, label: str, template: str) -> Iterator[Database]:
        name = f"bench_{label}_{self.number()}"
        cluster.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield Database(cluster, name)
        finally:
            cluster.drop_database(name)

    def settle(self) -> None:
        """Write everything out, so that no earlier work is left for the run."""
        self.source_cluster.execute("CHECKPOINT")
        self.target_cluster.execute("CHECKPOINT")

    @property
    def versions(self) -> Mapping[str, str]:
        return {
            "source": f"PostgreSQL {self.source_cluster.programs.release}",
            "target": f"PostgreSQL {self.target_cluster.programs.release}",
        }

    def program(self, name: str) -> str:
        """A client program of the source's release."""
        path: Path = self.source_cluster.programs.bin / name
        return str(path)


@contextmanager
def servers(major: str, *, fsync: bool) -> Iterator[Servers]:
    """Start both; they are gone afterwards."""
    settings = {**SETTINGS, "fsync": "on" if fsync else "off"}
    with (
        Cluster(major, settings=settings) as source,
        Cluster(major, settings=settings) as target,
    ):
        yield Servers(source, target, settings)


class Watcher:
    """One open connection that asks the same small question until the answer is yes."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True, application_name="bench watcher")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, sql: str, *values: object) -> Any:
        """The first column of the first row, None without rows."""
        row = self._connection.execute(sql.encode(), values or None).fetchone()
        return row[0] if row else None

    def until(self, sql: str, *values: object, alive: Any = None) -> float:
        """Wait for a true answer; the time (`time.perf_counter`) at which it came.

        `alive`, a callable, says whether whoever brings it about still works.
        """
        deadline = time.perf_counter() + DEADLINE_SECONDS
        while not self.ask(sql, *values):
            if time.perf_counter() > deadline:
                raise TimeoutError(sql)
            if alive is not None and not alive() and not self.ask(sql, *values):
                raise RuntimeError(f"the process ended before: {sql}")
            time.sleep(POLL_SECONDS)
        return time.perf_counter()
