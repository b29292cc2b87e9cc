"""What a start costs, in CPU seconds of each process, and what it holds once it has nothing to do.

    python -m benchmarks.starts [STARTS]

Commands are measured to their end, a replication to the moment at which it streams an empty table.
Not a case: there is nobody to compare with but ourselves, before and after.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import mariadb
from benchmarks.penstock import COMMAND, ROOT, Replication, Run, running
from benchmarks.servers import DEADLINE_SECONDS, servers

STARTS: Final = 20

SETTLE_SECONDS: Final = 2.0
"""After which memory is looked at: a few reports of metrics, and nothing to do."""

MIB: Final = 1024.0

TABLE: Final = "CREATE TABLE public.calm (id bigint PRIMARY KEY)"

Costs = dict[str, float]


def main() -> None:
    """Print the median of every figure."""
    starts = int(sys.argv[1]) if len(sys.argv) > 1 else STARTS
    with (
        servers("18", fsync=False) as both,
        mariadb.server() as there,
        both.source_database() as source,
        both.target_database() as target,
        tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder,
    ):
        source.execute(TABLE)
        target.execute(TABLE)
        target.execute(f"CREATE SCHEMA {mariadb.SCHEMA}")
        there.execute(f"CREATE TABLE {mariadb.SCHEMA}.calm (id bigint PRIMARY KEY)")
        postgres = Replication(source=source.dsn, target=target.dsn, id="calm")
        maria = Replication(
            source=there.url(),
            target=target.dsn,
            id="calm_maria",
            include=f"{mariadb.SCHEMA}.%",
            sections={"source": {"engine": "mariadb"}},
        )
        file = Path(folder) / "replication.toml"
        file.write_text(postgres.toml())
        show("penstock --version", starts, lambda: command("--version"))
        show("penstock --help", starts, lambda: command("--help"))
        show("penstock check FILE", starts, lambda: command("check", str(file)))
        show("PostgreSQL to PostgreSQL", starts, lambda: replication(postgres))
        show("MariaDB to PostgreSQL", starts, lambda: replication(maria))


def show(what: str, starts: int, measure: Callable[[], Costs]) -> None:
    """Measure once for nothing, as files come into memory, then `starts` times."""
    measure()
    measured = [measure() for _ in range(starts)]
    for name in measured[0]:
        print(f"{what}, {name}: {median(costs[name] for costs in measured):.3f}", flush=True)


def command(*arguments: str) -> Costs:
    """One that ends by itself."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode > 1:
        raise RuntimeError(f"{arguments}: {process.returncode}")
    return {"CPU s": usage.ru_utime + usage.ru_stime}


def replication(described: Replication) -> Costs:
    """The supervisor and its worker, until it streams; and their memory a little later."""
    with running(described) as run:
        until_streaming(run)
        processes = {"supervisor": run.process.pid, "worker": run.worker()}
        costs = {f"{name} CPU s": cpu_seconds(pid) for name, pid in processes.items()}
        time.sleep(SETTLE_SECONDS)
        for name, pid in processes.items():
            costs |= {f"{name} {kind}": mib for kind, mib in memory(pid).items()}
        run.stop()
    return costs


def until_streaming(run: Run) -> None:
    """Wait for the event that says so."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not any(event["state"] == "streaming" for event in run.events("state")):
        if not run.alive() or time.monotonic() > deadline:
            raise RuntimeError(f"does not stream: {run.log.read_text()[-3000:]}")
        time.sleep(0.01)


def cpu_seconds(pid: int) -> float:
    """Of all its threads that are left. See: proc(5), `schedstat`."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def memory(pid: int) -> Mapping[str, float]:
    """Resident, and what would be free without it. See: proc(5), `smaps_rollup`."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return {
        "resident MiB": kib["Rss"] / MIB,
        "own MiB": (kib["Private_Clean"] + kib["Private_Dirty"]) / MIB,
    }


if __name__ == "__main__":
    main()
