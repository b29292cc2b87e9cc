"""The queue holds at most its bytes, in order, whatever happens to those who wait."""

import asyncio

import pytest

from engine.errors import InvariantError
from engine.model.change import Block
from engine.queue.bounded import BoundedQueue, Budget


async def test_a_full_budget_stops_the_producer_until_bytes_are_released() -> None:
    queue = BoundedQueue(Budget(100))
    await queue.put(Block([], 60))
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(queue.put(Block([], 60)))
        await asyncio.sleep(0)
        assert not waiting.done()
        assert queue.budget.full
        queue.budget.release(60)
    assert queue.budget.used == 60
    assert len(queue) == 2


async def test_something_larger_than_the_budget_passes_alone() -> None:
    budget = Budget(100)
    await budget.reserve(1000)
    async with asyncio.TaskGroup() as tasks:
        small = tasks.create_task(budget.reserve(1))
        await asyncio.sleep(0)
        assert not small.done()
        budget.release(1000)
    assert budget.used == 1


async def test_bytes_granted_to_someone_cancelled_are_given_back() -> None:
    budget = Budget(10)
    await budget.reserve(10)
    waiting = asyncio.ensure_future(budget.reserve(5))
    await asyncio.sleep(0)
    budget.release(10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.used == 0
    assert not budget.full


async def test_one_who_is_cancelled_while_waiting_leaves_the_line() -> None:
    budget = Budget(10)
    await budget.reserve(10)
    first = asyncio.ensure_future(budget.reserve(10))
    second = asyncio.ensure_future(budget.reserve(1))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    budget.release(10)
    await second
    assert budget.used == 1


async def test_a_budget_that_shrinks_keeps_what_it_holds_and_takes_nothing_until_it_fits() -> None:
    budget = Budget(10)
    await budget.reserve(6)
    await budget.reserve(4)
    budget.resize(5)
    assert budget.used == 10
    waiting = asyncio.ensure_future(budget.reserve(1))
    await asyncio.sleep(0)
    budget.release(4)
    await asyncio.sleep(0)
    assert not waiting.done()
    budget.release(6)
    await waiting
    assert budget.used == 1


async def test_who_waits_for_a_budget_comes_in_as_soon_as_it_grows() -> None:
    budget = Budget(10)
    await budget.reserve(10)
    waiting = [asyncio.ensure_future(budget.reserve(size)) for size in (4, 4, 1)]
    await asyncio.sleep(0)
    budget.resize(15)
    await waiting[0]
    assert [one.done() for one in waiting] == [True, False, False]
    assert budget.used == 14


async def test_releasing_more_than_was_reserved_is_a_bug() -> None:
    budget = Budget(10)
    with pytest.raises(InvariantError):
        budget.release(1)


async def test_a_closed_queue_gives_what_is_left_and_then_nothing() -> None:
    queue = BoundedQueue(Budget(10))
    block = Block([], 1)
    await queue.put(block)
    queue.close()
    assert await queue.get() is block
    assert await queue.get() is None
