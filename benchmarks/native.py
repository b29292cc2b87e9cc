"""PostgreSQL's own ways: a subscription, pg_recvlogical, psql pipes."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.servers import Servers
from tests.servers.postgres import Database


@dataclass(frozen=True, slots=True)
class Subscription:
    """Created and disabled; `enable` starts it."""

    database: Database
    name: str

    def enable(self) -> float:
        """Start it; the time at which that was asked for."""
        asked = time.perf_counter()
        self.database.execute(f"ALTER SUBSCRIPTION {self.name} ENABLE")
        return asked


@contextmanager
def subscription(
    servers: Servers, source: Database, target: Database, publication: str, slot: str
) -> Iterator[Subscription]:
    """A subscription in binary form over an existing slot, whose tables need no copy. Its commits
    are as durable as ours."""
    name = f"native_{servers.number()}"
    target.execute(
        f"CREATE SUBSCRIPTION {name} CONNECTION '{source.dsn}' PUBLICATION {publication}"
        f" WITH (enabled = false, create_slot = false, slot_name = '{slot}', copy_data = false,"
        f" binary = true, synchronous_commit = on)"
    )
    try:
        yield Subscription(target, name)
    finally:
        target.execute(f"ALTER SUBSCRIPTION {name} DISABLE")
        target.execute(f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)")
        target.execute(f"DROP SUBSCRIPTION {name}")


@contextmanager
def receiving_to_null(
    servers: Servers, source: Database, publication: str, slot: str, end: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """pg_recvlogical reads the slot to a position, into nothing; leaving waits for it."""
    command = [
        servers.program("pg_recvlogical"),
        "--dbname", source.dsn,
        "--slot", slot,
        "--start", "--no-loop",
        "--endpos", end,
        "--file", "/dev/null",
        "--fsync-interval", "0",
        "-o", "proto_version=1",
        "-o", f"publication_names={publication}",
        "-o", "binary=true",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    yield process
    if process.wait():
        raise RuntimeError("pg_recvlogical failed")


@contextmanager
def pipe(
    servers: Servers, source: Database, target: Database, table: str
) -> Iterator[Sequence["subprocess.Popen[bytes]"]]:
    """`psql COPY TO STDOUT | psql COPY FROM STDIN`, both binary; leaving waits for both."""
    psql = [servers.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    reading = subprocess.Popen(
        [*psql, source.dsn, "-c", f"COPY {table} TO STDOUT (FORMAT binary)"],
        stdout=subprocess.PIPE,
    )
    writing = subprocess.Popen(
        [*psql, target.dsn, "-c", f"COPY {table} FROM STDIN (FORMAT binary)"], stdin=reading.stdout
    )
    assert reading.stdout is not None
    reading.stdout.close()
    yield reading, writing
    if writing.wait() or reading.wait():
        raise RuntimeError(f"psql could not copy {table}")
