"""A target whose connections are used up is none that says nothing."""

import asyncio
from contextlib import AsyncExitStack, suppress
from types import SimpleNamespace
from typing import cast

import pytest

from connectors.postgres.session import PostgresSession
from connectors.postgres.target import PostgresTarget
from engine import silence
from engine.checkpoint.sessions import Sessions
from engine.errors import TargetConnectionError
from engine.observe.metrics import Metrics
from engine.surroundings import Surroundings
from tests.integration.postgres_target.conftest import Rig, config
from tests.servers.proxy import FaultProxy

pytestmark = pytest.mark.in_turn


async def test_a_server_that_gives_no_more_connections_is_asked_over_the_one_it_gave(
    rig: Rig,
) -> None:
    rig.execute("CREATE ROLE silent LOGIN CONNECTION LIMIT 3")
    try:
        dsn = rig.database.cluster.dsn(rig.database.name, user="silent")
        target = PostgresTarget(config(dsn))
        async with AsyncExitStack() as stack:
            stack.push_async_callback(target.close)
            one = await stack.enter_async_context(target.session())
            assert await target.inspect([one.identity]) == {}
            await stack.enter_async_context(target.session())
            with pytest.raises(
                TargetConnectionError, match=r"too many connections.*raise max_connections"
            ):
                await stack.enter_async_context(target.session())
            with pytest.raises(
                TargetConnectionError, match=r"too many connections.*raise max_conn"
            ):
                await target.foreign_keys()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(one.run("SELECT pg_sleep(0.5)"))
                await _at_work(target, one)
    finally:
        rig.execute("DROP ROLE silent")


async def test_the_session_for_questions_is_replaced_when_it_has_ended(rig: Rig) -> None:
    assert await rig.target.inspect([rig.session.identity]) == {}
    rig.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE query LIKE"
        f" '%a.pid IN ({rig.session.identity[0]})%' AND pid <> pg_backend_pid()"
    )
    with suppress(TargetConnectionError):  # nobody had noticed
        await rig.target.inspect([rig.session.identity])
    assert await rig.target.inspect([rig.session.identity]) == {}


async def _at_work(target: PostgresTarget, session: PostgresSession) -> None:
    async with asyncio.timeout(20):
        while session.identity not in await target.inspect([session.identity]):
            await asyncio.sleep(0.02)


async def test_behind_a_pooler_that_has_none_left_who_answers_another_session_is_not_silent(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen server and a pooler that lets a new session wait look the same to that session."""
    for name in ("LOOK", "LATE", "ANSWER"):
        monkeypatch.setattr(silence, f"{name}_SECONDS", 0.2)
    cluster = rig.database.cluster
    async with FaultProxy(cluster.host, cluster.port) as proxy:
        target = PostgresTarget(config(cluster.dsn(rig.database.name, port=proxy.port)))
        async with target.session() as late, target.session() as watcher:
            around = cast("Surroundings", SimpleNamespace(metrics=Metrics("r")))
            sessions = cast("Sessions", SimpleNamespace(opened=[late, watcher]))
            watching = silence.Silence(sessions, target, around, watcher)
            proxy.queue()
            asking = asyncio.gather(
                late.run("SELECT pg_sleep(60)"), _asked_now_and_then(watcher), watching.watch()
            )
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asking, 2)
            assert proxy.accepted > 3  # it was asked, and in vain
            assert around.metrics.stuck == {}
        await target.close()


async def _asked_now_and_then(session: PostgresSession) -> None:
    while True:
        await session.run("SELECT 1")
        await asyncio.sleep(0.05)
