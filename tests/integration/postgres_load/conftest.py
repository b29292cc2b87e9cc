"""A source and a target with connections as the load uses them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import asyncpg
import pytest

from connectors.postgres.catalog import Catalog
from connectors.postgres.load_connection import Connect, Connection, close, prepare
from connectors.postgres.sql import Sql
from engine.model.relation import Relation
from tests.servers.postgres import Database

Relations: TypeAlias = Callable[[], Awaitable[dict[str, Relation]]]


@pytest.fixture
def connect(source_database: Database) -> Connect:
    """Opens connections to the source."""

    async def open_one() -> Connection:
        return await asyncpg.connect(source_database.dsn)

    return open_one


@pytest.fixture
async def source(connect: Connect) -> AsyncIterator[Connection]:
    connection = await connect()
    await prepare(connection)
    yield connection
    await close(connection)


@pytest.fixture
async def target(target_database: Database) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(target_database.dsn)
    await prepare(connection)
    yield connection
    await close(connection)


@pytest.fixture
async def relations(source_database: Database) -> AsyncIterator[Relations]:
    """Reads the source's tables as they are now, by `schema.name`."""
    sql = Sql(source_database.dsn, "test")
    catalog = Catalog(sql)

    async def read() -> dict[str, Relation]:
        return {relation.qualified: relation for relation in await catalog.relations()}

    yield read
    await sql.close()
