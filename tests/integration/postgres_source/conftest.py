"""A source on a fresh database, and a reader of its stream."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TypeAlias

import pytest

from connectors.postgres.config import PostgresSourceConfig
from connectors.postgres.source import PostgresSource
from engine.model.change import Block, Change, Event, SchemaChanged
from engine.model.position import LogPosition, Position
from engine.model.relation import TableName
from tests.servers.postgres import Database

PATIENCE_SECONDS = 30.0


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


class Client:
    """A source with the tables it streams, read from where it stands."""

    def __init__(self, database: Database, source: PostgresSource) -> None:
        self.database = database
        self.source = source
        self.after: Position = LogPosition(0)

    async def attach(self, *tables: str, inserts: Sequence[str] = ()) -> Position:
        streamed, insert_only = list(map(name, tables)), list(map(name, inserts))
        self.after = (await self.source.attach(streamed, insert_only)).start
        return self.after

    async def blocks(self) -> list[Block]:
        """Everything up to the head of the log as it is now; acknowledged."""
        head = await self.source.head()
        assert isinstance(head, LogPosition)
        found: list[Block] = []
        async with asyncio.timeout(PATIENCE_SECONDS), aclosing(self.source.blocks(self.after)) as b:
            async for block in b:
                found.append(block)
                end = block.idle or (block.parts[-1].end if block.parts else None)
                if end is not None:
                    self.after = end
                    await self.source.acknowledge(end)
                    await self.source.head()
                    assert isinstance(end, LogPosition)
                    if end.offset >= head.offset:
                        break
        return found

    async def events(self) -> list[Event]:
        return [e for block in await self.blocks() for part in block.parts for e in part.events]

    async def changes(self) -> list[Event]:
        return [event for event in await self.events() if not isinstance(event, SchemaChanged)]

    async def rows(self) -> list[Change]:
        return [event for event in await self.changes() if isinstance(event, Change)]


Connect: TypeAlias = Callable[..., Awaitable[Client]]


async def exhaust(blocks: AsyncIterator[Block]) -> None:
    """Read until the stream ends, which it does with an error only."""
    async for _ in blocks:
        pass


def name(table: str) -> TableName:
    schema, _, rest = table.rpartition(".")
    return TableName(schema or "public", rest)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens a source on a database: PostgresSourceConfig's options by name."""
    clients: list[PostgresSource] = []

    async def make(database: Database, **options: object) -> Client:
        options.setdefault("id", database.name)
        config = PostgresSourceConfig.of(conninfo=database.dsn, **options)  # type: ignore[arg-type]
        client = PostgresSource(config, SystemClock())
        clients.append(client)
        await client.open()
        return Client(database, client)

    yield make
    for client in clients:
        await client.close()
