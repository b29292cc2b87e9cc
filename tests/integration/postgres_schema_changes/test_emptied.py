"""TRUNCATE of a single partition, of which the log tells nothing."""

import pytest

from tests.integration.postgres_schema_changes.conftest import Pipe

pytestmark = pytest.mark.in_turn

PARTED = """
CREATE TABLE r (id int, k int, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE r1 PARTITION OF r FOR VALUES IN (1);
CREATE TABLE r2 PARTITION OF r FOR VALUES IN (2, 3) PARTITION BY LIST (k);
CREATE TABLE r2a PARTITION OF r2 FOR VALUES IN (2);
INSERT INTO r VALUES (1, 1), (2, 1), (1, 2);
"""

EMPTIED = {
    "alone": "TRUNCATE r1",
    "with what is below": "TRUNCATE r2",
    "and filled again": "TRUNCATE r1; INSERT INTO r VALUES (7, 1), (8, 1)",
    "and its rows written anew": "TRUNCATE r1; INSERT INTO r VALUES (7, 1); UPDATE r SET id = id",
    "with another table": "TRUNCATE r1, t",
    "and then written anew": "TRUNCATE r1; ALTER TABLE r ALTER id TYPE bigint",
}

KEPT = {
    "vacuum full": ["VACUUM FULL r1", "VACUUM FULL r2a"],
    "cluster": ["CLUSTER r1 USING r1_pkey"],
    "as a whole": ["TRUNCATE r", "INSERT INTO r VALUES (4, 1)"],
    "rows deleted": ["DELETE FROM r WHERE k = 1", "VACUUM r1"],
    "grants, a new partition": [
        "GRANT SELECT ON r1 TO PUBLIC",
        "CREATE TABLE r4 PARTITION OF r FOR VALUES IN (4)",
        "INSERT INTO r VALUES (1, 4)",
    ],
}


async def passed_twice(pipe: Pipe) -> None:
    """Rows of the whole way, with looks between them."""
    for _ in range(3):
        await pipe.passed()
        await pipe.execute("SELECT pg_sleep(0.4)")


@pytest.mark.parametrize("sql", EMPTIED.values(), ids=EMPTIED.keys())
async def test_a_truncated_partition_stops_the_table_until_it_is_loaded_again(
    pipe: Pipe, sql: str
) -> None:
    await pipe.execute(PARTED)
    async with pipe.running():
        await pipe.equal("r")
        await pipe.execute(sql)
        assert "a partition was truncated by itself" in await pipe.state("needs-reload", "r")
        await pipe.execute("UPDATE t SET a = 5; INSERT INTO r VALUES (9, 1)")
        await pipe.equal()
        await pipe.reload("r")
        await pipe.equal("r")
        await passed_twice(pipe)
        await pipe.execute("INSERT INTO r VALUES (10, 2)")
        await pipe.equal("r")
    assert pipe.record("r")[0] == "streaming"


@pytest.mark.parametrize("statements", KEPT.values(), ids=KEPT.keys())
async def test_a_partition_that_keeps_its_rows_stops_nothing(
    pipe: Pipe, statements: list[str]
) -> None:
    await pipe.execute(PARTED)
    async with pipe.running():
        await pipe.equal("r")
        for sql in statements:
            await pipe.execute(sql)
        await passed_twice(pipe)
        await pipe.equal("r")
    for sql in statements[:1]:
        await pipe.execute(sql)
    async with pipe.running():
        await passed_twice(pipe)
        await pipe.equal("r")
    assert pipe.record("r")[0] == "streaming"


async def test_a_truncate_while_the_replication_is_stopped_is_found_at_the_start(
    pipe: Pipe,
) -> None:
    await pipe.execute(PARTED)
    async with pipe.running():
        await pipe.equal("r")
    await pipe.execute("TRUNCATE r1")
    async with pipe.running():
        assert "a partition was truncated by itself" in await pipe.state("needs-reload", "r")


async def test_a_truncate_that_no_look_has_seen_before_a_stop_is_found_at_the_start(
    pipe: Pipe,
) -> None:
    """The source lets go of no log behind the last look, so its slot still tells what is new."""
    await pipe.execute(PARTED)
    async with pipe.running(partitions_seconds=600.0):
        await pipe.equal("r")
        await pipe.execute("TRUNCATE r1")
        for _ in range(3):
            await pipe.execute("CHECKPOINT")
            await pipe.passed()
    async with pipe.running():
        assert "a partition was truncated by itself" in await pipe.state("needs-reload", "r")
