"""The number of copiers follows the provision while they copy."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest

from engine import copiers
from engine.config.capacity import CapacityConfig
from engine.contracts import TargetSession
from engine.copiers import Copiers
from engine.errors import FencedError, TargetBusyError, TargetError
from engine.load.loader import Loader, LoaderLane
from engine.observe.log import Line, Log
from engine.provision import Provision
from tests.unit.apply.bench import Clock


class Target:
    """In the place of `Sessions`; `refusals` come first."""

    def __init__(self) -> None:
        self.refusals: list[TargetError] = []
        self.open_now = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Sequence[TargetSession]]:
        if self.refusals:
            raise self.refusals.pop(0)
        self.open_now += 1
        try:
            yield [cast(TargetSession, object())]
        finally:
            self.open_now -= 1


class Load:
    """Pieces of work, each of which is done when somebody says so."""

    def __init__(self, pieces: int, lanes: int = 8) -> None:
        self.left = pieces
        self.target = Target()
        self.lines: list[Line] = []
        self.lanes: list[str] = []
        self.provision = Provision(CapacityConfig(copiers_per_unit=2).budget, 1)
        self.copiers = Copiers(
            self.target,
            [LoaderLane(f"load:{n}", 1, 0) for n in range(lanes)],
            self.provision,
            Log(self.lines.append, Clock()),
        )
        self._turns = asyncio.Semaphore(0)

    async def run(self) -> None:
        async with self.copiers.opened() as first:
            await self.copiers.run(self._work, lambda: self.left > 0, first)

    async def _work(self, loader: Loader) -> None:
        name = loader[1].name
        self.lanes.append(name)
        while self.left and not self.copiers.is_surplus(loader):
            self.left -= 1
            await self._turns.acquire()
        self.lanes.remove(name)

    async def done(self, pieces: int) -> None:
        for _ in range(pieces):
            self._turns.release()
            await settled()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_there_are_as_many_as_are_provisioned_each_with_a_lane_of_its_own() -> None:
    load = Load(20)
    running = asyncio.create_task(load.run())
    await settled()
    assert load.lanes == ["load:0", "load:1"]
    load.provision.resize(4)
    await settled()
    assert load.target.open_now == 8
    assert len(set(load.lanes)) == 8
    load.provision.resize(2)
    await settled()
    assert load.target.open_now == 8  # each is in the middle of its piece
    await load.done(5)  # the first one stays
    assert load.target.open_now == 4
    await load.done(20)
    await running
    assert (load.left, load.target.open_now, load.copiers.serving) == (0, 0, 0)


async def test_no_more_come_than_have_lanes_or_something_to_do() -> None:
    few = Load(20, lanes=3)
    few.provision.resize(16)
    running = asyncio.create_task(few.run())
    await settled()
    assert few.target.open_now == 3
    await few.done(20)
    await running
    one = Load(1)
    running = asyncio.create_task(one.run())
    await settled()
    assert one.target.open_now == 1
    await one.done(1)
    await running


async def test_what_the_target_does_not_give_is_said_once_and_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copiers, "AGAIN_SECONDS", 0.01)
    load = Load(20)
    running = asyncio.create_task(load.run())
    await settled()
    load.target.refusals = [TargetBusyError("too many connections") for _ in range(9)]
    load.provision.resize(2)
    async with asyncio.timeout(10):
        while load.target.open_now < 4:
            await asyncio.sleep(0.01)
    (line,) = load.lines
    assert line.fields["action"] == "copiers.refused"
    await load.done(20)
    await running


async def test_a_newer_owner_ends_them_all() -> None:
    load = Load(20)
    running = asyncio.create_task(load.run())
    await settled()
    load.target.refusals = [FencedError("a newer owner")]
    load.provision.resize(2)
    with pytest.raises(ExceptionGroup) as raised:
        await running
    assert raised.group_contains(FencedError)
    assert load.target.open_now == 0
