"""Foreign keys taken away for a load and made again."""

import pytest

from connectors.postgres.ensure import ensure
from connectors.postgres.finish import finish
from connectors.postgres.load_connection import Connection
from connectors.postgres.loosen import loosen
from engine.model.relation import TableName
from tests.integration.postgres_load.conftest import Relations
from tests.integration.postgres_load.test_schema import Describe, describe
from tests.servers.postgres import Database

pytestmark = pytest.mark.in_turn

__all__ = ["describe"]

SCHEMA = """
CREATE TABLE p (k int PRIMARY KEY, up int REFERENCES p);
CREATE TABLE t (k int PRIMARY KEY, r int CONSTRAINT f REFERENCES p);
CREATE TABLE far (k int PRIMARY KEY, r int REFERENCES t);
"""

KEYS = "SELECT array_agg(conname::text ORDER BY conname) FROM pg_constraint WHERE contype = 'f'"


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("p", ["far_r_fkey", "own"]),
        ("t", ["own", "p_up_fkey"]),
        ("far", ["f", "own", "p_up_fkey"]),
    ],
)
async def test_keys_from_and_to_a_table_go_and_come_back(
    source_database: Database,
    target: Connection,
    describe: Describe,
    relations: Relations,
    name: str,
    left: list[str],
) -> None:
    source_database.execute(SCHEMA)
    definitions = await describe()
    await ensure(target, definitions, "do-nothing")
    await finish(target, definitions)
    await target.execute("CREATE TABLE public.mine (k int CONSTRAINT own REFERENCES public.far)")
    for _ in range(2):
        await loosen(target, definitions, [TableName("public", name)])
        assert await target.fetchval(KEYS) == left
    assert await finish(target, definitions) == []
    assert await target.fetchval(KEYS) == ["f", "far_r_fkey", "own", "p_up_fkey"]
