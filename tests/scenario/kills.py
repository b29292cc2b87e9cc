"""kill -9 at random moments while writers run, then every table compared whole.

    python -m tests.scenario.kills --count 200 [--seed N] [--mode key-parallel] [--load]

A third of the kills ends the supervisor, and the worker must die with it; the others end the worker
alone, and the supervisor starts the next. Half of them come while a worker starts, a quarter when
it streams, a quarter after its first durable progress, whose time from the start of its process is
measured: which it is to be is chosen before, so a slow start is measured like any other. No start
is given a flag.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from tests.scenario.running import PATIENCE_SECONDS, Replication, Run, wall
from tests.scenario.workload import SCHEMA, Writers, audited, broken_rules
from tests.servers.postgres import Cluster, Database

START_SECONDS: Final = 0.8
"""A worker's start takes about this long: kills fall anywhere in it."""

EARLY_MAX: Final = 3
"""Kills in a row that may come before a worker streams: a supervisor whose workers never get that
far gives up after five, as it should."""

STREAM_SECONDS: Final = 0.6
"""How far into streaming, or behind the first progress, a kill may fall."""

PROGRESS: Final = "SELECT coalesce(sum(seq), 0) FROM penstock.checkpoint WHERE replication = %s"
"""Grows with every transaction of a replication that is durable on the target."""

PROGRESS_LOOK_SECONDS: Final = 0.01


class Killer:
    """Kills `penstock run` again and again; the same seed chooses the same moments."""

    def __init__(self, replication: Replication, seed: int, *, measuring: bool = True) -> None:
        """`measuring`: the target has positions, and writers run."""
        self._measuring = measuring
        self._replication = replication
        self._random = random.Random(seed)
        self._run: Run | None = None
        self._early = 0
        self.kills = 0
        self.to_progress: list[float] = []
        """Seconds from the start of a worker's process to its first durable progress."""

    def run(self, count: int) -> None:
        """Make so many kills; leaves nothing running."""
        goal = self.kills + count
        while self.kills < goal:
            with self._replication.run() as run:
                self._kill_workers(run, goal)

    def _kill_workers(self, run: Run, goal: int) -> None:
        """Kill workers of this run until the supervisor is killed too."""
        seen = 0
        while True:
            began = run.mark if seen else 0
            run.event("started", after=seen)
            self._await_moment(run, seen)
            self.kills += 1
            both = self.kills >= goal or self._random.random() < 1 / 3
            if both:
                run.kill_supervisor()
                return
            seen = max(run.mark, began)
            run.kill_worker()

    def _await_moment(self, run: Run, seen: int) -> None:
        if self._random.random() < 0.5 and self._early < EARLY_MAX:
            self._early += 1
            time.sleep(self._random.uniform(0, START_SECONDS))
            return
        self._early = 0
        if self._measuring and self._random.random() < 0.5:
            self._measure(run, seen)
        else:
            run.state("streaming", after=seen)
        time.sleep(self._random.uniform(0, STREAM_SECONDS))

    def _measure(self, run: Run, seen: int) -> None:
        """Wait for the first durable progress of a worker that has just started: its predecessor's
        last COMMIT has long come to an end, one way or the other."""
        target, name = self._replication.target, self._replication.id
        with psycopg.connect(target.dsn, autocommit=True) as connection:
            before = connection.execute(PROGRESS, [name]).fetchone()
            deadline = time.monotonic() + PATIENCE_SECONDS
            while connection.execute(PROGRESS, [name]).fetchone() == before:
                if time.monotonic() > deadline:
                    raise AssertionError(f"no progress in {PATIENCE_SECONDS} s\n{run.story()}")
                time.sleep(PROGRESS_LOOK_SECONDS)
        self.to_progress.append(time.time() - _process_began(run, seen))


def _process_began(run: Run, seen: int) -> float:
    """When the newest worker's process was started: with its supervisor, or by it."""
    again = [event for event in run.events[seen:] if event["event"] == "restarting"]
    return wall(again[-1]) + float(again[-1]["delay_seconds"]) if again else run.began


def applying(mode: str) -> dict[str, object]:
    """How to apply in a mode: in key-parallel, batches as small as these are divided too."""
    return {"mode": mode, "share_rows_min": 1} if mode == "key-parallel" else {"mode": mode}


def check(replication: Replication, writers: Writers) -> int:
    """Stop writing, let a last start catch up, compare everything; the transactions written."""
    committed = writers.stop()
    replication.catch_up()
    found = replication.differences()
    assert not found, found
    assert not broken_rules(replication.target)
    return committed


@dataclass(frozen=True, slots=True)
class Killed:
    """What came of it: transactions written meanwhile, and seconds to each measured start's first
    progress."""

    committed: int
    to_progress: Sequence[float]


def kill_and_compare(
    replication: Replication,
    *,
    count: int,
    seed: int,
    transactional: bool = False,
    measuring: bool = True,
) -> Killed:
    """The whole story, on a source that has the workload's tables."""
    killer = Killer(replication, seed, measuring=measuring)
    writers = Writers(replication.source, seed=seed)
    try:
        with writers:
            with maybe_audited(replication, transactional):
                killer.run(count)
            return Killed(check(replication, writers), killer.to_progress)
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise


@contextmanager
def maybe_audited(replication: Replication, transactional: bool) -> Iterator[None]:
    """In transactional mode no reading of the target may show what the source never was."""
    if not transactional:
        yield
        return
    with audited(replication.target):
        yield


def prepare(replication: Replication, *, loaded: bool) -> None:
    """The workload's tables; `loaded`: a first run has brought them to the target."""
    replication.source.execute(SCHEMA)
    if loaded:
        replication.catch_up()


def kill_between(
    source: Cluster, target: Cluster, *, count: int, seed: int, mode: str, load: bool
) -> Killed:
    """The whole story on fresh databases of these servers. `load`: kill in the full load too."""
    name = f"kills_{seed}"
    start, end = Database.create(source, f"{name}_from"), Database.create(target, f"{name}_to")
    with tempfile.TemporaryDirectory() as folder:
        replication = Replication.between(
            Path(folder), f"kills-{seed}", start, end, apply=applying(mode)
        )
        prepare(replication, loaded=not load)
        transactional = mode == "transactional" and not load
        killed = kill_and_compare(
            replication, count=count, seed=seed, transactional=transactional, measuring=not load
        )
    start.drop()
    end.drop()
    return killed


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.scenario.kills", description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--mode", default="table-parallel")
    parser.add_argument("--source", default="15", help="major version of PostgreSQL")
    parser.add_argument("--target", default="18", help="major version of PostgreSQL")
    parser.add_argument("--load", action="store_true", help="kill in the full load too")
    given = parser.parse_args()
    sys.stdout.write(f"seed {given.seed}\n")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with Cluster(given.source) as source, Cluster(given.target) as target:
        began = time.monotonic()
        killed = kill_between(
            source, target, count=given.count, seed=given.seed, mode=given.mode, load=given.load
        )
        took = time.monotonic() - began
        sys.stdout.write(
            f"{given.count} kills in {took:.0f} s over {killed.committed} transactions: "
            "0 differences\n"
        )
        if killed.to_progress:
            shown = " ".join([f"{seconds:.2f}" for seconds in sorted(killed.to_progress)])
            sys.stdout.write(f"seconds from a start to its first progress: {shown}\n")


if __name__ == "__main__":
    main()
