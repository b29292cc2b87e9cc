"""The oldest transaction that has written and is still open, and a user who may not see any."""

import asyncio
import secrets
from typing import Final

import pytest

from connectors.mysql.source import MysqlSource
from engine.errors import SourceError
from tests.integration.mysql_source.conftest import PATIENCE_SECONDS, SCHEMA, Sources
from tests.servers.mysql import MysqlServer

USER: Final = "'looker'@'%'"


async def test_a_user_who_may_not_look_is_told_what_to_grant(
    sources: Sources, shop: MysqlServer
) -> None:
    password = secrets.token_hex(8)
    shop.execute(
        f"DROP USER IF EXISTS {USER}; CREATE USER {USER} IDENTIFIED BY '{password}';"
        f"GRANT SELECT ON {SCHEMA}.* TO {USER}; CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY)"
    )
    url = shop.url(user="looker", password=password)
    source = (await sources.open(shop, url=url)).source
    assert [await source.oldest_open() for _ in range(2)] == [None, None]
    (notice,) = source.notices()
    shop.execute(notice[notice.index("GRANT") : notice.index(", then")])
    source = (await sources.open(shop, url=url)).source
    await _sees_a_writer(source, shop)


async def _sees_a_writer(source: MysqlSource, shop: MysqlServer) -> None:
    """What the server shows of its transactions may be a tenth of a second old."""
    with shop.connect(SCHEMA) as writer, writer.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO t VALUES (1)")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await source.oldest_open() is None:
                await asyncio.sleep(0.02)
        writer.rollback()
    assert source.notices() == []


async def test_what_is_no_want_of_a_right_is_told_and_asked_again(
    sources: Sources, shop: MysqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (await sources.open(shop)).source
    with monkeypatch.context() as broken:
        broken.setattr("connectors.mysql.open_transactions._OLDEST", "SELECT no_such_column")
        with pytest.raises(SourceError):
            await source.oldest_open()
    shop.execute(f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY)")
    await _sees_a_writer(source, shop)
