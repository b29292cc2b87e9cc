"""Who reads a server's log for a replication is known, and there is one."""

import asyncio
from contextlib import aclosing
from typing import Final

import pytest

from engine.contracts import ReadSource
from engine.errors import SourceConnectionError
from tests.integration.mysql_source.conftest import PATIENCE_SECONDS, Sources, new_rows
from tests.servers.mysql import MysqlServer

SOON_SECONDS: Final = 10.0


async def test_who_reads_is_told_and_gives_way_to_who_comes_later(
    sources: Sources, shop: MysqlServer
) -> None:
    shop.execute("CREATE TABLE shop.t (id int PRIMARY KEY)")
    first = await sources.open(shop, replication="one")
    second = await sources.open(shop, replication="one")
    other_of_one = await sources.open(shop, replication="one")
    other = await sources.open(shop, replication="two")
    start = await first.attach()
    await second.attach()
    assert isinstance(second.source, ReadSource)
    assert await second.source.reader() is None
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(first.source.blocks(start)) as blocks:
        await anext(blocks)
        told = await second.source.reader()
        assert told is not None
        assert told.startswith("session ")
        assert await other.source.reader() is None
        shop.execute("INSERT INTO shop.t VALUES (1)")
        assert new_rows(await second.read(1)) == [("1",)]
        with pytest.raises(SourceConnectionError):  # noqa: PT012 - what came before may come first
            while True:
                await anext(blocks)
    await second.source.close()
    async with asyncio.timeout(SOON_SECONDS):
        while await other_of_one.source.reader() is not None:
            await asyncio.sleep(0.01)
