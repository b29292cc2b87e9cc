"""Who acts: one at a time, by the store's clock, and never again with an old number."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.control import lease
from engine.control.store.contract import Store
from engine.control.store.errors import LeaseLostError
from engine.control.store.records import LeaseRow, Record
from engine.control.store.sqlite import SqliteStore
from tests.integration.store.conftest import MakeStore


async def held(store: Store, holder: str, seconds: float = lease.LEASE_SECONDS) -> LeaseRow:
    taken = await lease.acquire(store, holder, seconds=seconds)
    assert taken is not None
    return taken


async def test_one_has_it_and_others_do_not(make_store: MakeStore) -> None:
    async with make_store() as first, make_store() as second:
        taken = await held(first, "a")
        assert (taken.holder, taken.number) == ("a", 1)
        assert await lease.acquire(second, "b") is None
        assert await lease.current(second) == taken
        renewed = await lease.renew(first, taken)
        assert renewed == replace(taken, renewed=renewed.renewed)
        assert await lease.acquire(second, "b") is None
        async with first.write(fence=taken.number) as writing:
            await writing.insert(Record("k", "i", "n", {}))


async def test_given_back_it_is_free_at_once(make_store: MakeStore) -> None:
    async with make_store() as first, make_store() as second:
        taken = await held(first, "a")
        await lease.release(first, taken)
        assert await lease.current(second) is None
        with pytest.raises(LeaseLostError, match="held by nobody"):
            await lease.renew(first, taken)
        assert (await held(second, "b")).number == 2
        await lease.release(first, taken)  # it is not his to give any more
        current = await lease.current(first)
        assert current is not None
        assert current.holder == "b"


async def test_one_that_ran_out_goes_to_who_asks_and_the_late_one_is_refused(
    make_store: MakeStore,
) -> None:
    async with make_store() as first, make_store() as second:
        late = await held(first, "a", seconds=0.0)
        assert await lease.current(second) is None
        assert (await lease.renew(first, late)).number == late.number  # nobody had taken it
        taken = await held(second, "b")
        assert taken.number == 2
        with pytest.raises(LeaseLostError, match=r"number 1; number 2 is in force, held by b"):
            await lease.renew(first, late)
        with pytest.raises(LeaseLostError):
            async with first.write(fence=late.number):
                pytest.fail("the block was entered")
        assert await lease.acquire(first, "a") is None


async def test_a_daemon_that_starts_again_need_not_wait_for_itself(store: Store) -> None:
    before = await held(store, "a")
    again = await held(store, "a")
    assert again.number == before.number + 1
    with pytest.raises(LeaseLostError):
        await lease.renew(store, before)


async def test_of_many_that_want_it_one_has_it(make_store: MakeStore) -> None:
    async with make_store() as first, make_store() as second:
        tries = [lease.acquire((first, second)[n % 2], f"daemon {n}") for n in range(12)]
        taken = [found for found in await asyncio.gather(*tries) if found]
        assert [found.number for found in taken] == [1]


async def test_a_write_under_way_is_of_before_or_of_after_a_takeover(make_store: MakeStore) -> None:
    """Never in between: whoever takes over waits for it, and it was allowed."""
    async with make_store() as first, make_store() as second:
        late = await held(first, "a", seconds=0.0)
        async with first.write(fence=late.number) as writing:
            taking = asyncio.create_task(lease.acquire(second, "b"))
            await asyncio.wait([taking], timeout=0.2)
            assert not taking.done()
            await writing.insert(Record("k", "i", "n", {}))
        taken = await taking
        assert taken is not None
        assert taken.number == 2


# --- the clock --------------------------------------------------------------------------------


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[tuple[Store, Callable[[float], None]]]:
    time = [1000.0]

    def turn(seconds: float) -> None:
        time[0] = seconds

    async with SqliteStore(tmp_path / "penstock.db", now=lambda: time[0]) as store:
        yield store, turn


async def test_it_lasts_as_long_as_it_says_by_the_stores_clock(
    at: tuple[Store, Callable[[float], None]],
) -> None:
    store, turn = at
    taken = await held(store, "a", seconds=10.0)
    turn(1009.99)
    assert await lease.acquire(store, "b") is None
    taken = await lease.renew(store, taken)
    turn(1019.98)
    assert await lease.acquire(store, "b") is None
    turn(1019.99)
    assert (await held(store, "b")).number == 2


async def test_a_clock_set_back_takes_the_lease_from_nobody(
    at: tuple[Store, Callable[[float], None]],
) -> None:
    store, turn = at
    taken = await held(store, "a", seconds=10.0)
    turn(500.0)
    assert await lease.acquire(store, "b") is None
    renewed = await lease.renew(store, taken)
    assert renewed.renewed == 500.0
    turn(510.0)
    assert (await held(store, "b")).number == 2
