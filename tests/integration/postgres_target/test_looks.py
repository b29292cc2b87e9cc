"""What is asked of the target beside the lanes' own sessions, over a link that breaks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from connectors.postgres.target import PostgresTarget
from engine.errors import TargetConnectionError
from engine.model.relation import Relation
from tests.integration.postgres_target.conftest import Rig, config
from tests.servers.proxy import FaultProxy

pytestmark = pytest.mark.in_turn

BYTES_MAX = 4_000
STEP = 60

LOOKS: Final[dict[str, Callable[[PostgresTarget, Relation], Awaitable[object]]]] = {
    "foreign keys": lambda target, _: target.foreign_keys(),
    "empty": lambda target, relation: target.empty(relation.table),
    "load form": lambda target, relation: target.load_form(relation),
}


@pytest.mark.parametrize("look", LOOKS)
async def test_a_link_lost_anywhere_in_a_look_is_a_lost_link(rig: Rig, look: str) -> None:
    """Also between connecting and the question: the worker must not end for it."""
    rig.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    relation = await rig.relation()
    cluster = rig.database.cluster
    lost = 0
    async with FaultProxy(cluster.host, cluster.port) as proxy:
        dsn = cluster.dsn(rig.database.name, port=proxy.port)
        for size in range(0, BYTES_MAX, STEP):
            target = PostgresTarget(config(dsn))
            proxy.cut_after(down=size)
            try:
                async with asyncio.timeout(30):
                    await LOOKS[look](target, relation)
            except TargetConnectionError:
                lost += 1
            proxy.resume()
            await target.close()
    assert lost > 3
