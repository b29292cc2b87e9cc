"""How long nothing became durable on a target, above all around a change of size."""

import json
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Final

import psycopg

from tests.scenario.running import wall
from tests.servers.postgres import Database

LOOK_SECONDS: Final = 0.01

COMMITS: Final = b"SELECT sum(seq) FROM penstock.checkpoint WHERE starts_with(lane, 'public.')"


def swinging(seconds: int) -> tuple[str, ...]:
    """The command of a worker whose size changes every so many seconds."""
    return (sys.executable, "-m", "tests.scenario.swinging", str(seconds))


class Moves:
    """When a target's checkpoints were seen to move; looked at every hundredth of a second."""

    def __init__(self, target: Database) -> None:
        self._target = target
        self._over = threading.Event()
        self.times: list[float] = []
        """Wall times at which more was durable than the time before; the first is the start's."""
        self.looked_apart = 0.0
        """Longest time between two looks: no pause is known any better."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look inside the context."""
        thread = threading.Thread(target=self._look, name="moves")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _look(self) -> None:
        commits, looked = -1, time.time()
        with psycopg.connect(self._target.dsn, autocommit=True) as connection:
            while not self._over.wait(LOOK_SECONDS):
                row = connection.execute(COMMITS, prepare=True).fetchone()
                now = time.time()
                self.looked_apart = max(self.looked_apart, now - looked)
                looked = now
                if row is not None and row[0] != commits:
                    commits = row[0]
                    self.times.append(now)


def resizes(log: Iterable[str]) -> Sequence[float]:
    """Wall times at which the size was changed, by a log in JSON."""
    return [wall(json.loads(line)) for line in log if "capacity goes from" in line]


def pauses(times: Sequence[float], changes: Sequence[float]) -> Sequence[float]:
    """For each change the longest time between two moves, from it to the next change. One that had
    begun before counts whole. Changes after the last move do not count: the work was over."""
    gaps = list(pairwise(times))
    found: list[float] = []
    for begin, end in pairwise([*changes, float("inf")]):
        lengths = [after - before for before, after in gaps if after > begin and before < end]
        if lengths and begin < times[-1]:
            found.append(max(lengths))
    return found
