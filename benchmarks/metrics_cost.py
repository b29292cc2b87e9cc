"""What metrics and accounting cost: CPU of the worker with all of it, scraped, against
the same worker with none."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import orjson

from benchmarks import backlog as backlogs
from benchmarks.backlog import Backlog
from benchmarks.case import Options
from benchmarks.pairs import alternate
from benchmarks.penstock import Replication, Run, compare, started
from benchmarks.result import Figure, Result, from_pairs
from benchmarks.servers import Servers
from benchmarks.worker_cost import COMMAND

REACH: Final = 1.02

PAIRS: Final = 9

SCRAPE_SECONDS: Final = 5.0
"""Three times as often as `deploy/prometheus` asks."""


def metrics_cost(servers: Servers, options: Options) -> Iterator[Result]:
    """The backlog of `drain-insert`."""
    with backlogs.inserts(servers, options.sized(500_000, 20_000)) as backlog:
        pairs = alternate(
            "metrics-cost",
            partial(_drained, backlog, counted=True),
            partial(_drained, backlog, counted=False),
            options.pairs if options.quick else max(PAIRS, options.pairs),
        )
    yield from_pairs(
        "metrics-cost",
        pairs,
        unit="CPU s / M rows",
        better="lower",
        reach=REACH,
        versions=servers.versions,
        facts={"mode": "table-parallel", "against": "no metrics", "rows": backlog.rows},
    )


def _drained(backlog: Backlog, *, counted: bool) -> Figure:
    """One drain; CPU seconds from the beginning of the stream to its end."""
    servers = backlog.servers
    with backlog.slot() as slot, servers.target_database(backlog.template.name) as target:
        replication = Replication(
            source=backlog.source.dsn,
            target=target.dsn,
            id=backlog.id,
            slot=slot,
            sections=backlog.sections,
        )
        command = (*COMMAND, "counted" if counted else "uncounted")
        arguments = ["--stop-at", "caught-up", "--log-format", "json"]
        if counted:
            arguments += ["--metrics", "127.0.0.1:0"]
        with started(replication, command, *arguments) as run, _scraping(run, counted=counted):
            run.wait()
        figures = orjson.loads(run.printed().splitlines()[-1])
        equal = compare(backlog.source, target)
    return Figure(
        figures["cpu_seconds"] / backlog.rows * 1e6,
        cpu_seconds=figures["cpu_seconds"],
        rows=backlog.rows,
        equal=equal,
    )


@contextmanager
def _scraping(run: Run, *, counted: bool) -> Iterator[None]:
    """Ask for the metrics, as Prometheus does, until the end of the context."""
    over = threading.Event()

    def scrape() -> None:
        while not over.wait(SCRAPE_SECONDS):
            address = _address(run.log)
            if address and run.code is None:
                try:
                    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
                        answer.read()
                except OSError:
                    continue  # the worker has ended meanwhile

    thread = threading.Thread(target=scrape, daemon=True)
    if counted:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if counted:
            thread.join()


def _address(log: Path) -> str | None:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return next((str(each["address"]) for each in lines if "address" in each), None)
