"""A link that breaks at any moment ends its own session, and no other, under either event loop."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from connectors.postgres.session import PostgresSession
from connectors.postgres.target import PostgresTarget
from engine.errors import TargetConnectionError
from tests.integration.postgres_target.conftest import config
from tests.servers.postgres import Database

ROUNDS = 15
PATIENCE_SECONDS = 60

Loops = Callable[[], asyncio.AbstractEventLoop]


@pytest.mark.parametrize("loops", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("pause_seconds", [0.0, 0.01])
def test_a_session_ended_by_the_server_is_noticed_and_its_neighbours_go_on(
    target_database: Database, loops: Loops, pause_seconds: float
) -> None:
    """libpq finds out while sending or while reading, and closes its descriptor either way; the
    next connection gets the same number."""
    target = PostgresTarget(config(target_database.dsn))

    async def run() -> None:
        await target.prepare_control()
        async with asyncio.timeout(PATIENCE_SECONDS):
            for _ in range(ROUNDS):
                await _round(target, pause_seconds)
        await target.close()

    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(run())


async def _round(target: PostgresTarget, pause_seconds: float) -> None:
    async with target.session() as first, target.session() as second:
        async with first.begin() as transaction:
            await transaction.lanes()
            await second.run(f"SELECT pg_terminate_backend({first.identity[0]})")
            await asyncio.sleep(pause_seconds)
            with pytest.raises(TargetConnectionError):
                await transaction.lanes()
        assert first.broken
        async with target.session() as third:
            await _works(second)
            await first.close()
            await _works(third)


async def _works(session: PostgresSession) -> None:
    async with session.begin() as transaction:
        await transaction.lanes()
