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

pytestmark = pytest.mark.in_turn

ROUNDS = 20
PATIENCE_SECONDS = 60

Loops = Callable[[], asyncio.AbstractEventLoop]


@pytest.mark.parametrize("loops", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_session_ended_by_the_server_is_noticed_and_its_neighbours_go_on(
    target_database: Database, loops: Loops
) -> None:
    """Two things hide a broken link: libpq closes its descriptor by itself, and the next connection
    gets the same number; uvloop stops watching a socket with an error and calls nobody."""
    target = PostgresTarget(config(target_database.dsn))

    async def run() -> None:
        await target.prepare_control()
        async with asyncio.timeout(PATIENCE_SECONDS):
            for number in range(ROUNDS):
                await _round(target, wait=bool(number % 2))
        await target.close()

    # The loop's debug mode moves its timing, which is what this needs to happen.
    with asyncio.Runner(debug=True, loop_factory=loops) as runner:
        runner.run(run())


async def _round(target: PostgresTarget, *, wait: bool) -> None:
    async with target.session() as first, target.session() as second, target.session() as third:
        async with first.begin() as transaction:
            await transaction.lanes()
            if wait:
                await target.terminate([first.identity])
                await asyncio.sleep(0.02)
            else:
                await second.run(f"SELECT pg_terminate_backend({first.identity[0]})")
            with pytest.raises(TargetConnectionError):
                await transaction.lanes()
        assert first.broken
        await _works(second)
        async with target.session() as fourth:
            await _works(fourth)
        await _works(third)


async def _works(session: PostgresSession) -> None:
    async with session.begin() as transaction:
        await transaction.lanes()
