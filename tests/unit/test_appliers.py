"""The number of appliers follows the provision while they apply."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import cast

import pytest

from engine import appliers
from engine.appliers import Appliers
from engine.apply.checkpoint import Checkpoint
from engine.apply.lane import Lane
from engine.checkpoint.sessions import Sessions
from engine.config.capacity import CapacityConfig
from engine.contracts import TargetSession, TargetTransaction
from engine.errors import FencedError, TargetBusyError, TargetConnectionError, TargetError
from engine.model.finding import Finding, Severity
from engine.model.relation import TableName
from engine.model.state import Fence, LaneRow
from engine.observe.log import Line, Log
from engine.provision import Provision
from tests.unit.apply.bench import Bench, Clock, accounts, copies, insert, segment

ACCOUNTS, COPIES = accounts(), copies()
A, K = ACCOUNTS.relation, COPIES.relation


class Gate:
    """Lets no transaction commit while it is closed."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.reached = 0


class GatedSession:
    """A session that stops before it commits, at a gate."""

    def __init__(
        self, session: TargetSession, gate: Gate, places: list[Finding | TargetError]
    ) -> None:
        self._session = session
        self._gate = gate
        self._places = places

    @property
    def identity(self) -> tuple[int, str]:
        return self._session.identity

    @property
    def broken(self) -> bool:
        return self._session.broken

    async def ready(self) -> Finding | None:
        place = self._places.pop(0) if self._places else None
        if isinstance(place, TargetError):
            raise place
        return place

    @asynccontextmanager
    async def begin(self, fences: Sequence[Fence] = ()) -> AsyncIterator[TargetTransaction]:
        async with self._session.begin(fences) as transaction:
            self._gate.reached += 1
            await self._gate.open.wait()
            yield transaction


class Target:
    """In the place of `Sessions`: counts those that are open; `refusals` come first."""

    def __init__(self, bench: Bench, *refusals: TargetError | None) -> None:
        self._bench = bench
        self.refusals = list(refusals)
        self.gate = Gate()
        self.places: list[Finding | TargetError] = []
        """What `ready` of the next sessions comes to."""
        self.open_now = 0
        self.asked = 0
        self.opening = 0
        self.opening_most = 0
        """Most that were ever being opened at once."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Sequence[TargetSession]]:
        self.asked += 1
        if self.refusals and (refusal := self.refusals.pop(0)) is not None:
            raise refusal
        async with self._bench.more_session() as session:
            self.opening += 1
            self.opening_most = max(self.opening, self.opening_most)
            await asyncio.sleep(0)
            self.opening -= 1
            self.open_now += 1
            try:
                yield [cast(TargetSession, GatedSession(session, self.gate, self.places))]
            finally:
                self.open_now -= 1


class Running:
    """Appliers of a bench with a lane for each of its tables."""

    def __init__(self, bench: Bench, target: Target, units: int) -> None:
        self.bench = bench
        self.target = target
        self.provision = Provision(CapacityConfig(appliers_per_unit=1).budget, units)
        self.lines: list[Line] = []
        log = Log(self.lines.append, Clock())
        sessions = cast(Sessions, target)
        self.task = asyncio.create_task(
            Appliers(bench.station, sessions, self.provision, log).run()
        )

    @property
    def serving(self) -> int:
        return self.bench.scheduler.serving

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5.0):
            while not condition() and not self.task.done():
                await asyncio.sleep(0.001)
        assert condition()

    def has(self, appliers: int) -> bool:
        return self.serving == appliers == self.target.open_now

    def lane(self, table: str) -> Lane:
        checkpoint = Checkpoint(table, 1, 0, "0/0")
        scheduler = self.bench.scheduler
        return Lane(table, {TableName("public", table): checkpoint}, wake=scheduler.wake)


@asynccontextmanager
async def started(*refusals: TargetError | None, units: int = 1) -> AsyncIterator[Running]:
    bench = Bench([accounts(), copies()], rows_max=1)
    async with bench.session():
        running = Running(bench, Target(bench, *refusals), units)
        try:
            yield running
        finally:
            running.task.cancel()
            with suppress(asyncio.CancelledError):
                await running.task


async def test_appliers_come_and_go_with_the_size() -> None:
    async with started() as running:
        await running.until(lambda: running.serving == 1)
        for units in (4, 2, 8, 1):
            running.provision.resize(units)
            await running.until(partial(running.has, units))


async def test_sessions_are_opened_a_few_at_a_time_and_none_waits_for_the_last() -> None:
    async with started(units=64) as running:
        await running.until(lambda: running.serving > 0)
        assert running.target.opening_most <= appliers.OPENING_MAX < 64
        await running.until(partial(running.has, 64))
        assert running.target.opening_most == appliers.OPENING_MAX


async def test_one_that_is_too_many_leaves_when_its_batch_is_durable_and_no_sooner() -> None:
    async with started(units=2) as running:
        target = running.target
        lanes = {relation: running.lane(relation.name) for relation in (A, K)}
        target.gate.open.clear()
        for number, key in ((1, b"1"), (2, b"2")):
            for relation, lane in lanes.items():
                lane.offer(segment(number, insert(relation, key, b"x")))
        await running.until(lambda: target.gate.reached == 2)
        running.provision.resize(1)
        await asyncio.sleep(0.02)
        assert (running.serving, target.open_now) == (2, 2)
        assert all(lane.busy for lane in lanes.values())
        target.gate.open.set()
        await running.until(partial(running.has, 1))
        await running.bench.scheduler.idle()
        for table in (ACCOUNTS, COPIES):
            assert running.bench.rows(table) == [(b"1", b"x"), (b"2", b"x")]
            assert running.bench.checkpoint(table) == LaneRow(1, 2, "0/D2")


async def test_a_size_that_is_taken_back_while_a_session_is_opened_leaves_none_too_many() -> None:
    async with started() as running:
        await running.until(lambda: running.serving == 1)
        running.provision.resize(8)
        await asyncio.sleep(0)
        running.provision.resize(2)
        await running.until(partial(running.has, 2))


async def test_what_the_target_does_not_give_is_gone_without_said_once_and_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(appliers, "AGAIN_SECONDS", 0.01)
    full = TargetConnectionError("too many connections")
    async with started(None, full, full, full) as running:
        await running.until(lambda: running.serving == 1)
        running.provision.resize(2)
        await running.until(lambda: running.target.asked == 5)
        await running.until(lambda: running.serving == 2)
        (line,) = running.lines
        assert line.fields["action"] == "appliers.refused"
        assert line.fields["appliers"] == 1


async def test_one_that_gets_no_place_on_the_server_is_given_no_work() -> None:
    none_left = TargetBusyError("no place is left")
    async with started() as running:
        await running.until(partial(running.has, 1))
        running.target.places = [
            Finding("origin-room", Severity.TELLS, "stays unmarked"),
            none_left,
        ]
        running.provision.resize(2)
        await running.until(partial(running.has, 2))
        running.provision.resize(3)
        await running.until(lambda: len(running.lines) == 2)
        assert running.serving == 2
        assert [line.fields["action"] for line in running.lines] == [
            "appliers.without",
            "appliers.refused",
        ]


async def test_a_target_with_room_for_some_is_served_by_those_whoever_is_refused_first() -> None:
    """They are opened together, and a refusal comes sooner than a session is on record."""
    full = TargetBusyError("too many connections")
    async with started(full, None, full, None, units=4) as running:
        await running.until(lambda: running.serving == 2)
        assert running.target.asked == 4
        assert not running.task.done()


@pytest.mark.parametrize(
    "refusals",
    [(TargetConnectionError("no route"),), (None, FencedError("another owner"))],
    ids=["nobody serves", "another owns"],
)
async def test_what_nobody_can_do_without_ends_the_stream(
    refusals: tuple[TargetError | None, ...],
) -> None:
    async with started(*refusals) as running:
        if len(refusals) > 1:
            await running.until(lambda: running.serving == 1)
            running.provision.resize(2)
        with pytest.RaisesGroup(type(cast(TargetError, refusals[-1]))):
            await running.task
        running.task = asyncio.create_task(asyncio.sleep(0))
