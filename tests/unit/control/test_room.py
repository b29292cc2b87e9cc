import asyncio

import pytest

from engine.config.capacity import CapacityConfig
from engine.control.ledger import Ledger, TooLargeError
from engine.control.room import Room
from engine.control.size import Size


class Waited:
    """How often somebody was told to wait."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self) -> None:
        self.count += 1


async def test_who_finds_room_does_not_wait() -> None:
    room, waited = Room(Ledger(100)), Waited()
    await room.hold("a", 60, waited)
    assert not waited.count
    assert room.ledger.held == {"a": 60}


async def test_who_waits_has_it_when_another_gives_it_back() -> None:
    room, waited = Room(Ledger(100)), Waited()
    await room.hold("a", 60, waited)
    turn = asyncio.create_task(room.hold("b", 60, waited))
    while not waited.count:
        await asyncio.sleep(0)
    room.release("a")
    await turn
    assert room.ledger.held == {"b": 60}


async def test_who_waits_has_it_when_another_shrinks() -> None:
    room, waited = Room(Ledger(100)), Waited()
    await room.hold("a", 100, waited)
    turn = asyncio.create_task(room.hold("b", 60, waited))
    while not waited.count:
        await asyncio.sleep(0)
    assert room.grow("a", 40)
    await turn
    assert room.ledger.held == {"a": 40, "b": 60}


async def test_who_gives_up_waiting_leaves_the_line() -> None:
    room, waited = Room(Ledger(100)), Waited()
    await room.hold("a", 60, waited)
    turn = asyncio.create_task(room.hold("b", 60, waited))
    while not waited.count:
        await asyncio.sleep(0)
    turn.cancel()
    await asyncio.wait((turn,))
    assert not room.ledger.line
    assert room.ledger.held == {"a": 60}


async def test_more_than_there_is_is_refused_at_once() -> None:
    room, waited = Room(Ledger(100)), Waited()
    with pytest.raises(TooLargeError):
        await room.hold("a", 101, waited)
    assert not waited.count


UNIT = 128 << 20

CAPACITY = CapacityConfig(unit_memory_bytes=UNIT, units_min=1, units_max=8)


async def sized(total: int, units: int) -> tuple[Size, list[int]]:
    room = Room(Ledger(total * UNIT))
    await room.hold("a", units * UNIT, Waited())
    size, granted = Size("a", room, CAPACITY, units), list[int]()
    size.grant = granted.append
    return size, granted


async def test_a_worker_grows_into_what_is_free() -> None:
    size, granted = await sized(4, 1)
    size.wanted(4)
    assert granted == [4]
    assert size.units == 4


async def test_a_worker_is_told_nothing_where_nothing_is_free() -> None:
    size, granted = await sized(3, 1)
    size.wanted(4)
    assert not granted
    assert size.units == 1


async def test_nothing_off_the_ladder_is_granted() -> None:
    size, granted = await sized(64, 1)
    for units in (3, 16, 0, -1):
        size.wanted(units)
    assert not granted


async def test_what_is_given_back_is_free() -> None:
    size, _ = await sized(4, 4)
    size.kept(1)
    assert size.units == 1
    size.kept(2)
    assert size.units == 1, "nothing is taken by giving back"


async def test_after_a_death_for_want_of_memory_there_is_more_where_there_is() -> None:
    size, _ = await sized(2, 1)
    size.died()
    assert size.units == 2
    size.died()
    assert size.units == 2
