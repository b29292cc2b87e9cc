"""Reading alone: Penstock into its blackhole against pg_recvlogical into /dev/null.

The blackhole gets every row split into columns, its key extracted and its lane chosen; the sum of
the CRC-32 of every value proves it, and must be that of the table.
"""

import struct
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Final
from zlib import crc32

import orjson
import psycopg

from benchmarks import backlog as backlogs
from benchmarks.backlog import PUBLICATION, Backlog
from benchmarks.case import Options
from benchmarks.native import receiving_to_null
from benchmarks.pairs import alternate
from benchmarks.penstock import Replication, started
from benchmarks.result import Figure, Result, from_pairs
from benchmarks.servers import ACTIVE, Servers, Watcher
from tests.servers.postgres import Database

REACH: Final = 1.0

HEADER_BYTES: Final = 19
"""Signature, flags and an empty extension area of a binary COPY file."""


def decode(servers: Servers, options: Options) -> Iterator[Result]:
    """The backlog of `drain-insert`."""
    with backlogs.inserts(servers, options.sized(500_000, 50_000)) as backlog:
        expected = table_checksum(backlog.source, "events")
        pairs = alternate(
            "decode",
            partial(read_by_penstock, backlog, expected),
            partial(_read_by_recvlogical, backlog),
            options.pairs,
        )
        yield from_pairs(
            "decode",
            pairs,
            unit="rows/s",
            better="higher",
            reach=REACH,
            versions=servers.versions,
            facts={
                "mode": "table-parallel",
                "against": "pg_recvlogical",
                "rows": backlog.rows,
                "checksum": expected,
            },
        )


def read_by_penstock(backlog: Backlog, expected: int) -> Figure:
    """One read of the backlog by Penstock's worker; `equal` is whether the checksum is right."""
    with backlog.slot() as slot, Watcher(backlog.source.dsn) as watcher:
        replication = Replication(
            source=backlog.source.dsn,
            target="",
            id=backlog.id,
            engine="blackhole",
            slot=slot,
            sections=backlog.sections,
        )
        command = (sys.executable, "-m", "benchmarks.decode_worker", str(backlog.rows))
        with started(replication, command, "--stop-at", "caught-up") as run:
            active = watcher.until(ACTIVE, slot, alive=run.alive)
            run.wait()
        figures = orjson.loads(run.printed())
    done, rows, checksum = figures["done"], figures["rows"], figures["checksum"]
    return Figure(
        backlog.rows / (done - active),
        startup_seconds=active - run.started,
        cpu_seconds=run.cpu_seconds,
        rows=rows,
        equal=(rows, checksum) == (backlog.rows, expected),
    )


def _read_by_recvlogical(backlog: Backlog) -> Figure:
    with backlog.slot() as slot, Watcher(backlog.source.dsn) as watcher:
        began = time.perf_counter()
        with receiving_to_null(
            backlog.servers, backlog.source, PUBLICATION, slot, backlog.end
        ) as process:
            active = watcher.until(ACTIVE, slot, alive=lambda: process.poll() is None)
        done = time.perf_counter()
    return Figure(backlog.rows / (done - active), startup_seconds=active - began)


def table_checksum(database: Database, table: str) -> int:
    """The sum of the CRC-32 of every value of a table in binary form, as the blackhole adds up."""
    with (
        psycopg.connect(database.dsn) as connection,
        connection.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)".encode()) as copy,
    ):
        return sum(_row_checksum(bytes(piece)) for piece in copy)


def _row_checksum(piece: bytes) -> int:
    """Checksum of the one row of a COPY message (the server sends one each), or of none."""
    offset = HEADER_BYTES if piece.startswith(b"PGCOPY") else 0
    if len(piece) < offset + 2:
        return 0
    (columns,) = struct.unpack_from("!h", piece, offset)  # -1 ends the file
    offset += 2
    total = 0
    for _ in range(columns):
        (size,) = struct.unpack_from("!i", piece, offset)
        offset += 4
        if size > 0:
            total += crc32(piece[offset : offset + size])
            offset += size
    return total
