"""Full load and hand-over under writers, killed in every phase."""

import random
import signal
import time
from typing import Final

import pytest

from tests.scenario.conftest import Replicate
from tests.scenario.running import Replication
from tests.scenario.workload import LOAD_SCHEMA, SCHEMA, Writers, broken_rules

SEED = random.SystemRandom().randrange(1 << 32)


POINTS: Final = (
    "ownership.claimed:1",
    "load.planned:1",
    "load.chunk-before-commit:1",
    "load.chunk-before-commit:4",
    "load.chunk-done:1",
    "load.chunk-done:6",
    "load.table-loaded:1",
    "load.table-loaded:2",
    "load.chunk-done:4",
    "apply.before-commit:1",
    "apply.after-commit:2",
    "apply.before-commit:9",
)
"""Where it is killed, in this order: a load goes on where it was, and takes that many starts.
Before a chunk is committed, between chunks, after tables, catching up."""


def _kill_in_every_phase(replication: Replication, chosen: random.Random) -> None:
    """At the points above, and between two of them at any moment of the start."""
    for point in POINTS:
        with replication.run() as run:
            run.event("started")
            time.sleep(chosen.uniform(0.0, 0.25))
            run.kill_supervisor()
        with replication.run(PENSTOCK_FAILPOINT=point) as run:
            run.await_event(lambda e: e["event"] in ("restarting", "ended"), point)
            run.kill_supervisor()


@pytest.mark.parametrize("mode", ["table-parallel", "transactional"])
def test_kills_in_every_phase_of_the_load_lose_and_repeat_nothing(
    replicate: Replicate, mode: str
) -> None:
    replication = replicate(
        load={"rows_per_chunk": 1000, "parallel_tables": 2},
        source={"without_identity": "insert-only"},
        apply={"mode": mode},
    )
    replication.source.execute(SCHEMA + LOAD_SCHEMA)
    with Writers(replication.source, seed=SEED, loading=True):
        _kill_in_every_phase(replication, random.Random(SEED))
    replication.catch_up()
    assert replication.differences() == [], f"seed {SEED}"
    assert broken_rules(replication.target) == []
    assert replication.state("public.heap") == "streaming"


def test_a_worker_that_dies_in_the_load_is_started_again_without_anybody(
    replicate: Replicate,
) -> None:
    replication = replicate(
        load={"rows_per_chunk": 1000, "parallel_tables": 1},
        source={"without_identity": "insert-only"},
    )
    replication.source.execute(SCHEMA + LOAD_SCHEMA)
    with Writers(replication.source, loading=True) as writers, replication.run() as run:
        run.await_event(lambda e: e["event"] == "table" and e["rows"], "a chunk")
        run.kill_worker()
        run.event("restarting")
        run.state("streaming")
        writers.stop()
        replication.await_applied(run)
        run.process.send_signal(signal.SIGINT)
        assert run.wait() == 0
    assert replication.differences() == []
