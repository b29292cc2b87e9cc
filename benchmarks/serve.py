"""What a start costs under `penstock serve`, and what the daemon and its workers hold at rest."""

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.calibration import calibrate
from benchmarks.case import Options
from benchmarks.memory import peak_mib, resident_mib
from benchmarks.result import Figure, Pair, Result, from_pairs
from benchmarks.servers import Servers
from benchmarks.starts import cpu_seconds
from engine.control.client.address import parse_address
from engine.control.client.daemon import Daemon
from engine.seams import SystemClock
from tests.scenario.daemon.replicated import Replicated, replicated
from tests.scenario.daemon.serving import Serving, workers_of
from tests.servers.postgres import Database

START_SECONDS: Final = 3.0
DAEMON_MIB: Final = 100.0
WORKER_MIB: Final = 80.0

ASK_SECONDS: Final = 0.1

UNITS: Final = (1, 4)
"""What a size is chosen from."""

IDLE: Final = 5
"""Replications that run and have nothing to do."""

TABLE: Final = (
    "CREATE TABLE calm (id bigint PRIMARY KEY, v text);"
    " INSERT INTO calm SELECT g, 'row ' || g FROM generate_series(1, 1000) g"
)


def serve_start(servers: Servers, options: Options) -> Iterator[Result]:
    """Seconds from the request of a start, the first of its replication, until its status is
    `running`: a table of a thousand rows, databases that answer at once, a size to be chosen."""
    pairs = []
    with tempfile.TemporaryDirectory() as folder, Serving(Path(folder)) as daemon:
        assert daemon.address
        for number in range(options.pairs):
            with _replicated(servers, daemon, f"start-{number}") as it:
                speed = calibrate()
                spent = _spent(daemon)
                seconds = _started(daemon, it)
                facts = {"cpu_seconds": _cpu(spent, _spent(daemon), daemon.worker())}
                ours = Figure(seconds, facts=facts)
                pairs.append(Pair(ours, Figure(START_SECONDS), (speed, speed)))
                _stopped(daemon, it)
        daemon.stop()
    yield _result(servers, "serve-start", "the first start of a replication", pairs, "s")


def serve_idle(servers: Servers, options: Options) -> Iterator[Result]:
    """Resident memory of the daemon alone, of the daemon with five replications that have nothing
    to do, and of the largest of their workers."""
    seconds = options.sized(20, 2)
    with tempfile.TemporaryDirectory() as folder, Serving(Path(folder)) as daemon:
        assert daemon.get("/readyz")[0] == 200
        yield _resting(servers, "the daemon, alone", [daemon.process.pid], DAEMON_MIB, seconds)
        with _replicated(servers, daemon, "idle-0") as first:
            rest = [_beside(daemon, first, number) for number in range(1, IDLE)]
            for it in (first, *rest):
                _started(daemon, it)
            workers = workers_of(daemon.process.pid)
            assert len(workers) == IDLE
            mode = f"the daemon of {IDLE} replications"
            yield _resting(servers, mode, [daemon.process.pid], DAEMON_MIB, seconds)
            yield _resting(servers, "the largest of its workers", workers, WORKER_MIB, 0)
            for it in (first, *rest):
                _stopped(daemon, it)
        daemon.stop()


@contextmanager
def _replicated(servers: Servers, daemon: Serving, name: str) -> Iterator[Replicated]:
    """A replication of a small table, between databases of its own."""
    with servers.source_database() as source, servers.target_database() as target:
        source.execute(TABLE)
        yield replicated(daemon, name, source, target, units=UNITS)


def _beside(daemon: Serving, first: Replicated, number: int) -> Replicated:
    """Another one from the same source, into a database of its own."""
    target = Database.create(first.target.cluster, f"{first.target.name}_{number}")
    return replicated(daemon, f"idle-{number}", first.source, target, units=UNITS)


def _spent(daemon: Serving) -> tuple[float, float]:
    """CPU seconds of the daemon, and of its children that have ended."""
    words = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    ticks = [int(word) / os.sysconf("SC_CLK_TCK") for word in words[11:15]]
    return sum(ticks[:2]), sum(ticks[2:])


def _cpu(
    before: tuple[float, float], after: tuple[float, float], worker: int
) -> Mapping[str, float]:
    """What a start cost: the daemon, the process that looked at both databases, the worker."""
    daemon, probe = (round(new - old, 2) for old, new in zip(before, after, strict=True))
    return {"daemon": daemon, "probe": probe, "worker": round(cpu_seconds(worker), 2)}


def _started(daemon: Serving, it: Replicated) -> float:
    """Seconds until it runs, as a client sees it that asks ten times a second and costs little."""
    asked = Daemon(parse_address(f"http://{daemon.address}"), None, SystemClock())
    filters = [{"Name": "replication-config-arn", "Values": [it.arn]}]
    how = {"ReplicationConfigArn": it.arn, "StartReplicationType": "start-replication"}
    begun = time.perf_counter()
    asked.call("StartReplication", **how)
    while True:
        (found,) = asked.call("DescribeReplications", Filters=filters)["Replications"]
        seconds = time.perf_counter() - begun
        if found["Status"] == "running":
            return seconds
        assert found["Status"] != "failed", found
        time.sleep(ASK_SECONDS)


def _stopped(daemon: Serving, it: Replicated) -> None:
    """Stop it and take it away, with its slot."""
    dms = daemon.client()
    dms.stop_replication(ReplicationConfigArn=it.arn)
    daemon.await_status(it.arn, "stopped")
    dms.delete_replication_config(ReplicationConfigArn=it.arn)
    daemon.until(lambda: not it.slots(), "its end")


def _resting(
    servers: Servers, mode: str, pids: Sequence[int], limit: float, seconds: int
) -> Result:
    time.sleep(seconds)
    speed = calibrate()
    most = Figure(
        max(map(resident_mib, pids)),
        facts={
            "resident_mib": [round(resident_mib(pid), 1) for pid in pids],
            "peak_mib": [round(peak_mib(pid), 1) for pid in pids],
        },
    )
    return _result(servers, "serve-idle", mode, [Pair(most, Figure(limit), (speed, speed))], "MiB")


def _result(servers: Servers, case: str, mode: str, pairs: Sequence[Pair], unit: str) -> Result:
    return from_pairs(
        case,
        pairs,
        unit=unit,
        better="lower",
        reach=1.0,
        versions=servers.versions,
        facts={"mode": mode, "against": "the limit"},
    )
