"""Crash a scenario at every step: the run is forked before each one, and the copy crashes there.

Two crashes between which no server changed and no COMMIT was on its way differ in nothing but the
moment, so by default one of them is run (`every` runs both). The copy runs on to the scenario's
end and is compared whole. A copy that fails tells the one step that replays it.
"""

import json
import os
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tests.simulation.loop import Process
from tests.simulation.run import simulate
from tests.simulation.scenario import Scenario
from tests.simulation.spell import Spell
from tests.simulation.world import World

TEXT_CHARACTERS_MAX: Final = 40_000
"""Of a copy's failure: less than a pipe holds, so the copy never waits."""


@dataclass
class Crashes:
    """What came of crashing everywhere. `failed`: step -> what went wrong."""

    steps: int = 0
    points: int = 0
    """Steps at which a crash would differ from one before."""
    tried: int = 0
    failed: dict[int, str] = field(default_factory=dict[int, str])
    reached: Counter[str] = field(default_factory=Counter[str])
    copies_seconds: float = 0.0
    """Processor time of the copies."""


class _Forker:
    """Called before every step of every process; of the one that is crashed, `number`, it forks at
    every `stride`-th point from `first` on, never when that is 0."""

    def __init__(
        self, crashes: Crashes, number: int, first: int, stride: int, *, every: bool
    ) -> None:
        self.crashes = crashes
        self.world: World | None = None
        self.pipe = -1
        """Where a copy tells how it ended; -1 in the run that is copied."""
        self._number = number
        self._first = first
        self._stride = stride
        self._every = every
        self._seen: tuple[object, ...] = ()

    @property
    def copy(self) -> bool:
        """We are a copy that crashed."""
        return self.pipe >= 0

    def __call__(self, world: World, process: Process) -> None:
        if self.copy or process is not world.process(self._number):
            return
        state = (world.source.work, world.target.work, *world.decider.committing)
        if state == self._seen and not self._every:
            return
        self._seen = state
        point = self.crashes.points
        self.crashes.points += 1
        if self._stride and point % self._stride == self._first % self._stride:
            self._fork(world, process.steps + 1)

    def _fork(self, world: World, step: int) -> None:
        self.crashes.tried += 1
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # A test runner has threads of its own; the copy uses none of what they hold.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            os.close(reading)
            self.world, self.pipe = world, writing
            world.loop.forked()
            world.crash(world.clients[self._number])
            return
        os.close(writing)
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        _, status = os.waitpid(child, 0)
        told = json.loads(text) if text else {"failed": f"the copy died with status {status}"}
        if told["failed"]:
            self.crashes.failed[step] = told["failed"]
        self.crashes.reached.update(told.get("reached", {}))

    def leave(self, failed: str) -> None:
        """The copy's end: nothing of the test runner's may run in it."""
        assert self.world is not None
        told = {"failed": failed[-TEXT_CHARACTERS_MAX:], "reached": self.world.reached}
        os.write(self.pipe, json.dumps(told).encode())
        os._exit(0)


def crash_everywhere(
    scenario: Scenario, seed: int, *, first: int = 0, stride: int = 1, every: bool = False
) -> Crashes:
    """Crash at every point (`stride`: at every n-th, from `first` on; 0: count them only)."""
    crashes = Crashes()
    forker = _Forker(crashes, scenario.crashed, first, stride, every=every)
    copies = _children_seconds()
    try:
        report = simulate(scenario, Spell(seed), watch=forker)
    except BaseException:
        if forker.copy:
            forker.leave(traceback.format_exc())
        raise
    if forker.copy:
        forker.leave("")
    crashes.steps = report.steps
    crashes.copies_seconds = _children_seconds() - copies
    return crashes


def crash_sample(
    scenario: Scenario, seed: int, *, count: int, shard: int = 0, shards: int = 1
) -> Crashes:
    """Crash at `count` points or a few more, spread evenly, or at every one when there are not so
    many; of these at the given shard's."""
    points = crash_everywhere(scenario, seed, stride=0).points
    stride = max(1, points // count)
    return crash_everywhere(scenario, seed, first=shard * stride, stride=stride * shards)


def _children_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system
