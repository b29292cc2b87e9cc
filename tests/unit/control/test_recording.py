"""What is stored of a replication, where storing is cut off or held up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.control.keeping import Keeper
from engine.control.recording import NAMED_MAX, Recording
from engine.control.resources.document import decode, encode
from engine.control.resources.replication import KIND, Compute, Config, Replication
from engine.control.resources.table import TableFacts
from engine.control.store.errors import StoreBusyError
from engine.control.store.records import EventFilter, Record
from engine.control.store.sqlite import SqliteStore
from engine.control.tallies import Tallies
from engine.control.unit_hours import UnitHours
from engine.observe.log import Log
from engine.seams import SystemClock

ID = "a"


class Held(SqliteStore):
    """Its writers wait for `open`; the first may be refused after that."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.open = asyncio.Event()
        self.open.set()
        self.waits = asyncio.Event()
        self.refuses = False

    @asynccontextmanager
    async def write(self, **fence: Any) -> AsyncIterator[Any]:
        self.waits.set()
        await self.open.wait()
        if self.refuses:
            self.refuses = False
            raise StoreBusyError("somebody holds it")
        async with super().write(**fence) as writing:
            yield writing


class World:
    """A replication `a`, of which something is told."""

    def __init__(self, store: Held) -> None:
        self.store = store
        self.tables = Tallies({}, lambda: 1000.0)
        log = Log(lambda _line: None, SystemClock())
        keeper = Keeper(store, ID, log)
        self.recording = Recording(keeper, SystemClock(), self.tables, UnitHours({}), "")

    def tell(self, state: str, name: str = "public.t") -> None:
        self.tables.table({"event": "table", "table": name, "state": state})

    async def states(self) -> dict[str, str]:
        async with self.store.read() as reading:
            found = await reading.facts(KIND, ID, prefix="table/")
        facts = [decode(TableFacts, fact.document) for fact in found]
        return {f"{each.schema}.{each.table}": each.state for each in facts}

    async def life(self) -> Any:
        async with self.store.read() as reading:
            record = await reading.get(KIND, ID)
        assert record is not None
        return decode(Replication, record.document).life

    async def messages(self) -> list[str]:
        async with self.store.read() as reading:
            return [event.message for event in await reading.events(EventFilter())]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    compute = Compute(units_max=1)
    config = Config(name=ID, source="S", target="T", type="cdc", compute=compute, mappings="{}")
    async with Held(tmp_path / "store.db") as store:
        async with store.write() as writing:
            await writing.insert(Record(KIND, ID, ID, encode(Replication(config=config))))
        store.waits.clear()
        yield World(store)


async def test_what_was_cut_off_is_stored_with_the_next(world: World) -> None:
    """A worker may end while its last state is being stored."""
    world.tell("loaded")
    world.store.open.clear()
    cut = asyncio.create_task(world.recording.store("0/1"))
    await world.store.waits.wait()
    cut.cancel()
    await asyncio.wait((cut,))
    world.store.open.set()
    assert await world.states() == {}
    await world.recording.store("0/1", last=True)
    assert await world.states() == {"public.t": "loaded"}
    life = await world.life()
    assert (life.checkpoint, life.progress.loaded) == ("0/1", 1)


async def test_nothing_older_comes_after_what_is_newer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first waits for a store that is held, and is refused once."""
    monkeypatch.setattr("engine.control.keeping.PAUSE_SECONDS", 0.05)
    world.tell("loading")
    world.store.open.clear()
    first = asyncio.create_task(world.recording.store("0/1"))
    await world.store.waits.wait()
    world.tell("loaded")
    second = asyncio.create_task(world.recording.store("0/2", last=True))
    await asyncio.sleep(0)
    world.store.refuses = True
    world.store.open.set()
    await asyncio.gather(first, second)
    assert await world.states() == {"public.t": "loaded"}
    assert (await world.life()).checkpoint == "0/2"


async def test_tables_that_stop_are_an_event(world: World) -> None:
    for number in range(NAMED_MAX + 2):
        world.tell("suspended", f"public.t{number}")
    await world.recording.store("")
    await world.recording.store("")
    (message,) = await world.messages()
    assert message.startswith("Tables have stopped, and the others go on: public.t0, public.t1,")
    assert message.endswith("public.t4 and 2 more. `penstock tables` says why.")
