"""Two daemons on one store: one acts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.control.fenced import FencedStore
from engine.control.leading import Election, Leadership, Work
from engine.control.lease import acquire
from engine.control.store.contract import Store
from engine.control.store.errors import LeaseLostError, StoreFullError
from engine.control.store.records import Record
from engine.control.store.sqlite import SqliteStore
from engine.errors import StateError
from engine.observe.log import Line, Log
from engine.seams import SystemClock
from tests.integration.store.test_full import file_size_limit

SECONDS = 0.6
"""Of a lease: the tests wait for it to run out."""


class Part:
    """Something that only who acts does."""

    def __init__(self) -> None:
        self.did: list[str] = []

    async def begin(self) -> None:
        self.did.append("begin")

    async def leave(self) -> None:
        self.did.append("leave")

    async def drop(self) -> None:
        self.did.append("drop")


class Leader:
    """One daemon's part in it."""

    def __init__(self, store: Store, name: str) -> None:
        self.fenced = FencedStore(store)
        self.part = Part()
        self.lost = asyncio.Event()
        self.stop = asyncio.Event()
        self.lines: list[Line] = []
        clock = SystemClock()
        self.leadership = Leadership(
            Election(store, name, SECONDS),
            self.fenced,
            [self.part],
            self.lost,
            clock,
            Log(self.lines.append, clock),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.leadership.run(self.stop))
        try:
            await asyncio.wait_for(self.leadership.decided.wait(), 30)
            yield
        finally:
            self.stop.set()
            await asyncio.wait_for(task, 30)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


async def write(store: FencedStore, name: str) -> None:
    async with store.write() as writing:
        await writing.insert(Record("thing", name, name, {}))


async def test_who_holds_the_lease_acts_and_the_other_stands_by(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "store.db") as store:
        first, second = Leader(store, "first"), Leader(store, "second")
        async with first.running():
            await write(first.fenced, "a")
            async with second.running():
                assert not second.leadership.acts
                with pytest.raises(LeaseLostError, match="stands by"):
                    await write(second.fenced, "b")
                async with second.fenced.read() as reading:
                    assert await reading.get("thing", "a")
        assert first.part.did == ["begin", "leave"]
        assert second.part.did == []


async def test_who_ends_in_order_leaves_the_lease_to_the_other(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "store.db") as store:
        first, second = Leader(store, "first"), Leader(store, "second")
        async with first.running(), second.running():
            first.stop.set()
            await until(lambda: second.leadership.acts)
            await write(second.fenced, "b")
        assert second.part.did == ["begin", "leave"]


async def test_who_lost_the_lease_drops_everything_and_stands_by(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "store.db") as store:
        first = Leader(store, "first")
        async with first.running():
            # Another daemon of this name takes it at once, as one on another machine does in time.
            assert await acquire(store, "first", seconds=60)
            with pytest.raises(LeaseLostError):
                await write(first.fenced, "a")
            await until(lambda: "drop" in first.part.did)
        assert first.part.did[:2] == ["begin", "drop"]


async def test_what_a_write_found_ends_it_too(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "store.db") as store:
        first = Leader(store, "first")
        async with first.running():
            first.lost.set()
            await until(lambda: first.part.did[:2] == ["begin", "drop"])


async def test_work_that_fails_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.control.leading.PAUSE_SECONDS", 0.0)
    lines: list[Line] = []
    tries, done = 0, asyncio.Event()

    async def run() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StateError("no store")
        done.set()
        await asyncio.Event().wait()

    work = Work("trying", run, Log(lines.append, SystemClock()))
    await work.begin()
    await asyncio.wait_for(done.wait(), 30)
    await work.leave()
    assert tries == 3
    assert [line.fields["action"] for line in lines] == ["work.failed", "work.failed"]


async def test_a_daemon_whose_store_cannot_be_written_from_the_beginning_ends(
    tmp_path: Path,
) -> None:
    async with SqliteStore(tmp_path / "store.db") as store:
        first = Leader(store, "first")
        with file_size_limit() as limit:
            limit(1)
            with pytest.raises(StoreFullError):
                await asyncio.wait_for(first.leadership.run(first.stop), 30)
        assert not first.leadership.decided.is_set(), "nobody was answered"
        assert first.part.did == []


class Picky(Part):
    """Something that cannot begin while the store is full."""

    def __init__(self, store: FencedStore) -> None:
        super().__init__()
        self.store = store
        self.limit: Callable[[int], None] | None = None

    async def begin(self) -> None:
        await super().begin()
        if self.limit is not None:
            self.limit(1)
        await write(self.store, "begun")


async def test_a_part_that_cannot_begin_ends_a_daemon_that_has_just_started(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "store.db") as store:
        first = Leader(store, "first")
        picky = Picky(first.fenced)
        first.leadership._parts = [first.part, picky]
        with file_size_limit() as limit:
            picky.limit = limit
            with pytest.raises(StoreFullError):
                await asyncio.wait_for(first.leadership.run(first.stop), 30)
        assert (first.part.did, picky.did) == (["begin", "drop"], ["begin", "drop"])


async def test_a_standby_whose_store_cannot_be_written_says_so_and_goes_on_trying(
    tmp_path: Path,
) -> None:
    """Whoever acted is gone, and nobody can take its place: nothing else is claimed."""
    async with SqliteStore(tmp_path / "store.db") as store:
        assert await acquire(store, "who acted", seconds=SECONDS)
        standby = Leader(store, "standby")
        async with standby.running():
            assert standby.leadership.idle == "standing by: another daemon acts"
            assert standby.fenced.unattended() == ""
            with file_size_limit() as limit:
                limit(1)
                await until(lambda: bool(standby.fenced.unattended()))
                assert "cannot grow" in standby.fenced.unattended()
                assert standby.leadership.idle.startswith("the store cannot be used: ")
                with pytest.raises(StoreFullError):
                    await write(standby.fenced, "a")
            await until(lambda: standby.leadership.acts)
            assert (standby.leadership.idle, standby.fenced.unattended()) == ("", "")
            await write(standby.fenced, "a")
        said = [line.message for line in standby.lines]
        assert said.count("the store cannot be used: nothing is done until it can") == 1
