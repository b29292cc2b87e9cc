"""Full load and hand-over under writers, killed in every phase."""

import random
import signal
import time
from collections.abc import Sequence
from typing import Final

import pytest

from engine.model.state import FRONTIER
from tests.scenario.conftest import Replicate, one_pair
from tests.scenario.running import Event, Replication
from tests.scenario.workload import broken_rules, create
from tests.scenario.writers import Writers
from tests.servers.postgres import Database

SEED = random.SystemRandom().randrange(1 << 32)


POINTS: Final = (
    "ownership.claimed:1",
    "load.planned:1",
    "load.chunk-before-commit:1",
    "load.chunk-done:1",
    "load.chunk-before-commit:4",
    "load.table-loaded:1",
    "load.chunk-done:6",
    "load.table-loaded:2",
    "load.chunk-done:4",
    "apply.before-commit:1",
    "apply.after-commit:2",
    "apply.before-commit:9",
)
"""Where it is killed, in this order: a load goes on where it was, and takes that many starts.
Before a chunk is committed, between chunks, after tables, catching up."""


def _kill_at(replication: Replication, point: str) -> bool:
    """False: the load was through before it came there."""
    load = point.startswith("load.")

    def ended(event: Event) -> bool:
        return event["event"] == "restarting" or (load and event.get("state") == "streaming")

    with replication.run(PENSTOCK_FAILPOINT=point) as run:
        event = run.await_event(lambda e: "table" not in e and ended(e), point)
        run.kill_supervisor()
    return bool(event["event"] == "restarting")


def _kill_starting(replication: Replication, chosen: random.Random) -> None:
    """At any moment of a start."""
    with replication.run() as run:
        run.event("started")
        time.sleep(chosen.uniform(0.0, 0.25))
        run.kill_supervisor()


def _story(
    replication: Replication, points: Sequence[str], *, starts: int, missed_max: int = 0
) -> None:
    """Kills at these points under writers, some at any moment between; then all is compared."""
    missed = []
    chosen = random.Random(SEED)
    create(replication.source, loading=True)
    with Writers(replication.source, seed=SEED, loading=True):
        for number, point in enumerate(points):
            if number < starts:
                _kill_starting(replication, chosen)
            if not _kill_at(replication, point):
                missed.append(point)
    assert len(missed) <= missed_max, missed
    replication.catch_up()
    assert replication.differences() == [], f"seed {SEED}"
    assert broken_rules(replication.target) == []
    assert replication.state("public.heap") == "streaming"


def _replication(replicate: Replicate, mode: str) -> Replication:
    return replicate(
        load={"rows_per_chunk": 1000, "parallel_tables": 2},
        source={"without_identity": "insert-only"},
        apply={"mode": mode},
    )


def test_kills_in_every_phase_of_the_load_lose_and_repeat_nothing(replicate: Replicate) -> None:
    _story(_replication(replicate, "table-parallel"), POINTS[::2], starts=3)


def test_kills_in_the_load_lose_and_repeat_nothing_in_transactional_mode(
    replicate: Replicate,
) -> None:
    _story(_replication(replicate, "transactional"), POINTS[2::3], starts=2)


@one_pair
@pytest.mark.nightly
@pytest.mark.parametrize("mode", ["table-parallel", "transactional"])
def test_many_kills_in_the_load(replicate: Replicate, mode: str) -> None:
    """What one kill leaves to the next depends on the loaders' and the writers' speed, so the load
    may be through before it came to all of them."""
    points = [point for point in POINTS for _ in range(3)]
    missed_max = len(points) - len(POINTS)
    _story(_replication(replicate, mode), points, starts=len(points), missed_max=missed_max)


def test_a_worker_that_dies_in_the_load_is_started_again_without_anybody(
    replicate: Replicate,
) -> None:
    replication = replicate(
        load={"rows_per_chunk": 1000, "parallel_tables": 1},
        source={"without_identity": "insert-only"},
    )
    create(replication.source, loading=True)
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


TIED: Final = (
    "CREATE TABLE parent (id int PRIMARY KEY);"
    "CREATE TABLE child (id int PRIMARY KEY, parent int NOT NULL REFERENCES parent);"
)


@pytest.mark.parametrize("prepare", ["do-nothing", "truncate"])
def test_tables_that_are_there_with_their_foreign_keys_are_loaded_in_any_order(
    replicate: Replicate, prepare: str
) -> None:
    replication = replicate(load={"prepare": prepare, "rows_per_chunk": 5000})
    replication.source.execute(
        TIED + "INSERT INTO parent SELECT generate_series(1, 40000);"
        "INSERT INTO child SELECT n, 40000 FROM generate_series(1, 10) n"
    )
    replication.target.execute(TIED)
    replication.catch_up()
    assert replication.differences() == []
    assert replication.target.execute(
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"
    ) == [(1,)]


HOLDING: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    " AND datname = current_database() AND state = 'idle in transaction'"
    " AND backend_xmin IS NOT NULL"
)
"""Sessions that keep the source from cleaning up dead rows, and do nothing."""


@one_pair
def test_the_snapshot_of_a_new_slot_is_let_go_where_nothing_is_loaded(
    replicate: Replicate, source: Database, target: Database
) -> None:
    """Every table is loaded, the slot and the place in its log are gone: it begins anew there."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    replication = replicate()
    with replication.run() as run:
        run.state("streaming")
        assert run.stop() == 0
    source.execute(f"SELECT pg_drop_replication_slot('{replication.slot}')")
    target.execute(f"DELETE FROM penstock.checkpoint WHERE lane = '{FRONTIER}'")
    with replication.run() as run:
        run.state("streaming")
        there = f"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{replication.slot}'"
        assert source.execute(there) == [(1,)]
        assert source.execute(HOLDING) == [(0,)]
        source.execute("INSERT INTO t VALUES (2)")
        replication.await_applied(run)
        assert run.stop() == 0
    assert replication.differences() == []
