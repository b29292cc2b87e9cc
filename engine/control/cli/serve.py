"""`penstock serve`: the daemon."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from engine.config.load_serve import load_daemon
from engine.config.serve import DaemonConfig
from engine.control.cli.ending import end_with
from engine.observe.log import Log
from engine.observe.writer import start_writing
from engine.seams import SystemClock

Config: TypeAlias = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The daemon's file, TOML.")
]
Listen: TypeAlias = Annotated[
    str | None,
    typer.Option("--listen", metavar="HOST:PORT", help="Where the API is served; [serve] listen."),
]
MetricsListen: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--metrics-listen",
        metavar="HOST:PORT",
        help="Where /metrics, /healthz and /readyz are served beyond loopback.",
    ),
]
StateDir: TypeAlias = Annotated[
    str | None, typer.Option("--state-dir", metavar="DIR", help="Store, key, logs and overflow.")
]


def serve(
    config: Config = None,
    listen: Listen = None,
    metrics_listen: MetricsListen = None,
    state_dir: StateDir = None,
) -> None:
    """Run the daemon: AWS DMS's API on a port, and every replication in a process of its own.

    Listens on 127.0.0.1:8628 unless told otherwise; beyond loopback it needs access keys, and TLS
    or a proxy that has it. SIGTERM lets workers finish what is under way for at most 10 s; what was
    running is taken up again by the next start.
    """
    given = {"listen": listen, "metrics_listen": metrics_listen, "state_dir": state_dir}
    end_with(lambda: _serve(load_daemon(config, os.environ, {k: v for k, v in given.items() if v})))


def _serve(config: DaemonConfig) -> int:
    from engine.control import daemon  # much of it is imported for this command only

    os.umask(0o077)  # whatever it writes is for its own account
    lines = start_writing("text" if sys.stdout.isatty() else "json", sys.stdout)
    log = Log(lines.write, SystemClock())
    try:
        asyncio.run(daemon.run(config, os.environ, log))
    finally:
        log.flush()
        lines.close()
    return 0
