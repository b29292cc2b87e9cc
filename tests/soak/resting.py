"""What a replication holds while it rests: its process, both servers, its folder.

Figures are taken when everything written has been applied and acknowledged and nobody writes. Then
they are the same after each round of work and trouble, or something is kept that should not be.
"""

import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.scenario.running import Replication, Run, until
from tests.servers.postgres import Database
from tests.servers.sessions import APPLICATION

CENSUS: Final = "census.json"

SETTLED_SECONDS: Final = 0.5
"""How long nothing may come or go before it is taken for settled: connections of a reload or of a
reconnect are closed within moments."""

MIB: Final = 1 << 20

ON_SOURCE: Final = {
    "source connections": (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type IN ('client backend', 'walsender')"
        f" AND application_name <> '{APPLICATION}'"
    ),
    "slots": "SELECT count(*) FROM pg_replication_slots",
    "publications": "SELECT count(*) FROM pg_publication",
}

ON_TARGET: Final = {
    "target connections": ON_SOURCE["source connections"],
    "origins": "SELECT count(*) FROM pg_replication_origin",
    "prepared transactions": "SELECT count(*) FROM pg_prepared_xacts",
    "control rows": (
        "SELECT (SELECT count(*) FROM penstock.owner) + (SELECT count(*) FROM penstock.checkpoint)"
        " + (SELECT count(*) FROM penstock.table_state) + (SELECT count(*) FROM penstock.chunk)"
        " + (SELECT count(*) FROM penstock.quarantine)"
    ),
}

Figures = Mapping[str, float]
"""Counts by name; `resident memory` and `folder` are MiB."""


def figures(replication: Replication, run: Run) -> Figures:
    """Everything that is counted, once it no longer changes."""
    return {
        "resident memory": resident_bytes(run.worker) / MIB,
        **settled(replication, run),
        **census(replication.folder / CENSUS, run),
    }


def settled(replication: Replication, run: Run) -> Figures:
    """What comes and goes with connections, once it has stayed the same for a while."""
    seen: list[tuple[float, Figures]] = []

    def stays() -> bool:
        now, found = time.monotonic(), outside(replication, run)
        if not seen or seen[-1][1] != found:
            seen.append((now, found))
        return now - seen[-1][0] >= SETTLED_SECONDS

    until(stays, "connections to settle", run=run)
    return seen[-1][1]


def outside(replication: Replication, run: Run) -> Figures:
    """What is seen without asking the process."""
    return {
        "descriptors": len(list(Path(f"/proc/{run.worker}/fd").iterdir())),
        **_asked(replication.source, ON_SOURCE),
        **_asked(replication.target, ON_TARGET),
        "folder": folder_bytes(replication.folder / "state") / MIB,
    }


def _asked(database: Database, questions: Mapping[str, str]) -> Figures:
    row = database.execute("SELECT " + ", ".join([f"({text})" for text in questions.values()]))[0]
    return dict(zip(questions, map(float, row), strict=True))


def census(file: Path, run: Run) -> Figures:
    """What the process says of itself."""
    file.unlink(missing_ok=True)
    os.kill(run.worker, signal.SIGUSR1)
    until(file.exists, "a census", run=run)
    found: dict[str, float] = json.loads(file.read_text())
    return found


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def folder_bytes(folder: Path) -> int:
    return sum([path.stat().st_size for path in folder.rglob("*") if path.is_file()])
