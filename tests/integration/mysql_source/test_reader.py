"""Who reads a server's log for a replication is known, and there is one."""

import asyncio
from contextlib import aclosing
from typing import Any, Final

import pytest

from connectors.mysql.source_config import SERVER_ID_FIRST
from engine.contracts import ReadSource
from engine.errors import SourceError
from tests.integration.mysql_source.conftest import PATIENCE_SECONDS, Sources, new_rows
from tests.servers.mysql import MysqlServer

SOON_SECONDS: Final = 10.0


async def test_who_reads_is_told_and_gives_way_to_who_comes_later(
    sources: Sources, shop: MysqlServer
) -> None:
    shop.execute("CREATE TABLE shop.t (id int PRIMARY KEY)")
    one: dict[str, Any] = {"replication": "one", "server_id": SERVER_ID_FIRST + 70_001}
    first, second, third = [await sources.open(shop, **one) for _ in range(3)]
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
        with pytest.raises(SourceError, match="server_id"):  # noqa: PT012 - rows may come first
            while True:
                await anext(blocks)
    await second.source.close()
    async with asyncio.timeout(SOON_SECONDS):
        while await third.source.reader() is not None:
            await asyncio.sleep(0.01)
