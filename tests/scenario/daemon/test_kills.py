"""kill -9 of the daemon and of workers at random moments, while writers run: state, positions and
data are whole afterwards. The nightly run has ten times as many."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.scenario import workload
from tests.scenario.daemon.replicated import Replicated, replicated, start
from tests.scenario.daemon.serving import Serving, workers_of
from tests.scenario.running import Replication
from tests.scenario.writers import Writers
from tests.servers.postgres import Database

SEED = random.SystemRandom().randrange(1 << 32)

LATEST_SECONDS = 4.0
"""A kill comes so long after a daemon listens, at most: from the taking up to the stream."""


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.nightly)])
def test_kills_at_random_moments_leave_everything_whole(
    kills: int, tmp_path: Path, source: Database, target: Database
) -> None:
    workload.create(source)
    chance = random.Random(SEED)
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "killed", source, target)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
    with Writers(source, seed=SEED, pause_seconds=0.01) as writers:
        while kills > 0:
            with Serving(tmp_path) as daemon:
                while kills > 0:
                    assert daemon.address
                    time.sleep(chance.uniform(0.0, LATEST_SECONDS))
                    kills -= 1
                    if chance.random() < 0.5:
                        daemon.kill()
                        break
                    for worker in workers_of(daemon.process.pid):
                        os.kill(worker, signal.SIGKILL)
    assert writers.committed
    with Serving(tmp_path) as daemon:
        whole(daemon, it, tmp_path)


def whole(daemon: Serving, it: Replicated, folder: Path) -> None:
    """Everything arrives, by one worker and one slot, and is told of."""
    between = Replication(folder / "none.toml", it.id, folder, it.source, it.target)
    daemon.await_status(it.arn, "running")
    daemon.until(lambda: not between.differences(), f"both sides to be equal (seed {SEED})")
    assert len(it.slots()) == 1
    assert len(workers_of(daemon.process.pid)) == 1

    def completed() -> bool:
        answer = daemon.client().describe_replication_table_statistics(ReplicationConfigArn=it.arn)
        states = {table["TableState"] for table in answer["ReplicationTableStatistics"]}
        return states == {"Table completed"}

    daemon.until(completed, "every table to be told of as completed")
