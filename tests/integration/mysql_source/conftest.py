"""A source on one of our servers, and what is read from it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import pytest_asyncio

from connectors.mysql import reader, watermarks
from connectors.mysql.connecting import Link
from connectors.mysql.source import MysqlSource
from connectors.mysql.source_config import SERVER_ID_FIRST, MysqlSourceConfig
from engine.config.url import parse_url
from engine.model.change import Block, Change, Event
from engine.model.position import Position
from engine.model.relation import Relation
from engine.model.value import UNCHANGED
from engine.seams import SystemClock
from tests.servers.mysql import MysqlServer

PATIENCE_SECONDS: Final = 30.0

SILENCE_SECONDS: Final = 3.0

SCHEMA: Final = "shop"

_numbers = itertools.count(1)


@dataclass
class Side:
    """A source that speaks the native form: values are the texts a client would see."""

    source: MysqlSource
    at: Position | None = None
    relations: list[Relation] = field(default_factory=list[Relation])

    async def attach(self) -> Position:
        """Read everything of the database from now on."""
        self.relations = [r for r in await self.source.relations() if r.schema == SCHEMA]
        tables = [r.table for r in self.relations]
        self.at = (await self.source.attach(tables, ())).start
        return self.at

    async def read(self, events: int) -> list[Event]:
        """The next so many events, over a connection of their own. Goes on where it stopped."""
        assert self.at is not None
        found: list[Event] = []
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            aclosing(self.source.blocks(self.at)) as blocks,
        ):
            async for block in blocks:
                found += self._take(block)
                if len(found) >= events:
                    return found
        raise AssertionError("the stream ended")

    def _take(self, block: Block) -> list[Event]:
        found: list[Event] = []
        for part in block.parts:
            found += part.events
            if part.end is not None:
                self.at = part.end
        return found


def new_rows(events: Sequence[Event]) -> list[tuple[Any, ...]]:
    """Rows after each change, as texts; UNCHANGED as itself."""
    return [plain(event.new) for event in events if isinstance(event, Change)]


def plain(row: Sequence[object] | None) -> tuple[Any, ...]:
    assert row is not None
    return tuple(
        value if value is None or value is UNCHANGED else bytes(value).decode()  # type: ignore[call-overload]
        for value in row
    )


class Sources:
    """Makes sources; closes them."""

    def __init__(self) -> None:
        self._made: list[MysqlSource] = []

    async def open(self, server: MysqlServer | None, **options: Any) -> Side:
        """An opened source of a server. `options`: those of its configuration; `url`: its URL;
        `form`: that of its values."""
        side = self.make(server, **options)
        await side.source.open()
        return side

    def make(
        self, server: MysqlServer | None, *, url: str = "", form: str = "mysql", **options: Any
    ) -> Side:
        number = next(_numbers)
        settings: dict[str, Any] = {
            "replication": f"side-{number}",
            "engine": "mysql",
            "server_id": SERVER_ID_FIRST + number,
            "silence_seconds": SILENCE_SECONDS,
        }
        if server is not None:
            url = url or server.url()
        config = MysqlSourceConfig(url=parse_url(url), **settings | options)
        source = MysqlSource(config, SystemClock())
        source.speak([form])
        self._made.append(source)
        return Side(source)

    async def close(self) -> None:
        for source in self._made:
            await source.close()


@pytest_asyncio.fixture
async def sources() -> AsyncIterator[Sources]:
    sources = Sources()
    yield sources
    await sources.close()


@pytest.fixture
def shop(mysql: MysqlServer) -> MysqlServer:
    """A server of each version with an empty database `shop`."""
    mysql.drop_database(SCHEMA)
    mysql.create_database(SCHEMA)
    return mysql


Act = Callable[[], object]

Around = Callable[..., list[int]]


@pytest.fixture
def around(monkeypatch: pytest.MonkeyPatch) -> Around:
    """Has something done just before each snapshot is opened, or just after it; gives a list that
    grows by the number of each snapshot."""

    def arrange(before: Act | None = None, after: Act | None = None, times: int = 1) -> list[int]:
        opened: list[int] = []

        async def begin(link: Link) -> None:
            opened.append(len(opened) + 1)
            acts = len(opened) <= times
            if acts and before is not None:
                before()
            await reader.begin(link)
            if acts and after is not None:
                after()

        monkeypatch.setattr(watermarks, "begin", begin)
        return opened

    return arrange
