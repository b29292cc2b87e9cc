"""A target whose connections are used up is none that says nothing."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from connectors.mysql.session import MysqlSession
from connectors.mysql.target import MysqlTarget
from connectors.mysql.target_config import MysqlTargetConfig
from engine.config.url import parse_url
from engine.errors import TargetConnectionError
from engine.seams import SystemRandom
from tests.integration.mysql_target.conftest import Rig


async def test_a_server_that_gives_no_more_connections_is_asked_over_the_one_it_gave(
    rig: Rig,
) -> None:
    rig.execute("CREATE USER 'silent'@'%' WITH MAX_USER_CONNECTIONS 3")
    try:
        url = parse_url(rig.database.server.url(user="silent"))
        target = MysqlTarget(MysqlTargetConfig(replication="silent", url=url), SystemRandom())
        async with AsyncExitStack() as stack:
            stack.push_async_callback(target.close)
            one = await stack.enter_async_context(target.session())
            assert await target.inspect([one.identity]) == {}
            await stack.enter_async_context(target.session())
            with pytest.raises(TargetConnectionError, match="raise max_connections"):
                await stack.enter_async_context(target.session())
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(one.run(b"DO SLEEP(0.5)"))
                await _at_work(target, one)
    finally:
        rig.execute("DROP USER 'silent'@'%'")


async def _at_work(target: MysqlTarget, session: MysqlSession) -> None:
    async with asyncio.timeout(20):
        while session.identity not in await target.inspect([session.identity]):
            await asyncio.sleep(0.02)
