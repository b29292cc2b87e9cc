"""Who reads a server's log for a replication is known, and there is one."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, Final

import pytest

from connectors.mysql import log_reader
from connectors.mysql.log_reader import lock_holder
from connectors.mysql.source_config import SERVER_ID_FIRST
from engine.contracts import ReadSource
from engine.errors import ReaderUnknownError, SourceError
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


async def test_the_session_of_the_lock_is_kept_alive_and_given_up_soon_without(
    sources: Sources, shop: MysqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is gone cannot say goodbye, so the server's limit for it is short."""
    monkeypatch.setattr(log_reader, "IDLE_SECONDS_MAX", 4)
    monkeypatch.setattr(log_reader, "KEEP_SECONDS", 0.5)
    side = await sources.open(shop, replication="kept")
    start = await side.attach()
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(side.source.blocks(start)) as blocks:
        until = asyncio.get_running_loop().time() + 6
        while asyncio.get_running_loop().time() < until:  # longer than the server waits for a word
            await anext(blocks)
        assert await side.source.reader() is not None
        while await side.source.reader() is not None:  # as nobody reads any more
            await asyncio.sleep(0.05)


async def test_a_server_without_locks_by_name_is_said_not_to_tell() -> None:
    async def ask(_doing: str, query: str) -> Sequence[Sequence[str | None]]:
        raise SourceError(f"{query.partition('(')[0]} is forbidden")

    with pytest.raises(ReaderUnknownError, match="cannot be told"):
        await lock_holder(ask, "one")
