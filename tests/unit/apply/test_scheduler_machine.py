"""The scheduler as a machine: lanes fill, appliers take, hold and give back, in any order.

Beside it stands a plain list of lanes in the order in which they became ready.
"""

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.apply.checkpoint import Checkpoint
from engine.apply.lane import Lane
from engine.apply.scheduler import Help, Scheduler
from engine.model.relation import TableName
from tests.unit.apply.bench import accounts, insert, segment

A = accounts().relation
NAMES = "abc"
APPLIERS_MAX = 4
LANES = st.sampled_from(NAMES)


class Scheduling(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.scheduler = Scheduler()
        self.lanes = {name: self._lane(name) for name in NAMES}
        self.ready: list[str] = []
        """Names in the order in which the lanes became ready."""
        self.appliers: list[asyncio.Task[Lane | None]] = []
        """Waiting, the oldest first."""
        self.between = 0
        """Those that have given a lane back and not asked again."""
        self.wanted = APPLIERS_MAX
        self.scheduler.staff(self.wanted)
        self.busy: set[str] = set()
        self.number = 0

    def _lane(self, name: str) -> Lane:
        checkpoint = Checkpoint(name, 1, 0, "0/0")
        return Lane(name, {TableName("public", name): checkpoint}, wake=self.scheduler.wake)

    def teardown(self) -> None:
        for applier in self.appliers:
            applier.cancel()
        self._settle()
        self.loop.close()

    def _settle(self) -> None:
        """Let everything run that can, then see who was given what."""

        async def settled() -> None:
            for _ in range(6):
                await asyncio.sleep(0)

        self.loop.run_until_complete(settled())
        for applier in [one for one in self.appliers if one.done()]:
            self.appliers.remove(applier)
            if applier.cancelled():
                self.between += 1
            elif (lane := applier.result()) is not None:
                self._taken(lane)
        if self.appliers:  # who still waits has passed over all that there was
            assert not any(self.lanes[name].serviceable for name in self.ready)
            self.ready.clear()

    def _taken(self, lane: Lane) -> None:
        """The one that waited longest and can be served; those that cannot are passed over."""
        assert lane.name not in self.busy, "a lane is on two appliers"
        while self.ready[0] != lane.name:
            passed = self.lanes[self.ready.pop(0)]
            assert passed.held or not passed.waiting or passed.busy
        self.ready.pop(0)
        assert lane.busy
        self.busy.add(lane.name)

    def _now_ready(self, name: str) -> None:
        lane = self.lanes[name]
        if lane.waiting and not lane.held and name not in self.busy and name not in self.ready:
            self.ready.append(name)

    # --- the stream -------------------------------------------------------------------------------

    @rule(name=LANES)
    def fill(self, name: str) -> None:
        self.number += 1
        self.lanes[name].offer(segment(self.number, insert(A, b"%d" % self.number, b"x")))
        self._now_ready(name)
        self._settle()

    @rule(name=LANES)
    def hold(self, name: str) -> None:
        self.lanes[name].held = True

    @rule(name=LANES)
    def let_go(self, name: str) -> None:
        self.lanes[name].held = False
        self._now_ready(name)
        self.scheduler.wake(self.lanes[name])
        self._settle()

    # --- the appliers -----------------------------------------------------------------------------

    async def _take(self) -> Lane | None:
        work = await self.scheduler.take()
        assert not isinstance(work, Help)  # nobody divides a batch here
        return work

    @precondition(lambda self: len(self.appliers) + len(self.busy) < APPLIERS_MAX)
    @rule(count=st.integers(1, 2))
    def ask(self, count: int) -> None:
        for _ in range(count):
            if self.between:
                self.between -= 1
            else:
                self.scheduler.join()
            self.appliers.append(self.loop.create_task(self._take()))
        self._settle()

    @rule(wanted=st.integers(1, APPLIERS_MAX))
    def resize(self, wanted: int) -> None:
        """Those that wait leave at once, those that apply do when they come to ask."""
        self.wanted = wanted
        self.scheduler.staff(wanted)
        self._settle()

    @precondition(lambda self: self.appliers)
    @rule(name=LANES, wanted=st.integers(1, APPLIERS_MAX))
    def resize_as_one_is_called(self, name: str, wanted: int) -> None:
        """Who leaves may have been called for a lane: another one is to come."""
        self.number += 1
        self.lanes[name].offer(segment(self.number, insert(A, b"%d" % self.number, b"x")))
        self._now_ready(name)
        self.resize(wanted)

    @precondition(lambda self: self.appliers)
    @rule(which=st.integers(0, 3))
    def cancel(self, which: int) -> None:
        """What an applier would have been given goes to another."""
        self.appliers[which % len(self.appliers)].cancel()
        self._settle()

    @precondition(lambda self: self.appliers)
    @rule(name=LANES, which=st.integers(0, 3))
    def cancel_as_it_is_called(self, name: str, which: int) -> None:
        """The same just as a lane wakes it."""
        self.number += 1
        self.lanes[name].offer(segment(self.number, insert(A, b"%d" % self.number, b"x")))
        self._now_ready(name)
        self.cancel(which)

    @precondition(lambda self: self.busy)
    @rule(which=st.integers(0, 5), emptied=st.booleans())
    def give_back(self, which: int, emptied: bool) -> None:
        name = sorted(self.busy)[which % len(self.busy)]
        lane = self.lanes[name]
        while emptied and lane.take(10, 1 << 30) is not None:
            pass
        self.busy.remove(name)
        self.between += 1
        self._now_ready(name)
        self.scheduler.give_back(lane)
        self._settle()

    # --- always -----------------------------------------------------------------------------------

    @invariant()
    def nobody_waits_beside_work(self) -> None:
        servable = [lane for lane in self.lanes.values() if lane.serviceable]
        assert not servable or not self.appliers

    @invariant()
    def only_as_many_wait_as_are_wanted(self) -> None:
        serving = len(self.appliers) + len(self.busy) + self.between
        assert self.scheduler.serving == serving
        assert not self.appliers or serving <= self.wanted

    @invariant()
    def the_scheduler_knows_who_is_at_work(self) -> None:
        assert self.scheduler.busy == len(self.busy)
        assert {name for name, lane in self.lanes.items() if lane.busy} == self.busy

    @invariant()
    def idle_is_told_when_there_is_nothing(self) -> None:
        idle = self.loop.create_task(self.scheduler.idle())
        self._settle()
        told = idle.done()
        idle.cancel()
        self._settle()
        work = bool(self.busy) or any(lane.serviceable for lane in self.lanes.values())
        assert told is not work or (told is False and bool(self.ready))


Scheduling.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestScheduling = Scheduling.TestCase
