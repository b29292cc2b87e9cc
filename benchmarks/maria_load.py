"""The full load from MariaDB into PostgreSQL, against pgloader."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from benchmarks import mariadb
from benchmarks.case import Options
from benchmarks.mariadb import SCHEMA, Log, same_rows
from benchmarks.pairs import alternate
from benchmarks.penstock import Replication, running
from benchmarks.result import Figure, Result, from_pairs
from benchmarks.servers import Servers
from tests.servers.debian import LIBRARIES, Root, unpacked
from tests.servers.postgres import Database

REACH_LOAD: Final = 1.5


def maria_pg_load(servers: Servers, options: Options) -> Iterator[Result]:
    """One table, against pgloader."""
    program = unpacked("bookworm", "pgloader")
    with mariadb.inserts(options.sized(500_000, 50_000), each=10_000) as log:
        pairs = alternate(
            "maria-pg-load",
            partial(_loaded, servers, log),
            partial(_by_pgloader, servers, log, program),
            options.pairs,
        )
        yield from_pairs(
            "maria-pg-load",
            pairs,
            unit="rows/s",
            better="higher",
            reach=REACH_LOAD,
            versions={
                "source": f"MariaDB {log.server.programs.release}",
                "target": servers.versions["target"],
            },
            facts={"mode": "full-load", "against": "pgloader", "rows": log.rows},
        )


def _loaded(servers: Servers, log: Log) -> Figure:
    with servers.target_database() as target:
        replication = Replication(
            source=log.url,
            target=target.dsn,
            id="load",
            type="full-load",
            include=f"{SCHEMA}.%",
            sections={"source": {"engine": "mariadb"}},
        )
        began = time.perf_counter()
        with running(replication) as run:
            run.wait()
        seconds = time.perf_counter() - began
        equal = same_rows(log, target.execute)
    return Figure(log.rows / seconds, cpu_seconds=run.cpu_seconds, rows=log.rows, equal=equal)


def _by_pgloader(servers: Servers, log: Log, program: Root) -> Figure:
    """From its start to its end, as ours."""
    with servers.target_database() as target, tempfile.TemporaryDirectory() as folder:
        command = [
            str(program.folder / "usr" / "bin" / "pgloader"), "--quiet", "--root-dir", folder,
            f"mysql://root@{log.server.host}:{log.server.port}/{SCHEMA}", _address(target),
        ]  # fmt: skip
        began = time.perf_counter()
        done = subprocess.run(
            command,
            env={**os.environ, "LD_LIBRARY_PATH": _libraries(program)},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - began
        if done.returncode:
            raise RuntimeError(f"pgloader failed: {(done.stdout + done.stderr)[-2000:]}")
        equal = same_rows(log, target.execute)
    return Figure(log.rows / seconds, rows=log.rows, equal=equal)


def _address(database: Database) -> str:
    cluster = database.cluster
    return f"postgresql://postgres@{cluster.host}:{cluster.port}/{database.name}"


def _libraries(program: Root) -> str:
    """It finds its image by its program's name, so the root's loader cannot start it."""
    return ":".join(str(program.folder / place) for place in LIBRARIES)
