"""Crash a scenario at every step: the run is forked before each one, and the copy crashes there.

Two crashes between which no server changed and no COMMIT was on its way differ in nothing but the
moment, so by default one of them is run (`every` runs both). The copy runs on to the scenario's
end and is compared whole. A copy that fails tells the one step that replays it.
"""

import os
import traceback
from dataclasses import dataclass, field
from typing import Final

from tests.simulation.loop import Process
from tests.simulation.run import simulate
from tests.simulation.scenario import Scenario
from tests.simulation.spell import Spell
from tests.simulation.world import World

TEXT_BYTES_MAX: Final = 60_000


@dataclass
class Crashes:
    """What came of crashing everywhere. `failed`: step -> what went wrong."""

    steps: int = 0
    points: int = 0
    failed: dict[int, str] = field(default_factory=dict[int, str])


class _Forker:
    """Called before every step of every process; `number` is the one that is crashed."""

    def __init__(
        self, crashes: Crashes, number: int, first: int, stride: int, *, every: bool
    ) -> None:
        self.crashes = crashes
        self.copy = False
        """We are the copy that crashed."""
        self.pipe = -1
        self._number = number
        self._first = first
        self._stride = stride
        self._every = every
        self._seen: tuple[object, ...] = ()

    def __call__(self, world: World, process: Process) -> None:
        if self.copy or process is not world.process(self._number):
            return
        state = (world.source.work, world.target.work, *world.decider.committing)
        if state == self._seen and not self._every:
            return
        self._seen = state
        self.crashes.points += 1
        if (self.crashes.points - self._first) % self._stride == 0:
            self._fork(world, process.steps + 1)

    def _fork(self, world: World, step: int) -> None:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            self.copy, self.pipe = True, writing
            world.loop.forked()
            world.crash(world.clients[self._number])
            return
        os.close(writing)
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        _, status = os.waitpid(child, 0)
        if text or status:
            self.crashes.failed[step] = text or f"the copy died with status {status}"


def crash_everywhere(
    scenario: Scenario,
    seed: int,
    *,
    first: int = 0,
    stride: int = 1,
    every: bool = False,
) -> Crashes:
    """Crash at every point (`stride`: at every n-th, from `first` on)."""
    crashes = Crashes()
    forker = _Forker(crashes, scenario.crashed, first, stride, every=every)
    try:
        report = simulate(scenario, Spell(seed), watch=forker)
    except BaseException:
        if forker.copy:
            _leave(forker, traceback.format_exc())
        raise
    if forker.copy:
        _leave(forker, "")
    crashes.steps = report.steps
    return crashes


def _leave(forker: _Forker, text: str) -> None:
    """The copy's end: nothing of the test runner's may run in it."""
    os.write(forker.pipe, text[-TEXT_BYTES_MAX:].encode())
    os._exit(0)
