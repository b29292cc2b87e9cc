"""The scheduler with appliers that divide a batch, help each other, and wait in a lane for more.

Beside it stand plain counts: of each division the shares that nobody has taken and those under way,
of each lane what waits in it. Appliers act one after the other as the machine says, and between two
acts everything runs that can.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.apply.checkpoint import Checkpoint
from engine.apply.lane import Lane
from engine.apply.scheduler import Division, Help, Scheduler
from engine.apply.shares import Share
from engine.model.position import LogPosition
from engine.model.relation import TableName
from tests.unit.apply.bench import accounts, insert, segment

A = accounts().relation
NAMES = "ab"
APPLIERS_MAX = 4

Task = asyncio.Task[None]


@dataclass
class Dividing:
    """A division as the model knows it."""

    division: Division
    mine: int = 0
    """Shares that the one who divided has under way: 0 or 1."""
    helped: list[Help] = field(default_factory=list[Help])
    left: int = 0
    """Shares that nobody has taken."""


class Divisions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.scheduler = Scheduler()
        self.lanes = {name: self._lane(name) for name in NAMES}
        self.asking: list[asyncio.Task[Lane | Help | None]] = []
        self.serving: set[str] = set()
        """Lanes whose applier is free to act."""
        self.parked: dict[str, Task] = {}
        """Lanes whose applier waits for more in them."""
        self.dividing: dict[str, Dividing] = {}
        """By the lane of who divided."""
        self.number = 0

    def _lane(self, name: str) -> Lane:
        checkpoint = Checkpoint(name, 1, 0, "0/0")
        return Lane(name, {TableName("public", name): checkpoint}, wake=self.scheduler.wake)

    def teardown(self) -> None:
        for task in (*self.asking, *self.parked.values()):
            task.cancel()
        self._run()
        self.loop.close()

    def _run(self) -> None:
        async def settled() -> None:
            for _ in range(8):
                await asyncio.sleep(0)

        self.loop.run_until_complete(settled())

    def _settle(self) -> None:
        """Let everything run that can, then see who was given what."""
        self._run()
        for task in [one for one in self.asking if one.done()]:
            self.asking.remove(task)
            work = task.result()
            if isinstance(work, Help):
                self._helps(work)
            elif work is not None:
                assert work.name not in self._busy, "a lane is on two appliers"
                self.serving.add(work.name)
        for name in [name for name, task in self.parked.items() if task.done()]:
            self.parked.pop(name).result()
            assert self.lanes[name].waiting
            self.serving.add(name)

    def _helps(self, work: Help) -> None:
        (found,) = [d for d in self.dividing.values() if d.division is work.division]
        assert all(work.share is not other.share for other in found.helped), "a share twice"
        found.left -= 1
        assert found.left >= 0
        found.helped.append(work)

    @property
    def _busy(self) -> set[str]:
        return self.serving | self.parked.keys() | self.dividing.keys()

    @property
    def _helping(self) -> int:
        return sum(len(d.helped) for d in self.dividing.values())

    # --- the stream -------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES))
    def fill(self, name: str) -> None:
        self._offer(name)
        self._settle()

    def _offer(self, name: str) -> None:
        self.number += 1
        self.lanes[name].offer(segment(self.number, insert(A, b"%d" % self.number, b"x")))

    # --- appliers ---------------------------------------------------------------------------------

    @precondition(lambda self: len(self.asking) + len(self._busy) + self._helping < APPLIERS_MAX)
    @rule()
    def ask(self) -> None:
        self.asking.append(self.loop.create_task(self.scheduler.take()))
        self._settle()

    @precondition(lambda self: self.serving)
    @rule(which=st.integers(0, 1), emptied=st.booleans())
    def give_back(self, which: int, emptied: bool) -> None:
        name = sorted(self.serving)[which % len(self.serving)]
        self.serving.remove(name)
        if emptied:
            self._empty(name)
        self.scheduler.give_back(self.lanes[name])
        self._settle()

    def _empty(self, name: str) -> None:
        while self.lanes[name].take(10, 1 << 30) is not None:
            pass

    @precondition(lambda self: self.serving)
    @rule(which=st.integers(0, 1))
    def wait_for_more(self, which: int) -> None:
        """As within a transaction whose end has not arrived."""
        name = sorted(self.serving)[which % len(self.serving)]
        self.serving.remove(name)
        self._empty(name)
        self.parked[name] = self.loop.create_task(self.scheduler.more(self.lanes[name]))
        self._settle()
        assert name in self.parked

    @precondition(lambda self: self.parked)
    @rule(which=st.integers(0, 1))
    def ask_for_idle_just_as_more_comes(self, which: int) -> None:
        """A drain that asks in the moment between the arrival and the applier's turn."""
        name = sorted(self.parked)[which % len(self.parked)]
        assert not self._idle_now(lambda: self._offer(name))
        self._settle()
        assert name in self.serving

    def _idle_now(self, first: Callable[[], None] = lambda: None) -> bool:
        """Whether `idle` gives at once; nothing else has its turn after what is done `first`."""

        async def asked() -> bool:
            first()
            asking = self.scheduler.idle()
            try:
                asking.send(None)
            except StopIteration:
                return True
            asking.close()
            return False

        return self.loop.run_until_complete(asked())

    # --- divisions --------------------------------------------------------------------------------

    @precondition(lambda self: self.serving)
    @rule(which=st.integers(0, 1), shares=st.integers(2, 4))
    def divide(self, which: int, shares: int) -> None:
        name = sorted(self.serving)[which % len(self.serving)]
        self.serving.remove(name)
        self._empty(name)
        given = [Share([], [], LogPosition(self.number)) for _ in range(shares)]
        found = Dividing(self.scheduler.divide(given), left=shares)
        self.dividing[name] = found
        self._take_mine(found)
        self._settle()

    def _take_mine(self, found: Dividing) -> None:
        """Who divides takes a share at once, before any helper has its turn."""
        if found.division.waiting:
            found.division.waiting.popleft()
            found.left -= 1
            found.mine = 1

    @precondition(lambda self: any(d.mine for d in self.dividing.values()))
    @rule(which=st.integers(0, 1))
    def divider_finishes_a_share(self, which: int) -> None:
        names = sorted(name for name, d in self.dividing.items() if d.mine)
        found = self.dividing[names[which % len(names)]]
        found.division.finished()
        found.mine = 0
        self._take_mine(found)
        self._settle()

    @precondition(lambda self: self._helping)
    @rule(which=st.integers(0, 3))
    def helper_finishes_a_share(self, which: int) -> None:
        helped = [(d, work) for d in self.dividing.values() for work in d.helped]
        found, work = helped[which % len(helped)]
        found.helped.remove(work)
        found.division.finished()
        self.scheduler.give_back(work)
        self._settle()

    @precondition(lambda self: self.dividing)
    @rule(which=st.integers(0, 1))
    def divider_goes_on_when_all_is_through(self, which: int) -> None:
        name = sorted(self.dividing)[which % len(self.dividing)]
        found = self.dividing[name]
        over = self.loop.create_task(found.division.over())
        self._settle()
        through = not (found.mine or found.helped or found.left)
        assert over.done() is through
        over.cancel()
        self._run()
        if through:
            del self.dividing[name]
            self.serving.add(name)

    # --- always -----------------------------------------------------------------------------------

    @invariant()
    def nobody_waits_beside_work(self) -> None:
        left = sum(d.left for d in self.dividing.values())
        ready = [name for name, lane in self.lanes.items() if lane.serviceable]
        assert not self.asking or not (left or set(ready) - self._busy)

    @invariant()
    def no_share_is_lost(self) -> None:
        for found in self.dividing.values():
            assert len(found.division.waiting) == found.left

    @invariant()
    def the_scheduler_knows_who_is_at_work(self) -> None:
        assert self.scheduler.busy == len(self._busy) + self._helping
        assert {name for name, lane in self.lanes.items() if lane.busy} == self._busy

    @invariant()
    def idle_is_told_when_there_is_nothing_but_waiting(self) -> None:
        at_work = self.serving or self.dividing or self._helping
        ready = any(lane.waiting for name, lane in self.lanes.items())
        assert self._idle_now() is not bool(at_work or ready)


Divisions.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestDividing = Divisions.TestCase
