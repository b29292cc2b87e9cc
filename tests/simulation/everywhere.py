"""Crash or cancel a scenario at every step: the run is forked before each one, and that befalls the
copy.

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
from enum import StrEnum
from typing import Final

from tests.simulation.loop import Process
from tests.simulation.run import simulate
from tests.simulation.scenario import Scenario
from tests.simulation.spell import Spell
from tests.simulation.world import Client, World

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


class Strike(StrEnum):
    """What befalls the process."""

    CRASH = "crash"
    """Nothing of it runs any more."""
    CANCEL = "cancel"
    """Its task is cancelled: whatever it has open it closes, in the middle of what it was at."""

    def befall(self, world: World, client: Client) -> None:
        {Strike.CRASH: world.crash, Strike.CANCEL: world.cancel}[self](client)

    def spell(self, seed: int, step: int) -> Spell:
        """The one run that replays it."""
        crashes = self is Strike.CRASH
        return Spell(seed, crash_at=step) if crashes else Spell(seed, cancel_at=step)


class _Forker:
    """Called before every step of every process; of the one that is crashed, `number`, it forks at
    every `stride`-th point from `first` on, never when that is 0."""

    def __init__(
        self,
        crashes: Crashes,
        number: int,
        first: int,
        stride: int,
        strike: Strike,
        *,
        every: bool,
    ) -> None:
        self.crashes = crashes
        self.world: World | None = None
        self.pipe = -1
        """Where a copy tells how it ended; -1 in the run that is copied."""
        self._number = number
        self._first = first
        self._stride = stride
        self._strike = strike
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
            self._strike.befall(world, world.clients[self._number])
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
    scenario: Scenario,
    seed: int,
    *,
    first: int = 0,
    stride: int = 1,
    every: bool = False,
    strike: Strike = Strike.CRASH,
) -> Crashes:
    """Strike at every point (`stride`: at every n-th, from `first` on; 0: count them only)."""
    crashes = Crashes()
    forker = _Forker(crashes, scenario.crashed, first, stride, strike, every=every)
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
    scenario: Scenario,
    seed: int,
    *,
    count: int,
    shard: int = 0,
    shards: int = 1,
    strike: Strike = Strike.CRASH,
) -> Crashes:
    """Crash at `count` points or a few more, spread evenly, or at every one when there are not so
    many; of these at the given shard's."""
    points = crash_everywhere(scenario, seed, stride=0).points
    stride = max(1, points // count)
    first = shard * stride
    return crash_everywhere(scenario, seed, first=first, stride=stride * shards, strike=strike)


def _children_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system
