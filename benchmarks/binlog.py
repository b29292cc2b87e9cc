"""Reading MariaDB's binary log alone: Penstock into its blackhole against python-mysql-replication.

Values are decoded into the form that a PostgreSQL target takes; the sum of the CRC-32 of every one
must be that of the table, as its own text converted by the code of the full load.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Final
from zlib import crc32

import orjson

from benchmarks import mariadb
from benchmarks.case import Options
from benchmarks.mariadb import DUMPING, SCHEMA, Log, MariaWatcher
from benchmarks.pairs import alternate
from benchmarks.penstock import ROOT, Replication, started
from benchmarks.result import Figure, Result, from_pairs
from benchmarks.servers import Servers
from connectors.mysql.temporal import ZeroDates
from connectors.mysql.types import parse_type
from connectors.mysql.values import to_interchange

REACH: Final = 10.0

READER: Final = (sys.executable, "-m", "benchmarks.mysql_replication_reader")


def binlog_decode(_servers: Servers, options: Options) -> Iterator[Result]:
    """Half a million rows of six mixed columns."""
    with mariadb.inserts(options.sized(500_000, 20_000)) as log:
        expected = table_checksum(log)
        pairs = alternate(
            "binlog-decode",
            partial(_by_penstock, log, expected),
            partial(_by_mysql_replication, log),
            options.pairs,
        )
        yield from_pairs(
            "binlog-decode",
            pairs,
            unit="rows/s",
            better="higher",
            reach=REACH,
            versions={"source": f"MariaDB {log.server.programs.release}"},
            facts={
                "mode": "table-parallel",
                "against": "python-mysql-replication",
                "rows": log.rows,
                "checksum": expected,
            },
        )


def table_checksum(log: Log) -> int:
    """The sum of the CRC-32 of every value of `events`, in the interchange form."""
    columns = log.server.execute(
        "SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME"
        f" FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{SCHEMA}'"
        " ORDER BY ORDINAL_POSITION"
    )
    convert = [to_interchange(parse_type(*column[1:]), ZeroDates()) for column in columns]
    names = ", ".join(f"CAST({column[0]} AS CHAR)" for column in columns)
    total = 0
    for row in log.server.execute(f"SELECT {names} FROM {SCHEMA}.events"):
        for value, convert_one in zip(row, convert, strict=True):
            if value is not None:
                text = value.encode()
                sent = text if convert_one is None else convert_one(text)
                assert isinstance(sent, bytes)
                total += crc32(sent)
    return total


def _by_penstock(log: Log, expected: int) -> Figure:
    replication = Replication(
        source=log.url,
        target="",
        engine="blackhole",
        include=f"{SCHEMA}.%",
        sections={
            "source": {"engine": "mariadb"},
            "replication": {"start_position": log.start},
        },
    )
    command = (sys.executable, "-m", "benchmarks.decode_worker", str(log.rows))
    with MariaWatcher(log.server) as watcher:
        watcher.end_readers()
        with started(replication, command, "--stop-at", "caught-up") as run:
            active = watcher.until(DUMPING, alive=run.alive)
            run.wait()
            figures = orjson.loads(run.printed())
    return Figure(
        log.rows / (figures["done"] - active),
        startup_seconds=active - run.started,
        cpu_seconds=run.cpu_seconds,
        rows=figures["rows"],
        equal=(figures["rows"], figures["checksum"]) == (log.rows, expected),
    )


def _by_mysql_replication(log: Log) -> Figure:
    began = time.perf_counter()
    command = [*READER, str(log.server.port), log.start.removeprefix("maria="), str(log.rows)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    figures = orjson.loads(done.stdout)
    return Figure(
        figures["rows"] / figures["seconds"],
        startup_seconds=time.perf_counter() - began - figures["seconds"],
        rows=figures["rows"],
        equal=figures["rows"] == log.rows,
    )
